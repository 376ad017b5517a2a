/** The kind of world that a seed makes: the broker's configuration, the network, the shell. */
import type { BrokerOptions } from '../../../src/broker/options.js';
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
  /** The broker drains before the end, and may then stop without waiting for busy workers. */
  readonly drains: boolean;
  readonly stopsEarly: boolean;
}

const PLENTY = 1_000_000;
const FAIR_CHANCE = 0.15;
const DRAIN_CHANCE = 0.2;
const DURATION_INTERVALS = 25;

/** Listener 0 is for all, 1 for clients, 2 for workers. */
const LISTENERS = [rules(true, true), rules(true, false), rules(false, true)];

export function weatherOf(random: SimRandom): Weather {
  const isFair = random.chance(FAIR_CHANCE);
  const interval = random.pick([20, 100, 1000]);
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
    listeners: LISTENERS,
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
    durationMs: interval * DURATION_INTERVALS,
    drains: !isFair && random.chance(DRAIN_CHANCE),
    stopsEarly: random.chance(0.5),
  };
}
