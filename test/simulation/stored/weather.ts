/** The kind of world of stored requests that a seed makes. */
import type { BrokerLimits, BrokerOptions } from '../../../src/broker/options.js';
import type { TitanicOptions } from '../../../src/titanic/machine/requests/options.js';
import type { SimRandom } from '../world/random.js';
import type { NodeWeather } from '../world/node.js';
import { rules } from '../../support/rights.js';
import { limitsOf } from './limits.js';

export const PLENTY = 1_000_000_000;
export const INTERVAL_MS = 100;
export const HOUR_MS = 3_600_000;
/** From 1970 to now is as far. */
const DECADES_MS = 50 * 365 * 24 * HOUR_MS;

/** They are never reached. */
export const ROOMY_LIMITS: BrokerLimits = {
  services: PLENTY,
  workers: PLENTY,
  queuedRequests: PLENTY,
  queuedBytes: PLENTY,
  queuedRequestsPerService: PLENTY,
  messageBytes: PLENTY,
  frames: 256,
};

/** A broker whose limits are never reached. */
export function roomyBroker(random: SimRandom): BrokerOptions {
  return {
    heartbeatIntervalMs: INTERVAL_MS,
    heartbeatLiveness: 3,
    requestTtlMs: 5000,
    busyTimeoutMs: random.pick([500, 2000]),
    maxDeliveries: random.int(1, 3),
    resumeMs: 0,
    listeners: [rules(true, true)],
    limits: ROOMY_LIMITS,
  };
}

/** @param isShort called for each time to live: whether to make it short */
export function roomyTitanic(random: SimRandom, isShort: () => boolean): TitanicOptions {
  const roomy = {
    maxAttempts: random.int(1, 4),
    retryBaseMs: random.pick([1, 50, 300]),
    retryMaxMs: 600,
    replyTtlMs: isShort() ? 3000 : PLENTY,
    requestTtlMs: isShort() ? 2000 : PLENTY,
    keyTtlMs: PLENTY,
    maxInFlight: random.pick([1, 3, 1000]),
    maxOpen: PLENTY,
    maxBytes: PLENTY,
  };
  return { ...roomy, inFlightBytes: roomy.maxInFlight === 3 ? 20 : PLENTY };
}

export function weatherOf(random: SimRandom): NodeWeather {
  const isFair = random.chance(0.1);
  const rare = (chance: number): boolean => !isFair && random.chance(chance);
  const hasCrashes = rare(0.6);
  const hasFailures = rare(0.4);
  const broker = roomyBroker(random);
  const messageBytes = rare(0.2) ? 100 : PLENTY;
  return {
    // Their messages are longer than others.
    ...(messageBytes === PLENTY ? { limits: limitsOf(random.fork(1)) } : {}),
    broker: { ...broker, limits: { ...broker.limits, messageBytes } },
    titanic: {
      ...roomyTitanic(random, () => rare(0.15)),
      maxOpen: rare(0.15) ? random.int(1, 5) : PLENTY,
      maxBytes: rare(0.1) ? 200 : PLENTY,
    },
    turnDelayMaxMs: random.pick([0, 2]),
    commitMaxMs: random.pick([0, 5, 200]),
    readMaxMs: random.pick([0, 5, 100]),
    crashAfterMax: hasCrashes ? random.pick([20, 100, 400]) : Infinity,
    failureChance: hasFailures ? random.pick([0.05, 0.4]) : 0,
    readFailureChance: hasFailures ? random.pick([0, 0.2]) : 0,
    fatalChance: rare(0.2) ? 0.02 : 0,
    downMaxMs: random.pick([1, 300]),
    wallJumpMs: rare(0.15) ? random.pick([2000, HOUR_MS, DECADES_MS]) : 0,
    ...{ mapPorts: null, mapBytesMax: Infinity },
  };
}
