/** `majordomo durable result` and `durable close`: as `request --result` and `--close`, which counts an unknown one as closed. */
import type { Command } from 'commander';

import { CLIENT_OPTIONS } from '../../sdk/option-tables.js';
import { addOutputOption } from '../common/formats.js';
import {
  addSubcommand,
  checkUuid,
  DAY_MS,
  given,
  integerOption,
  timeoutOption,
} from '../common/options.js';
import { withClient } from '../connection/ask.js';
import { addEndpointOption, type EndpointOptions } from '../connection/options.js';
import { closeKnown, printResult, type StoredCommandOptions } from '../requests/stored.js';

interface ResultOptions extends StoredCommandOptions, EndpointOptions {
  readonly deadlineMs?: number;
}

const AFTER_RESULT = `
Waits for (1 + retries) × timeout, or --deadline-ms if that is less, and does not close the request. The exit statuses are those of
majordomo request.
`;

const AFTER_CLOSE = `
Deletes the request and its reply, stops further attempts, and cancels the one that runs. The exit status is 1 if it is unknown, or already closed.
`;

export function defineResult(command: Command): void {
  sub(command, 'result', 'print the reply of a request')
    .option('--detail', 'if the service failed, print the detail frames of the failure')
    .addHelpText('after', AFTER_RESULT)
    .action(async (uuid: string, options: ResultOptions) => {
      const { retries, timeoutMs, deadlineMs = Infinity } = options;
      const wholeMs = Math.min((1 + retries) * timeoutMs, deadlineMs);
      await asAsked(uuid, options, (client) => printResult(client, uuid, options, wholeMs));
    });
  sub(command, 'close', 'delete a request and its reply, as its client does')
    .addHelpText('after', AFTER_CLOSE)
    .action(async (uuid: string, options: ResultOptions) => {
      await asAsked(uuid, options, (client) => closeKnown(client, uuid, options));
    });
}

function sub(command: Command, name: string, about: string): Command {
  const made = addSubcommand(command, name, about).argument('<uuid>');
  return addOutputOption(addEndpointOption(made), 'raw')
    .addOption(timeoutOption('how long to wait for an answer before asking again'))
    .addOption(
      integerOption('--retries <n>', 'how many times to ask again', 0, 1000).default(
        CLIENT_OPTIONS.retries.default,
      ),
    )
    .addOption(integerOption('--deadline-ms <ms>', 'how long to wait in all', 1, DAY_MS));
}

async function asAsked(
  uuid: string,
  options: ResultOptions,
  use: Parameters<typeof withClient<void>>[1],
): Promise<void> {
  checkUuid(uuid);
  const { retries, deadlineMs } = options;
  await withClient(options, use, { retries, ...given({ deadlineMs }) });
}
