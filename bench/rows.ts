/** What is measured: the rows, the runners in each, and the target ratios. */
import { BROKER_TITLES, type BrokerName } from './brokers.js';
import type { Load } from './generator.js';

export type Section = 'sdk' | 'broker' | 'pirates' | 'curve' | 'growth';

/** The generator acts as clients and workers, or the SDK does, in one process each. */
export type Drive =
  | { readonly kind: 'load'; readonly load: Load }
  | {
      readonly kind: 'sdk';
      readonly transport: 'zmtp' | 'libzmq';
      readonly outstanding: number;
      readonly concurrency: number;
      /** Where the SDK's programs are, if not here. */
      readonly directory?: string;
    };

/** One of the brokers in a row. */
export interface Runner {
  /** Unique in its row. */
  readonly title: string;
  readonly broker: BrokerName;
  readonly drive: Drive;
  /** Further `--set` options for our broker. */
  readonly sets?: readonly string[];
}

/** Bounds of the ratio of the row's first runner to another one. */
export interface Target {
  readonly against: string;
  readonly rateMin?: number;
  readonly cpuMax?: number;
  /** Of the generator, or of the process with the `Client`. */
  readonly loadMax?: number;
  readonly p50Max?: number;
  /** What holds it back where it is missed, and what would meet it. */
  readonly why?: string;
}

export interface Row {
  readonly section: Section;
  readonly title: string;
  /** The first one is compared with the others. */
  readonly runners: readonly Runner[];
  readonly targets: readonly Target[];
}

function played(broker: BrokerName, load: Load, sets: readonly string[] = []): Runner {
  return { title: BROKER_TITLES[broker], broker, drive: { kind: 'load', load }, sets };
}

const SINGLE =
  'With credit 1 nearly every message is a read and a write of its own, and most of the CPU time is the kernel’s, which every broker pays, and Node’s way there. A native module for sockets would come nearer; it was tried, and gained too little to be worth one.';
const BATCHED =
  'Here nearly all is JavaScript: taking messages apart, delivering, replying, and the copy for a second delivery, which NATS does not keep. No part stands out: it would take a compiled language.';
const KEEPS_NONE = `${SINGLE} The C queue keeps no copy for a second delivery either.`;
const SPREAD =
  'Each message is on another of 10,000 connections, whose state, the kernel’s too, has probably left the caches of the processor; nobody has measured that apart. Less state for each connection would help.';

const LIBZMQ: Target = { against: BROKER_TITLES.libzmq, rateMin: 2.5, cpuMax: 0.4 };

function brokerRow(
  title: string,
  load: Load,
  brokers: readonly BrokerName[],
  targets: readonly Target[],
): Row {
  const runners = (['zmtp', 'libzmq', ...brokers] as const).map((name) => played(name, load));
  return { section: 'broker', title, runners, targets: [...targets, LIBZMQ] };
}

const C: BrokerName = 'c';
const many = { clients: 32, workers: 32, credit: 1 };
const few = { clients: 4, workers: 4, credit: 100 };

function natsTarget(rateMin: number, cpuMax: number, why?: string): readonly Target[] {
  return [{ against: BROKER_TITLES.nats, rateMin, cpuMax, ...(why === undefined ? {} : { why }) }];
}

const brokerRows: readonly Row[] = [
  brokerRow(
    '32 workers, credit 1, 100 outstanding, 16 B',
    { ...many, outstanding: 100 },
    [C, 'nats', 'gearman'],
    [
      { against: BROKER_TITLES.c, rateMin: 1.8, cpuMax: 0.45, why: SINGLE },
      { against: BROKER_TITLES.nats, cpuMax: 0.85, why: SINGLE },
    ],
  ),
  brokerRow(
    '32 workers, credit 1, 1,000 outstanding, 1 KB',
    { ...many, outstanding: 1000, size: 1024 },
    [C, 'nats', 'gearman'],
    [{ against: BROKER_TITLES.c, cpuMax: 0.45, why: SINGLE }],
  ),
  ...[100, 1000].map((outstanding) =>
    brokerRow(
      `4 workers, credit 100, ${outstanding.toLocaleString('en')} outstanding, 16 B, peers batch`,
      { ...few, outstanding },
      ['nats'],
      natsTarget(1.5, 0.5, BATCHED),
    ),
  ),
  ...[100, 1000].map((outstanding) =>
    brokerRow(
      `4 workers, credit 100, ${outstanding.toLocaleString('en')} outstanding, 16 B, single writes`,
      { ...few, outstanding, single: true },
      ['nats'],
      natsTarget(0.8, 1),
    ),
  ),
  {
    section: 'broker',
    title: '1 client, 1 worker, one outstanding, 16 B',
    runners: (['zmtp', 'libzmq', 'c', 'nats', 'gearman'] as const).map((name) =>
      played(name, { clients: 1, workers: 1, outstanding: 1 }),
    ),
    targets: [
      { against: BROKER_TITLES.c, p50Max: 0.9 },
      { against: BROKER_TITLES.nats, p50Max: 1 },
    ],
  },
];

const pirateRows: readonly Row[] = [
  {
    section: 'pirates',
    title: '32 workers, 100 outstanding, 16 B: without MDP',
    runners: (['pirates', 'mdp01', 'queue'] as const).map((name) =>
      played(name, { ...many, outstanding: 100 }),
    ),
    targets: [
      { against: BROKER_TITLES.mdp01, cpuMax: 1.1 },
      { against: BROKER_TITLES.queue, cpuMax: 0.6, why: KEEPS_NONE },
    ],
  },
];

function sdk(
  title: string,
  transport: 'zmtp' | 'libzmq',
  broker: BrokerName,
  concurrency = 100,
): Runner {
  const drive = { kind: 'sdk', transport, outstanding: 1000, concurrency } as const;
  return { title, broker, drive };
}

const sdkRows: readonly Row[] = [
  {
    section: 'sdk',
    title:
      '`Client` and `Worker` with `concurrency: 100`, one process each, 1,000 outstanding, 16 B',
    runners: [
      sdk('SDK and broker', 'zmtp', 'zmtp'),
      sdk('both with `transport: libzmq`', 'libzmq', 'libzmq'),
      sdk('SDK with `transport: libzmq`', 'libzmq', 'zmtp'),
    ],
    targets: [
      { against: 'both with `transport: libzmq`', rateMin: 4 },
      { against: 'SDK with `transport: libzmq`', rateMin: 4 },
    ],
  },
  {
    section: 'sdk',
    title: '`concurrency` of the `Worker`, 1,000 outstanding, 16 B',
    runners: [
      sdk('1, the default', 'zmtp', 'zmtp', 1),
      sdk('10', 'zmtp', 'zmtp', 10),
      sdk('100', 'zmtp', 'zmtp', 100),
    ],
    targets: [],
  },
];

function curveRow(title: string, load: Load, cpuMax: number): Row {
  return {
    section: 'curve',
    title,
    runners: [played('zmtp-curve', load), played('libzmq-curve', load)],
    targets: [{ against: BROKER_TITLES['libzmq-curve'], cpuMax }],
  };
}

const curveRows: readonly Row[] = [
  curveRow('32 workers, credit 1, 100 outstanding, 16 B', { ...many, outstanding: 100 }, 0.45),
  curveRow(
    '32 workers, credit 1, 100 outstanding, 1 KB',
    { ...many, outstanding: 100, size: 1024 },
    0.55,
  ),
  curveRow('4 workers, credit 100, 100 outstanding, 16 B', { ...few, outstanding: 100 }, 0.45),
];

function grown(
  title: string,
  from: readonly (readonly [string, Load])[],
  to: readonly [string, Load],
  sets: readonly string[],
  why: Pick<Target, 'why'> = {},
): Row {
  const run = ([name, load]: readonly [string, Load]): Runner => ({
    title: name,
    broker: 'zmtp',
    drive: { kind: 'load', load },
    sets,
  });
  const targets = from.map(([against]) => ({ against, cpuMax: 1.15, ...why }));
  return { section: 'growth', title, runners: [run(to), ...from.map(run)], targets };
}

const steady = { clients: 32, outstanding: 100, heartbeatMs: 20_000 };

const growthRows: readonly Row[] = [
  grown(
    'workers and services, credit 1, 100 outstanding',
    [
      ['1 worker, 1 service', { ...steady, workers: 1 }],
      // With credit 1 a single worker cannot use a turn for several requests; as many workers as
      // are busy at once are a fairer baseline.
      ['32 workers, 1 service', { ...steady, workers: 32 }],
    ],
    ['10,000 workers, 1,000 services', { ...steady, workers: 10_000, services: 1000 }],
    ['broker.heartbeatIntervalMs=30000', 'limits.workers=20000', 'limits.connections=20000'],
    { why: SPREAD },
  ),
  grown(
    'requests queued for another service; credit 100, 1,000 outstanding',
    [['none queued', { ...few, outstanding: 1000 }]],
    ['1,000,000 queued', { ...few, outstanding: 1000, queued: 1_000_000 }],
    [
      'broker.requestTtlMs=3600000',
      'limits.queuedRequests=3000000',
      'limits.queuedRequestsPerService=3000000',
    ],
  ),
  grown(
    'idle connections; credit 100, 100 outstanding',
    [['10 idle', { ...few, outstanding: 100, idle: 10 }]],
    ['5,000 idle', { ...few, outstanding: 100, idle: 5000 }],
    [],
  ),
];

/**
 * Our broker, and the SDK, against their own version before a change: it may cost five percent.
 * @param directory where the bench of that version is built
 */
export function beforeRows(directory: string): readonly Row[] {
  const [sdkRow] = sdkRows;
  const [now] = sdkRow?.runners ?? [];
  const rows = [...brokerRows, ...curveRows].flatMap(brokerBefore);
  if (sdkRow === undefined || now?.drive.kind !== 'sdk') return rows;
  const title = 'SDK and broker before';
  const before = { title, broker: 'before', drive: { ...now.drive, directory } } as const;
  const target = { against: title, rateMin: 1 / 1.05, cpuMax: 1.05, loadMax: 1.05 };
  return [{ ...sdkRow, runners: [now, before], targets: [target] }, ...rows];
}

function brokerBefore(row: Row): Row[] {
  const [runner] = row.runners;
  if (runner === undefined) return [];
  const broker = row.section === 'curve' ? 'before-curve' : 'before';
  const before = { ...runner, broker, title: BROKER_TITLES[broker] } as const;
  const target = { against: before.title, rateMin: 1 / 1.05, cpuMax: 1.05 };
  return [{ ...row, runners: [runner, before], targets: [target] }];
}

/** In the order of the document. */
export const ROWS: readonly Row[] = [
  ...sdkRows,
  ...brokerRows,
  ...pirateRows,
  ...curveRows,
  ...growthRows,
];
