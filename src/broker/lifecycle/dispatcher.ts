/** Hands waiting requests to available workers. */
import type { Service, Worker } from '../state/entities.js';
import { BODY_BYTES, NONE, ONCE, type RequestId, STORED, TIMED } from '../state/request-table.js';
import type { BrokerData } from './broker-data.js';
import type { Deliveries } from './deliveries.js';
import type { RequestEnds } from './request-ends.js';
import type { StoredDeliveries } from './stored-deliveries.js';

/** So many requests that may run once, and which no other broker takes, are passed over in one turn of a service. */
const PASSED_OVER_MAX = 100;

export class Dispatcher {
  readonly #data: BrokerData;
  readonly #deliveries: Deliveries;
  readonly #storedDeliveries: StoredDeliveries;
  readonly #requestEnds: RequestEnds;
  /** How many more requests may be passed over in this turn, for all services. */
  #passesLeft = 0;

  constructor(
    data: BrokerData,
    deliveries: Deliveries,
    storedDeliveries: StoredDeliveries,
    requestEnds: RequestEnds,
  ) {
    this.#data = data;
    this.#deliveries = deliveries;
    this.#storedDeliveries = storedDeliveries;
    this.#requestEnds = requestEnds;
  }

  /**
   * Dispatches for all services with a waiting request and an available worker, oldest requests
   * first.
   * @param budget maximum number of requests to handle
   * @returns what is left of the budget
   */
  dispatch(now: number, budget: number): number {
    const { workers, services } = this.#data;
    let left = budget;
    const last: Service[] = [];
    this.#passesLeft = budget;
    for (const service of workers.takeDue()) {
      service.due = false;
      const [before, passes] = [left, this.#passesLeft];
      left = this.#dispatchFor(service, now, left);
      // The services that used up what is for all of them go last in the next turn.
      if ((before > 0 && left === 0) || this.#passesLeft < passes) last.push(service);
      else if (canTake(service)) workers.schedule(service);
      services.releaseIfUnused(service);
    }
    for (const service of last) if (canTake(service)) workers.schedule(service);
    return left;
  }

  /** Clients are not served: nothing is dispatched. */
  dispatchNothing(): void {
    for (const service of this.#data.workers.takeDue()) {
      service.due = false;
      this.#data.services.releaseIfUnused(service);
    }
  }

  #dispatchFor(service: Service, now: number, budget: number): number {
    const { table, output, workers } = this.#data;
    if (service.isHeld) return budget;
    let left = budget;
    for (; left > 0; left--) {
      const id = service.waiting.next();
      const worker = service.available.first();
      if (id === NONE) break;
      if (worker === null) return this.#dispatchAway(service, now, left);
      if (!output.takesRequest(worker.peer.id, table.get(id, BODY_BYTES))) {
        // D5: others get it; this one gets requests again when it has read what it was sent.
        worker.peer.full = true;
        workers.fullChanged(worker);
        continue;
      }
      if (table.is(id, STORED | TIMED) && this.#takeSpecial(id, service, worker, now)) continue;
      if (this.#endIfUnwanted(id, service, now)) continue;
      service.waiting.take(id);
      if (service.hasStored) this.#storedDeliveries.tookTurn(id, service);
      this.#deliveries.deliver(id, worker, now);
    }
    return left;
  }

  /** No worker here is available: plain requests go to other brokers that have one (D83). */
  #dispatchAway(service: Service, now: number, budget: number): number {
    const { interconnect, table } = this.#data;
    if (interconnect === null) return budget;
    let left = budget;
    let passedOver = 0;
    const { waiting } = service;
    for (let id = waiting.plain.head, next = id; left > 0 && id !== NONE; id = next) {
      next = waiting.plain.next(id);
      if (this.#requestEnds.isPastDeadline(id, now)) {
        waiting.remove(id);
        this.#requestEnds.expire(id, now);
        left--;
        continue;
      }
      if (this.#endIfUnwanted(id, service, now)) {
        left--;
        continue;
      }
      const isOnce = table.is(id, ONCE);
      const holder = service.remotes.pick(table.get(id, BODY_BYTES), isOnce);
      if (holder === null) {
        interconnect.wanted(service.name);
        // Other brokers may be older, and take only what is behind it. (This uses up no budget: the next turn could do
        // no more, so it is none that is due at once.)
        if (!isOnce || this.#passesLeft === 0 || ++passedOver > PASSED_OVER_MAX) break;
        this.#passesLeft--;
        continue;
      }
      left--;
      waiting.remove(id);
      this.#deliveries.deliver(id, holder, now);
    }
    return left;
  }

  /** Ends a waiting request that nobody waits for any more. */
  #endIfUnwanted(id: RequestId, service: Service, now: number): boolean {
    if (this.#data.requests.isClientGone(id)) {
      this.#requestEnds.dropQueued(id);
      return true;
    }
    if (!this.#requestEnds.hasTtlEnded(id, now)) return false;
    // Overdue: this happens when more requests expire than one turn handles.
    service.waiting.remove(id);
    this.#requestEnds.expire(id, now);
    return true;
  }

  /**
   * Dispatches a stored request, or ends one whose deadline has passed.
   * @returns false if it is dispatched like a plain one
   */
  #takeSpecial(id: RequestId, service: Service, worker: Worker, now: number): boolean {
    const { table } = this.#data;
    if (table.is(id, STORED)) {
      // The client waits at another broker, which ends it.
      if (this.#requestEnds.isPastDeadline(id, now)) {
        this.#storedDeliveries.handBackOne(id, service);
        return true;
      }
      service.waiting.take(id);
      this.#storedDeliveries.left(id, service);
      this.#deliveries.deliver(id, worker, now);
      this.#storedDeliveries.dispatched(id, worker);
      return true;
    }
    if (!this.#requestEnds.isPastDeadline(id, now)) return false;
    service.waiting.remove(id);
    this.#requestEnds.expire(id, now);
    return true;
  }
}

/** Whether a request that waits for the service can be dispatched. */
function canTake({ available, remotes, waiting, isHeld }: Service): boolean {
  if (isHeld) return false;
  if (available.first() !== null && waiting.next() !== NONE) return true;
  return remotes.hasFree && waiting.plain.head !== NONE;
}
