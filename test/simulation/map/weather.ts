/** The kind of world of a map that a seed makes. */
import { PLENTY, roomyBroker, roomyTitanic } from '../stored/weather.js';
import type { NodeWeather } from '../world/node.js';
import type { SimRandom } from '../world/random.js';
import type { PortsOptions } from './ports.js';

export interface MapWeather extends NodeWeather {
  /** How often a world's clients are cut off. */
  readonly cuts: number;
}

const NOTICE_MAX_MS = 100;

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
  const weather = {
    mapPorts: portsOf(random, isFair),
    mapBytesMax: rare(0.1) ? 800 : PLENTY,
    turnDelayMaxMs: random.pick([0, 2]),
    commitMaxMs: random.pick([0, 5, 50, 300]),
    readMaxMs: random.pick([0, 5, 100]),
    crashAfterMax: rare(0.6) ? random.pick([30, 200, 1000]) : Infinity,
    downMaxMs: random.pick([1, 300, 1500]),
    failureChance: rare(0.3) ? random.pick([0.02, 0.2]) : 0,
    cuts: rare(0.4) ? random.int(1, 4) : 0,
    ...{ fatalChance: 0, wallJumpMs: 0, broker: roomyBroker(random) },
    titanic: roomyTitanic(random, () => false),
  };
  return { ...weather, readFailureChance: weather.failureChance };
}
