/** The part of a world that stored requests play: clients, spies and workers, and what was promised to them. */
import type { Entry } from '../../../src/testing/memory-rows.js';
import type { Found, RequestUuid } from '../../../src/store/store.js';
import type { TitanicOptions } from '../../../src/titanic/machine/requests/options.js';
import type { Actor, Surroundings } from '../actors/line.js';
import { SimWorker } from '../actors/worker.js';
import type { SimClock } from '../world/clock.js';
import { hold } from '../world/failure.js';
import type { SimRandom } from '../world/random.js';
import { dialled, KEYS, workerHabits, type WorkersHere } from './cast.js';
import {
  DurableClient,
  type DurableHabits,
  type Job,
  type Pairing,
  type WallClock,
} from './durable-client.js';
import { Spy } from './spy.js';

export interface DurableWorld {
  readonly clock: SimClock;
  readonly wall: WallClock;
  readonly titanic: TitanicOptions;
  readonly workers: WorkersHere;
  /** A client begins within this time. */
  readonly startsWithinMs: number;
}

export class DurableStage {
  readonly clients: DurableClient[] = [];
  readonly #world: DurableWorld;
  readonly #alices: DurableClient[] = [];
  readonly #spies: Spy[] = [];
  readonly #workers: Actor[] = [];

  constructor(world: DurableWorld) {
    this.#world = world;
  }

  addClient(
    index: number,
    random: SimRandom,
    habits: DurableHabits,
    around: Surroundings,
    pairing?: Pairing,
  ): void {
    const { clock, wall, titanic, startsWithinMs } = this.#world;
    const name = `c${index}`;
    const key = KEYS[(index - 1) % KEYS.length] ?? null;
    const own = random.fork(100 + index);
    const client = new DurableClient(name, habits, around, dialled(name, key), own, wall, pairing);
    client.ttlMs = Math.min(titanic.requestTtlMs, titanic.replyTtlMs);
    this.clients.push(client);
    if (key === 'alice') this.#alices.push(client);
    clock.after(random.int(0, startsWithinMs), () => client.start());
  }

  /** One with another key, and one without a key. */
  addSpies(
    random: SimRandom,
    at: number,
    node: string,
    aroundOf: (own: SimRandom) => Surroundings,
    isPaired: boolean,
  ): void {
    for (const [place, key] of ['bob', null].entries()) {
      const name = `spy${place}${node}`;
      const own = random.fork(300 + at + place);
      const line = dialled(name, key);
      const spy = new Spy(name, aroundOf(own), line, own, this.#alices, isPaired);
      this.#spies.push(spy);
      spy.start();
    }
  }

  /** @param only the service of a good worker */
  addWorker(name: string, random: SimRandom, around: Surroundings, only?: string): void {
    const habits = workerHabits(random, this.#world.workers, only);
    const own = random.fork(200 + this.#workers.length);
    const worker = new SimWorker(name, habits, around, dialled(name), own);
    this.#workers.push(worker);
    worker.start();
  }

  /** The faults are over: good workers take the place of those that were there. */
  heal(addWorkers: (service: string, index: number) => void): void {
    for (const spy of this.#spies) spy.leave();
    for (const worker of this.#workers.splice(0)) worker.leave();
    for (const [index, service] of this.#world.workers.services.entries()) {
      addWorkers(service, index);
    }
  }

  /** @param found what the store says at last */
  check(
    rows: readonly Entry[],
    find: (uuid: RequestUuid) => Found,
    look: (job: Job, found: Found) => void = () => undefined,
  ): void {
    const bodies = new Set(rows.map(({ body }) => body.toString('latin1', 2)));
    for (const client of this.clients) {
      for (const body of client.refused) {
        hold(!bodies.has(body), `${body} was answered 500 and is kept (D12)`);
      }
      for (const job of client.jobs) {
        if (job.uuid === null) continue;
        const found = find(Buffer.from(job.uuid, 'hex'));
        const isGone = found.state === 'absent' || found.state === 'closed';
        hold(!job.closed || isGone, `${job.name} was closed and is still there`);
        const mayBeGone = job.closeAsked || client.isOver(job);
        hold(mayBeGone || !isGone, `${job.name} was acknowledged and is lost`);
        const isDead = job.shown === 'reply' && found.state === 'dead';
        hold(!isDead, `${job.name} was replied, and is dead`);
        look(job, found);
      }
    }
  }
}
