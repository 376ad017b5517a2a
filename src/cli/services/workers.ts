/** `majordomo workers`: the registered workers. */
import type { Command } from 'commander';

import { MajordomoError } from '../../core/errors.js';
import type { Facts } from '../common/facts.js';
import { checkService, examples } from '../common/options.js';
import { printable } from '../common/output.js';
import { type Column, field, narrowText, table } from '../common/table.js';
import { addWatchOption, show, WATCH_TEXT, type WatchOptions } from '../common/watch.js';
import { Broker } from '../connection/broker.js';
import { addLookOptions, type AskOptions, WHERE_TEXT } from '../connection/options.js';
import { sinceText } from './cells.js';

/** The first column is the service. */
export const WORKERS: readonly Column<Facts>[] = [
  field('SERVICE', 'service', { drop: 6 }),
  field('NAME', 'name', { cut: 12 }),
  field('STATE', 'state'),
  field('PROTOCOL', 'version', { drop: 1 }),
  field('IN FLIGHT', 'inFlight', { right: true, drop: 7 }),
  field('CREDIT', 'credit', { right: true, drop: 3 }),
  { head: 'SINCE', cell: ({ sinceMs }) => sinceText(sinceMs), right: true, drop: 5 },
  field('KEY', 'key', { drop: 2 }),
  field('ADDRESS', 'address', { drop: 4 }),
];

const EXAMPLES = [
  ['majordomo workers', 'the workers of all services'],
  ['majordomo workers upper', 'the workers of one service'],
  ["majordomo workers -o json | jq 'map(.inFlight) | add'", 'the JSON of mmi.workers'],
] as const;

const AFTER = `${examples(EXAMPLES)}
NAME is the name that a worker gives itself, by default its host and process. ADDRESS is its network address,
shown only over HTTP and with a token.
Exit status 1 if the named service has no worker; not with --watch, which waits for one.
${narrowText(WORKERS)}${WATCH_TEXT}${WHERE_TEXT}`;

export function define(command: Command): void {
  const named = command.argument('[service]', 'only the workers of this service');
  addWatchOption(addLookOptions(named, 'list'))
    .addHelpText('after', AFTER)
    .action(async (service: string | undefined, options: AskOptions & WatchOptions) => {
      if (service !== undefined) checkService(service);
      await new Broker(options).state((broker) => {
        const ask = async (): Promise<readonly Facts[]> => {
          const workers = await broker.workers(service);
          if (options.watch !== true) refuseNone(workers, service);
          return workers;
        };
        return show(options, ask, {
          text: (workers, width) => table(WORKERS, workers, width),
          names: (workers) => workers.map(({ name }) => name ?? '-'),
        });
      });
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
