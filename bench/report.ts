/** The figures as Markdown; only this generates docs/performance.md. */
import { AWAKE_TEXT } from './awake.js';
import { type Judged, missedText, table, times, verdictOf } from './markdown.js';
import type { Memory } from './memory.js';
import type { Figures, Quantity, RowResult, Verdict } from './measure.js';
import type { Section } from './rows.js';

export interface Report {
  readonly date: string;
  readonly machine: readonly string[];
  /** Broker and version. */
  readonly versions: readonly string[];
  readonly absent: readonly string[];
  /** Rows that could not be measured, and why. */
  readonly failed: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
  readonly pinned: string;
  /** What other processes used. */
  readonly others: string;
  readonly rows: readonly RowResult[];
  readonly memory: Memory | null;
}

const HEADINGS: Readonly<Record<Section, readonly [string, string]>> = {
  sdk: [
    'What users get',
    'The SDK of this package at both ends, in JavaScript: one `Client` and one `Worker` whose handler returns the body at once.\nA worker gets as many requests at a time as its `concurrency` says, so with the default of 1 each request waits for\nthe way there and back of the one before it. The generator column is the CPU time of the process with the `Client`.',
  ],
  broker: [
    'The broker',
    'The load generator at both ends, so that the figures are about the broker. It sends the same bytes to Majordomo,\n`transport: libzmq` and the C broker, and the same requests to NATS and gearman in their own protocol,\nover as many connections. (These two have no worker credit: NATS pushes without a limit, gearman gives\na worker one job at a time. So with 1 KB at credit 1 no target compares us with NATS any more: it packs\nseveral messages into each write there, which credit 1 does not allow.)',
  ],
  pirates: [
    'Without MDP',
    'Plain clients and Simple Pirate workers, on two listeners for one service. Every pirate has credit 1; the C queue keeps no request.',
  ],
  curve: [
    'CURVE',
    'The same with CURVE between all peers and the broker: the broker decrypts and encrypts each frame once.',
  ],
  growth: [
    'Growth',
    'The cost of a request when there are many more workers, services, queued requests or connections.',
  ],
};

const QUANTITIES: Readonly<Record<Quantity, string>> = {
  rate: 'requests/s',
  cpu: 'CPU per request',
  load: 'generator’s CPU',
  p50: 'p50',
};

/** A generator that is busy for this share of a core limits requests/s itself. */
const BOTTLENECK = 0.95;
const RESIDENT_MAX_BYTES = 100 * 2 ** 20;
const CONNECTION_MAX_BYTES = 6 * 2 ** 10;
const TWO_SOCKETS =
  'Node makes a socket for each connection, with a stream and their state, and the broker another one around its handle ([ADR 2](adr/0002-beyond-documented-node.md)); the first stays until it is collected. It would take a Node that lets a server read into a buffer, or a native module for sockets.';

export function renderReport(report: Report): string {
  const sections = (['sdk', 'broker', 'pirates', 'curve', 'growth'] as const).flatMap((section) => {
    const rows = report.rows.filter(({ row }) => row.section === section);
    const [heading, about] = HEADINGS[section];
    return rows.length === 0 ? [] : [`## ${heading}`, about, ...rows.map(renderRow)];
  });
  const memory = report.memory === null ? [] : ['## Memory', renderMemory(report.memory)];
  return [...introduction(report), ...sections, ...memory, ...reading(report)].join('\n\n') + '\n';
}

function introduction(report: Report): string[] {
  const facts = [
    `measured ${report.date}`,
    ...report.machine,
    ...report.versions,
    ...report.absent.map((text) => `not here, so left out: ${text}`),
    ...report.failed.map((text) => `could not be measured: ${text}`),
  ];
  return [
    '# Performance',
    '<!-- Written by `npm run bench`: run that instead of editing this. -->',
    '`npm run bench` starts every broker that is installed on this machine, and measures all of them in\nthe same minutes. Compare the ratios: the absolute figures hold only for the machine below.',
    facts.map((fact) => `- ${fact}`).join('\n'),
  ];
}

function renderRow({ row, figures, verdicts }: RowResult): string {
  const head = [
    ...['broker', 'requests/s', 'CPU per request', 'busy', 'p50', 'p99', 'p99.9'],
    ...['generator', 'busy'],
  ];
  const lines = figures.map((each) => [
    each.title,
    Math.round(each.requestsPerSecond).toLocaleString('en'),
    micro(each.cpuUs),
    percent(each.busy),
    micro(each.p50Us),
    micro(each.p99Us),
    micro(each.p999Us),
    micro(each.loadCpuUs),
    `${percent(each.loadBusy)}${each.loadBusy >= BOTTLENECK ? ' (bottleneck)' : ''}`,
  ]);
  const parts = [`### ${row.title}`, table(head, lines)];
  if (verdicts.length > 0) parts.push(renderVerdicts(figures, verdicts));
  return parts.join('\n\n');
}

function renderVerdicts([subject]: readonly Figures[], verdicts: readonly Verdict[]): string {
  const head = [`${subject?.title ?? ''} to …`, 'of', 'ratio (range)', 'target', ''];
  const lines = verdicts.map(({ against, quantity, ratio, bound, met }) => [
    against,
    QUANTITIES[quantity],
    `${times(ratio.median)} (${times(ratio.low)} – ${times(ratio.high)})`,
    `${quantity === 'rate' ? '≥' : '≤'} ${times(bound)}`,
    verdictOf({ isMet: met }),
  ]);
  const judged = verdicts.map(({ against, quantity, met, why }) => ({
    about: `${QUANTITIES[quantity]}, to ${against}`,
    isMet: met,
    why,
  }));
  return [table(head, lines), ...missedText(judged)].join('\n\n');
}

function renderMemory({ idleBytes, connections, bytesPerConnection }: Memory): string {
  const idle: Judged = { about: 'idle', isMet: idleBytes < RESIDENT_MAX_BYTES, why: undefined };
  const each: Judged = {
    about: `for each of ${connections.toLocaleString('en')} more idle connections`,
    isMet: bytesPerConnection < CONNECTION_MAX_BYTES,
    why: TWO_SOCKETS,
  };
  const text = table(
    ['resident memory', 'measured', 'target', ''],
    [
      [
        idle.about,
        `${(idleBytes / 2 ** 20).toFixed(0)} MiB`,
        `< ${RESIDENT_MAX_BYTES / 2 ** 20} MiB`,
        verdictOf(idle),
      ],
      [
        each.about,
        `${(bytesPerConnection / 2 ** 10).toFixed(1)} KiB`,
        `< ${CONNECTION_MAX_BYTES / 2 ** 10} KiB`,
        verdictOf(each),
      ],
    ],
  );
  return [text, ...missedText([idle, each])].join('\n\n');
}

function reading({ rounds, seconds, pinned, others }: Report): string[] {
  return [
    '## How to read this',
    [
      `- Each figure is the median of ${rounds} runs of ${seconds} s each, after a warm-up. All brokers of a table run at`,
      '  the same time and are measured in turn (A B C A B C …), so that other load on the machine affects all of them.',
      '- A ratio is the median of the ratios of neighbouring runs, followed by the lowest and the highest.',
      '  If that range is wide, the machine was busy with something else: trust the order, not the digits.',
      `- ${others} ${pinned}`,
      '- CPU per request is the user and system time of the broker’s process with all its threads, as the',
      '  kernel counts it, divided by the requests answered in the window. It varies less: on a',
      '  busy machine requests/s mostly shows how much of a core was free.',
      '- _generator_ is the CPU time that the load generator itself used per request, as client and worker.',
      '  _busy_ is the share of one core that the broker, or the generator, used. Where the generator is the',
      '  bottleneck, requests/s say nothing about the broker: compare the CPU per request.',
      `- ${AWAKE_TEXT}`,
      '- Closed loop: each reply is followed by the next request, so latencies are those with that many',
      '  requests outstanding. _Peers batch_: a peer sends all messages of one turn of its loop in one',
      '  write, as the SDK does; _single writes_: it sends each message in a write of its own.',
      '- The C broker (`bench/peers/broker.c`) belongs to this project, and leaves out what the Guide’s own `mdbroker` does',
      '  besides: MDP 0.1, `mmi.service`, objects for messages and frames, a copy of each request that it sends, names of workers',
      '  as text, the look for expired ones at each dispatch. So it costs less. Like that one it has one ROUTER and polls',
      '  before each message; it has no limits, and keeps no copy for a second delivery. The C queue is made in the same way.',
    ].join('\n'),
  ];
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function micro(us: number): string {
  if (us >= 10_000) return `${(us / 1000).toFixed(0)} ms`;
  if (us >= 1000) return `${(us / 1000).toFixed(1)} ms`;
  return `${us.toFixed(us < 10 ? 2 : us < 100 ? 1 : 0)} µs`;
}
