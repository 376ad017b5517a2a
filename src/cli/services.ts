/** `majordomo services`: what a broker serves, and how busy it is. */
import type { Command } from 'commander';

import { EXIT } from '../core/exit.js';
import { addAskOptions, ask, type AskOptions, listOf, withClient } from './ask.js';
import { type Done, examples } from './options.js';
import { print, printable, printJson, table } from './output.js';

const EXAMPLES = [
  ['majordomo services', 'all services, by name'],
  ['watch majordomo services', 'again and again'],
  ["majordomo services -o json | jq '.[] | select(.queued > 100)'", 'the JSON of mmi.services'],
] as const;

const AFTER = `${examples(EXAMPLES)}
Names are percent-escaped where they are not printable ASCII.
`;

const SERVICES = 'mmi.services';
const COLUMNS = [
  { head: 'SERVICE' },
  { head: 'WAITING', right: true },
  { head: 'BUSY', right: true },
  { head: 'QUEUED', right: true },
] as const;

export function defineServices(command: Command, done: Done): void {
  addAskOptions(command)
    .addHelpText('after', AFTER)
    .action(async (options: AskOptions) => {
      const answer = await withClient(options, (client) => ask(client, SERVICES));
      const services = listOf(SERVICES, answer);
      if (options.output === 'json') {
        await printJson(services);
      } else {
        const rows = services.map((service) => [
          printable(service['service']),
          printable(service['workersWaiting']),
          printable(service['workersBusy']),
          printable(service['queued']),
        ]);
        await print(table(COLUMNS, rows.sort(byName)));
      }
      done(EXIT.done);
    });
}

function byName([left = '']: readonly string[], [right = '']: readonly string[]): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
