/**
 * Workers that are lost while requests are out at them: these go back to the queue a slice at a time
 * (D103), and identities take turns. Until all of a service's are back, nothing is dispatched for it,
 * so that they keep their order (D6).
 */
import type { Worker } from '../state/entities.js';
import { NONE, OUT, type RequestId, WORKER } from '../state/request-table.js';
import type { BrokerData } from './broker-data.js';
import type { DeliveryEnd } from './delivery-end.js';
import type { Lifecycle } from './lifecycle.js';
import { RUN_BUDGET, type Slice, Turns } from './turns.js';

/** A lost worker, and how its deliveries end. */
interface Leaving {
  readonly worker: Worker;
  readonly end: DeliveryEnd;
}

export class Departures {
  readonly #data: BrokerData;
  readonly #lifecycle: Lifecycle;
  /** What is left of the budget of this turn. */
  #left = RUN_BUDGET;
  readonly #leaving = new Turns<Leaving>();
  /** Workers that leave, by the place of their requests. */
  readonly #byPlace = new Map<number, Leaving>();

  constructor(data: BrokerData, lifecycle: Lifecycle) {
    this.#data = data;
    this.#lifecycle = lifecycle;
  }

  /** Gives back what a worker holds that is no longer registered, now or in later turns. */
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
    const { table } = this.#data;
    if (this.#byPlace.size === 0 || !table.is(id, OUT)) return false;
    const leaving = this.#byPlace.get(table.get(id, WORKER));
    if (leaving === undefined) return false;
    this.#lifecycle.giveBack(id, leaving.worker, leaving.end, now);
    return true;
  }

  /** The turn ends. @returns false if there is more to do */
  run(now: number): boolean {
    this.#left = RUN_BUDGET;
    return this.#leaving.run(RUN_BUDGET, (leaving, most) => this.#slice(leaving, most, now));
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
    this.#data.workers.schedule(service);
    this.#data.services.releaseIfUnused(service);
  }
}
