/** The ends of accepted requests that get no reply: expired, abandoned, refused, dropped. */
import { present } from '../../core/assert.js';
import type { Failure } from '../../wire/failure.js';
import type { Refusal } from '../admission/refusal.js';
import type { BrokerCounters } from '../counters.js';
import type { BrokerEvents } from '../events.js';
import type { RequestEnd, RequestTracer } from '../request-trace.js';
import type { Service } from '../state/entities.js';
import {
  ARRIVED_AT,
  DELIVERIES,
  NONE,
  QUEUED,
  type RequestId,
  type RequestTable,
  STORED,
  TIMED,
} from '../state/request-table.js';
import type { RequestStore } from '../state/request-store.js';
import type { ServiceTable } from '../state/service-table.js';
import type { Replies } from './replies.js';

export interface RequestEndsDeps {
  readonly requestTtlMs: number;
  readonly events: BrokerEvents;
  readonly counters: BrokerCounters;
  readonly tracer: RequestTracer;
  readonly table: RequestTable;
  readonly requests: RequestStore;
  readonly services: ServiceTable;
  readonly replies: Replies;
}

export class RequestEnds {
  readonly #requestTtlMs: number;
  readonly #events: BrokerEvents;
  readonly #counters: BrokerCounters;
  readonly #tracer: RequestTracer;
  readonly #table: RequestTable;
  readonly #requests: RequestStore;
  readonly #services: ServiceTable;
  readonly #replies: Replies;

  constructor(deps: RequestEndsDeps) {
    this.#requestTtlMs = deps.requestTtlMs;
    this.#events = deps.events;
    this.#counters = deps.counters;
    this.#tracer = deps.tracer;
    this.#table = deps.table;
    this.#requests = deps.requests;
    this.#services = deps.services;
    this.#replies = deps.replies;
  }

  // ---------------------------------------------------------------- requests that wait

  /**
   * Expires waiting requests whose time to live is over.
   * @returns what is left of the budget
   */
  expireDue(now: number, budget: number): number {
    const { byArrival, deadlines } = this.#requests;
    let left = budget;
    while (left > 0 && deadlines.earliest <= now) {
      const id = deadlines.pop();
      // One that is out at a worker expires if the worker gives it back.
      const isPlain = !this.#table.is(id, STORED);
      if (isPlain && this.#table.is(id, QUEUED)) this.#expireQueued(id, now);
      left--;
    }
    while (left > 0) {
      const id = byArrival.head;
      if (id === NONE || !this.hasTtlEnded(id, now)) break;
      if (this.#table.is(id, QUEUED)) {
        this.#expireQueued(id, now);
      } else {
        // It is out at a worker, which may take its time. It expires if the worker gives it back.
        byArrival.remove(id);
      }
      left--;
    }
    return left;
  }

  /** When the next request expires; Infinity for never. */
  nextDueAt(): number {
    const { byArrival, deadlines } = this.#requests;
    const id = byArrival.head;
    if (id === NONE) return Infinity;
    return Math.min(this.#table.getTime(id, ARRIVED_AT) + this.#requestTtlMs, deadlines.earliest);
  }

  /**
   * While clients are not served, no request waits: all are refused.
   * @returns what is left of the budget
   */
  refuseWaiting(refusal: Refusal, budget: number): number {
    let left = budget;
    for (const service of this.#services.all()) {
      for (let id = service.queue.head; id !== NONE && left > 0; id = service.queue.head) {
        service.queue.remove(id);
        this.refuse(id, refusal);
        left--;
      }
      this.#services.releaseIfUnused(service);
      if (left === 0) break;
    }
    return left;
  }

  refuseQueued(id: RequestId, refusal: Refusal): void {
    const service = this.#unqueue(id);
    this.refuse(id, refusal);
    this.#services.releaseIfUnused(service);
  }

  dropQueued(id: RequestId): void {
    const service = this.#unqueue(id);
    this.drop(id);
    this.#services.releaseIfUnused(service);
  }

  #expireQueued(id: RequestId, now: number): void {
    const service = this.#unqueue(id);
    this.expire(id, now);
    this.#services.releaseIfUnused(service);
  }

  #unqueue(id: RequestId): Service {
    const service = this.#requests.serviceOf(id);
    service.queue.remove(id);
    return service;
  }

  // ---------------------------------------------------------------- requests in no queue

  isExpired(id: RequestId, now: number): boolean {
    return this.hasTtlEnded(id, now) || this.isPastDeadline(id, now);
  }

  /** Whether it has waited for `broker.requestTtlMs`. */
  hasTtlEnded(id: RequestId, now: number): boolean {
    return this.#table.getTime(id, ARRIVED_AT) + this.#requestTtlMs <= now;
  }

  /** Whether its client no longer waits for a reply (D68). */
  isPastDeadline(id: RequestId, now: number): boolean {
    return this.#table.is(id, TIMED) && this.#requests.deadlines.of(id) <= now;
  }

  expire(id: RequestId, now: number): void {
    const { counts, shown } = this.#requests.serviceOf(id);
    this.#traceEnd(id, 'expired');
    this.#counters.requests.countExpired(counts);
    const waitedMs = Math.round(now - this.#table.getTime(id, ARRIVED_AT));
    this.#events.emit({ name: 'request.expired', service: shown, waitedMs });
    this.#replies.sendRefusal(id, '408', 'no worker took it within its time to live');
    this.#requests.release(id, 'too_late');
  }

  /** The client no longer gets a reply, or will not return for it (D26). */
  drop(id: RequestId): void {
    const { counts, shown } = this.#requests.serviceOf(id);
    this.#traceEnd(id, 'dropped');
    this.#counters.requests.countDropped(counts);
    this.#events.emit({ name: 'request.dropped', service: shown, reason: 'client_gone' });
    this.#requests.release(id, 'too_late');
  }

  refuse(id: RequestId, refusal: Refusal): void {
    const { counts, shown } = this.#requests.serviceOf(id);
    this.#traceEnd(id, 'refused');
    const client = present(this.#requests.clientOf(id), 'a plain request has a client');
    this.#replies.countRefused(refusal, shown, counts, client);
    this.#replies.sendRefusal(id, refusal.status, refusal.text);
    this.#requests.release(id, 'too_late');
  }

  /**
   * The caller releases the request, or has it wait for its worker.
   * @param failure what the client gets instead of `reason`, if there is one
   */
  abandon(id: RequestId, reason: string, failure: Failure | null): void {
    const { counts, shown: service } = this.#requests.serviceOf(id);
    this.#traceEnd(id, 'abandoned');
    this.#counters.requests.countAbandoned(counts);
    const deliveries = this.#table.get(id, DELIVERIES);
    this.#events.emit({ name: 'request.abandoned', service, deliveries, reason });
    if (failure === null) this.#replies.sendRefusal(id, '502', reason);
    else this.#replies.sendFailure(id, failure);
  }

  /** A worker failed on it, and it is not tried again (D61). */
  fail(id: RequestId, failure: Failure): void {
    this.#traceEnd(id, 'failed');
    this.#replies.sendFailure(id, failure);
    this.#requests.release(id, 'answered');
  }

  #traceEnd(id: RequestId, outcome: RequestEnd): void {
    if (this.#tracer.isOn) this.#tracer.step(id, { name: 'request.ended', outcome });
  }
}
