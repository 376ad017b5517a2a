/** The kind of world that a seed makes: three brokers, their clients, and what goes wrong. */
import type { BrokerOptions } from '../../../src/broker/options.js';
import type { ListenerRules } from '../../../src/broker/rights.js';
import type { MdpVersion } from '../../../src/wire/mdp.js';
import { rules } from '../../support/rights.js';
import type { Mischief, WorkerHabits } from '../actors/worker.js';
import { INTERVAL_MS, PLENTY, roomyBroker } from '../stored/weather.js';
import type { ShellHabits } from '../world/broker-node.js';
import type { SimRandom } from '../world/random.js';

export const BROKERS = 3;
export const NOTICE_MAX_MS = 20;
/** Faults begin before this time. */
export const DURATION_MS = 2500;
/** After this time a link that is not closed dials again. */
export const LINK_RETRY_MS = 50;
/** A client's pauses before it opens another link. */
export const RETRY_BASE_MS = 20;
export const RETRY_MAX_MS = 100;
/** A broker without faults answers within this time. */
export const ANSWER_MS = 110;
/** A client's ticks come up to so late. */
const TICK_LATE_MAX_MS = 2;

/** The service of listener 1, and one whose replies may have parts. */
export const ECHO = 'echo';
export const PARTS = 'parts';
export const FOR_ALL = 0;
export const FOR_FREELANCE = 1;

/** How long a server needs, after something was wrong with it, until it serves as if nothing had been. */
export function recoveryMs(pingIntervalMs: number): number {
  // Workers that heard nothing for six heartbeats register again within two; connections need two
  // pauses, a client that thought it dead one PING.
  return (
    INTERVAL_MS * 8 + NOTICE_MAX_MS * 2 + RETRY_MAX_MS * 2 + pingIntervalMs * 2 + ANSWER_MS * 2
  );
}

export interface FreelanceHabits {
  readonly kind: 'mdp' | 'flp';
  readonly version: MdpVersion;
  readonly hedgeMs: number | null;
  readonly pingIntervalMs: number;
  readonly timeoutMs: number;
  readonly resendMs: number;
  /** It does not wait where no worker serves. */
  readonly refusesToWait: boolean;
  /** Its engine has PING of ZMTP; otherwise it asks `mmi.broker`. */
  readonly hasLinkPings: boolean;
  readonly requests: number;
  readonly window: number;
  readonly gapMaxMs: number;
  readonly partsChance: number;
  readonly streamChance: number;
  readonly headersChance: number;
  readonly abortChance: number;
  /** Its clock has fractions of milliseconds. */
  readonly fraction: number;
  readonly tickLateMaxMs: number;
}

export const FAULTS = [
  'broker ends',
  'broker freezes',
  'broker drains',
  'workers vanish',
  'messages are slow',
  'connection is cut',
  'connection is cut in silence',
  'client stalls',
] as const;
export type FreelanceFault = (typeof FAULTS)[number];

export interface FreelanceWeather {
  readonly broker: BrokerOptions;
  readonly shell: ShellHabits;
  readonly delayMaxMs: number;
  /** For each broker: its workers misbehave. */
  readonly isRough: readonly boolean[];
  /** After the faults: whether it has good workers, none, or is never started again. */
  readonly ends: readonly ('served' | 'idle' | 'down')[];
  readonly faults: readonly { readonly at: number; readonly what: FreelanceFault }[];
  /** The probability that one of the faults follows a send, at its server. */
  readonly ambushChance: number;
  readonly clients: readonly FreelanceHabits[];
}

export const MISCHIEF: readonly [Mischief, ...Mischief[]] = [
  'quits',
  'crashes',
  'loses its connection',
  'freezes',
  'answers twice',
  'never answers',
  'registers again',
];

function serviceListener(name: string): ListenerRules {
  return { ...rules(true, false), service: Buffer.from(name) };
}

/** A broker that does not stall. */
export function calmShell(random: SimRandom): ShellHabits {
  return {
    batchMax: random.pick([1, 4, 50]),
    turnDelayMaxMs: random.pick([0, 2]),
    stallChance: 0,
    stallMaxMs: 0,
    readsAtOnce: random.chance(0.5),
  };
}

export function weatherOf(random: SimRandom): FreelanceWeather {
  const broker: BrokerOptions = {
    ...roomyBroker(random),
    requestTtlMs: PLENTY,
    listeners: [rules(true, true), serviceListener(ECHO)],
  };
  const roughChance = random.pick([0, 0.3, 0.7]);
  const ends = Array.from({ length: BROKERS }, () => random.pick(['served', 'idle', 'down']));
  ends[random.int(0, BROKERS - 1)] = 'served';
  const kinds = FAULTS.filter(() => random.chance(0.5));
  const first = random.pick([...FAULTS]);
  const faults = random.int(0, 8);
  return {
    broker,
    shell: calmShell(random),
    delayMaxMs: random.pick([0, 1, 4]),
    isRough: Array.from({ length: BROKERS }, () => random.chance(roughChance)),
    ends: ends as FreelanceWeather['ends'],
    faults: Array.from({ length: faults }, () => ({
      at: random.int(0, DURATION_MS),
      what: random.pick<FreelanceFault>([first, ...kinds]),
    })),
    ambushChance: random.pick([0, 0.02, 0.1]),
    clients: Array.from({ length: random.int(1, 3) }, () => clientHabits(random)),
  };
}

function clientHabits(random: SimRandom): FreelanceHabits {
  const kind = random.pick<FreelanceHabits['kind']>(['mdp', 'mdp', 'flp']);
  const isMdp = kind === 'mdp';
  const resendMs = random.pick([150, 400, 900]);
  return {
    kind,
    version: random.pick<MdpVersion>([1, 2, 2]),
    hedgeMs: random.pick<number | null>([null, null, 0, 15, 60, 400]),
    pingIntervalMs: random.pick([40, 100, 400]),
    resendMs,
    timeoutMs: resendMs * random.int(1, 4),
    refusesToWait: isMdp && random.chance(0.3),
    hasLinkPings: isMdp && random.chance(0.7),
    requests: random.int(1, 14),
    window: random.int(1, 3),
    gapMaxMs: random.pick([100, 300]),
    partsChance: isMdp ? random.pick([0, 0, 0.5]) : 0,
    streamChance: random.pick([0, 0.5]),
    headersChance: random.pick([0, 0, 0.3]),
    abortChance: random.pick([0, 0, 0.1]),
    fraction: random.pick([0, 0.25, 0.9]),
    tickLateMaxMs: random.pick([0, TICK_LATE_MAX_MS]),
  };
}

/** A worker of the brokers whose soundness counts. */
export function goodWorker(service: string, random: SimRandom): WorkerHabits {
  const version = random.pick<MdpVersion>([1, 2]);
  return {
    version,
    service,
    credit: random.chance(0.3) ? random.int(1, 5) : null,
    beats: 'always',
    serveMaxMs: random.int(0, 2),
    partialsMax: version === 2 && service === PARTS ? 2 : 0,
    mischief: [],
    mischiefChance: 0,
    isStubborn: false,
  };
}

export function roughWorker(service: string, random: SimRandom): WorkerHabits {
  return {
    ...goodWorker(service, random),
    serveMaxMs: random.pick([0, 30, 300]),
    mischief: Array.from({ length: random.int(1, 4) }, () => random.pick(MISCHIEF)),
    mischiefChance: random.pick([0, 0.2, 0.6]),
    isStubborn: random.chance(0.5),
  };
}
