/** `majordomo services`: what a broker serves, and how busy it is. */
import type { Command } from 'commander';

import { EXIT } from '../core/exit.js';
import { addLookOptions, look, type LookOptions, WHERE_TEXT } from './looking.js';
import { type Done, examples } from './options.js';
import { print, printable, printJson, table } from './output.js';

const EXAMPLES = [
  ['majordomo services', 'all services, by name'],
  ['majordomo services --endpoint tcp://mq.example.org:5555', 'of another broker, by MMI'],
  ['majordomo services --admin http://mq.example.org:5580', 'by HTTP, with a token'],
  ["majordomo services -o json | jq '.[] | select(.queued > 100)'", 'the JSON of mmi.services'],
] as const;

const AFTER = `${examples(EXAMPLES)}
Names are percent-escaped where they are not printable ASCII.
${WHERE_TEXT}`;

const COLUMNS = [
  { head: 'SERVICE' },
  { head: 'WAITING', right: true },
  { head: 'BUSY', right: true },
  { head: 'QUEUED', right: true },
] as const;

export function defineServices(command: Command, done: Done): void {
  addLookOptions(command)
    .addHelpText('after', AFTER)
    .action(async (options: LookOptions) => {
      const services = await look(options, (broker) => broker.services());
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
