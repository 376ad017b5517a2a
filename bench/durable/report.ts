/** The figures of receipts as Markdown; generates docs/performance-durable.md. */
import { AWAKE_TEXT } from '../awake.js';
import { type Others, othersText } from '../others.js';
import { missedText, table, times, verdictOf, whole } from '../markdown.js';
import { median } from '../measure.js';
import type { Latencies } from './load.js';
import type { SlowDisk } from './slow-disk.js';

/** Receipts per second with this many outstanding, one figure per round. */
export interface Rates {
  readonly title: string;
  readonly outstanding: number;
  readonly perSecond: readonly number[];
}

export interface Verdict {
  readonly about: string;
  readonly ratios: readonly number[];
  /** A lower bound, or an upper one if `isMost`. */
  readonly bound: number;
  readonly isMost: boolean;
  readonly why: string | undefined;
}

export interface DurableReport {
  readonly facts: readonly string[];
  readonly absent: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
  readonly openRate: number;
  readonly rates: readonly Rates[];
  /** Requests that were stored, executed and closed. */
  readonly lives: readonly Rates[];
  readonly verdicts: readonly Verdict[];
  readonly open: Latencies;
  readonly bare: Latencies;
  readonly slow: SlowDisk;
  /** What other processes used. */
  readonly others: Others;
}

const P99_MS_MAX = 4;

export function renderDurable(report: DurableReport): string {
  const { facts, absent } = report;
  const lines = [...facts, ...absent.map((name) => `not here, so left out: ${name}`)];
  return `${[
    '# Performance of durable requests',
    '<!-- Written by `npm run bench:durable -- --write`: run that instead of editing this. -->',
    'Receipts per second for requests of 1 KB. A receipt means that the request is on disk: `titanic.request` was\nanswered 200. Compare the ratios of one run: the absolute figures hold only for the machine and disk below.',
    lines.map((line) => `- ${line}`).join('\n'),
    '## Receipts',
    ratesTable(report.rates, 'receipts/s'),
    '## Whole life',
    livesText(report.lives),
    '## Targets',
    verdictTable(report),
    `## Latency at ${report.openRate.toLocaleString('en')} a second`,
    latencyTable(report),
    '## Plain MDP while the disk is slow',
    slowText(report.slow),
    '## How to read this',
    reading(report),
  ].join('\n\n')}\n`;
}

function ratesTable(rates: readonly Rates[], what: string): string {
  return table(
    ['store', 'outstanding', what, 'range'],
    rates.map(({ title, outstanding, perSecond }) => [
      title,
      outstanding.toLocaleString('en'),
      whole(median(perSecond)),
      `${whole(Math.min(...perSecond))} – ${whole(Math.max(...perSecond))}`,
    ]),
  );
}

function livesText(lives: readonly Rates[]): string {
  return [
    `A request of 1 KB counts when it is gone again: stored, executed by one of eight workers of the generator, closed.
Our worker replies 4 bytes, which the client fetches before it closes the request; beanstalkd and Redis keep no
replies. With \`Worker\`, and for Restate, the worker is a program with the SDK of its server, which answers 4 bytes
too. By \`titanic.call\` the client gets receipt and reply in one exchange, and its close goes out with the next request: a
life counts when the reply is there. A call of Restate is answered when its result is in the server’s log, which its configuration syncs for each
write (\`rocksdb-disable-wal-fsync = false\` under \`[log-server]\`, as \`restate-server --dump-config\` prints); each
outstanding call has a connection of its own, since HTTP/1.1 answers one at a time.`,
    ratesTable(lives, 'lives/s'),
  ].join('\n\n');
}

function verdictTable({ verdicts, others }: DurableReport): string {
  const judged = verdicts.map((verdict) => {
    const ratio = median(verdict.ratios);
    const isMet = verdict.isMost ? ratio <= verdict.bound : ratio >= verdict.bound;
    return { ...verdict, ratio, isMet };
  });
  const rows = judged.map(({ about, ratio, ratios, bound, isMost, isMet }) => [
    about,
    `${times(ratio)} (${times(Math.min(...ratios))} – ${times(Math.max(...ratios))})`,
    `${isMost ? '≤' : '≥'} ${times(bound)}`,
    others.isBusy ? 'not judged' : verdictOf({ isMet }),
  ]);
  const text = table(['Majordomo to …', 'ratio (range)', 'target', ''], rows);
  return [text, ...(others.isBusy ? [] : missedText(judged))].join('\n\n');
}

function latencyTable({ open, bare }: DurableReport): string {
  const within = open.p99 <= P99_MS_MAX ? 'within' : 'over';
  const bareToo =
    bare.p99 > P99_MS_MAX ? ', and so is that of the bare append: this disk is not quiet' : '';
  return [
    table(
      ['', 'p50', 'p99'],
      [
        ['receipt, from the time the request was due', ms(open.p50), ms(open.p99)],
        ['bare append and `fdatasync`, one at a time', ms(bare.p50), ms(bare.p99)],
      ],
    ),
    `The p99 of receipts is ${within} the ${P99_MS_MAX} ms that a quiet disk should give${bareToo}.`,
  ].join('\n\n');
}

function slowText(slow: SlowDisk): string {
  return [
    'A client sends 1,000 echo requests per second to a worker while 64 requests are being stored and every\nsync takes 200 ms longer.',
    table(
      ['disk', 'p50 of echo', 'p99 of echo', 'receipts/s'],
      [
        ['nothing stored', ms(slow.quiet.p50), ms(slow.quiet.p99), '–'],
        ['200 ms a sync', ms(slow.slow.p50), ms(slow.slow.p99), whole(slow.receipts)],
      ],
    ),
  ].join('\n\n');
}

function reading({ rounds, seconds, others }: DurableReport): string {
  return [
    `- Each figure is the median of ${rounds} runs of ${seconds} s, after a warm-up. All stores run at the same time and are measured in turn. A ratio is the`,
    '  median of the ratios of neighbouring runs.',
    '- One load generator (`bench/load`, in C) sends requests to all of them in the same way: over one connection, with all',
    '  requests of one turn of its loop in one write. It sleeps until the next request is due. `Client` is the SDK of this package, in a process of its own.',
    '- The stores start empty, those of the whole lives, too. Receipts: nothing is removed during the run.',
    `- ${othersText(others)} Generator, stores and everything else shared the cores.`,
    `- ${AWAKE_TEXT}`,
    ...(!others.isBusy
      ? []
      : [
          '- **Other work kept the machine busy from before the start**: latencies are too long and rates too low, and if',
          '  it kept the disk busy, the ratios favour a store that commits in groups. So no target is judged: run it again',
          '  on a quiet machine.',
        ]),
  ].join('\n');
}

function ms(value: number): string {
  return `${value.toFixed(2)} ms`;
}
