/** The figures of large bodies as Markdown; only this generates docs/performance-bodies.md. */
import type { LoadResult } from '../generator.js';
import { type Judged, missedText, table, times, verdictOf, whole } from '../markdown.js';
import { median, ratioOf } from '../measure.js';
import { type Others, othersText } from '../others.js';
import { OURS, PROXY } from './lanes.js';

/** One way, and what it did in each round. */
export interface Way {
  readonly title: string;
  readonly results: LoadResult[];
}

/** The ways of one size, in turns. */
export interface Measured {
  readonly bytes: number;
  readonly outstanding: number;
  /** `beside`: the times are those of one small request at a time. `others`: peers differ from way to way. */
  readonly kind: 'echo' | 'beside' | 'full' | 'others';
  readonly ways: readonly Way[];
}

export interface BodiesReport {
  readonly facts: readonly string[];
  readonly measured: readonly Measured[];
  readonly others: Others;
}

interface Target {
  readonly what: string;
  readonly of: (result: LoadResult) => number;
  readonly bound: number;
  readonly isLeast?: true;
  readonly why: string;
}

interface Verdict extends Judged {
  readonly figure: string;
  readonly range: string;
  readonly bound: string;
}

const PAGES =
  'The kernel copies as much for both. The rest is Node’s way to each read and write, collections of V8, and memory that the system gives anew page by page: what the broker keeps free is reused without that, up to an eighth of `limits.memoryBytes`.';
const TURNS =
  'The broker reads and writes a bounded number of bytes of one connection in a turn, so that others wait for a millisecond at most; the proxy does not, and has a thread of its own for its sockets.';
const cpuUs = ({ brokerCpuSeconds, requests }: LoadResult): number =>
  (brokerCpuSeconds * 1e6) / requests;
const perSecond = ({ requests, seconds }: LoadResult): number => requests / seconds;
const p50Us = (result: LoadResult): number => result.p50Us;
const p99Us = (result: LoadResult): number => result.p99Us;
const residentBytes = (result: LoadResult): number => result.brokerResidentBytes;
const TARGETS: readonly Target[] = [
  { what: 'CPU', of: cpuUs, bound: 1.5, why: PAGES },
  { what: 'rate', of: perSecond, bound: 0.8, isLeast: true, why: TURNS },
  { what: 'p99', of: p99Us, bound: 2, why: TURNS },
];
const BESIDE_MS_MAX = 25;
const MEMORY_TIMES_MAX = 1.2;

export function renderBodies({ facts, measured, others }: BodiesReport): string {
  const judged = measured.flatMap(verdictsOf);
  const figures = (isOthers: boolean): string =>
    table(
      ['bodies', 'through', 'CPU of each', 'a second', 'p50', 'p99', 'memory'],
      measured
        .filter(({ kind }) => (kind === 'others') === isOthers)
        .flatMap((each) => each.ways.map((way) => line(each, way))),
    );
  return `${[
    '# Performance of large bodies',
    '<!-- Written by `npm run bench:bodies -- --write`: run that instead of editing this. -->',
    "Requests with large bodies through the broker. Compare the ratios of one run: the absolute figures hold only for the machine below.\nCPU and memory are those of the broker's process.",
    facts.map((fact) => `- ${fact}`).join('\n'),
    '## Against `zmq_proxy`',
    "The bodies are sent back. libzmq's sockets are at both ends; libzmq's own `zmq_proxy` keeps nothing and chooses no worker.",
    figures(false),
    table(
      ['', 'figure', 'range', 'target', ''],
      judged.map(({ isMet, about, figure, range, bound }) => [
        about,
        figure,
        range,
        bound,
        verdictOf({ isMet }),
      ]),
    ),
    ...missedText(judged),
    '## Other ways',
    'The peers differ, and take most of the time with some: compare what one way takes for one size and for another. NATS, durable requests and HTTP get theirs from a load generator\nin C. A durable request is stored, executed, fetched and closed, and its answer is short; in a pair both nodes store it. Over HTTP the worker is the SDK for\nNode.js. With an SDK both ends are its `Client` and its `Worker`.',
    figures(true),
    othersText(others),
  ].join('\n\n')}\n`;
}

function titleOf({ bytes, kind, outstanding }: Measured): string {
  const size = bytes < 1e6 ? `${bytes / 1000} KB` : `${bytes / 1e6} MB`;
  if (kind === 'beside') return `16 B beside ${size}`;
  return kind === 'full' ? `${outstanding} × ${size}` : size;
}

function verdictsOf(measured: Measured): Verdict[] {
  const { kind, ways, bytes, outstanding } = measured;
  const of = (title: string): readonly LoadResult[] =>
    ways.find((way) => way.title === title)?.results ?? [];
  const title = titleOf(measured);
  if (kind === 'others') return [];
  if (kind === 'full') {
    const shares = of(OURS).map((each) => residentBytes(each) / (bytes * outstanding));
    const bound = MEMORY_TIMES_MAX;
    return [atMost(`memory, ${title}, to the bodies`, shares, times, bound, PAGES)];
  }
  const ratios = TARGETS.filter((target) => kind === 'echo' || target.of === p99Us).map(
    (target): Verdict => {
      const { median, low, high } = ratioOf(of(OURS).map(target.of), of(PROXY).map(target.of));
      const isLeast = target.isLeast === true;
      return {
        about: `${target.what}, ${title}`,
        isMet: isLeast ? median >= target.bound : median <= target.bound,
        why: target.why,
        figure: times(median),
        range: `${times(low)} to ${times(high)}`,
        bound: `${isLeast ? '≥' : '≤'} ${times(target.bound)}`,
      };
    },
  );
  if (kind === 'echo') return ratios;
  const tookMs = of(OURS).map((each) => each.p99Us / 1000);
  return [...ratios, atMost(`p99 itself, ${title}`, tookMs, ms, BESIDE_MS_MAX, TURNS)];
}

function atMost(
  about: string,
  figures: readonly number[],
  shown: (figure: number) => string,
  bound: number,
  why: string,
): Verdict {
  const middle = median(figures);
  return {
    about,
    isMet: middle <= bound,
    why,
    figure: shown(middle),
    range: `${shown(Math.min(...figures))} to ${shown(Math.max(...figures))}`,
    bound: `≤ ${shown(bound)}`,
  };
}

function line(measured: Measured, { title, results }: Way): string[] {
  const of = (value: (result: LoadResult) => number): number => median(results.map(value));
  if (results.some(({ requests }) => requests === 0)) {
    return [titleOf(measured), title, 'none was done', '', '', '', ''];
  }
  return [
    titleOf(measured),
    title,
    `${whole(of(cpuUs))} µs`,
    of(perSecond) < 10 ? of(perSecond).toFixed(1) : whole(of(perSecond)),
    ms(of(p50Us) / 1000),
    ms(of(p99Us) / 1000),
    `${whole(of(residentBytes) / 1e6)} MB`,
  ];
}

function ms(value: number): string {
  return `${value.toFixed(2)} ms`;
}
