/** `majordomo status`: a broker's own report. */
import type { Command } from 'commander';

import { EXIT } from '../core/exit.js';
import type { Facts } from './ask.js';
import { addLookOptions, look, type LookOptions, WHERE_TEXT } from './broker-state.js';
import { type Done, examples } from './options.js';
import { duration, print, printable, printJson, styled } from './output.js';

const EXAMPLES = [
  ['majordomo status', 'the broker of this machine'],
  ['majordomo status --endpoint tcp://mq.example.org:5555', 'another broker'],
  ['majordomo status -o json | jq .uptimeMs', 'the JSON of mmi.broker, with the store'],
] as const;

export function defineStatus(command: Command, done: Done): void {
  addLookOptions(command)
    .addHelpText('after', examples(EXAMPLES) + WHERE_TEXT)
    .action(async (options: LookOptions) => {
      await look(options, async (broker) => {
        const status = await broker.status();
        if (options.output === 'json') {
          await printJson(status);
          return;
        }
        const health = await broker.health();
        const services = await broker.services();
        const lines = [
          ...ofBroker(status),
          ...ofServices(services),
          ...ofStore(status['store']),
          ...ofHealth(health),
        ];
        await print(page(lines));
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
    ['workers', `${waiting + busy} (${waiting} idle, ${busy} busy)`],
    ['queued', String(sum('queued'))],
  ];
}

/** Only of a database. Why it is lost is among what is degraded. */
function ofStore(store: unknown): Line[] {
  if (typeof store !== 'object' || store === null) return [];
  const { database, server, up, since } = store as Facts;
  // Of several servers one is in use.
  const isOneOf = typeof database === 'string' && !database.startsWith(`${printable(server)}/`);
  const at = isOneOf ? ` at ${printable(server)}` : '';
  const how = up === true ? `reached${at}` : 'LOST';
  return [['store', `${printable(database)}: ${how} since ${printable(since)}`]];
}

function ofHealth(health: Facts | null): Line[] {
  if (health === null) return [];
  const { reason, degraded } = health;
  const hurt = Array.isArray(degraded) ? degraded.map(textOf) : [];
  const what = health['ready'] === true ? 'serving clients' : `not ready: ${textOf(reason)}`;
  const { publicUrl } = health;
  const page: Line[] = typeof publicUrl === 'string' ? [['page', printable(publicUrl)]] : [];
  return [['ready', what], ...page, ...hurt.map((text): Line => ['degraded', text])];
}

/** The text of a reason. */
function textOf(reason: unknown): string {
  return typeof reason === 'object' && reason !== null && 'text' in reason
    ? printable(reason.text)
    : printable(reason);
}

function page(lines: readonly Line[]): string {
  const width = Math.max(...lines.map(([name]) => name.length));
  const shown = lines.map(([name, value]) => `${styled(name.padEnd(width), 'bold')}  ${value}`);
  return `${shown.join('\n')}\n`;
}
