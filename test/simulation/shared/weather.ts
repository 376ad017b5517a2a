/** The kind of fleet, and of faults, that a seed makes. */
import { INTERVAL_MS, roomyBroker, roomyTitanic } from '../stored/weather.js';
import type { SimRandom } from '../world/random.js';
import type { NodeWeather } from './node.js';
import type { LinkWeather } from './sim-tables.js';

const HOUR_MS = 3_600_000;

/** How often each fault occurs in a world. */
export interface Events {
  /** The database is away, for a short time or for longer than a lease. */
  readonly outages: number;
  /** One broker cannot reach it, in silence. */
  readonly cuts: number;
  /** A broker is paused. */
  readonly pauses: number;
  readonly kills: number;
  /** Somebody keeps rows of requests locked. */
  readonly lockers: number;
  /** A trigger refuses some requests. */
  readonly refusals: number;
}

export interface SharedWeather extends NodeWeather {
  readonly brokers: number;
  readonly events: Events;
  readonly link: LinkWeather;
  /** See `SharedDatabase`. */
  readonly abortChance: number;
  readonly postponeChance: number;
  /** Of each broker. */
  readonly wallOffsetsMs: readonly number[];
}

/** No fault hinders a broker. */
export function isCalm({ events, link, crashAfterMax, abortChance }: SharedWeather): boolean {
  const hasEvents = Object.values(events).some((times: number) => times > 0);
  return (
    !hasEvents &&
    abortChance === 0 &&
    link.breakChance === 0 &&
    link.breaksEvery === Infinity &&
    crashAfterMax === Infinity
  );
}

export function weatherOf(random: SimRandom): SharedWeather {
  const isFair = random.chance(0.05);
  const rare = (chance: number): boolean => !isFair && random.chance(chance);
  const some = (chance: number, most: number): number => (rare(chance) ? random.int(1, most) : 0);
  const brokers = random.int(2, 4);
  return {
    brokers,
    events: {
      outages: some(0.5, 3),
      cuts: some(0.4, 4),
      pauses: some(0.6, 6),
      kills: some(0.5, 4),
      lockers: some(0.4, 6),
      refusals: some(0.2, 2),
    },
    link: {
      delayMaxMs: random.pick([1, 5, 30]),
      breaksEvery: rare(0.2) ? random.int(3, 60) : Infinity,
      breakChance: rare(0.5) ? random.pick([0.01, 0.05]) : 0,
      cutChance: random.pick([0, 0.2]),
      standbyMaxMs: random.pick([10, 500, 2000]),
    },
    broker: roomyBroker(random),
    titanic: roomyTitanic(random, () => rare(0.1)),
    abortChance: rare(0.2) ? random.pick([0.02, 0.2]) : 0,
    postponeChance: random.pick([0, 0.5, 1]),
    leaseMs: random.pick([600, 1200]),
    storeTimeoutMs: random.pick([200, 800]),
    turnDelayMaxMs: random.pick([0, 2]),
    crashAfterMax: rare(0.2) ? random.pick([200, 2000]) : Infinity,
    downMaxMs: random.pick([5 * INTERVAL_MS, 2000]),
    moveChance: 0.3,
    wallOffsetsMs: Array.from({ length: brokers }, () => random.int(-1, 1) * HOUR_MS),
  };
}
