/** The kind of world of a map that a seed makes. */
import type { SimRandom } from '../world/random.js';
import type { PortsOptions } from './ports.js';

export interface MapWeather {
  readonly ports: PortsOptions;
  /** `limits.mapBytes`. */
  readonly bytesMax: number;
  readonly turnDelayMaxMs: number;
  readonly commitMaxMs: number;
  readonly readMaxMs: number;
  /** Maximum number of effects from the start of a process to its crash; Infinity: no crash. */
  readonly crashAfterMax: number;
  readonly downMaxMs: number;
  readonly failureChance: number;
  /** How often a world's clients are cut off. */
  readonly cuts: number;
}

const NOTICE_MAX_MS = 100;
const PLENTY = 1_000_000_000;

export function portsOf(random: SimRandom, isFair: boolean): PortsOptions {
  return {
    delayMinMs: 0,
    delayMaxMs: random.pick([0, 5, 30]),
    noticeMaxMs: NOTICE_MAX_MS,
    subscriberBytesMax: !isFair && random.chance(0.2) ? 500 : PLENTY,
  };
}

export function weatherOf(random: SimRandom): MapWeather {
  const isFair = random.chance(0.1);
  const rare = (chance: number): boolean => !isFair && random.chance(chance);
  return {
    ports: portsOf(random, isFair),
    bytesMax: rare(0.1) ? 800 : PLENTY,
    turnDelayMaxMs: random.pick([0, 2]),
    commitMaxMs: random.pick([0, 5, 50, 300]),
    readMaxMs: random.pick([0, 5, 100]),
    crashAfterMax: rare(0.6) ? random.pick([30, 200, 1000]) : Infinity,
    downMaxMs: random.pick([1, 300, 1500]),
    failureChance: rare(0.3) ? random.pick([0.02, 0.2]) : 0,
    cuts: rare(0.4) ? random.int(1, 4) : 0,
  };
}
