/** `majordomo workers`: the registered workers. */
import type { Command } from 'commander';

import { MajordomoError } from '../core/errors.js';
import { EXIT } from '../core/exit.js';
import type { Facts } from './ask.js';
import { addLookOptions, look, type LookOptions, WHERE_TEXT } from './broker-state.js';
import { checkService, type Done, examples } from './options.js';
import { duration, printable, table } from './output.js';
import { addWatchOption, show, WATCH_TEXT, type WatchOptions } from './watch.js';

const EXAMPLES = [
  ['majordomo workers', 'the workers of all services'],
  ['majordomo workers upper', 'the workers of one service'],
  ["majordomo workers -o json | jq 'map(.inFlight) | add'", 'the JSON of mmi.workers'],
] as const;

const AFTER = `${examples(EXAMPLES)}
NAME is the name that a worker gives itself, by default its host and process. ADDRESS is its network address,
shown only over HTTP and with a token.
Exit status 1 if the named service has no worker; not with --watch, which waits for one.
${WATCH_TEXT}${WHERE_TEXT}`;

const COLUMNS = [
  { head: 'SERVICE' },
  { head: 'NAME' },
  { head: 'STATE' },
  { head: 'PROTOCOL' },
  { head: 'IN FLIGHT', right: true },
  { head: 'CREDIT', right: true },
  { head: 'SINCE', right: true },
  { head: 'KEY' },
  { head: 'ADDRESS' },
] as const;

export function defineWorkers(command: Command, done: Done): void {
  addWatchOption(addLookOptions(command.argument('[service]', 'only the workers of this service')))
    .addHelpText('after', AFTER)
    .action(async (service: string | undefined, options: LookOptions & WatchOptions) => {
      if (service !== undefined) checkService(service);
      await look(options, (broker) =>
        show(
          options,
          async () => {
            const workers = await broker.workers(service);
            if (options.watch !== true) refuseNone(workers, service);
            return workers;
          },
          (workers) => table(COLUMNS, workers.map(row)),
        ),
      );
      done(EXIT.done);
    });
}

/** @throws ERR_REQUEST_FAILED if the named service has no worker */
function refuseNone(workers: readonly Facts[], service: string | undefined): void {
  if (service === undefined || workers.length > 0) return;
  throw new MajordomoError(
    'ERR_REQUEST_FAILED',
    `no worker is registered for ${printable(service)}`,
  );
}

function row(worker: Facts): readonly string[] {
  const { sinceMs } = worker;
  return [
    printable(worker['service']),
    textOf(worker['name']),
    printable(worker['state']),
    printable(worker['version']),
    printable(worker['inFlight']),
    printable(worker['credit']),
    typeof sinceMs === 'number' ? duration(sinceMs) : '-',
    textOf(worker['key']),
    textOf(worker['address']),
  ];
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? printable(value) : '-';
}
