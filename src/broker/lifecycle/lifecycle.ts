/**
 * The life of a request for a worker service: accepted → queued → out at a worker → answered; or
 * requeued, expired, abandoned, dropped, refused (`request-ends.ts`).
 */
import { oneLine } from '../../core/escape.js';
import type { Frames } from '../../core/frames.js';
import type { MemoryAccount } from '../../core/holdings.js';
import { type Failure, codedReason, tooLargeFailure } from '../../wire/failure.js';
import type { Inbound } from '../../wire/inbound.js';
import { isProgress } from '../../wire/progress.js';
import type { Service, Worker } from '../state/entities.js';
import {
  ANSWERED,
  BRIDGED,
  DELIVERIES,
  GIVEN_UP,
  LOST,
  ONCE,
  OUT,
  QUEUED,
  type RequestId,
  SPOILED,
  STORED,
  STREAMED,
  VERSION_02,
} from '../state/request-table.js';
import { deliveryBit, type LateReplyReason } from '../state/tokens.js';
import type { BrokerData } from './broker-data.js';
import type { Deliveries } from './deliveries.js';
import { type DeliveryEnd, failed, outcomeUnknown } from './delivery-end.js';
import type { Replies } from './replies.js';
import type { RequestEnds } from './request-ends.js';
import type { StoredDeliveries } from './stored-deliveries.js';

const NO_ROOM =
  'there is no room for the PARTIALs of its reply: limits.queuedBytes or limits.memoryBytes is reached';

export class Lifecycle {
  readonly #data: BrokerData;
  readonly #replies: Replies;
  readonly #deliveries: Deliveries;
  readonly #storedDeliveries: StoredDeliveries;
  readonly #requestEnds: RequestEnds;

  constructor(
    data: BrokerData,
    replies: Replies,
    deliveries: Deliveries,
    storedDeliveries: StoredDeliveries,
    requestEnds: RequestEnds,
  ) {
    this.#data = data;
    this.#replies = replies;
    this.#deliveries = deliveries;
    this.#storedDeliveries = storedDeliveries;
    this.#requestEnds = requestEnds;
  }

  /** Queues a client's request that was admitted. */
  accept(id: RequestId, service: Service): void {
    const { table, counters, tracer, workers } = this.#data;
    counters.requests.countReceived(service.counts);
    table.raise(id, QUEUED);
    if (tracer.isOn) {
      tracer.step(id, { name: 'request.received', service: service.shown });
    }
    service.waiting.push(id);
    this.#storedDeliveries.plainWaits(service);
    workers.schedule(service);
  }

  // ---------------------------------------------------------------- replies

  /** A reply (REPLY, FINAL) or PARTIAL from the worker that the request is out at. */
  replyOfWorker(id: RequestId, worker: Worker, inbound: Inbound, now: number): void {
    const { table, requests } = this.#data;
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
    requests.release(id, table.is(id, GIVEN_UP) ? 'too_late' : 'answered');
  }

  /**
   * A reply or failure from a worker that was lost in silence (D8). A reply is used if it is
   * complete and the request is unanswered.
   * @param bit the bit of its delivery
   */
  replyOfLostWorker(id: RequestId, bit: number, inbound: Inbound, now: number): void {
    const { table, requests, services } = this.#data;
    if (inbound.kind === 'partial') {
      if (isProgress(inbound.frames, inbound.body)) return;
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
      requests.partials.drop(id);
      this.#answer(id, inbound, now);
      if (table.is(id, OUT)) {
        this.#deliveries.cancel(id, ANSWERED);
      } else if (table.is(id, QUEUED)) {
        const service = requests.serviceOf(id);
        if (table.is(id, STORED)) this.#storedDeliveries.unqueue(id, service);
        else service.waiting.remove(id);
        requests.release(id, 'answered');
        services.releaseIfUnused(service);
      } else {
        requests.release(id, 'answered');
      }
    }
  }

  /** Passes the reply on, preceded by the PARTIALs held for it. */
  #answer(id: RequestId, { frames, body }: Inbound, now: number): void {
    const { table, requests, limits } = this.#data;
    const joined = requests.partials.joined(id, frames, body);
    // Another broker is sent the PARTIALs one by one.
    const isOne = joined !== null && !table.is(id, BRIDGED);
    const fault = isOne ? limits.faultOfReplyWith(id, frames, body) : null;
    if (fault !== null) {
      this.#reportSpoiled(id, fault, tooLargeFailure(fault));
      table.raise(id, GIVEN_UP);
      return;
    }
    const from = joined === null ? body : 0;
    if (table.is(id, STORED)) this.#storedDeliveries.replied(id, joined ?? frames, from);
    else this.#replies.reply(id, joined ?? frames, from, now);
  }

  #partial(id: RequestId, worker: Worker, { frames, body }: Inbound): void {
    const { table, requests, limits } = this.#data;
    const { memory } = worker.peer.identity;
    if (isProgress(frames, body)) {
      this.#progress(id, frames, body, memory);
      return;
    }
    const isStreamed = table.is(id, VERSION_02);
    const isOne = !table.is(id, VERSION_02 | BRIDGED);
    const fault = isOne ? limits.faultOfReplyWith(id, frames, body) : null;
    if (isStreamed) {
      table.raise(id, STREAMED);
      const isSent = this.#replies.partial(id, frames, body);
      if (!isSent && requests.mayReturn(id)) {
        // The client would take the rest for the complete reply (D6, D26).
        this.#giveUp(id, 'its client was disconnected during a PARTIAL', null);
      }
    } else if (fault !== null) {
      this.#giveUp(id, fault, tooLargeFailure(fault));
    } else if (limits.isOverByPartial(id, frames, body, memory)) {
      this.#giveUp(id, NO_ROOM, null);
    } else {
      requests.partials.add(id, frames, body, memory);
      if (table.is(id, STORED)) this.#storedDeliveries.progressed(id);
    }
  }

  /** The reply is whole without it: what finds no room, or no client, is dropped. */
  #progress(id: RequestId, frames: Frames, body: number, memory: MemoryAccount): void {
    const { table, requests, limits } = this.#data;
    if (table.is(id, VERSION_02)) {
      this.#replies.partial(id, frames, body);
    } else if (table.is(id, STORED) && !limits.isOverByProgress(id, frames, body, memory)) {
      requests.partials.add(id, frames, body, memory);
      this.#storedDeliveries.progressed(id);
    }
  }

  /**
   * Abandons a request that is still out at its worker.
   * @param failure of one that no other worker could answer either
   */
  #giveUp(id: RequestId, reason: string, failure: Failure | null): void {
    this.#reportSpoiled(id, reason, failure);
    this.#deliveries.cancel(id, GIVEN_UP);
  }

  #reportSpoiled(id: RequestId, reason: string, failure: Failure | null): void {
    const isStored = this.#data.table.is(id, STORED);
    if (isStored) this.#storedDeliveries.spoiled(id, reason, failure);
    else this.#requestEnds.abandon(id, reason, failure);
  }

  /** Why the reply of a request that is answered or given up is dropped. */
  #reasonOf(id: RequestId): LateReplyReason {
    return this.#data.table.is(id, ANSWERED) ? 'answered' : 'too_late';
  }

  // ---------------------------------------------------------------- deliveries without a reply

  /**
   * The worker that the request is out at tried it and reports what went wrong (D60, D61, D63).
   * @param isPart more of its answer may follow, which is dropped (D100)
   */
  failureOfWorker(
    id: RequestId,
    worker: Worker,
    reported: Failure,
    now: number,
    isPart = false,
  ): void {
    const { table, requests, tracer } = this.#data;
    if (isPart) this.#mayStillReply(id, true);
    if (table.is(id, ANSWERED | GIVEN_UP)) {
      this.#deliveries.takeBack(id, worker);
      const reason = this.#reasonOf(id);
      this.#replies.countDropped(reason);
      requests.release(id, reason);
      return;
    }
    const isLast = reported.kind === 'retry' && table.is(id, ONCE);
    const failure: Failure = isLast ? { ...reported, kind: 'error' } : reported;
    this.#reportFailure(id, worker, failure);
    if (table.is(id, STORED)) {
      this.#deliveries.takeBack(id, worker);
      requests.partials.drop(id);
      this.#storedDeliveries.failed(id, codedReason(failure), failure);
    } else if (failure.kind === 'retry' && !table.is(id, STREAMED)) {
      requests.failures.keep(id, failure, worker.peer.identity.memory);
      this.giveBack(id, worker, failed(codedReason(failure)), now);
    } else {
      this.#deliveries.takeBack(id, worker);
      if (tracer.isOn) this.#traceFailed(id, worker, codedReason(failure));
      if (failure.kind === 'retry') {
        this.#requestEnds.abandon(id, 'its worker failed after a PARTIAL', failure);
        requests.release(id, 'too_late');
      } else {
        this.#requestEnds.fail(id, failure);
      }
    }
  }

  #reportFailure(id: RequestId, worker: Worker, { kind, code, text }: Failure): void {
    const { table, counters, events } = this.#data;
    const { counts, shown: service } = worker.service;
    const { key, address } = worker.peer;
    const isStored = table.is(id, STORED);
    // A request of another broker is counted there, and is none of the stored requests of this node.
    const durable = isStored && !table.is(id, BRIDGED);
    if (!isStored) counters.requests.countFailed(counts, kind);
    events.emit({
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
    this.#data.tracer.step(id, { name: 'delivery.failed', worker: worker.number, reason });
  }

  /**
   * A worker no longer has the request (D6): it returns to the front of the queue, or ends.
   */
  giveBack(id: RequestId, worker: Worker, end: DeliveryEnd, now: number): void {
    const { table, requests, tracer, options, admission } = this.#data;
    const isStored = table.is(id, STORED);
    this.#deliveries.takeBack(id, worker);
    const isOver = table.is(id, ANSWERED | GIVEN_UP);
    if (tracer.isOn && !isStored && !isOver) this.#traceFailed(id, worker, end.text);
    let delivery = table.get(id, DELIVERIES);
    // A worker that leaves gets it no more, so this does not go on for ever.
    const isUncounted = end.isUnbegun && (end.cause === 'busy' || worker.isLeaving);
    if (isUncounted) table.set(id, DELIVERIES, --delivery);
    if (end.isUnbegun) table.lower(id, OUT);
    const isPartly = (requests.partials.of(id)?.frames ?? 0) > 0;
    if (end.mayStillReply) this.#mayStillReply(id, isPartly);
    requests.partials.drop(id);
    if (isOver) {
      requests.release(id, this.#reasonOf(id));
    } else if (isStored) {
      // What is of another broker has run here: that one decides what becomes of it.
      const isInterrupted = end.cause === 'drained' && !table.is(id, BRIDGED);
      if (isInterrupted || isUncounted) this.#storedDeliveries.interrupted(id);
      else this.#storedDeliveries.failed(id, end.text, null);
    } else if (requests.isClientGone(id)) {
      this.#requestEnds.drop(id);
    } else if (table.is(id, ONCE) && (!end.isUnbegun || table.is(id, STREAMED))) {
      this.#requestEnds.endUnknown(id, worker, outcomeUnknown(worker, end));
    } else if (table.is(id, STREAMED)) {
      this.#requestEnds.abandon(
        id,
        'its worker was lost after a PARTIAL',
        requests.failures.of(id),
      );
      requests.release(id, 'too_late');
    } else if (delivery >= options.maxDeliveries) {
      const reported = requests.failures.of(id);
      let how = 'failed, gave it back or was lost';
      if (table.is(id, ONCE)) how = 'gave it back before it began';
      else if (reported === null) how = 'gave it back or was lost';
      const often = delivery === 1 ? 'once, and' : `${delivery} times; each time`;
      const text = `it was delivered ${often} its worker ${how}`;
      this.#requestEnds.abandon(id, text, reported);
      requests.release(id, 'too_late');
    } else if (this.#requestEnds.isExpired(id, now)) {
      this.#requestEnds.expire(id, now);
    } else if (admission.closure !== null) {
      this.#requestEnds.refuse(id, admission.closure);
    } else {
      this.#requeue(id, worker, delivery, end);
    }
  }

  /** An answer to this delivery may come after its end. @param isSpoiled a part of it is missing */
  #mayStillReply(id: RequestId, isSpoiled: boolean): void {
    const { table } = this.#data;
    const bit = deliveryBit(table.get(id, DELIVERIES));
    table.set(id, LOST, table.get(id, LOST) | bit);
    if (isSpoiled) table.set(id, SPOILED, table.get(id, SPOILED) | bit);
  }

  #requeue(id: RequestId, worker: Worker, deliveries: number, { cause }: DeliveryEnd): void {
    const { table, workers, counters, events } = this.#data;
    const { service } = worker;
    table.lower(id, OUT);
    table.raise(id, QUEUED);
    service.waiting.pushFront(id);
    workers.schedule(service);
    if (cause === 'busy') return;
    const reason = cause === 'returned' || cause === 'failed' ? 'returned' : 'lost';
    counters.requests.countRequeued(service.counts, reason);
    events.emit({ name: 'request.requeued', service: service.shown, reason, deliveries });
  }
}
