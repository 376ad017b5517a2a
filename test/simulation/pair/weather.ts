/** The kind of pair and world that a seed makes. */
import type { ReplicationMode } from '../../../src/bstar/facts.js';
import type { Config } from '../../../src/config/config.js';
import { loadConfig } from '../../../src/config/io/load.js';
import { portsOf } from '../map/weather.js';
import { limitsOf } from '../stored/limits.js';
import { HOUR_MS, INTERVAL_MS, roomyBroker, roomyTitanic } from '../stored/weather.js';
import type { NodeSabotage, NodeWeather } from '../world/node.js';
import { SimRandom } from '../world/random.js';

/** How many worlds have a map. */
const MAP_CHANCE = 0.25;

const BASE = loadConfig({ hostName: 'simulated', environment: {} }).config;

/** The faults of the pair: a few times each, and how often in a world. */
export interface Events {
  readonly crashes: number;
  /** The node that does not serve crashes, and returns. */
  readonly returns: number;
  readonly pauses: number;
  readonly cuts: number;
  readonly isolations: number;
  readonly switchovers: number;
  readonly promotions: number;
  /** What the map's writers send to one node stands still, and arrives much later. */
  readonly stalls: number;
}

export interface PairWorldWeather extends NodeWeather {
  readonly config: Config;
  readonly epochMaxMs: number;
  readonly replication: ReplicationMode;
  readonly events: Events;
  readonly linkDelayMaxMs: number;
}

/** Breaks the wiring of a correct pair, to verify that the simulation detects it. */
export interface PairSabotage extends NodeSabotage {
  /** The weather in which the fault shows soon. */
  weather?(weather: PairWorldWeather): PairWorldWeather;
}

export function weatherOf(random: SimRandom): PairWorldWeather {
  const isFair = random.chance(0.05);
  const rare = (chance: number): boolean => !isFair && random.chance(chance);
  const replication = random.pick<ReplicationMode>(['sync', 'sync', 'sync', 'strict', 'async']);
  const some = (chance: number, most: number): number => (rare(chance) ? random.int(1, most) : 0);
  const hasFailures = rare(0.3);
  const events = {
    crashes: some(0.7, 4),
    returns: 0,
    pauses: some(0.4, 4),
    cuts: some(0.5, 5),
    isolations: some(0.2, 2),
    switchovers: some(0.3, 3),
    promotions: some(0.1, 2),
    stalls: 0,
  };
  const linkDelayMaxMs = random.pick([0, 5, 30]);
  const broker = roomyBroker(random);
  const titanic = { ...BASE.titanic, replication, ...roomyTitanic(random, () => rare(0.1)) };
  const bstar = { ...BASE.bstar, heartbeatIntervalMs: INTERVAL_MS };
  const weather = {
    ...{ replication, events, linkDelayMaxMs, broker, titanic },
    config: { ...BASE, bstar, titanic },
    turnDelayMaxMs: random.pick([0, 2]),
    commitMaxMs: random.pick([0, 5, 50, 300]),
    readMaxMs: random.pick([0, 5, 100]),
    epochMaxMs: random.pick([0, 5, 250]),
    crashAfterMax: rare(0.3) ? random.pick([50, 300, 1500]) : Infinity,
    failureChance: hasFailures ? random.pick([0.02, 0.2]) : 0,
    fatalChance: rare(0.1) ? 0.01 : 0,
    downMaxMs: random.pick([1, 300, 1500]),
    wallJumpMs: rare(0.15) ? random.pick([2000, HOUR_MS]) : 0,
    mapPorts: random.fork(1).chance(MAP_CHANCE) ? portsOf(random.fork(2), isFair) : null,
    mapBytesMax: Infinity,
    limits: limitsOf(random.fork(3)),
  };
  return { ...weather, readFailureChance: weather.failureChance };
}

const NO_EVENTS: Events = {
  crashes: 0,
  returns: 0,
  pauses: 0,
  cuts: 0,
  isolations: 0,
  switchovers: 0,
  promotions: 0,
  stalls: 0,
};

/** Neither node has faults, although disks and links are slow and a node is away at times. */
export function calmed(weather: PairWorldWeather): PairWorldWeather {
  const events = { ...NO_EVENTS, returns: 2 };
  const never = { failureChance: 0, readFailureChance: 0, fatalChance: 0 };
  return { ...weather, events, crashAfterMax: Infinity, ...never };
}

/** Neither node dies, but links between them are cut, and those of the map's writers stand still. */
export function parted(weather: PairWorldWeather): PairWorldWeather {
  const events = { ...NO_EVENTS, cuts: 3, stalls: 6 };
  return mapped({ ...calmed(weather), events });
}

/** The nodes have a map. */
export function mapped(weather: PairWorldWeather): PairWorldWeather {
  return { ...weather, mapPorts: weather.mapPorts ?? portsOf(new SimRandom(1), false) };
}

/** Neither node has a reason to take over. */
export function isCalm(weather: PairWorldWeather): boolean {
  const { events, crashAfterMax, failureChance, fatalChance } = weather;
  const { returns, ...others } = events;
  const isEventless = returns >= 0 && Object.values(others).every((times) => times === 0);
  return isEventless && crashAfterMax === Infinity && failureChance === 0 && fatalChance === 0;
}
