/** One world from one seed: its actors live and leave, and nothing is left behind. */
import type { SimClient } from '../actors/client.js';
import type { Actor, Surroundings } from '../actors/line.js';
import type { SimPlainClient } from '../actors/plain-client.js';
import { Tally } from '../actors/tally.js';
import { BrokerNode, type Sabotage } from './broker-node.js';
import { Cast } from './cast.js';
import { SimClock } from './clock.js';
import { hold } from './failure.js';
import { SimNetwork } from './network.js';
import { SimRandom } from './random.js';
import { Trace } from './trace.js';
import { type Weather, weatherOf } from './weather.js';

/** Which part of a seed's world to run: for shrinking a failure. */
export interface Cut {
  /** Numbers of actors to leave out. */
  readonly without: ReadonlySet<number>;
}

export const WHOLE: Cut = { without: new Set() };

const SETTLE_INTERVALS = 100;
/** During which everyone who can be served is served. */
const SERVED_INTERVALS = 1000;
const STEP_INTERVALS = 4;
const ROOMY_BYTES = 600;
const ENDED_BY_STOP = ['workers', 'requestsOut'];
const FIRST_ACTOR = 100;
const FIRST_HEALER = 1000;

export class World {
  readonly tally = new Tally();
  readonly trace: Trace;
  /** Number of actors that the seed makes, including those left out. */
  readonly people: number;
  readonly #clock = new SimClock();
  readonly #random: SimRandom;
  readonly #weather: Weather;
  readonly #broker: BrokerNode;
  readonly #network: Surroundings['network'];
  readonly #cast: Cast;
  readonly #actors: Actor[] = [];

  constructor(seed: number, cut: Cut, isTraced: boolean, sabotage: Sabotage | null = null) {
    this.#random = new SimRandom(seed);
    this.trace = new Trace(isTraced);
    this.#weather = weatherOf(this.#random.fork(1));
    const { options, shell, network } = this.#weather;
    const clock = this.#clock;
    const random = this.#random.fork(2);
    const { trace, tally } = this;
    this.#broker = new BrokerNode(options, shell, clock, random, trace, tally, sabotage);
    this.#network = new SimNetwork(clock, network, this.#broker);
    const around: Surroundings = {
      clock,
      network: this.#network,
      trace: this.trace,
      tally: this.tally,
      heartbeatIntervalMs: options.heartbeatIntervalMs,
      tokens: [],
    };
    this.#cast = new Cast(this.#weather, around);
    const roles = this.#cast.roles(this.#random.fork(3));
    this.people = roles.length;
    for (const [index, role] of roles.entries()) {
      const random = this.#random.fork(FIRST_ACTOR + index);
      const actor = role(random);
      const startAt = random.int(0, Math.floor(this.#weather.durationMs / 3));
      if (cut.without.has(index)) continue;
      this.#actors.push(actor);
      clock.at(startAt, () => actor.start());
    }
  }

  run(): void {
    const { durationMs, isFair, drains } = this.#weather;
    if (drains) this.#drain();
    for (const at of this.#weather.restartsAt) {
      this.#clock.at(at, () => {
        this.tally.fault('broker restarts');
        this.#network.endAll();
        this.#broker.restart();
      });
    }
    this.#clock.runUntil(durationMs);
    if (isFair) this.#allAnswered();
    else this.#everyoneLeaves();
    if (!drains) this.#healed();
    this.#everyoneLeaves();
    this.#nothingIsLeft();
  }

  #drain(): void {
    const { durationMs, stopsEarly } = this.#weather;
    const drainAt = this.#random.int(0, durationMs);
    const stopAt = this.#random.int(drainAt, durationMs);
    this.#clock.at(drainAt, () => {
      this.tally.fault('broker drains');
      this.#broker.drain();
    });
    if (!stopsEarly) return;
    this.#clock.at(stopAt, () => {
      this.tally.fault('broker stops');
      this.#broker.stop();
    });
  }

  /** A patient client of a service with a live worker is always answered. */
  #allAnswered(): void {
    const { clients: mdp, plainClients } = this.#cast;
    const clients = [...mdp, ...plainClients].filter((each) => this.#actors.includes(each));
    this.#serve(clients, 'though nothing ever went wrong');
  }

  /** Whatever happened, new workers and clients are served normally. */
  #healed(): void {
    if (!isRoomy(this.#weather)) return;
    const { clients, plainClients } = this.#cast;
    const [before, plainBefore] = [clients.length, plainClients.length];
    for (const [index, role] of this.#cast.healers().entries()) {
      const actor = role(this.#random.fork(FIRST_HEALER + index));
      this.#actors.push(actor);
      actor.start();
    }
    const patient = [...clients.slice(before), ...plainClients.slice(plainBefore)];
    this.#serve(patient, 'though the faults are over');
  }

  #serve(clients: readonly (SimClient | SimPlainClient)[], though: string): void {
    const { heartbeatIntervalMs: interval } = this.#weather.options;
    for (let waited = 0; waited < SERVED_INTERVALS; waited += STEP_INTERVALS) {
      if (clients.every(({ isSatisfied }) => isSatisfied)) return;
      this.#clock.runUntil(this.#clock.now + interval * STEP_INTERVALS);
    }
    const hungry = clients.find(({ isSatisfied }) => !isSatisfied);
    hold(hungry === undefined, `${hungry?.name ?? ''} is not answered, ${though}`);
  }

  #everyoneLeaves(): void {
    const { options } = this.#weather;
    const { heartbeatIntervalMs, requestTtlMs, busyTimeoutMs } = options;
    for (const actor of this.#actors) actor.leave();
    this.#actors.length = 0;
    const pause = heartbeatIntervalMs * SETTLE_INTERVALS;
    this.#clock.runUntil(this.#clock.now + pause);
    this.#network.noticeAll();
    this.#clock.runUntil(this.#clock.now + pause);
    this.#clock.runUntil(this.#clock.now + requestTtlMs + busyTimeoutMs + pause);
  }

  #nothingIsLeft(): void {
    const { load } = this.#broker;
    const { drains, stopsEarly } = this.#weather;
    for (const [what, count] of Object.entries(load)) {
      // When a broker stops at once, waiting requests end with the process.
      if (drains && stopsEarly && !ENDED_BY_STOP.includes(what)) continue;
      hold(count === 0, `${what} are ${String(count)} when all is over`);
    }
  }
}

/** True if its limits admit clients and workers when no others are there. */
function isRoomy({ options, services, network }: Weather): boolean {
  const { limits } = options;
  return (
    limits.workers >= services.length &&
    limits.services >= services.length &&
    limits.queuedRequests > 2 * services.length &&
    limits.queuedRequestsPerService > 2 &&
    limits.queuedBytes >= ROOMY_BYTES &&
    network.outputBytesMax >= ROOMY_BYTES
  );
}
