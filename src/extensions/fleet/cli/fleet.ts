/** `majordomo fleet`: the brokers of a fleet, as one of them knows them. */
import { setTimeout as delay } from 'node:timers/promises';

import type { Command } from 'commander';

import { Broker } from '../../../cli/connection/broker.js';
import { addAskOptions, type AskOptions } from '../../../cli/connection/options.js';
import { ask } from '../../../cli/connection/state.js';
import type { Facts } from '../../../cli/common/facts.js';
import { MajordomoError } from '../../../core/errors.js';
import { factsIn, listIn } from '../../../cli/common/facts.js';
import { addConfigOptions, examples } from '../../../cli/common/options.js';
import { printable } from '../../../cli/common/output.js';
import { type Column, field, narrowText, table } from '../../../cli/common/table.js';
import { addWatchOption, show, WATCH_TEXT, type WatchOptions } from '../../../cli/common/watch.js';

const EXAMPLES = [
  ['majordomo fleet status', 'the brokers of the fleet, as this one knows them'],
  [
    'majordomo fleet status -c config/fleet-b.yaml',
    'as the one with this configuration knows them',
  ],
  ['majordomo fleet status --watch', 'refreshed every second'],
  ['majordomo fleet status --endpoint tcp://b.example.org:5555', 'as another broker knows them'],
  ['majordomo fleet status -o json | jq .connected', 'the JSON of mmi.fleet'],
] as const;

const SESSIONS: readonly Column<Facts>[] = [
  field('BROKER', 'node', { cut: 12 }),
  field('SESSION', 'session', { right: true, drop: 1 }),
  {
    head: '',
    cell: ({ self, overdue }) => (self === true ? 'asked' : overdue === true ? 'overdue' : ''),
  },
];
const BROKERS: readonly Column<Facts>[] = [
  field('BROKER', 'node', { cut: 12 }),
  field('ID', 'id', { drop: 2 }),
  field('VERSION', 'version', { drop: 1 }),
  { head: 'SILENT', cell: silentText, right: true, drop: 5 },
  field('OUT', 'requestsOut', { right: true, drop: 3 }),
  field('HELD', 'requestsHeld', { right: true, drop: 4 }),
  {
    head: '',
    cell: ({ self, keysDiffer }) =>
      keysDiffer === true ? 'keys differ' : self === true ? 'asked' : '',
  },
];

const TEXT = `
OUT counts requests of the asked broker that are at workers of that one, HELD those of that one that are at
workers of the asked broker; in its own line the sums. SILENT is the time since it was last heard, in seconds.
Rates are those of the asked broker within a second.

Each broker has a session with the database, which it renews for the time of its lease. SESSION is its number.
A session is overdue when its lease is over: the broker is dead or stalled. Another broker then ends the session
and runs its requests again. Exit status 1 if the broker is in no fleet.

The command uses the first of these that is given: --endpoint, -c or --set http.listen=… (it asks the node there
for its endpoint), MAJORDOMO_ENDPOINT, MAJORDOMO_URL, the default endpoint.
${narrowText(BROKERS)}${WATCH_TEXT}`;

const MS_PER_SECOND = 1000;

export function define(command: Command): void {
  command.addHelpText('after', `${examples(EXAMPLES)}${TEXT}`);
  const about = 'show the brokers of the fleet, NATS, and the database that they share';
  const status = command.command('status').summary(about).description(about);
  addWatchOption(addConfigOptions(addAskOptions(status, 'list')))
    .addHelpText('after', TEXT)
    .showHelpAfterError('(majordomo help fleet shows examples)')
    .action(async (options: AskOptions & WatchOptions) => {
      await new Broker(options).client(async (client) => {
        const facts = async (): Promise<Facts> => {
          const { status: code, value } = await ask(client, 'mmi.fleet');
          const found = code === '200' ? factsIn(value) : null;
          if (found !== null) return found;
          const why = 'fleet.nats is off, and titanic.store is no database';
          throw new MajordomoError(
            'ERR_REQUEST_FAILED',
            `the broker at ${client.endpoint ?? '?'} is in no fleet: ${why}`,
          );
        };
        const rates = new Rates();
        const rated = async (): Promise<Facts> => {
          // JSON has what was counted since the start.
          const isShown = options.output === 'text' || options.output === 'wide';
          if (isShown && rates.isEmpty) {
            rates.add(await facts());
            await delay(MS_PER_SECOND);
          }
          return rates.add(await facts());
        };
        await show(options, rated, {
          text: (value, width) => text(value, rates, width),
          names: ({ brokers, store }) =>
            listIn(brokers ?? factsIn(store)?.['sessions']).map(({ node }) => node),
        });
      });
    });
}

/** How often something happens, from two readings. */
class Rates {
  #before: { readonly at: number; readonly facts: Facts } | null = null;
  #now: { readonly at: number; readonly facts: Facts } | null = null;

  get isEmpty(): boolean {
    return this.#now === null;
  }

  add(facts: Facts): Facts {
    this.#before = this.#now;
    this.#now = { at: performance.now(), facts };
    return facts;
  }

  /** @param part the object that has the counters */
  shown(part: string, name: string): string {
    const [before, now] = [this.#before, this.#now];
    if (before === null || now === null) return '?';
    const more = counted(now.facts, part, name) - counted(before.facts, part, name);
    return ((more * MS_PER_SECOND) / (now.at - before.at)).toFixed(0);
  }
}

function counted(facts: Facts, part: string, name: string): number {
  const value = factsIn(facts[part])?.[name];
  return typeof value === 'number' ? value : NaN;
}

function text({ fleet, connected, brokers, store }: Facts, rates: Rates, width: number): string {
  const parts: string[] = [];
  if (connected !== null) {
    const how = connected === true ? 'connected to NATS' : 'NOT connected to NATS';
    const rate = (name: string): string => rates.shown('bridged', name);
    const flow = `requests a second: ${rate('out')} to others, ${rate('in')} from others, ${rate('returned')} came back`;
    parts.push(
      `fleet ${printable(fleet)}: ${how}\n${flow}\n${table(BROKERS, listIn(brokers), width)}`,
    );
  }
  const database = factsIn(store);
  if (database !== null) parts.push(ofStore(database, rates, width));
  return parts.join('\n');
}

function ofStore({ up, leaseMs, renewedMs, sessions }: Facts, rates: Rates, width: number): string {
  const renewed = typeof renewedMs === 'number' ? (renewedMs / MS_PER_SECOND).toFixed(1) : '?';
  const lease = typeof leaseMs === 'number' ? leaseMs / MS_PER_SECOND : '?';
  const how = up === true ? 'reached' : 'NOT reached';
  const head = `database: ${how}; session renewed ${renewed} s ago, lease ${lease} s`;
  const rate = (name: string): string => rates.shown('store', name);
  const flow = `requests a second: ${rate('accepted')} stored, ${rate('completed')} replied`;
  return `${head}\n${flow}\n${table(SESSIONS, listIn(sessions), width)}`;
}

function silentText({ silentMs, self }: Facts): string {
  return self !== true && typeof silentMs === 'number' ? (silentMs / MS_PER_SECOND).toFixed(1) : '';
}
