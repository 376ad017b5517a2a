/** Hands waiting requests to available workers. */
import type { OutputRoom } from '../options.js';
import type { Interconnect } from '../ports.js';
import type { Service, Worker } from '../state/entities.js';
import {
  BODY_BYTES,
  NONE,
  type RequestId,
  type RequestTable,
  STORED,
  TIMED,
} from '../state/request-table.js';
import type { RequestStore } from '../state/request-store.js';
import type { ServiceTable } from '../state/service-table.js';
import type { Workers } from '../state/workers.js';
import type { Deliveries } from './deliveries.js';
import type { RequestEnds } from './request-ends.js';
import type { StoredDeliveries } from './stored-deliveries.js';

export interface DispatcherDeps {
  readonly output: OutputRoom;
  readonly table: RequestTable;
  readonly services: ServiceTable;
  readonly workers: Workers;
  readonly requests: RequestStore;
  readonly ends: RequestEnds;
  readonly deliveries: Deliveries;
  readonly stored: StoredDeliveries;
}

export class Dispatcher {
  readonly #output: OutputRoom;
  readonly #table: RequestTable;
  readonly #services: ServiceTable;
  readonly #workers: Workers;
  readonly #requests: RequestStore;
  readonly #ends: RequestEnds;
  readonly #deliveries: Deliveries;
  readonly #stored: StoredDeliveries;
  #interconnect: Interconnect | null = null;

  constructor(deps: DispatcherDeps) {
    this.#output = deps.output;
    this.#table = deps.table;
    this.#services = deps.services;
    this.#workers = deps.workers;
    this.#requests = deps.requests;
    this.#ends = deps.ends;
    this.#deliveries = deps.deliveries;
    this.#stored = deps.stored;
  }

  /** Requests may be sent to other brokers from now on. */
  connect(interconnect: Interconnect): void {
    this.#interconnect = interconnect;
  }

  /**
   * Dispatches for all services with a waiting request and an available worker, oldest requests
   * first.
   * @param budget maximum number of requests to handle
   * @returns what is left of the budget
   */
  dispatch(now: number, budget: number): number {
    const workers = this.#workers;
    let left = budget;
    let last: Service | null = null;
    for (const service of workers.takeDue()) {
      service.due = false;
      const before = left;
      left = this.#dispatchFor(service, now, left);
      // The service that used up the budget goes last in the next turn.
      if (before > 0 && left === 0) last = service;
      else if (canTake(service)) workers.schedule(service);
      this.#services.releaseIfUnused(service);
    }
    if (last !== null && canTake(last)) workers.schedule(last);
    return left;
  }

  /** Clients are not served: nothing is dispatched. */
  dispatchNothing(): void {
    for (const service of this.#workers.takeDue()) {
      service.due = false;
      this.#services.releaseIfUnused(service);
    }
  }

  #dispatchFor(service: Service, now: number, budget: number): number {
    const table = this.#table;
    if (service.leaving > 0) return budget;
    let left = budget;
    for (; left > 0; left--) {
      const id = nextOf(service);
      const worker = service.available.first();
      if (id === NONE) break;
      if (worker === null) return this.#dispatchAway(service, now, left);
      if (!this.#output.takesRequest(worker.peer.id, table.get(id, BODY_BYTES))) {
        // D5: others get it; this one gets requests again when it has read what it was sent.
        worker.peer.full = true;
        this.#workers.fullChanged(worker);
        continue;
      }
      if (table.is(id, STORED | TIMED) && this.#takeSpecial(id, service, worker, now)) continue;
      if (this.#endIfDue(id, service, now)) continue;
      service.queue.remove(id);
      service.storedTurnsLeft = service.storedOfOthers > 0 ? service.storedTurns : 1;
      this.#deliveries.deliver(id, worker, now);
    }
    return left;
  }

  /** No worker here is available: plain requests go to other brokers that have one (D83). */
  #dispatchAway(service: Service, now: number, budget: number): number {
    const interconnect = this.#interconnect;
    if (interconnect === null) return budget;
    let left = budget;
    for (let id = service.queue.head; left > 0 && id !== NONE; id = service.queue.head) {
      left--;
      if (this.#ends.isPastDeadline(id, now)) {
        service.queue.remove(id);
        this.#ends.expire(id, now);
        continue;
      }
      if (this.#endIfDue(id, service, now)) continue;
      const holder = service.remotes.pick(this.#table.get(id, BODY_BYTES));
      if (holder === null) {
        interconnect.wanted(service.name);
        break;
      }
      service.queue.remove(id);
      this.#deliveries.deliver(id, holder, now);
    }
    return left;
  }

  /** Ends a waiting request that nobody waits for any more. */
  #endIfDue(id: RequestId, service: Service, now: number): boolean {
    if (this.#requests.isClientGone(id)) {
      this.#ends.dropQueued(id);
      return true;
    }
    if (!this.#ends.hasTtlEnded(id, now)) return false;
    // Overdue: this happens when more requests expire than one turn handles.
    service.queue.remove(id);
    this.#ends.expire(id, now);
    return true;
  }

  /**
   * Dispatches a stored request, or ends one whose deadline has passed.
   * @returns false if it is dispatched like a plain one
   */
  #takeSpecial(id: RequestId, service: Service, worker: Worker, now: number): boolean {
    if (this.#table.is(id, STORED)) {
      service.storedTurnsLeft--;
      // Its client waits at another broker, which ends it.
      if (this.#ends.isPastDeadline(id, now)) {
        this.#stored.handBackOne(id, service);
        return true;
      }
      this.#stored.unqueue(id, service);
      this.#deliveries.deliver(id, worker, now);
      this.#stored.dispatched(id, worker);
      return true;
    }
    if (!this.#ends.isPastDeadline(id, now)) return false;
    service.queue.remove(id);
    this.#ends.expire(id, now);
    return true;
  }
}

/** Whether a request that waits for the service can be dispatched. */
function canTake({ available, remotes, queue, leaving }: Service): boolean {
  if (leaving > 0) return false;
  return available.first() !== null || (remotes.hasFree && queue.count > 0);
}

/** The next request for the service. While both stored and plain ones wait, they take turns. */
function nextOf(service: Service): RequestId {
  const { queue, stored } = service;
  const takesStored = stored.count > 0 && (queue.count === 0 || service.storedTurnsLeft > 0);
  return takesStored ? stored.head : queue.head;
}
