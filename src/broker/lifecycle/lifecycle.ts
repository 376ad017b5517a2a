/**
 * The life of a request for a worker service: accepted → queued → out at a worker → answered; or
 * requeued, expired, abandoned, dropped, refused (`request-ends.ts`).
 */
import { oneLine } from '../../core/escape.js';
import type { Frames } from '../../core/frames.js';
import { type Failure, failureLine, tooLargeFailure } from '../../wire/failure.js';
import type { Inbound } from '../../wire/inbound.js';
import type { Admission } from '../admission/admission.js';
import type { Limits } from '../admission/limits.js';
import type { BrokerCounters } from '../counters.js';
import type { BrokerEvents } from '../events.js';
import type { RequestTracer } from '../request-trace.js';
import type { Service, Worker } from '../state/entities.js';
import {
  ANSWERED,
  DELIVERIES,
  GIVEN_UP,
  HELD,
  LOST,
  OUT,
  QUEUED,
  REFERENCE,
  type RequestId,
  type RequestTable,
  SERVICE,
  SPOILED,
  STORED,
  STREAMED,
  VERSION_02,
} from '../state/request-table.js';
import type { RequestStore } from '../state/request-store.js';
import type { ServiceTable } from '../state/service-table.js';
import { deliveryBit, type LateReplyReason } from '../state/tokens.js';
import type { Workers } from '../state/workers.js';
import type { Deliveries } from './deliveries.js';
import { type DeliveryEnd, failed } from './delivery-end.js';
import type { Replies } from './replies.js';
import type { RequestEnds } from './request-ends.js';
import type { StoredDeliveries } from './stored-deliveries.js';

export interface LifecycleDeps {
  readonly maxDeliveries: number;
  readonly events: BrokerEvents;
  readonly counters: BrokerCounters;
  readonly tracer: RequestTracer;
  readonly table: RequestTable;
  readonly services: ServiceTable;
  readonly workers: Workers;
  readonly requests: RequestStore;
  readonly limits: Limits;
  readonly admission: Admission;
  readonly replies: Replies;
  readonly ends: RequestEnds;
  readonly deliveries: Deliveries;
  readonly stored: StoredDeliveries;
}

export class Lifecycle {
  readonly #maxDeliveries: number;
  readonly #events: BrokerEvents;
  readonly #counters: BrokerCounters;
  readonly #tracer: RequestTracer;
  readonly #table: RequestTable;
  readonly #services: ServiceTable;
  readonly #workers: Workers;
  readonly #requests: RequestStore;
  readonly #limits: Limits;
  readonly #admission: Admission;
  readonly #replies: Replies;
  readonly #ends: RequestEnds;
  readonly #deliveries: Deliveries;
  readonly #stored: StoredDeliveries;

  constructor(deps: LifecycleDeps) {
    this.#maxDeliveries = deps.maxDeliveries;
    this.#events = deps.events;
    this.#counters = deps.counters;
    this.#tracer = deps.tracer;
    this.#table = deps.table;
    this.#services = deps.services;
    this.#workers = deps.workers;
    this.#requests = deps.requests;
    this.#limits = deps.limits;
    this.#admission = deps.admission;
    this.#replies = deps.replies;
    this.#ends = deps.ends;
    this.#deliveries = deps.deliveries;
    this.#stored = deps.stored;
  }

  /** Queues a client's request that was admitted. */
  accept(id: RequestId, service: Service): void {
    const table = this.#table;
    this.#counters.requests.countReceived(service.counts);
    table.raise(id, QUEUED);
    table.set(id, SERVICE, service.id);
    if (this.#tracer.isOn) {
      this.#tracer.step(id, { name: 'request.received', service: service.shown });
    }
    service.queue.pushBack(id);
    this.#workers.schedule(service);
  }

  // ---------------------------------------------------------------- replies

  /** A reply (REPLY, FINAL) or PARTIAL from the worker that the request is out at. */
  replyOfHolder(id: RequestId, worker: Worker, inbound: Inbound, now: number): void {
    const table = this.#table;
    const final = inbound.kind === 'final';
    if (table.is(id, ANSWERED | GIVEN_UP)) {
      if (final) this.#replies.countDropped(this.#reasonOf(id));
    } else if (final) {
      this.#answer(id, inbound, now);
    } else {
      this.#partial(id, worker, inbound);
    }
    if (!final) return;
    this.#deliveries.takeBack(id, worker);
    this.#requests.release(id, table.is(id, GIVEN_UP) ? 'too_late' : 'answered');
  }

  /**
   * A reply or failure from a worker that was lost in silence (D8). A reply is used if it is
   * complete and the request is unanswered.
   * @param bit the bit of its delivery
   */
  replyOfLost(id: RequestId, bit: number, inbound: Inbound, now: number): void {
    const table = this.#table;
    if (inbound.kind === 'partial') {
      // Without this part, a FINAL that follows is incomplete.
      table.set(id, SPOILED, table.get(id, SPOILED) | bit);
      return;
    }
    if (table.is(id, ANSWERED)) {
      this.#replies.countDropped('answered');
    } else if (inbound.kind === 'fail') {
      // D61: the request is with another worker, or waits for one.
      this.#replies.countDropped('too_late');
    } else if (table.is(id, STREAMED | GIVEN_UP) || (table.get(id, SPOILED) & bit) !== 0) {
      this.#replies.countDropped('too_late');
    } else {
      this.#requests.partials.drop(id);
      this.#answer(id, inbound, now);
      if (table.is(id, OUT)) {
        table.raise(id, ANSWERED);
      } else if (table.is(id, QUEUED)) {
        const service = this.#requests.serviceOf(id);
        if (table.is(id, STORED)) this.#stored.unqueue(id, service);
        else service.queue.remove(id);
        this.#requests.release(id, 'answered');
        this.#services.releaseIfUnused(service);
      } else {
        this.#requests.release(id, 'answered');
      }
    }
  }

  /** Passes the reply on, preceded by the PARTIALs held for it. */
  #answer(id: RequestId, inbound: Inbound, now: number): void {
    const { frames, body } = inbound;
    const joined = this.#requests.partials.joined(id, frames, body);
    const fault = joined === null ? null : this.#limits.faultOfReplyWith(id, frames, body);
    if (fault !== null) this.#giveUp(id, fault, tooLargeFailure(fault));
    else if (joined === null) this.#passOn(id, frames, body, now);
    else this.#passOn(id, joined, 0, now);
  }

  #passOn(id: RequestId, frames: Frames, from: number, now: number): void {
    if (this.#table.is(id, STORED)) this.#stored.replied(id, frames, from);
    else this.#replies.reply(id, frames, from, now);
  }

  #partial(id: RequestId, worker: Worker, { frames, body }: Inbound): void {
    const table = this.#table;
    const requests = this.#requests;
    const { holder } = worker.peer.identity;
    const isStreamed = table.is(id, VERSION_02);
    const fault = isStreamed ? null : this.#limits.faultOfReplyWith(id, frames, body);
    if (isStreamed) {
      table.raise(id, STREAMED);
      const isSent = this.#replies.partial(id, frames, body);
      if (!isSent && requests.mayReturn(id)) {
        // The client would take the rest for the complete reply (D6, D26).
        this.#giveUp(id, 'its client was disconnected during a PARTIAL', null);
      }
    } else if (fault !== null) {
      requests.partials.drop(id);
      this.#giveUp(id, fault, tooLargeFailure(fault));
    } else if (this.#limits.isOverByPartial(id, frames, body, holder)) {
      requests.partials.drop(id);
      this.#giveUp(id, 'there is no room for the PARTIALs of its reply', null);
    } else {
      requests.partials.add(id, frames, body, holder);
      if (table.is(id, STORED)) this.#stored.progressed(id);
    }
  }

  /**
   * Abandons a request that is still out at its worker.
   * @param failure of one that no other worker could answer either
   */
  #giveUp(id: RequestId, reason: string, failure: Failure | null): void {
    if (this.#table.is(id, STORED)) this.#stored.spoiled(id, reason, failure);
    else this.#ends.abandon(id, reason, failure);
    this.#table.raise(id, GIVEN_UP);
  }

  /** Why the reply of a request that is answered or given up is dropped. */
  #reasonOf(id: RequestId): LateReplyReason {
    return this.#table.is(id, ANSWERED) ? 'answered' : 'too_late';
  }

  // ---------------------------------------------------------------- deliveries without a reply

  /**
   * The worker that the request is out at tried it and reports what went wrong (D60, D61, D63).
   * @param isPart more of its answer may follow, which is dropped (D100)
   */
  failureOfHolder(
    id: RequestId,
    worker: Worker,
    failure: Failure,
    now: number,
    isPart = false,
  ): void {
    const table = this.#table;
    if (isPart) this.#mayStillReply(id, true);
    if (table.is(id, ANSWERED | GIVEN_UP)) {
      this.#deliveries.takeBack(id, worker);
      const reason = this.#reasonOf(id);
      this.#replies.countDropped(reason);
      this.#requests.release(id, reason);
      return;
    }
    this.#reportFailure(id, worker, failure);
    if (table.is(id, STORED)) {
      this.#deliveries.takeBack(id, worker);
      this.#requests.partials.drop(id);
      this.#stored.failed(id, failureLine(failure), failure);
    } else if (failure.kind === 'retry' && !table.is(id, STREAMED)) {
      this.#requests.failures.keep(id, failure, worker.peer.identity.holder);
      this.giveBack(id, worker, failed(failureLine(failure)), now);
    } else {
      this.#deliveries.takeBack(id, worker);
      if (this.#tracer.isOn) this.#traceFailed(id, worker, failureLine(failure));
      if (failure.kind === 'retry') {
        this.#ends.abandon(id, 'its worker failed after a PARTIAL', failure);
        this.#requests.release(id, 'too_late');
      } else {
        this.#ends.fail(id, failure);
      }
    }
  }

  #reportFailure(id: RequestId, worker: Worker, { kind, code, text }: Failure): void {
    const { counts, shown: service } = worker.service;
    const { key, address } = worker.peer;
    const isKept = this.#table.is(id, STORED);
    // One of another broker is counted there, and is none of the stored requests of this node.
    const durable = isKept && this.#table.getTime(id, REFERENCE) >= 0;
    if (!isKept) this.#counters.requests.countFailed(counts, kind);
    this.#events.emit({
      name: 'request.failed',
      service,
      worker: worker.number,
      workerName: worker.name,
      kind,
      code,
      text: oneLine(text),
      durable,
      key,
      address,
    });
  }

  #traceFailed(id: RequestId, worker: Worker, text: string): void {
    const reason = oneLine(text);
    this.#tracer.step(id, { name: 'delivery.failed', worker: worker.number, reason });
  }

  /**
   * A worker no longer has the request (D6): it returns to the front of the queue, or ends.
   */
  giveBack(id: RequestId, worker: Worker, end: DeliveryEnd, now: number): void {
    const table = this.#table;
    const requests = this.#requests;
    const isStored = table.is(id, STORED);
    this.#deliveries.takeBack(id, worker);
    if (this.#tracer.isOn && !isStored) this.#traceFailed(id, worker, end.text);
    let delivery = table.get(id, DELIVERIES);
    if (end.cause === 'busy') table.set(id, DELIVERIES, --delivery);
    if (end.mayStillReply) this.#mayStillReply(id, table.is(id, HELD));
    requests.partials.drop(id);
    if (table.is(id, ANSWERED | GIVEN_UP)) {
      requests.release(id, this.#reasonOf(id));
    } else if (isStored) {
      if (end.cause === 'drained') this.#stored.interrupted(id);
      else this.#stored.failed(id, end.text, null);
    } else if (requests.isClientGone(id)) {
      this.#ends.drop(id);
    } else if (table.is(id, STREAMED)) {
      this.#ends.abandon(id, 'its worker was lost after a PARTIAL', requests.failures.of(id));
      requests.release(id, 'too_late');
    } else if (delivery >= this.#maxDeliveries) {
      const reported = requests.failures.of(id);
      const how =
        reported === null ? 'gave it back or was lost' : 'failed, gave it back or was lost';
      const often = delivery === 1 ? 'once, and' : `${delivery} times; each time`;
      const text = `it was delivered ${often} its worker ${how}`;
      this.#ends.abandon(id, text, reported);
      requests.release(id, 'too_late');
    } else if (this.#ends.isExpired(id, now)) {
      this.#ends.expire(id, now);
    } else if (this.#admission.closure !== null) {
      this.#ends.refuse(id, this.#admission.closure);
    } else {
      this.#requeue(id, worker, delivery, end);
    }
  }

  /** An answer to this delivery may come after its end. @param isSpoiled a part of it is missing */
  #mayStillReply(id: RequestId, isSpoiled: boolean): void {
    const table = this.#table;
    const bit = deliveryBit(table.get(id, DELIVERIES));
    table.set(id, LOST, table.get(id, LOST) | bit);
    if (isSpoiled) table.set(id, SPOILED, table.get(id, SPOILED) | bit);
  }

  #requeue(id: RequestId, worker: Worker, deliveries: number, { cause }: DeliveryEnd): void {
    const { service } = worker;
    this.#table.lower(id, OUT);
    this.#table.raise(id, QUEUED);
    service.queue.pushFront(id);
    this.#workers.schedule(service);
    if (cause === 'busy') return;
    this.#counters.requests.countRequeued(service.counts);
    this.#events.emit({ name: 'request.requeued', service: service.shown, deliveries });
  }
}
