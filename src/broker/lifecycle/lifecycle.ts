/**
 * The life of a request: accepted → queued → out at a worker → answered; or requeued, expired,
 * abandoned, dropped, refused. (For internal services: accepted → answered.)
 */
import { assert, present } from '../../core/assert.js';
import { Frames } from '../../core/frames.js';
import { escapeName, oneLine } from '../../core/escape.js';
import { type Failure, failureLine } from '../../wire/failure.js';
import type { Inbound } from '../../wire/inbound.js';
import { EMPTY } from '../../wire/mdp.js';
import type { Absence } from '../admission/absence.js';
import type { RequestRefusal } from '../counters.js';
import type { RequestEnd } from '../request-trace.js';
import { type Closure, type Admission, NOT_ACTIVE } from '../admission/admission.js';
import type { Ledger, LedgerDeps, RefusalReply } from '../ledger.js';
import type { BrokerOptions } from '../options.js';
import {
  ANSWERED,
  ARRIVED_AT,
  DELIVERIES,
  DISPATCHED_AT,
  FLAGS,
  GIVEN_UP,
  HELD,
  INTERNAL,
  LOST,
  NONE,
  OUT,
  QUEUED,
  recordAt,
  type RequestId,
  RequestList,
  SERVICE,
  SPOILED,
  STORED,
  STREAMED,
  VERSION_02,
  WORKER,
} from '../state/request-table.js';
import type { Client, Peer, Service, Worker } from '../state/entities.js';
import type { StoredDeliveries } from './stored-deliveries.js';
import { deliveryBit } from '../state/tokens.js';
import type { Workers } from '../state/workers.js';

/** What the lifecycle works on. All of it belongs to one `Broker`. */
export interface LifecycleDeps extends LedgerDeps {
  readonly options: BrokerOptions;
  readonly ledger: Ledger;
  readonly admission: Admission;
  readonly workers: Workers;
  readonly stored: StoredDeliveries;
  readonly absence: Absence;
}

const NO_WORKER: RefusalReply = { status: '404', text: 'no worker serves it' };
const EXPIRED: RefusalReply = { status: '408', text: 'no worker took it within its time to live' };

/** How a delivery ended without a reply that counts. */
export interface DeliveryEnd {
  /** `lost` with its worker; `drained`: this process shuts down; `returned`, `failed`: the worker said so. */
  readonly kind: 'lost' | 'drained' | 'returned' | 'failed';
  /** The worker did not say so itself, and may still send its reply (D8). */
  readonly isSilent: boolean;
  /** For the history of a stored request. */
  readonly reason: string;
}

export class Lifecycle {
  readonly #deps: LifecycleDeps;
  /** Requests that have been out for less than `busyTimeoutMs`, in order of dispatch (D5). */
  readonly #byDispatch: RequestList;
  #out = 0;

  constructor(deps: LifecycleDeps) {
    this.#deps = deps;
    this.#byDispatch = RequestList.byDispatch(deps.table);
  }

  /** Requests out at workers. */
  get out(): number {
    return this.#out;
  }

  // ---------------------------------------------------------------- arrival

  /** Accepts a client's request for a worker service, or refuses it because of a limit. */
  accept(inbound: Inbound, peer: Peer, now: number): void {
    const { table, services, counters, workers, ledger, following } = this.#deps;
    const { frames, service: name } = inbound;
    let service = services.find(frames.buffer(name), frames.start(name), frames.end(name));
    if ((service === null || service.workers.size === 0) && this.#isUnserved(inbound, peer, now)) {
      ledger.refuse(inbound, peer, 'no_worker', NO_WORKER, false);
      return;
    }
    const over = ledger.overLimit(service, inbound, peer.identity);
    if (over !== null) {
      ledger.refuse(inbound, peer, over.reason, { status: '429', text: over.text }, false);
      return;
    }
    if (service === null) service = services.add(frames.copy(name), peer.identity);
    else if (service.namedBy === null) services.use(service, peer.identity);
    counters.requests.countReceived(service.label);
    const id = ledger.add(inbound, peer, now);
    table.raise(id, QUEUED);
    table.set(id, SERVICE, service.id);
    if (following.isOn) following.tell(id, { name: 'request.received', service: service.shown });
    service.queue.pushBack(id);
    workers.schedule(service);
  }

  /** The service has no worker, and the client does not want to wait for one (D65). */
  #isUnserved(inbound: Inbound, peer: Peer, now: number): boolean {
    const { absence, ledger } = this.#deps;
    const name = inbound.frames.view(inbound.service);
    return ledger.refusesToWait(inbound, peer) && absence.isCertain(name, now);
  }

  /**
   * Accepts a request for an internal service, which answers it by its number; or refuses it.
   * @param isForAll it is answered at once, even if its sender has used up its quota
   */
  acceptInternal(inbound: Inbound, peer: Peer, isForAll: boolean): RequestId {
    const { ledger } = this.#deps;
    const over = ledger.overInternalLimit(inbound, isForAll ? null : peer.identity);
    if (over !== null) {
      ledger.refuse(inbound, peer, over.reason, { status: '429', text: over.text }, true);
      return NONE;
    }
    return ledger.addInternal(inbound, peer);
  }

  /** Answers a request of an internal service. */
  answerInternal(id: RequestId, body: readonly Buffer[]): void {
    const { table, ledger } = this.#deps;
    assert(table.has(id) && table.is(id, INTERNAL), 'an internal request is answered once');
    const frames = body.length === 0 ? Frames.of(EMPTY) : Frames.of(...body);
    frames.isLasting = true;
    ledger.replyInternal(id, frames);
    ledger.release(id, 'answered');
  }

  /** Refuses a request of an internal service, which has not acted on it. */
  refuseInternal(id: RequestId, reason: RequestRefusal, refusal: RefusalReply): void {
    const { ledger } = this.#deps;
    const from = present(ledger.clientOf(id), 'a request of a client');
    ledger.countRefusal(reason, escapeName(ledger.internalName(id)), null, refusal.text, from);
    ledger.tell(id, refusal);
    ledger.release(id, 'too_late');
  }

  /**
   * Ends the requests that internal services have not answered. They get no answer, because it is
   * uncertain whether they took effect.
   * @param onlyAsks by service name: true if the request changes nothing, so that it can be refused
   */
  dropInternal(onlyAsks: (service: Buffer) => boolean): void {
    const { table, ledger } = this.#deps;
    for (const id of table.all(INTERNAL)) {
      if (onlyAsks(ledger.internalName(id))) ledger.tell(id, NOT_ACTIVE.refusal);
      ledger.release(id, 'too_late');
    }
  }

  // ---------------------------------------------------------------- delivery

  /**
   * Hands waiting requests to available workers, oldest first.
   * @param budget maximum number of requests to handle
   * @returns what is left of the budget
   */
  dispatch(now: number, budget: number): number {
    const { workers, services } = this.#deps;
    let left = budget;
    let last: Service | null = null;
    for (const service of workers.takeDue()) {
      service.due = false;
      const before = left;
      left = this.#dispatchFor(service, now, left);
      // The service that used up the budget goes last in the next turn.
      if (before > 0 && left === 0) last = service;
      else if (service.available.first() !== null) workers.schedule(service);
      services.releaseIfUnused(service);
    }
    if (last !== null && last.available.first() !== null) workers.schedule(last);
    return left;
  }

  #dispatchFor(service: Service, now: number, budget: number): number {
    const { table, options, ledger } = this.#deps;
    let left = budget;
    for (; left > 0; left--) {
      const id = nextOf(service);
      const worker = service.available.first();
      if (id === NONE || worker === null) break;
      if (table.is(id, STORED)) {
        service.stored.remove(id);
        service.isStoredsTurn = false;
        this.#deliver(id, worker, now);
        this.#deps.stored.dispatched(id, worker);
      } else if (ledger.isClientGone(id)) {
        this.#dropQueued(id);
      } else if (table.getTime(id, ARRIVED_AT) + options.requestTtlMs <= now) {
        // Overdue: this happens when more requests expire than one turn handles.
        service.queue.remove(id);
        this.#expire(id, now);
      } else {
        service.queue.remove(id);
        service.isStoredsTurn = true;
        this.#deliver(id, worker, now);
      }
    }
    return left;
  }

  /** Does no dispatching, because clients are not served. */
  dispatchNothing(): void {
    const { workers, services } = this.#deps;
    for (const service of workers.takeDue()) {
      service.due = false;
      services.releaseIfUnused(service);
    }
  }

  #deliver(id: RequestId, worker: Worker, now: number): void {
    const { table, tokens, sink, workers, ledger, counters, following } = this.#deps;
    const { service } = worker;
    const page = table.page(id);
    const at = recordAt(id);
    const delivery = (page[at + DELIVERIES] ?? 0) + 1;
    if (delivery === 1) {
      tokens.assign(id);
    } else {
      const othersOnly = ~deliveryBit(delivery);
      page[at + LOST] = (page[at + LOST] ?? 0) & othersOnly;
      page[at + SPOILED] = (page[at + SPOILED] ?? 0) & othersOnly;
    }
    page[at + DELIVERIES] = delivery;
    const flags = page[at + FLAGS] ?? 0;
    page[at + FLAGS] = (flags & ~QUEUED) | OUT;
    page[at + WORKER] = worker.peer.id;
    table.setTime(id, DISPATCHED_AT, now);
    if ((flags & STORED) !== 0) {
      service.storedOut++;
    } else {
      if (delivery === 1) {
        counters.requests.countWait(service.label, now - table.getTime(id, ARRIVED_AT));
      }
      if (following.isOn) {
        following.tell(id, { name: 'request.dispatched', worker: worker.number, delivery });
      }
    }
    this.#byDispatch.pushBack(id);
    this.#out++;
    worker.held.pushBack(id);
    ledger.locateBody(id);
    const { buffer, start, end } = ledger.body;
    sink.request(worker.peer.id, worker.version, tokens.encode(id), buffer, start, end);
    workers.took(worker, now);
  }

  // ---------------------------------------------------------------- replies

  /** A reply (REPLY, FINAL) or PARTIAL from the worker that the request is out at. */
  replyOfHolder(id: RequestId, worker: Worker, inbound: Inbound, now: number): void {
    const { table, ledger } = this.#deps;
    const final = inbound.kind === 'final';
    if (table.is(id, ANSWERED | GIVEN_UP)) {
      if (final) ledger.countDroppedReply(table.is(id, ANSWERED) ? 'answered' : 'too_late');
    } else if (final) {
      this.#answer(id, inbound, now);
    } else {
      this.#partial(id, worker, inbound, now);
    }
    if (!final) return;
    this.#takeBack(id, worker);
    ledger.release(id, table.is(id, GIVEN_UP) ? 'too_late' : 'answered');
  }

  /**
   * A reply or failure from a worker that was lost in silence (D8). A reply is used if it is
   * complete and the request is unanswered.
   * @param bit the bit of its delivery
   */
  replyOfLost(id: RequestId, bit: number, inbound: Inbound, now: number): void {
    const { table, ledger, services } = this.#deps;
    if (inbound.kind === 'partial') {
      // Without this part, a FINAL that follows is incomplete.
      table.set(id, SPOILED, table.get(id, SPOILED) | bit);
      return;
    }
    if (table.is(id, ANSWERED)) {
      ledger.countDroppedReply('answered');
    } else if (inbound.kind === 'fail') {
      // D61: the request is with another worker, or waits for one.
      ledger.countDroppedReply('too_late');
    } else if (table.is(id, STREAMED | GIVEN_UP) || (table.get(id, SPOILED) & bit) !== 0) {
      ledger.countDroppedReply('too_late');
    } else {
      ledger.dropPartials(id);
      this.#answer(id, inbound, now);
      if (table.is(id, OUT)) {
        table.raise(id, ANSWERED);
      } else if (table.is(id, QUEUED)) {
        const service = ledger.serviceOf(id);
        (table.is(id, STORED) ? service.stored : service.queue).remove(id);
        ledger.release(id, 'answered');
        services.releaseIfUnused(service);
      } else {
        ledger.release(id, 'answered');
      }
    }
  }

  /** Sends the reply to its client, preceded by the PARTIALs held for it. */
  #answer(id: RequestId, inbound: Inbound, now: number): void {
    const { ledger, table } = this.#deps;
    const { frames, body } = inbound;
    const joined = ledger.joined(id, frames, body);
    if (joined === null) {
      this.#handOver(id, frames, body, now);
    } else if (ledger.isTooLarge(joined)) {
      this.#abandon(id, 'the reply joined from PARTIALs is too large');
      table.raise(id, GIVEN_UP);
    } else {
      this.#handOver(id, joined, 0, now);
    }
  }

  #handOver(id: RequestId, frames: Frames, from: number, now: number): void {
    const { ledger, table, stored } = this.#deps;
    if (table.is(id, STORED)) stored.replied(id, frames, from);
    else ledger.reply(id, true, frames, from, now);
  }

  #partial(id: RequestId, worker: Worker, inbound: Inbound, now: number): void {
    const { table, ledger } = this.#deps;
    if (table.is(id, VERSION_02)) {
      table.raise(id, STREAMED);
      const isSent = ledger.reply(id, false, inbound.frames, inbound.body, now);
      if (!isSent && ledger.mayReturn(id)) {
        // The client would take the rest for the complete reply (D6, D26).
        this.#abandon(id, 'its client was disconnected during a PARTIAL');
        table.raise(id, GIVEN_UP);
      }
    } else if (!ledger.hold(id, inbound.frames, inbound.body, worker.peer.identity.holder)) {
      ledger.dropPartials(id);
      this.#abandon(id, 'the PARTIALs held for a 0.1 client are too large');
      table.raise(id, GIVEN_UP);
    }
  }

  /** The worker that the request is out at tried it and reports what went wrong (D60, D61, D63). */
  failureOfHolder(id: RequestId, worker: Worker, failure: Failure, now: number): void {
    const { table, ledger, stored, following } = this.#deps;
    if (table.is(id, ANSWERED | GIVEN_UP)) {
      this.#takeBack(id, worker);
      const outcome = table.is(id, ANSWERED) ? 'answered' : 'too_late';
      ledger.countDroppedReply(outcome);
      ledger.release(id, outcome);
      return;
    }
    this.#tellFailed(id, worker, failure);
    if (table.is(id, STORED)) {
      this.#takeBack(id, worker);
      ledger.dropPartials(id);
      stored.failed(id, failureLine(failure), failure);
    } else if (failure.kind === 'retry' && !table.is(id, STREAMED)) {
      ledger.keepReported(id, failure, worker.peer.identity.holder);
      const reason = failureLine(failure);
      this.giveBack(id, worker, { kind: 'failed', isSilent: false, reason }, now);
    } else {
      this.#takeBack(id, worker);
      if (following.isOn) {
        const reason = oneLine(failureLine(failure));
        following.tell(id, { name: 'delivery.failed', worker: worker.number, reason });
      }
      if (failure.kind === 'retry') {
        this.#abandon(id, 'its worker failed after a PARTIAL', failure);
      } else {
        this.#ended(id, 'failed');
        ledger.tellFailure(id, failure);
      }
      ledger.release(id, failure.kind === 'retry' ? 'too_late' : 'answered');
    }
  }

  #tellFailed(id: RequestId, worker: Worker, { kind, code, text }: Failure): void {
    const { table, counters, events } = this.#deps;
    const { label, shown: service } = worker.service;
    const durable = table.is(id, STORED);
    if (!durable) counters.requests.countFailed(label, kind);
    events.emit({
      name: 'request.failed',
      service,
      worker: worker.number,
      workerName: worker.name,
      kind,
      code,
      text: oneLine(text),
      durable,
    });
  }

  // ---------------------------------------------------------------- the end without a reply

  /**
   * A worker no longer has the request (D6): it returns to the front of the queue, or ends.
   */
  giveBack(id: RequestId, worker: Worker, end: DeliveryEnd, now: number): void {
    const { table, ledger, admission, options, following } = this.#deps;
    this.#takeBack(id, worker);
    if (following.isOn && !table.is(id, STORED)) {
      const reason = oneLine(end.reason);
      following.tell(id, { name: 'delivery.failed', worker: worker.number, reason });
    }
    const delivery = table.get(id, DELIVERIES);
    if (end.isSilent) {
      const bit = deliveryBit(delivery);
      table.set(id, LOST, table.get(id, LOST) | bit);
      if (table.is(id, HELD)) table.set(id, SPOILED, table.get(id, SPOILED) | bit);
    }
    ledger.dropPartials(id);
    if (table.is(id, ANSWERED | GIVEN_UP)) {
      ledger.release(id, table.is(id, ANSWERED) ? 'answered' : 'too_late');
    } else if (table.is(id, STORED)) {
      if (end.kind === 'drained') this.#deps.stored.interrupted(id);
      else this.#deps.stored.failed(id, end.reason, null);
    } else if (ledger.isClientGone(id)) {
      this.#drop(id);
    } else if (table.is(id, STREAMED)) {
      this.#abandon(id, 'its worker was lost after a PARTIAL', ledger.reported(id));
      ledger.release(id, 'too_late');
    } else if (delivery >= options.maxDeliveries) {
      const reported = ledger.reported(id);
      const how = reported === null ? 'given back or lost' : 'failed, given back or lost';
      this.#abandon(id, `it was ${how} with its worker ${delivery} times`, reported);
      ledger.release(id, 'too_late');
    } else if (table.getTime(id, ARRIVED_AT) + options.requestTtlMs <= now) {
      this.#expire(id, now);
    } else if (admission.closure !== null) {
      this.#refuseHeld(id, admission.closure);
    } else {
      this.#requeue(id, worker, delivery);
    }
  }

  #requeue(id: RequestId, worker: Worker, deliveries: number): void {
    const { table, counters, events, workers } = this.#deps;
    const { service } = worker;
    table.lower(id, OUT);
    table.raise(id, QUEUED);
    service.queue.pushFront(id);
    counters.requests.countRequeued(service.label);
    events.emit({ name: 'request.requeued', service: service.shown, deliveries });
    workers.schedule(service);
  }

  /** Ends waiting requests whose time to live is over. Returns what is left of the budget. */
  expire(now: number, budget: number): number {
    const { table, options, ledger, services } = this.#deps;
    let left = budget;
    while (left > 0) {
      const id = ledger.byArrival.head;
      if (id === NONE || table.getTime(id, ARRIVED_AT) + options.requestTtlMs > now) break;
      if (table.is(id, QUEUED)) {
        const service = ledger.serviceOf(id);
        service.queue.remove(id);
        this.#expire(id, now);
        services.releaseIfUnused(service);
      } else {
        // It is out at a worker, which may take its time. It expires if the worker gives it back.
        ledger.byArrival.remove(id);
      }
      left--;
    }
    return left;
  }

  /**
   * While clients are not served, no request waits: clients that understand refusals get one.
   * Returns what is left of the budget.
   */
  refuseWaiting(closure: Closure, budget: number): number {
    const { services } = this.#deps;
    let left = budget;
    for (const service of services.all()) {
      for (let id = service.queue.head; id !== NONE && left > 0; id = service.queue.head) {
        service.queue.remove(id);
        this.#refuseHeld(id, closure);
        left--;
      }
      services.releaseIfUnused(service);
      if (left === 0) break;
    }
    return left;
  }

  /**
   * Ends waiting requests of a client with `ends`: if the client will not return, they are dropped
   * (D26); if it has lost the right to send them, they are refused (D73). Requests at workers
   * continue.
   * @param look how many of its requests are still to be examined, oldest first
   * @returns how many of them were not examined because the budget ran out
   */
  sweep(client: Client, look: number, budget: number, end: (id: RequestId) => void): number {
    const { table } = this.#deps;
    let left = look;
    for (let spent = 0; left > 0 && spent < budget && client.requests.head !== NONE; spent++) {
      const id = client.requests.head;
      // Moves it to the back, so that the next turn continues with the requests not yet examined.
      client.requests.remove(id);
      client.requests.pushBack(id);
      if (table.is(id, QUEUED)) end(id);
      left--;
    }
    return client.requests.count === 0 ? 0 : left;
  }

  /** Drops a waiting request whose client will not return (D26). */
  readonly dropQueued = (id: RequestId): void => {
    this.#dropQueued(id);
  };

  /** Refuses a waiting request that its client no longer has the right to send (D73). */
  refuseQueued(id: RequestId, closure: Closure): void {
    const { ledger, services } = this.#deps;
    const service = ledger.serviceOf(id);
    service.queue.remove(id);
    this.#refuseHeld(id, closure);
    services.releaseIfUnused(service);
  }

  /**
   * A worker that has held a request for too long without heartbeats while busy (D5), or `null`.
   */
  nextOverdue(now: number, holder: (peer: number) => Worker): Worker | null {
    const { table, options, workers } = this.#deps;
    for (let id = this.#byDispatch.head; id !== NONE; id = this.#byDispatch.head) {
      const dispatchedAt = table.getTime(id, DISPATCHED_AT);
      if (dispatchedAt + options.busyTimeoutMs > now) return null;
      const worker = holder(table.get(id, WORKER));
      // A message within one interval of the dispatch may have crossed it, so it proves nothing.
      const isUnheard = worker.lastSeenAt <= dispatchedAt + options.heartbeatIntervalMs;
      if (!worker.heartbeatsWhileBusy && (isUnheard || workers.isSilent(worker, now))) {
        return worker;
      }
      // From now on its silence decides.
      workers.timeSilence(worker);
      this.#byDispatch.remove(id);
    }
    return null;
  }

  /** When something is next due; Infinity for never. */
  nextDueAt(): number {
    const { table, options, ledger } = this.#deps;
    const arrived = ledger.byArrival.head;
    const out = this.#byDispatch.head;
    const expiry =
      arrived === NONE ? Infinity : table.getTime(arrived, ARRIVED_AT) + options.requestTtlMs;
    const overdue =
      out === NONE ? Infinity : table.getTime(out, DISPATCHED_AT) + options.busyTimeoutMs;
    return Math.min(expiry, overdue);
  }

  // ---------------------------------------------------------------- parts

  #takeBack(id: RequestId, worker: Worker): void {
    worker.held.remove(id);
    if (this.#byDispatch.has(id)) this.#byDispatch.remove(id);
    this.#out--;
    if (this.#deps.table.is(id, STORED)) worker.service.storedOut--;
    if (worker.peer.worker !== worker) return;
    const oldest = worker.held.head;
    this.#deps.workers.gave(worker, oldest !== NONE && !this.#byDispatch.has(oldest));
  }

  #expire(id: RequestId, now: number): void {
    const { table, counters, events, ledger } = this.#deps;
    const { label, shown } = ledger.serviceOf(id);
    this.#ended(id, 'expired');
    counters.requests.countExpired(label);
    events.emit({
      name: 'request.expired',
      service: shown,
      waitedMs: Math.round(now - table.getTime(id, ARRIVED_AT)),
    });
    ledger.tell(id, EXPIRED);
    ledger.release(id, 'too_late');
  }

  /** @param failure what the client is told if a worker reported a failure */
  #abandon(id: RequestId, reason: string, failure: Failure | null = null): void {
    const { table, counters, events, ledger } = this.#deps;
    if (table.is(id, STORED)) {
      this.#deps.stored.spoilt(id, reason);
      return;
    }
    const { label, shown } = ledger.serviceOf(id);
    this.#ended(id, 'abandoned');
    counters.requests.countAbandoned(label);
    events.emit({
      name: 'request.abandoned',
      service: shown,
      deliveries: table.get(id, DELIVERIES),
      reason,
    });
    if (failure === null) ledger.tell(id, { status: '502', text: reason });
    else ledger.tellFailure(id, failure);
  }

  #refuseHeld(id: RequestId, { reason, refusal }: Closure): void {
    const { ledger } = this.#deps;
    const { label, shown } = ledger.serviceOf(id);
    this.#ended(id, 'refused');
    const from = present(ledger.clientOf(id), 'a plain request has a client');
    ledger.countRefusal(reason, shown, label, refusal.text, from);
    ledger.tell(id, refusal);
    ledger.release(id, 'too_late');
  }

  #ended(id: RequestId, outcome: RequestEnd): void {
    const { following } = this.#deps;
    if (following.isOn) following.tell(id, { name: 'request.ended', outcome });
  }

  #dropQueued(id: RequestId): void {
    const { ledger, services } = this.#deps;
    const service = ledger.serviceOf(id);
    service.queue.remove(id);
    this.#drop(id);
    services.releaseIfUnused(service);
  }

  #drop(id: RequestId): void {
    const { counters, events, ledger } = this.#deps;
    const { label, shown } = ledger.serviceOf(id);
    this.#ended(id, 'dropped');
    counters.requests.countDropped(label);
    events.emit({ name: 'request.dropped', service: shown, reason: 'client_gone' });
    ledger.release(id, 'too_late');
  }
}

/** The next request for the service. While both stored and plain ones wait, they take turns. */
function nextOf(service: Service): RequestId {
  const { queue, stored } = service;
  const takesStored = stored.count > 0 && (queue.count === 0 || service.isStoredsTurn);
  return takesStored ? stored.head : queue.head;
}
