/** `majordomo status`: a broker's own report. */
import type { Command } from 'commander';

import { answersNothing, isUnserved, type ServiceLoad } from '../../core/service-needs.js';
import { inOrder, loadOf } from '../services/service-loads.js';
import { type Facts, factsIn, reasonText } from '../common/facts.js';
import { tell } from '../common/formats.js';
import { examples } from '../common/options.js';
import { duration, printable, styled } from '../common/output.js';
import { Broker } from '../connection/broker.js';
import { addLookOptions, type AskOptions, WHERE_TEXT } from '../connection/options.js';
import type { StateSource } from '../connection/state.js';

const EXAMPLES = [
  ['majordomo status', 'the broker of this machine'],
  ['majordomo status --endpoint tcp://mq.example.org:5555', 'another broker'],
  ['majordomo status -o json | jq .uptimeMs', 'the JSON of mmi.broker, with the store'],
] as const;

export function define(command: Command): void {
  addLookOptions(command, 'list')
    .addHelpText('after', examples(EXAMPLES) + WHERE_TEXT)
    .action(async (options: AskOptions) => {
      await new Broker(options).state(async (broker) => {
        const status = await broker.status();
        const isShown = options.output === 'text' || options.output === 'wide';
        const text = isShown ? await pageOf(status, broker) : '';
        await tell(options.output, status, { text: () => text, names: ({ node }) => [node] });
      });
    });
}

async function pageOf(status: Facts, broker: StateSource): Promise<string> {
  const health = await broker.health();
  const services = await broker.services();
  const lines = [
    ...ofBroker(status),
    ...ofServices(services),
    ...ofStore(factsIn(status['store'])),
    ...ofHealth(health),
  ];
  const width = Math.max(...lines.map(([name]) => name.length));
  const shown = lines.map(([name, value]) => `${styled(name.padEnd(width), 'bold')}  ${value}`);
  return `${shown.join('\n')}\n`;
}

type Line = readonly [name: string, value: string];

/** Names of services in one line. */
const NAMES_MAX = 3;

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
    ...Object.entries(factsIn(limits) ?? {}).map(([name, value]): Line => [
      `limits.${printable(name)}`,
      printable(value),
    ]),
  ];
}

function ofServices(services: readonly Facts[]): Line[] {
  const sum = (key: string): number =>
    services.reduce((total, service) => total + (Number(service[key]) || 0), 0);
  const waiting = sum('workersWaiting');
  const busy = sum('workersBusy');
  return [
    ['services', String(services.length)],
    ['workers', `${waiting + busy} (${waiting} idle, ${busy} busy)`],
    ['queued', String(sum('queued'))],
    ...needing(services),
  ];
}

/** Services that a person has to look after, those in the greatest need first. */
function needing(services: readonly Facts[]): Line[] {
  const ordered = inOrder(services, {});
  const named = (what: string, isMeant: (load: ServiceLoad, service: Facts) => boolean): Line[] => {
    const names = ordered
      .filter((each) => isMeant(loadOf(each), each))
      .map(({ service }) => printable(service));
    const more = names.length > NAMES_MAX ? `, and ${names.length - NAMES_MAX} more` : '';
    return names.length === 0 ? [] : [[what, names.slice(0, NAMES_MAX).join(', ') + more]];
  };
  return [
    ...named('failing', answersNothing),
    ...named('unserved', isUnserved),
    ...named('paused', (_load, { paused }) => paused === true),
  ];
}

/** The lines about a database. Why it is lost is among what is degraded. */
function ofStore(store: Facts | null): Line[] {
  if (store === null) return [];
  const { database, server, up, since } = store;
  // Of several servers one is in use.
  const isOneOf = typeof database === 'string' && !database.startsWith(`${printable(server)}/`);
  const at = isOneOf ? ` at ${printable(server)}` : '';
  const how = up === true ? `reached${at}` : 'LOST';
  return [['store', `${printable(database)}: ${how} since ${printable(since)}`]];
}

function ofHealth(health: Facts | null): Line[] {
  if (health === null) return [];
  const { reason, degraded } = health;
  const hurt = Array.isArray(degraded) ? degraded.map(reasonText) : [];
  const what = health['ready'] === true ? 'serving clients' : `not ready: ${reasonText(reason)}`;
  const { publicUrl } = health;
  const page: Line[] = typeof publicUrl === 'string' ? [['page', printable(publicUrl)]] : [];
  return [['ready', what], ...page, ...hurt.map((text): Line => ['degraded', text])];
}
