/** `majordomo services show`: one service, why its requests fail, and its workers. */
import type { Command } from 'commander';

import { MajordomoError } from '../../core/errors.js';
import { type Facts, factsIn, listIn } from '../common/facts.js';
import { addSubcommand, checkService, examples } from '../common/options.js';
import { counted, printable, say, shownName, styled } from '../common/output.js';
import { clipped, type Column, field, NEEDS_TOKEN, table } from '../common/table.js';
import { addWatchOption, show, WATCH_TEXT, type WatchOptions } from '../common/watch.js';
import { Broker } from '../connection/broker.js';
import { addOperatorOptions, type AskOptions } from '../connection/options.js';
import type { AdminClient } from '../connection/admin-client.js';
import { countText, msText, nameOf, rateText } from './cells.js';
import { needOf } from './service-loads.js';
import { WORKERS } from './workers.js';

const EXAMPLES = [
  ['majordomo services show price', 'why it fails, what waits, and its workers'],
  ["majordomo services show price -o json | jq '.failures[0]'", 'what fails most'],
] as const;

const AFTER = `${examples(EXAMPLES)}
Failures are those since the node started, counted by code (the 20 codes that came first, the rest together), those with the
most first. Codes and reasons of workers need a token. Rates and times are those of the last 4 to 8 seconds, p99 only of at least
100 replies. Exit status 1 if the node knows no such service.
${WATCH_TEXT}`;

const WORKERS_MAX = '1000';

/** How requests ended that have no code. */
const ENDINGS: Readonly<Record<string, string>> = {
  'request.failed': 'failed',
  'request.expired': 'expired',
  'request.abandoned': 'given up by the broker',
  'request.outcome_unknown': 'of unknown outcome',
  'request.refused': 'refused',
  'request.dropped': 'given up by its client',
};

const FAILURES: readonly Column<Facts>[] = [
  field('TIMES', 'count', { right: true }),
  { head: 'CODE', cell: ({ code, event }) => printable(code ?? ENDINGS[String(event)] ?? event) },
  field('LAST', 'lastAt', { drop: 1 }),
  {
    head: 'LAST REASON',
    cell: (failure) => (isLocked(failure) ? NEEDS_TOKEN : printable(failure['text'] ?? '-')),
    cut: 24,
  },
];

/** What a worker reported is told only to those with a token. */
function isLocked({ event, text }: Facts): boolean {
  return event === 'request.failed' && text === null;
}

interface Sight {
  /** `null`: the node has forgotten it, and only knows its failures. */
  readonly service: Facts | null;
  readonly failures: readonly Facts[];
  readonly workers: readonly Facts[];
}

export function defineShow(parent: Command): void {
  const about = 'show why requests of a service fail or wait, and its workers';
  const command = addSubcommand(parent, 'show', about).argument('<service>', 'its name');
  addWatchOption(addOperatorOptions(command))
    .addHelpText('after', AFTER)
    .action(async (name: string, options: AskOptions & WatchOptions) => {
      checkService(name);
      const client = await new Broker(options).admin();
      let last: Sight = { service: null, failures: [], workers: [] };
      const look = async (): Promise<Sight> => (last = await sightOf(client, shownName(name)));
      await show(options, look, { text: sightText });
      if (options.output !== 'json' && last.failures.some(isLocked)) {
        say(`codes and reasons of workers need a token (${client.tokenHint})`);
      }
    });
}

/** @throws ERR_REQUEST_FAILED if the node knows nothing of it */
async function sightOf(client: AdminClient, service: string): Promise<Sight> {
  const [[known = null], { failures }, { items: workers }] = await Promise.all([
    client.all('/api/v1/services', { service }),
    client.get('/api/v1/services/history', { service }),
    client.page('/api/v1/workers', { service, limit: WORKERS_MAX }),
  ]);
  const counts = [...listIn(failures)].sort((a, b) => Number(b['count']) - Number(a['count']));
  if (known === null && counts.length === 0) {
    const text = `the node knows no service ${printable(service)}: it has no worker, and no request`;
    throw new MajordomoError('ERR_REQUEST_FAILED', text);
  }
  return { service: known, failures: counts, workers };
}

function sightText({ service, failures, workers }: Sight, width: number): string {
  const lines =
    service === null ? ['forgotten: it has no worker, and no request'] : linesOf(service);
  const all = failures.reduce((sum, { count }) => sum + Number(count), 0);
  const told = [
    ...lines,
    ...(all === 0
      ? ['no failures since the node started']
      : ['', `${counted(all, 'failure')} since the node started`]),
  ];
  return [
    ...told.map((line) => `${clipped(line, width)}\n`),
    ...(failures.length > 0 ? [table(FAILURES, failures, width)] : []),
    workers.length > 0 ? `\n${table(WORKERS.slice(1), workers, width)}` : 'no workers\n',
  ].join('');
}

function linesOf(service: Facts): readonly string[] {
  const { workersWaiting, workersBusy, queued, inFlight, oldestQueuedMs } = service;
  const need = needOf(service);
  const waiting = `${printable(queued)} queued, ${printable(inFlight)} at workers`;
  const free =
    typeof service['free'] === 'number' ? `; ${counted(service['free'], 'place')} free` : '';
  const idle = `${printable(workersWaiting)} idle, ${printable(workersBusy)} busy${free}`;
  const [plain, durable] = [factsIn(service['plain']), factsIn(service['durable'])];
  return [
    styled(nameOf({ ...service, paused: false }), 'bold') + (need === '' ? '' : `: ${need}`),
    `workers  ${idle}`,
    `waiting  ${waiting}${awayText(service['clientsAway'])}${oldestText(oldestQueuedMs)}`,
    ...limitLines(service),
    ...(plain === null
      ? []
      : [`plain    ${ratesOf(plain, plain['failuresPerSecond'])}; ${timesOf(plain)}`]),
    ...(durable === null
      ? []
      : [
          `durable  ${storedOf(durable)}${oldestText(durable['oldestMs'])}; ${ratesOf(durable, durable['failedAttemptsPerSecond'])}; ${timesOf(durable)}`,
        ]),
  ];
}

function limitLines({ limits, groupLimits, limitsSet }: Facts): readonly string[] {
  const [own, ofGroups] = [factsIn(limits), factsIn(groupLimits)];
  const set = factsIn(limitsSet);
  const held = own?.['held'];
  return [
    ...(own === null
      ? []
      : [`limit    ${limitText(own)}${typeof held === 'string' ? `; held: ${held}` : ''}`]),
    ...(ofGroups === null
      ? []
      : [`groups   each ${limitText(ofGroups)}, on failure ${printable(ofGroups['onFailure'])}`]),
    ...listIn(ofGroups?.['held']).map(
      ({ group, queued, why }) =>
        `         ${printable(group)}: ${printable(queued)} queued; ${printable(why)}`,
    ),
    ...(set === null ? [] : [`         set${whoText(set['by'])} at ${printable(set['at'])}`]),
  ];
}

/** Who an operator is told only to those with a token. */
function whoText(by: unknown): string {
  return typeof by === 'string' ? ` by ${printable(by)}` : ' by an operator';
}

function limitText({ running, perSecond, burst }: Facts): string {
  const rate = `${printable(perSecond)} per second (burst ${printable(burst)})`;
  return [
    ...(running === null ? [] : [`${printable(running)} running`]),
    ...(perSecond === null ? [] : [rate]),
  ].join(', ');
}

function awayText(count: unknown): string {
  return typeof count === 'number' && count > 0
    ? `; ${printable(count)} of them for clients that may come back`
    : '';
}

function oldestText(ms: unknown): string {
  return typeof ms === 'number' ? `; the oldest has waited for ${msText(ms)}` : '';
}

function ratesOf({ repliesPerSecond }: Facts, failed: unknown): string {
  return `${rateText(repliesPerSecond)} replies/s, ${rateText(failed)} failed/s`;
}

function timesOf({ p50Ms, p99Ms, maxMs }: Facts): string {
  return `p50 ${msText(p50Ms)}, p99 ${msText(p99Ms)}, longest ${msText(maxMs)}`;
}

function storedOf({ pending, dispatched, retrying, dead }: Facts): string {
  const counts = { pending, dispatched, retrying, dead };
  return Object.entries(counts)
    .map(([state, count]) => `${countText(count)} ${state}`)
    .join(', ');
}
