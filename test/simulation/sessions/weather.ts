/** The kind of world that a seed makes: one or two brokers, their workers and clients, and what goes wrong. */
import type { BrokerOptions, RunLimit, ServiceLimits } from '../../../src/broker/options.js';
import { rules } from '../../support/rights.js';
import type { Mischief, WorkerHabits } from '../actors/worker.js';
import type { MachineWeather } from '../freelance/machine.js';
import { calmShell, MISCHIEF as ROUGH } from '../freelance/weather.js';
import { PLENTY, ROOMY_LIMITS } from '../stored/weather.js';
import type { SimRandom } from '../world/random.js';

export const INTERVAL_MS = 500;
export const SERVICE = 'job';
const LIVENESS = 3;
/** From its start on, a broker waits so long for what workers say that they run (D118). */
export const SPAN_MS = INTERVAL_MS * LIVENESS;
/** What the names of workers contain, and those of clients do not. */
export const WORKERS = 'w';
/** Faults begin before this time. */
export const DURATION_MS = 12_000;

/** Faults of connections: whether the broker and the client learn of it soon. */
const CUTS = [
  'connection is cut',
  'connection is cut in silence',
  'connection is cut, and the client learns it later',
  'connection is cut, and the broker learns it later',
] as const;
const CALM_FAULTS = [...CUTS, 'messages are slow'] as const;
export const FAULTS = [
  ...CALM_FAULTS,
  'client stalls',
  'broker freezes',
  'broker ends',
  'broker drains',
  'worker ends',
  'worker is closed',
  'worker loses its connection',
  'worker stalls',
] as const;
const HELD_UP = ['client stalls', 'connection is cut'] as const;
export type SessionFault = (typeof FAULTS)[number];

const FREE: RunLimit = { running: Infinity, perSecond: Infinity, burst: 1 };
export const ONE_EACH: ServiceLimits = {
  service: null,
  group: { ...FREE, running: 1 },
  holds: false,
};
const LIMITS: readonly [ServiceLimits, ...ServiceLimits[]] = [
  ONE_EACH,
  { ...ONE_EACH, service: { ...FREE, running: 2 } },
  { ...ONE_EACH, group: { ...FREE, perSecond: 10, burst: 2 } },
  { service: { ...FREE, perSecond: 20 }, group: null, holds: false },
];

type Names = readonly [string, ...string[]];
const GROUPS: readonly [Names, ...Names[]] = [[''], ['', 'a', 'b'], ['a', 'b', 'c']];

type Times = readonly [number, ...number[]];

export interface ClientHabits {
  readonly requests: number;
  readonly window: number;
  readonly gapMaxMs: number;
  readonly onceChance: number;
  readonly abortChance: number;
  readonly saysTimeChance: number;
  readonly timeoutsMs: Times;
  /** Of its requests; empty: without one. */
  readonly groups: readonly [string, ...string[]];
  /** Its clock has fractions of milliseconds. */
  readonly fraction: number;
}

export interface SdkWorkerHabits {
  readonly concurrency: number;
  readonly serveMaxMs: number;
  readonly failChance: number;
}

export interface SessionsWeather extends MachineWeather {
  /** Only the clients' connections have faults. */
  readonly isCalm: boolean;
  readonly brokers: number;
  readonly faults: readonly { readonly at: number; readonly what: SessionFault }[];
  /** The probability that one of the faults follows a send soon. */
  readonly ambushChance: number;
  readonly clients: readonly ClientHabits[];
  readonly workers: readonly SdkWorkerHabits[];
  readonly limits: ServiceLimits | null;
  /** Beside those. */
  readonly rough: readonly WorkerHabits[];
}

const TIMEOUTS_MS: readonly [Times, ...Times[]] = [[600, 3000], [4000], [3000, 10_000, 30_000]];
const MISCHIEF: readonly [Mischief, ...Mischief[]] = ['returns', 'fails', ...ROUGH];

export function weatherOf(random: SimRandom): SessionsWeather {
  const isCalm = random.chance(0.35);
  // Who is held up sees the end of a connection late.
  const isHeldUp = !isCalm && random.chance(0.2);
  const broker: BrokerOptions = {
    heartbeatIntervalMs: INTERVAL_MS,
    heartbeatLiveness: LIVENESS,
    requestTtlMs: isCalm || isHeldUp ? PLENTY : random.pick([2000, PLENTY]),
    busyTimeoutMs: PLENTY,
    maxDeliveries: random.int(1, 4),
    resumeMs: isCalm ? 20_000 : isHeldUp ? 6000 : random.pick([300, 2000, 10_000]),
    listeners: [{ ...rules(true, true), resumes: true }],
    limits: ROOMY_LIMITS,
  };
  const kinds: readonly SessionFault[] = isCalm ? CALM_FAULTS : isHeldUp ? HELD_UP : FAULTS;
  const [first = 'connection is cut'] = kinds;
  const chosen = kinds.filter(() => isHeldUp || random.chance(0.4));
  const what: [SessionFault, ...SessionFault[]] = [random.pick([first, ...kinds]), ...chosen];
  const many = <T>(most: number, make: () => T): T[] =>
    Array.from({ length: random.int(1, most) }, make);
  const ofGroups = random.fork(7);
  const limits = ofGroups.chance(0.5) ? ofGroups.pick(LIMITS) : null;
  const groups = ofGroups.pick(GROUPS);
  const weather = {
    isCalm,
    broker,
    limits,
    shell: calmShell(random),
    delayMaxMs: random.pick([0, 1, 4]),
    brokers: isCalm || isHeldUp ? 1 : random.int(1, 2),
    faults: many(8, () => ({ at: random.int(0, DURATION_MS), what: random.pick(what) })),
    ambushChance: isHeldUp ? 0.3 : random.pick([0, 0.1, 0.3]),
    clients: many(3, () => ({ ...clientHabits(random, isCalm || isHeldUp), groups })),
    workers: many(4, () => ({
      concurrency: random.pick([1, 1, 2, 5]),
      serveMaxMs: isHeldUp ? 6000 : random.pick([0, 20, 400, 6000]),
      failChance: isCalm ? 0 : random.pick([0, 0, 0.1]),
    })),
    rough: isCalm || isHeldUp || random.chance(0.6) ? [] : many(2, () => roughWorker(random)),
  };
  return !isCalm && !isHeldUp && ofGroups.chance(0.25) ? restarted(weather, ofGroups) : weather;
}

/** Limits, and a broker whose process ends twice while its workers run what it gave them; nothing else goes wrong. */
function restarted(weather: SessionsWeather, random: SimRandom): SessionsWeather {
  const times = [random.int(3000, 6000), random.int(7000, DURATION_MS)];
  return {
    ...weather,
    limits: random.pick([ONE_EACH, { ...ONE_EACH, service: { ...FREE, running: 2 } }]),
    faults: times.map((at) => ({ at, what: random.pick(['broker ends', 'broker drains']) })),
    ambushChance: 0,
    workers: weather.workers.map((worker) => ({ ...worker, serveMaxMs: 6000 })),
    clients: weather.clients.map((client) => ({ ...client, window: 4, gapMaxMs: 1000 })),
    rough: [],
  };
}

function clientHabits(random: SimRandom, isPatient: boolean): Omit<ClientHabits, 'groups'> {
  return {
    requests: random.int(1, 12),
    window: random.int(1, 4),
    gapMaxMs: random.pick([50, 1000, 2500]),
    onceChance: random.pick([0, 0.5, 1]),
    abortChance: random.pick([0, 0, 0.1]),
    saysTimeChance: random.pick([0, 0.5]),
    timeoutsMs: isPatient ? [300_000] : random.pick(TIMEOUTS_MS),
    fraction: random.pick([0, 0.25, 0.9]),
  };
}

function roughWorker(random: SimRandom): WorkerHabits {
  return {
    version: 2,
    service: SERVICE,
    credit: random.chance(0.5) ? random.int(1, 5) : null,
    beats: 'always',
    serveMaxMs: random.pick([0, 30, 300]),
    partialsMax: 0,
    mischief: Array.from({ length: random.int(1, 4) }, () => random.pick(MISCHIEF)),
    mischiefChance: random.pick([0.2, 0.6]),
    isStubborn: random.chance(0.5),
  };
}
