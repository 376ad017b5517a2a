/** The figures of large bodies as Markdown; only this generates docs/performance-bodies.md. */
import { missedText, table, times, verdictOf, whole } from '../markdown.js';
import { median, ratioOf } from '../measure.js';
import { type Others, othersText } from '../others.js';

/** Of one run. */
export interface Figures {
  readonly cpuUs: number;
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly residentBytes: number;
}

/** The runs of one size, alternately. */
export interface Measured {
  readonly bytes: number;
  /** The times are those of one small request at a time meanwhile. */
  readonly isBeside: boolean;
  readonly ours: Figures[];
  readonly proxy: Figures[];
}

export interface BodiesReport {
  readonly facts: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
  readonly measured: readonly Measured[];
  readonly others: Others;
}

interface Target {
  readonly what: string;
  readonly of: 'cpuUs' | 'perSecond' | 'p99Us';
  readonly bound: number;
  readonly isLeast?: true;
  readonly why: string;
}

const PAGES =
  'The kernel copies as much for both. The rest is Node’s way to each read and write, collections of V8, and memory that the system gives anew page by page: what the broker keeps free is reused without that, up to an eighth of `limits.memoryBytes`.';
const TURNS =
  'The broker reads and writes a bounded number of bytes of one connection in a turn, so that others wait for a millisecond at most; the proxy does not, and has a thread of its own for its sockets.';
const TARGETS: readonly Target[] = [
  { what: 'CPU', of: 'cpuUs', bound: 1.5, why: PAGES },
  { what: 'rate', of: 'perSecond', bound: 0.8, isLeast: true, why: TURNS },
  { what: 'p99', of: 'p99Us', bound: 2, why: TURNS },
];

export function renderBodies({ facts, rounds, seconds, measured, others }: BodiesReport): string {
  const judged = measured.flatMap((each) =>
    TARGETS.filter(({ of }) => !each.isBeside || of === 'p99Us').map((target) => {
      const of = (all: readonly Figures[]): number[] => all.map((one) => one[target.of]);
      const ratio = ratioOf(of(each.ours), of(each.proxy));
      const isMet =
        target.isLeast === true ? ratio.median >= target.bound : ratio.median <= target.bound;
      return { about: `${target.what}, ${titleOf(each)}`, isMet, why: target.why, ratio, target };
    }),
  );
  return `${[
    '# Performance of large bodies',
    '<!-- Written by `npm run bench:bodies -- --write`: run that instead of editing this. -->',
    "Requests whose bodies are sent back, libzmq's sockets at both ends, through the broker and through libzmq's own `zmq_proxy`,\nwhich keeps nothing and chooses no worker. Compare the ratios of one run: the absolute figures hold only for the machine below.",
    facts.map((fact) => `- ${fact}`).join('\n'),
    table(
      ['bodies', 'through', 'CPU of each', 'a second', 'p50', 'p99', 'memory'],
      measured.flatMap((each) => [line(each, 'zmq_proxy', each.proxy), line(each, '', each.ours)]),
    ),
    table(
      ['against `zmq_proxy`', 'ratio', 'range', 'target', ''],
      judged.map(({ about, ratio, target, isMet }) => [
        about,
        times(ratio.median),
        `${times(ratio.low)} to ${times(ratio.high)}`,
        `${target.isLeast === true ? '≥' : '≤'} ${times(target.bound)}`,
        verdictOf({ isMet }),
      ]),
    ),
    ...missedText(judged),
    `Medians of ${rounds} rounds of ${seconds} s, alternately. ${othersText(others)}`,
  ].join('\n\n')}\n`;
}

function titleOf({ bytes, isBeside }: Measured): string {
  const size = bytes < 1e6 ? `${bytes / 1000} KB` : `${bytes / 1e6} MB`;
  return isBeside ? `16 B beside ${size}` : size;
}

function line(each: Measured, through: string, all: readonly Figures[]): string[] {
  const of = (value: (one: Figures) => number): number => median(all.map(value));
  return [
    titleOf(each),
    through || 'Majordomo',
    `${whole(of(({ cpuUs }) => cpuUs))} µs`,
    whole(of(({ perSecond }) => perSecond)),
    `${(of(({ p50Us }) => p50Us) / 1000).toFixed(2)} ms`,
    `${(of(({ p99Us }) => p99Us) / 1000).toFixed(2)} ms`,
    `${whole(of(({ residentBytes }) => residentBytes) / 1e6)} MB`,
  ];
}
