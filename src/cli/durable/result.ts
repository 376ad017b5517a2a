/** `majordomo durable result` and `durable close`: as `request --result` and `--close`, which counts an unknown one as closed. */
import type { Command } from 'commander';

import { addOutputOption } from '../common/formats.js';
import {
  addGoneOptions,
  addSubcommand,
  addTimeoutOptions,
  checkUuid,
  GONE_TIMES,
} from '../common/options.js';
import type { Client } from '../../sdk/client.js';
import { Broker } from '../connection/broker.js';
import { addEndpointOption } from '../connection/options.js';
import { closeKnown, printResult, type StoredCommandOptions } from '../requests/stored.js';

const AFTER_RESULT = `
Waits for the time of --timeout-ms, and does not close the request. The exit statuses are those of
majordomo request.
`;

const AFTER_CLOSE = `
Deletes the request and its reply, stops further attempts, and cancels the one that runs. The exit status is 1 if it is unknown, or already closed.
`;

export function defineResult(command: Command): void {
  sub(command, 'result', 'print the reply of a request')
    .option('--detail', 'if the service failed, print the detail frames of the failure')
    .addHelpText('after', AFTER_RESULT)
    .action(async (uuid: string, options: StoredCommandOptions) => {
      const { timeoutMs } = options;
      await asAsked(uuid, options, (client) => printResult(client, uuid, options, timeoutMs));
    });
  sub(command, 'close', 'delete a request and its reply, as its client does')
    .addHelpText('after', AFTER_CLOSE)
    .action(async (uuid: string, options: StoredCommandOptions) => {
      await asAsked(uuid, options, (client) => closeKnown(client, uuid, options));
    });
}

function sub(command: Command, name: string, about: string): Command {
  const made = addSubcommand(command, name, about).argument('<uuid>');
  addGoneOptions(made, GONE_TIMES);
  return addTimeoutOptions(addOutputOption(addEndpointOption(made), 'raw'), 'how long to wait');
}

async function asAsked(
  uuid: string,
  options: StoredCommandOptions,
  use: (client: Client) => Promise<void>,
): Promise<void> {
  checkUuid(uuid);
  await new Broker(options).client(use);
}
