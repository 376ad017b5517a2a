/** The figures of programs over HTTP as Markdown; generates docs/performance-http.md. */
import { AWAKE_TEXT } from '../awake.js';
import { missedText, table, times, verdictOf, whole } from '../markdown.js';
import { median, type Ratio, ratioOf } from '../measure.js';
import { type Others, othersText } from '../others.js';

/** Of what waits over HTTP, to what waits over ZMTP. */
const MEMORY_BOUND = 1.5;
const PAYS_TWICE =
  'What waits over HTTP pays for a socket of Node with its streams, and for the request, as over ZMTP.';

/** What one of them did in one round. */
export interface Round {
  readonly perSecond: number;
  readonly cpuUs: number;
  readonly p50Us: number;
  readonly loadCpuUs: number;
}

export interface Lane {
  readonly title: string;
  readonly outstanding: number;
  readonly rounds: readonly Round[];
}

export interface Verdict {
  readonly about: string;
  /** `null` if a measured quantity was not positive, so that no ratio means anything. */
  readonly ratio: Ratio | null;
  /** An upper bound. */
  readonly bound: number;
  readonly why: string | undefined;
}

/** What one of them takes that wait, in each round, in bytes. */
export interface Held {
  readonly title: string;
  readonly count: number;
  readonly bytes: Readonly<Record<'bare' | 'http' | 'zmtp', readonly number[]>>;
}

export interface HttpReport {
  readonly facts: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
  readonly bodyBytes: number;
  readonly lanes: readonly Lane[];
  readonly held: readonly Held[];
  readonly verdicts: readonly Verdict[];
  /** What other processes used. */
  readonly others: Others;
}

/** The targets for memory. A server whose memory shrank while requests waited says nothing about them. */
export function memoryVerdicts(held: readonly Held[]): Verdict[] {
  return held.map(({ title, bytes: { http, zmtp } }) => ({
    about: `memory of each ${title}, to a peer of ZMTP`,
    ratio: [...http, ...zmtp].every((bytes) => bytes > 0) ? ratioOf(http, zmtp) : null,
    bound: MEMORY_BOUND,
    why: PAYS_TWICE,
  }));
}

export function renderHttp(report: HttpReport): string {
  const { facts, lanes, held, others, rounds, seconds, bodyBytes } = report;
  return `${[
    '# Performance of programs over HTTP',
    '<!-- Written by `npm run bench:http -- --write`: run that instead of editing this. -->',
    `Requests with ${bodyBytes} bytes that are sent back, over HTTP: by a bare \`node:http\` server, and by the broker and a worker of the SDK.\nCompare the ratios of one run: the absolute figures hold only for the machine below.`,
    facts.map((fact) => `- ${fact}`).join('\n'),
    '## Requests',
    table(
      ['what', 'outstanding', 'a second', 'CPU of each', 'p50', 'generator'],
      lanes.map(({ title, outstanding, rounds: all }) => {
        const of = (value: (round: Round) => number): number => median(all.map(value));
        return [
          title,
          String(outstanding),
          whole(of(({ perSecond }) => perSecond)),
          micro(of(({ cpuUs }) => cpuUs)),
          micro(of(({ p50Us }) => p50Us)),
          micro(of(({ loadCpuUs }) => loadCpuUs)),
        ];
      }),
    ),
    '## Memory of what waits',
    table(
      ['each', 'of', 'bare `node:http`', 'Majordomo over HTTP', 'Majordomo over ZMTP'],
      held.map(({ title, count, bytes: { bare, http, zmtp } }) => [
        title,
        whole(count),
        ...[bare, http, zmtp].map((all) => kibibytes(median(all))),
      ]),
    ),
    '## Targets',
    targetTable(report),
    '## How to read this',
    [
      `- Each figure is the median of ${rounds} runs of ${seconds} s, after a warm-up. All run at the same time and are measured in turn. A ratio`,
      '  is the median of the ratios of neighbouring runs.',
      '- One load generator (`bench/load`, in C) sends the same bytes to all: as many connections as requests are outstanding, which are kept.',
      '- _CPU of each_ is the user and system time of all processes that answer, divided by the requests: of the broker and',
      '  the worker, or of the bare server. The generator’s is its own.',
      '- _Traced_: each request has another `traceparent`. _Varied_: each has another value of a header that the broker does not know,',
      '  so its head is read. _Parsed_: each has one that only Node’s parser reads, which is the general path. All other requests of a connection have the same head, as those of most programs do.',
      '- _Durable_: the request is stored (202), its result is waited for and read, and it is ended (DELETE). _Events_: the reply comes',
      '  as server-sent events.',
      `- _Memory_: what the resident memory of a server grows by, without garbage, for each connection that waits: a median of ${held[0]?.bytes.http.length ?? 0}, each`,
      '  of a new server. Over ZMTP a client waits for the same. The bare server stores nothing and asks no worker.',
      `- ${othersText(others)} Generator, servers and everything else shared the cores.`,
      `- ${AWAKE_TEXT}`,
      ...(others.isBusy
        ? [
            '- **Other work kept the machine busy**: no target is judged. Run it again on a quiet machine.',
          ]
        : []),
    ].join('\n'),
  ].join('\n\n')}\n`;
}

function targetTable({ verdicts, others }: HttpReport): string {
  const judged = verdicts.map((verdict) => ({
    ...verdict,
    isJudged: !others.isBusy && verdict.ratio !== null,
    isMet: verdict.ratio !== null && verdict.ratio.median <= verdict.bound,
  }));
  const rows = judged.map(({ about, ratio, bound, isJudged, isMet }) => [
    about,
    ratio === null ? '–' : `${times(ratio.median)} (${times(ratio.low)} – ${times(ratio.high)})`,
    `≤ ${times(bound)}`,
    isJudged ? verdictOf({ isMet }) : 'not judged',
  ]);
  const text = table(['of Majordomo', 'ratio (range)', 'target', ''], rows);
  return [text, ...missedText(judged.filter(({ isJudged }) => isJudged))].join('\n\n');
}

function kibibytes(bytes: number): string {
  return `${(bytes / 1024).toFixed(1)} KiB`;
}

function micro(us: number): string {
  return us >= 1000 ? `${(us / 1000).toFixed(2)} ms` : `${us.toFixed(us < 100 ? 1 : 0)} µs`;
}
