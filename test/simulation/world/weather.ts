/** The kind of world that a seed makes: the broker's configuration, the network, the shell. */
import type { BrokerOptions } from '../../../src/broker/options.js';
import type { ListenerRules } from '../../../src/broker/rights.js';
import type { ShellHabits } from './broker-node.js';
import type { NetworkOptions } from './network.js';
import type { SimRandom } from './random.js';
import { rules } from '../../support/rights.js';

export interface Weather {
  /** Nothing goes wrong: every request must be answered. */
  readonly isFair: boolean;
  readonly options: BrokerOptions;
  readonly network: NetworkOptions;
  readonly shell: ShellHabits;
  readonly services: readonly [string, ...string[]];
  readonly durationMs: number;
  /** There are listeners for the first of the services, with pirates and plain clients. */
  readonly hasPirates: boolean;
  /** When the broker's process ends and another one begins. */
  readonly restartsAt: readonly number[];
  /** The broker drains before the end, and may then stop without waiting for busy workers. */
  readonly drains: boolean;
  readonly stopsEarly: boolean;
}

const PLENTY = 1_000_000;
const FAIR_CHANCE = 0.15;
const DRAIN_CHANCE = 0.2;
const PIRATE_CHANCE = 0.5;
const RESTART_CHANCE = 0.3;
const DURATION_INTERVALS = 25;

/** Listener 0 is for all, 1 for clients, 2 for workers. */
const LISTENERS = [rules(true, true), rules(true, false), rules(false, true)];
/** Listeners for the first service. */
export const PLAIN_CLIENTS = 3;
export const PIRATES = 4;
/** Of the seed's source of chance. The seeds of found.test.ts have no pirates. */
const PIRATE_FORK = 37;

function serviceListeners(name: string): ListenerRules[] {
  const service = Buffer.from(name);
  return [
    { ...rules(true, false), service },
    { ...rules(false, true), service },
  ];
}

export function weatherOf(random: SimRandom): Weather {
  const fork = random.fork(PIRATE_FORK);
  const hasPirates = fork.chance(PIRATE_CHANCE);
  const isFair = random.chance(FAIR_CHANCE);
  // The intervals of Paranoid Pirates are bound to the second (D34).
  const interval = random.pick(hasPirates ? [100, 1000, 3000] : [20, 100, 1000]);
  const services: [string, ...string[]] = random.pick<[string, ...string[]]>([
    ['echo'],
    ['echo', 'sum'],
    ['a', 'b', 'c'],
  ]);
  const tight = (values: readonly [number, ...number[]]): number =>
    !isFair && random.chance(0.15) ? random.pick(values) : PLENTY;
  const liveness = isFair ? 3 : random.int(2, 4);
  // Longer than the detection of silence: D5 does not define what a shorter one means.
  const busyTimeoutMs = interval * (liveness + random.pick([2, 7, 40]));
  const options: BrokerOptions = {
    heartbeatIntervalMs: interval,
    heartbeatLiveness: liveness,
    requestTtlMs: isFair ? PLENTY * interval : interval * random.pick([2, 8, 30]),
    busyTimeoutMs: isFair ? PLENTY * interval : busyTimeoutMs,
    maxDeliveries: random.int(1, 4),
    resumeMs: 0,
    listeners: hasPirates ? [...LISTENERS, ...serviceListeners(services[0])] : LISTENERS,
    limits: {
      services: tight([1, 2]),
      workers: tight([1, 3]),
      queuedRequests: tight([1, 4]),
      queuedBytes: tight([100, 600]),
      queuedRequestsPerService: tight([1, 3]),
      messageBytes: !isFair && random.chance(0.3) ? random.pick([20, 60, 200]) : PLENTY,
      frames: 256,
    },
  };
  const durationMs = interval * DURATION_INTERVALS;
  const restarts = !isFair && hasPirates && fork.chance(RESTART_CHANCE) ? fork.int(1, 3) : 0;
  const restartsAt = Array.from({ length: restarts }, () => fork.int(0, durationMs));
  const delayMaxMs = Math.floor(interval / random.pick([20, 4]));
  return {
    isFair,
    options,
    network: {
      delayMinMs: 0,
      delayMaxMs,
      noticeMaxMs: interval,
      outputBytesMax: !isFair && random.chance(0.3) ? random.pick([60, 150, 600]) : PLENTY,
    },
    shell: {
      batchMax: random.pick([1, 4, 50]),
      turnDelayMaxMs: random.pick([0, 2]),
      stallChance: isFair ? 0 : 0.01,
      stallMaxMs: interval * 6,
      readsAtOnce: random.chance(0.5),
    },
    services,
    durationMs,
    hasPirates,
    restartsAt,
    drains: !isFair && restarts === 0 && random.chance(DRAIN_CHANCE),
    stopsEarly: random.chance(0.5),
  };
}
