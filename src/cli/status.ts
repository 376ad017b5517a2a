/** `majordomo status`: what a broker says of itself. */
import type { Command } from 'commander';

import { EXIT } from '../core/exit.js';
import {
  addAskOptions,
  ask,
  type AskOptions,
  type Facts,
  factsOf,
  listOf,
  withClient,
} from './ask.js';
import { type Done, examples } from './options.js';
import { duration, print, printable, printJson, styled } from './output.js';

const EXAMPLES = [
  ['majordomo status', 'the broker of this machine'],
  ['majordomo status --endpoint tcp://mq.example.org:5555', 'another one'],
  ['majordomo status -o json | jq .uptimeMs', 'the JSON of mmi.broker'],
] as const;

const BROKER = 'mmi.broker';
const SERVICES = 'mmi.services';

export function defineStatus(command: Command, done: Done): void {
  addAskOptions(command)
    .addHelpText('after', examples(EXAMPLES))
    .action(async (options: AskOptions) => {
      await withClient(options, async (client) => {
        const answer = await ask(client, BROKER);
        const broker = factsOf(BROKER, answer);
        if (options.output === 'json') {
          await printJson(broker);
          return;
        }
        const services = listOf(SERVICES, await ask(client, SERVICES));
        await print(page([...ofBroker(broker), ...ofServices(services)]));
      });
      done(EXIT.done);
    });
}

type Line = readonly [name: string, value: string];

function ofBroker(broker: Facts): Line[] {
  const { uptimeMs, extensions, limits } = broker;
  return [
    ['node', printable(broker['node'])],
    ['version', printable(broker['version'])],
    ['role', printable(broker['role'])],
    ['state', printable(broker['state'])],
    ['epoch', printable(broker['epoch'])],
    ['up', typeof uptimeMs === 'number' ? duration(uptimeMs) : '-'],
    ['extensions', Array.isArray(extensions) ? extensions.map(printable).join(', ') : '-'],
    ...Object.entries(typeof limits === 'object' ? (limits ?? {}) : {}).map(
      ([name, value]): Line => [`limits.${printable(name)}`, printable(value)],
    ),
  ];
}

function ofServices(services: readonly Facts[]): Line[] {
  const sum = (key: string): number =>
    services.reduce((total, service) => {
      const value = service[key];
      return total + (typeof value === 'number' ? value : 0);
    }, 0);
  const waiting = sum('workersWaiting');
  const busy = sum('workersBusy');
  return [
    ['services', String(services.length)],
    ['workers', `${waiting + busy} (${waiting} waiting, ${busy} busy)`],
    ['queued', String(sum('queued'))],
  ];
}

function page(lines: readonly Line[]): string {
  const width = Math.max(...lines.map(([name]) => name.length));
  const shown = lines.map(([name, value]) => `${styled(name.padEnd(width), 'bold')}  ${value}`);
  return `${shown.join('\n')}\n`;
}
