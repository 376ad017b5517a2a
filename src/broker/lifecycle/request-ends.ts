/** The ends of accepted requests that get no reply: expired, abandoned, refused, dropped. */
import { present } from '../../core/assert.js';
import { EXPIRY_WORDS, type ExpiryReason } from '../../core/failure-words.js';
import type { Failure } from '../../wire/failure.js';
import { NO_WORKER, type Refusal } from '../admission/refusal.js';
import type { RequestEnd } from '../request-trace.js';
import type { Service, Worker } from '../state/entities.js';
import {
  ANSWERED,
  ARRIVED_AT,
  DELIVERIES,
  GIVEN_UP,
  GROUPED,
  NONE,
  ONCE,
  OUT,
  QUEUED,
  type RequestId,
  STORED,
  STREAMED,
  TIMED,
} from '../state/request-table.js';
import type { BrokerData } from './broker-data.js';
import type { Deliveries } from './deliveries.js';
import type { Replies } from './replies.js';

/** After this time it is looked again whether anybody serves a request whose client does not want to wait. */
const LOOK_AGAIN_MS = 1000;

export class RequestEnds {
  readonly #data: BrokerData;
  readonly #replies: Replies;
  readonly #deliveries: Deliveries;

  constructor(data: BrokerData, replies: Replies, deliveries: Deliveries) {
    this.#data = data;
    this.#replies = replies;
    this.#deliveries = deliveries;
  }

  // ---------------------------------------------------------------- requests that wait

  /**
   * Expires waiting requests whose time to live is over, and refuses those that nobody serves.
   * @returns what is left of the budget
   */
  expireDue(now: number, budget: number): number {
    const { requests, table } = this.#data;
    const { byArrival, deadlines, unserved } = requests;
    let left = budget;
    for (; left > 0 && unserved.earliest <= now; left--) this.#refuseUnserved(unserved.pop(), now);
    while (left > 0 && deadlines.earliest <= now) {
      const id = deadlines.pop();
      // A request that is out at a worker expires if the worker gives it back.
      const isPlain = !table.is(id, STORED);
      if (isPlain && table.is(id, QUEUED)) this.#expireQueued(id, now);
      left--;
    }
    while (left > 0) {
      const id = byArrival.head;
      if (id === NONE || !this.hasTtlEnded(id, now)) break;
      if (table.is(id, QUEUED)) {
        this.#expireQueued(id, now);
      } else {
        // The worker that has it may take its time. The request expires if it is given back.
        byArrival.remove(id);
      }
      left--;
    }
    return left;
  }

  /** When the next request expires; Infinity for never. */
  nextDueAt(): number {
    const { requests, table, options } = this.#data;
    const { byArrival, deadlines, unserved } = requests;
    const id = byArrival.head;
    if (id === NONE) return Infinity;
    const expiresAt = table.getTime(id, ARRIVED_AT) + options.requestTtlMs;
    return Math.min(expiresAt, deadlines.earliest, unserved.earliest);
  }

  /**
   * While clients are not served, no request waits: all are refused.
   * @returns what is left of the budget
   */
  refuseWaiting(refusal: Refusal, budget: number): number {
    const { services } = this.#data;
    let left = budget;
    for (const service of services.all()) {
      const { waiting } = service;
      for (const id of waiting.allPlain()) {
        if (left === 0) break;
        waiting.remove(id);
        this.refuse(id, refusal);
        left--;
      }
      services.releaseIfUnused(service);
      if (left === 0) break;
    }
    return left;
  }

  /** A request whose client did not want to wait (D65), unless a worker of its service might have been coming. */
  #refuseUnserved(id: RequestId, now: number): void {
    const { requests, table, absence, interconnect } = this.#data;
    requests.unserved.drop(id);
    const { name, workers, remotes } = requests.serviceOf(id);
    const certainAt = absence.certainAt(name);
    // Other brokers get no request with a group.
    const isGrouped = table.is(id, GROUPED);
    const isServed = workers.size + (isGrouped ? 0 : remotes.size) > 0;
    const found = (isGrouped ? null : interconnect?.seek(name)) ?? 'absent';
    if (!isServed && certainAt <= now && found === 'absent') {
      this.refuseQueued(id, NO_WORKER);
      return;
    }
    const { identity } = present(requests.clientOf(id), 'a plain request has a client');
    requests.unserved.keep(id, Math.max(certainAt, now + LOOK_AGAIN_MS), identity.memory);
  }

  refuseQueued(id: RequestId, refusal: Refusal): void {
    const service = this.#unqueue(id);
    this.refuse(id, refusal);
    this.#data.services.releaseIfUnused(service);
  }

  dropQueued(id: RequestId): void {
    const service = this.#unqueue(id);
    this.drop(id);
    this.#data.services.releaseIfUnused(service);
  }

  #expireQueued(id: RequestId, now: number): void {
    const service = this.#unqueue(id);
    this.expire(id, now);
    this.#data.services.releaseIfUnused(service);
  }

  #unqueue(id: RequestId): Service {
    const service = this.#data.requests.serviceOf(id);
    service.waiting.remove(id);
    return service;
  }

  // ---------------------------------------------------------------- requests in no queue

  isExpired(id: RequestId, now: number): boolean {
    return this.hasTtlEnded(id, now) || this.isPastDeadline(id, now);
  }

  /** Whether it has waited for `broker.requestTtlMs`. */
  hasTtlEnded(id: RequestId, now: number): boolean {
    return this.#data.table.getTime(id, ARRIVED_AT) + this.#data.options.requestTtlMs <= now;
  }

  /** Whether its client no longer waits for a reply (D68). */
  isPastDeadline(id: RequestId, now: number): boolean {
    return this.#data.table.is(id, TIMED) && this.#data.requests.deadlines.of(id) <= now;
  }

  expire(id: RequestId, now: number): void {
    const { requests, counters, table, events } = this.#data;
    const { counts, shown } = requests.serviceOf(id);
    this.#traceEnd(id, 'expired');
    counters.requests.countExpired(counts);
    const waitedMs = Math.round(now - table.getTime(id, ARRIVED_AT));
    const held = this.#whyHeld(id, now);
    const reason = held === null ? this.#whyUnanswered(id) : 'limited';
    events.emit({ name: 'request.expired', service: shown, waitedMs, reason });
    const words = EXPIRY_WORDS[reason];
    this.#replies.sendRefusal(id, '408', held === null ? words : `${words}: ${held}`);
    requests.release(id, 'too_late');
  }

  /** Which limit keeps it from starting; `null`: none does, or it has other reasons to wait. */
  #whyHeld(id: RequestId, now: number): string | null {
    const { requests, table } = this.#data;
    const { isPaused, workers, waiting } = requests.serviceOf(id);
    if (waiting.limits === null || isPaused || workers.size === 0 || table.is(id, OUT)) return null;
    return waiting.whyHeld(waiting.groupOf(id).toString('latin1'), now);
  }

  #whyUnanswered(id: RequestId): ExpiryReason {
    const { requests, table } = this.#data;
    const { isPaused, workers, remotes } = requests.serviceOf(id);
    if (isPaused) return 'paused';
    // A worker that gave back what it may run once did not begin it (D117).
    const isUnbegun = table.is(id, ONCE) && !table.is(id, OUT);
    if (table.get(id, DELIVERIES) > 0 && !isUnbegun) return 'no_answer';
    const elsewhere = table.is(id, GROUPED) ? 0 : remotes.size;
    return workers.size + elsewhere === 0 ? 'no_worker' : 'workers_busy';
  }

  /** The client no longer gets a reply, or will not return for it (D26). */
  drop(id: RequestId): void {
    const { requests, counters, events } = this.#data;
    const { counts, shown } = requests.serviceOf(id);
    this.#traceEnd(id, 'dropped');
    counters.requests.countDropped(counts, 'client_gone');
    const waited = this.#whyUnanswered(id);
    events.emit({ name: 'request.dropped', service: shown, reason: 'client_gone', waited });
    requests.release(id, 'too_late');
  }

  /** Ends a plain request whose answer its client does not want any more (D106). */
  cancel(id: RequestId): void {
    const { requests, counters, table, events } = this.#data;
    if (table.is(id, ANSWERED | GIVEN_UP)) return;
    const service = table.is(id, QUEUED) ? this.#unqueue(id) : requests.serviceOf(id);
    this.#traceEnd(id, 'cancelled');
    const reason = table.is(id, STREAMED) ? 'left' : 'cancelled';
    counters.requests.countDropped(service.counts, reason);
    const waited = this.#whyUnanswered(id);
    events.emit({ name: 'request.dropped', service: service.shown, reason, waited });
    if (table.is(id, OUT)) {
      this.#deliveries.cancel(id, GIVEN_UP);
      return;
    }
    requests.release(id, 'too_late');
    this.#data.services.releaseIfUnused(service);
  }

  refuse(id: RequestId, refusal: Refusal): void {
    const { requests } = this.#data;
    const { counts, shown } = requests.serviceOf(id);
    this.#traceEnd(id, 'refused');
    const client = present(requests.clientOf(id), 'a plain request has a client');
    this.#replies.countRefused(refusal, shown, counts, client);
    this.#replies.sendRefusal(id, refusal.status, refusal.text);
    requests.release(id, 'too_late');
  }

  /**
   * The caller releases the request, or has it wait for its worker.
   * @param failure what the client gets instead of `reason`, if there is one
   */
  abandon(id: RequestId, reason: string, failure: Failure | null): void {
    const { requests, counters, table, events } = this.#data;
    const { counts, shown: service } = requests.serviceOf(id);
    this.#traceEnd(id, 'abandoned');
    counters.requests.countAbandoned(counts);
    const deliveries = table.get(id, DELIVERIES);
    events.emit({ name: 'request.abandoned', service, deliveries, reason });
    if (failure === null) this.#replies.sendRefusal(id, '502', reason);
    else this.#replies.sendFailure(id, failure);
  }

  /**
   * The worker that had it did not answer, and no other may run it (D117).
   * @param reason what is known
   */
  endUnknown(id: RequestId, worker: Worker, reason: string): void {
    const { requests, counters, events } = this.#data;
    const { counts, shown: service } = worker.service;
    this.#traceEnd(id, 'outcome_unknown');
    counters.requests.countUnknown(counts);
    events.emit({ name: 'request.outcome_unknown', service, reason });
    this.#replies.sendRefusal(id, '520', reason);
    requests.release(id, 'too_late');
  }

  /** A worker failed on it, and it is not tried again (D61). */
  fail(id: RequestId, failure: Failure): void {
    this.#traceEnd(id, 'failed');
    this.#replies.sendFailure(id, failure);
    this.#data.requests.release(id, 'answered');
  }

  #traceEnd(id: RequestId, outcome: RequestEnd): void {
    const { tracer } = this.#data;
    if (tracer.isOn) tracer.step(id, { name: 'request.ended', outcome });
  }
}
