/** The figures of a pair as Markdown; generates docs/performance-pair.md. */
import { type Others, othersText } from '../others.js';
import { type Judged, missedText, table, times, verdictOf, whole } from '../markdown.js';
import type { Switchovers } from './changes.js';
import { quantile } from './load.js';
import { OUTSTANDING, type Replication } from './replication.js';

export interface Kills {
  readonly heartbeatIntervalMs: number;
  readonly p99MsMax: number;
  readonly took: readonly number[];
}

export interface FailoverReport {
  readonly facts: readonly string[];
  readonly kills: readonly Kills[];
  readonly switchovers: Switchovers;
  readonly replication: Replication;
  /** What other processes used. */
  readonly others: Others;
}

const SWITCHOVER_MS_MAX = 500;
const SYNC_RATE_MIN = 0.5;
const SYNC_P99_TIMES_MAX = 3;
const CATCH_UP_RATE_MIN = 0.5;
const ONE_MACHINE =
  'Both nodes write each receipt to one disk, and share the cores with worker and client: half is about what can be reached here. A machine for each would meet it.';

export function renderFailover(report: FailoverReport): string {
  const { facts, replication } = report;
  return `${[
    '# Performance of a pair',
    '<!-- Written by `npm run bench:failover -- --write`: run that instead of editing this. -->',
    'How long clients wait when a node fails, and what replication to the other node costs.\nBoth nodes, the worker and the client shared one machine and its disk: two disks are faster.',
    facts.map((fact) => `- ${fact}`).join('\n'),
    '## When a node fails',
    goingTable(report),
    '## What the second disk costs',
    syncTable(replication),
    '## Heartbeats',
    'How late heartbeats arrived at the other node; one is sent every second.',
    heartbeatTable(replication),
    '## When a node comes back',
    comingTable(replication),
    '## Targets',
    targetTable(report),
    '## How to read this',
    reading(report),
  ].join('\n\n')}\n`;
}

function goingTable({ kills, switchovers: { silences } }: FailoverReport): string {
  const row = (title: string, values: readonly number[]): string[] => [
    title,
    String(values.length),
    ...[0.5, 0.9, 0.99, 1].map((share) => seconds(quantile(values, share))),
  ];
  return table(
    ['', 'times', 'p50', 'p90', 'p99', 'longest'],
    [
      ...kills.map(({ heartbeatIntervalMs, took }) =>
        row(`\`kill -9\`, heartbeat ${heartbeatIntervalMs} ms: first reply after`, took),
      ),
      row('`ha switchover`, heartbeat 1000 ms: longest silence', silences),
    ],
  );
}

function syncTable({ single, pair }: Replication): string {
  const row = (title: string, runs: Replication['single']): string[] => [
    title,
    whole(median(runs.map(({ perSecond }) => perSecond))),
    millis(median(runs.map(({ p50 }) => p50))),
    millis(median(runs.map(({ p99 }) => p99))),
  ];
  return table(
    [`receipts of 1 KB, ${OUTSTANDING} outstanding`, 'a second', 'p50', 'p99'],
    [row('one node', single), row('a pair, `sync`', pair)],
  );
}

function heartbeatTable(replication: Replication): string {
  const row = (title: string, late: readonly number[]): string[] => [
    title,
    String(late.length),
    ...[0.5, 0.9, 0.99, 1].map((share) => millis(quantile(late, share))),
  ];
  return table(
    ['', 'heartbeats', 'p50', 'p90', 'p99', 'latest'],
    [
      row('under full load, checkpoints included', replication.lateUnderLoadMs),
      row('while the peer catches up', replication.lateWhileCatchingUpMs),
    ],
  );
}

function comingTable(replication: Replication): string {
  const { behind, catchUpMs, aloneRate, catchUpRate, returnBytes, returnMs } = replication;
  return table(
    ['', ''],
    [
      [`a peer ${whole(behind)} requests behind is in sync after`, seconds(catchUpMs)],
      [
        'receipts per second before, and while it catches up',
        `${whole(aloneRate)}, ${whole(catchUpRate)}`,
      ],
      ['a node that returns after a hand-over is in sync after', seconds(returnMs)],
      ['… bytes on the link until then, both ways', whole(returnBytes)],
    ],
  );
}

function targetTable({ kills, switchovers, replication }: FailoverReport): string {
  const { single, pair, aloneRate, catchUpRate, disconnections } = replication;
  const rate = median(pair.map(({ perSecond }, at) => perSecond / (single[at]?.perSecond ?? NaN)));
  const p99 = median(pair.map((run, at) => run.p99 / (single[at]?.p99 ?? NaN)));
  const longest = Math.max(...switchovers.silences);
  const judged: (Judged & { readonly measured: string })[] = [
    ...kills.map(({ heartbeatIntervalMs, p99MsMax, took }) => ({
      about: `failover at ${heartbeatIntervalMs} ms: p99 ≤ ${seconds(p99MsMax)}`,
      measured: seconds(quantile(took, 0.99)),
      isMet: quantile(took, 0.99) <= p99MsMax,
      why: undefined,
    })),
    {
      about: `switchover: silence ≤ ${SWITCHOVER_MS_MAX} ms`,
      measured: millis(longest),
      isMet: longest <= SWITCHOVER_MS_MAX,
      why: undefined,
    },
    {
      about: 'switchover: no error at a client',
      measured: String(switchovers.errors.length),
      isMet: switchovers.errors.length === 0,
      why: undefined,
    },
    {
      about: `\`sync\`: rate ≥ ${times(SYNC_RATE_MIN)} of one node’s`,
      measured: times(rate),
      isMet: rate >= SYNC_RATE_MIN,
      why: ONE_MACHINE,
    },
    {
      about: `\`sync\`: p99 ≤ ${times(SYNC_P99_TIMES_MAX)} one node’s`,
      measured: times(p99),
      isMet: p99 <= SYNC_P99_TIMES_MAX,
      why: ONE_MACHINE,
    },
    {
      about: 'full load: no lost connection between the nodes',
      measured: String(disconnections),
      isMet: disconnections === 0,
      why: undefined,
    },
    {
      about: `catch-up: rate ≥ ${times(CATCH_UP_RATE_MIN)} of before`,
      measured: times(catchUpRate / aloneRate),
      isMet: catchUpRate / aloneRate >= CATCH_UP_RATE_MIN,
      why: undefined,
    },
  ];
  const rows = judged.map((each) => [each.about, each.measured, verdictOf(each)]);
  return [table(['target', 'measured', ''], rows), ...missedText(judged)].join('\n\n');
}

function reading({ others, switchovers, replication }: FailoverReport): string {
  const errors = [...new Set(switchovers.errors)].join(', ');
  return [
    '- Kills: one client sends a request as soon as the process has ended; detection takes two heartbeats by design.\n  The worker is registered at both nodes, and reconnects by itself to one that has just started. With fewer than 100\n  samples the p99 is the longest.',
    '- Switchovers: eight requests are always outstanding; the figure is the longest time without any reply.',
    `- Receipts: medians of ${replication.single.length} rounds that alternate between the single node and the pair; ratios compare neighbouring runs. Both nodes\n  write to the same disk here, and share the cores with the client.`,
    '- The rate while a peer catches up is measured in the seconds after its start; the peer may have been in sync before the end of that time.',
    `- ${othersText(others)}`,
    ...(errors === '' ? [] : [`- Errors: ${errors}.`]),
    ...(!others.isBusy
      ? []
      : [
          '- **Other work kept the machine busy from before the start**: times are too long. Run it on a quiet machine.',
        ]),
  ].join('\n');
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

function millis(value: number): string {
  return `${value.toFixed(1)} ms`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
