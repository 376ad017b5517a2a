/**
 * Workers that are lost while requests are out at them: these go back to the queue a slice at a time
 * (D103), and identities take turns. Until all of a service's are back, nothing is dispatched for it,
 * so that they keep their order (D6).
 */
import type { Worker } from '../state/entities.js';
import { NONE, OUT, type RequestId, type RequestTable, WORKER } from '../state/request-table.js';
import type { ServiceTable } from '../state/service-table.js';
import type { Workers } from '../state/workers.js';
import type { DeliveryEnd } from './delivery-end.js';
import type { Lifecycle } from './lifecycle.js';
import { type Slice, Turns } from './turns.js';

/** A lost worker, and how its deliveries end. */
interface Leaving {
  readonly worker: Worker;
  readonly end: DeliveryEnd;
}

export interface DeparturesDeps {
  readonly table: RequestTable;
  readonly services: ServiceTable;
  readonly workers: Workers;
  readonly lifecycle: Lifecycle;
  /** Requests that are given back at once in a turn, and that `run` gives back after it. */
  readonly budget: number;
}

export class Departures {
  readonly #table: RequestTable;
  readonly #services: ServiceTable;
  readonly #workers: Workers;
  readonly #lifecycle: Lifecycle;
  readonly #budget: number;
  /** What is left of the budget of this turn. */
  #left: number;
  readonly #leaving = new Turns<Leaving>();
  /** By the place of their requests. */
  readonly #byPlace = new Map<number, Leaving>();

  constructor(deps: DeparturesDeps) {
    this.#table = deps.table;
    this.#services = deps.services;
    this.#workers = deps.workers;
    this.#lifecycle = deps.lifecycle;
    this.#budget = deps.budget;
    this.#left = deps.budget;
  }

  /** The worker is no longer registered: what it holds goes back, now or in later turns. */
  leave(worker: Worker, end: DeliveryEnd, now: number): void {
    const { held, service } = worker;
    const leaving = { worker, end };
    if (held.count <= this.#left && service.leaving === 0) {
      this.#left -= this.#giveBack(leaving, held.count, now);
      return;
    }
    service.leaving++;
    this.#byPlace.set(worker.place, leaving);
    this.#leaving.add(worker.peer.identity, leaving);
  }

  /**
   * Something came for a request of a lost worker.
   * @returns false if it is none, or has gone back before
   */
  settle(id: RequestId, now: number): boolean {
    if (this.#byPlace.size === 0 || !this.#table.is(id, OUT)) return false;
    const leaving = this.#byPlace.get(this.#table.get(id, WORKER));
    if (leaving === undefined) return false;
    this.#lifecycle.giveBack(id, leaving.worker, leaving.end, now);
    return true;
  }

  /** The turn ends. @returns false if there is more to do */
  run(now: number): boolean {
    this.#left = this.#budget;
    return this.#leaving.run(this.#budget, (leaving, most) => this.#slice(leaving, most, now));
  }

  #slice(leaving: Leaving, most: number, now: number): Slice {
    const done = this.#giveBack(leaving, most, now);
    const isLast = leaving.worker.held.count === 0;
    if (isLast) this.#hasLeft(leaving.worker);
    return { done, isLast };
  }

  /** Gives back everything. */
  finish(now: number): void {
    while (!this.run(now));
  }

  #giveBack({ worker, end }: Leaving, most: number, now: number): number {
    let given = 0;
    for (; given < most && worker.held.tail !== NONE; given++) {
      this.#lifecycle.giveBack(worker.held.tail, worker, end, now);
    }
    return given;
  }

  #hasLeft(worker: Worker): void {
    const { service } = worker;
    this.#byPlace.delete(worker.place);
    service.leaving--;
    if (service.leaving > 0) return;
    this.#workers.schedule(service);
    this.#services.releaseIfUnused(service);
  }
}
