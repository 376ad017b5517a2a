/** Hands waiting requests to available workers. */
import type { Service, Worker } from '../state/entities.js';
import { BODY_BYTES, NONE, type RequestId, STORED, TIMED } from '../state/request-table.js';
import type { BrokerState } from './broker-state.js';

export class Dispatcher {
  readonly #state: BrokerState;

  constructor(state: BrokerState) {
    this.#state = state;
  }

  /**
   * Dispatches for all services with a waiting request and an available worker, oldest requests
   * first.
   * @param budget maximum number of requests to handle
   * @returns what is left of the budget
   */
  dispatch(now: number, budget: number): number {
    const { workers, services } = this.#state;
    let left = budget;
    let last: Service | null = null;
    for (const service of workers.takeDue()) {
      service.due = false;
      const before = left;
      left = this.#dispatchFor(service, now, left);
      // The service that used up the budget goes last in the next turn.
      if (before > 0 && left === 0) last = service;
      else if (canTake(service)) workers.schedule(service);
      services.releaseIfUnused(service);
    }
    if (last !== null && canTake(last)) workers.schedule(last);
    return left;
  }

  /** Clients are not served: nothing is dispatched. */
  dispatchNothing(): void {
    for (const service of this.#state.workers.takeDue()) {
      service.due = false;
      this.#state.services.releaseIfUnused(service);
    }
  }

  #dispatchFor(service: Service, now: number, budget: number): number {
    const { table, output, workers, deliveries } = this.#state;
    if (service.isHeld) return budget;
    let left = budget;
    for (; left > 0; left--) {
      const id = nextOf(service);
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
      if (this.#endIfDue(id, service, now)) continue;
      service.queue.remove(id);
      service.storedTurnsLeft = service.storedOfOthers > 0 ? service.storedTurns : 1;
      deliveries.deliver(id, worker, now);
    }
    return left;
  }

  /** No worker here is available: plain requests go to other brokers that have one (D83). */
  #dispatchAway(service: Service, now: number, budget: number): number {
    const { interconnect, ends, table, deliveries } = this.#state;
    if (interconnect === null) return budget;
    let left = budget;
    for (let id = service.queue.head; left > 0 && id !== NONE; id = service.queue.head) {
      left--;
      if (ends.isPastDeadline(id, now)) {
        service.queue.remove(id);
        ends.expire(id, now);
        continue;
      }
      if (this.#endIfDue(id, service, now)) continue;
      const holder = service.remotes.pick(table.get(id, BODY_BYTES));
      if (holder === null) {
        interconnect.wanted(service.name);
        break;
      }
      service.queue.remove(id);
      deliveries.deliver(id, holder, now);
    }
    return left;
  }

  /** Ends a waiting request that nobody waits for any more. */
  #endIfDue(id: RequestId, service: Service, now: number): boolean {
    const { ends, requests } = this.#state;
    if (requests.isClientGone(id)) {
      ends.dropQueued(id);
      return true;
    }
    if (!ends.hasTtlEnded(id, now)) return false;
    // Overdue: this happens when more requests expire than one turn handles.
    service.queue.remove(id);
    ends.expire(id, now);
    return true;
  }

  /**
   * Dispatches a stored request, or ends one whose deadline has passed.
   * @returns false if it is dispatched like a plain one
   */
  #takeSpecial(id: RequestId, service: Service, worker: Worker, now: number): boolean {
    const { table, ends, stored, deliveries } = this.#state;
    if (table.is(id, STORED)) {
      service.storedTurnsLeft--;
      // Its client waits at another broker, which ends it.
      if (ends.isPastDeadline(id, now)) {
        stored.handBackOne(id, service);
        return true;
      }
      stored.unqueue(id, service);
      deliveries.deliver(id, worker, now);
      stored.dispatched(id, worker);
      return true;
    }
    if (!ends.isPastDeadline(id, now)) return false;
    service.queue.remove(id);
    ends.expire(id, now);
    return true;
  }
}

/** Whether a request that waits for the service can be dispatched. */
function canTake({ available, remotes, queue, isHeld }: Service): boolean {
  if (isHeld) return false;
  return available.first() !== null || (remotes.hasFree && queue.count > 0);
}

/** The next request for the service. While both stored and plain ones wait, they take turns. */
function nextOf(service: Service): RequestId {
  const { queue, stored } = service;
  const takesStored = stored.count > 0 && (queue.count === 0 || service.storedTurnsLeft > 0);
  return takesStored ? stored.head : queue.head;
}
