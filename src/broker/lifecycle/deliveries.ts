/** The requests that are out at workers. */
import { isMdp } from '../../wire/dialect.js';
import type { RemoteHolder } from '../ports.js';
import type { Worker } from '../state/entities.js';
import {
  ANSWERED,
  ARRIVED_AT,
  DELIVERIES,
  DISPATCHED_AT,
  FLAGS,
  GIVEN_UP,
  GROUPED,
  HEADED,
  LOST,
  NONE,
  OUT,
  QUEUED,
  recordAt,
  type RequestId,
  RequestList,
  SPOILED,
  STORED,
  UNSERVED,
  WORKER,
} from '../state/request-table.js';
import { deliveryBit } from '../state/tokens.js';
import type { BrokerData } from './broker-data.js';

/** Requests that are looked at in one turn to find those that are overdue: some milliseconds. */
const LOOKS_MAX = 65_536;

export class Deliveries {
  readonly #data: BrokerData;
  /** Requests that have been out for less than `busyTimeoutMs`, in order of dispatch (D5). */
  readonly #byDispatch: RequestList;
  #out = 0;

  constructor(data: BrokerData) {
    this.#data = data;
    this.#byDispatch = RequestList.byDispatch(data.table);
  }

  /** Requests out at workers. */
  get out(): number {
    return this.#out;
  }

  /** Sends a request, which must be in no queue, to a worker. */
  deliver(id: RequestId, worker: Worker, now: number): void {
    const { table, tokens, requests, workers } = this.#data;
    const { service } = worker;
    const page = table.page(id);
    const at = recordAt(id);
    const delivery = (page[at + DELIVERIES] ?? 0) + 1;
    const flags = page[at + FLAGS] ?? 0;
    if (delivery === 1) {
      // A request that a worker has had is not unserved.
      if ((flags & UNSERVED) !== 0) requests.unserved.drop(id);
      tokens.assign(id);
    } else {
      const othersOnly = ~deliveryBit(delivery);
      page[at + LOST] = (page[at + LOST] ?? 0) & othersOnly;
      page[at + SPOILED] = (page[at + SPOILED] ?? 0) & othersOnly;
    }
    page[at + DELIVERIES] = delivery;
    page[at + FLAGS] = (flags & ~(QUEUED | UNSERVED)) | OUT;
    page[at + WORKER] = worker.place;
    table.setTime(id, DISPATCHED_AT, now);
    requests.locateBody(id);
    if (worker.remote !== null) {
      this.#count(id, worker, delivery, now);
      this.#sendAway(id, worker.remote, (flags & HEADED) !== 0, now);
      this.#out++;
      worker.held.pushBack(id);
      workers.took(worker, now);
      return;
    }
    if ((flags & (STORED | HEADED | GROUPED)) === 0) {
      this.#count(id, worker, delivery, now);
      this.#send(id, worker, requests.body.start);
    } else {
      if ((flags & STORED) !== 0) service.storedOut++;
      else this.#count(id, worker, delivery, now);
      if ((flags & GROUPED) !== 0 && worker.wantsGroup) {
        this.#sendWithGroup(id, worker, (flags & HEADED) !== 0, now);
      } else if ((flags & HEADED) === 0) this.#send(id, worker, requests.body.start);
      else this.#sendWithHeaders(id, worker, now);
    }
    this.#byDispatch.pushBack(id);
    this.#out++;
    worker.held.pushBack(id);
    workers.took(worker, now);
  }

  #count(id: RequestId, worker: Worker, delivery: number, now: number): void {
    const { table, counters, tracer } = this.#data;
    if (delivery === 1) {
      const waitedMs = now - table.getTime(id, ARRIVED_AT);
      counters.requests.countWait(worker.service.counts, waitedMs);
    }
    if (tracer.isOn) {
      tracer.step(id, { name: 'request.dispatched', worker: worker.number, delivery });
    }
  }

  /** Sends a plain REQUEST. @param from where its body begins, in what `locateBody` found */
  #send(id: RequestId, worker: Worker, from: number): void {
    const { requests, messages, tokens } = this.#data;
    const { words, end } = requests.body;
    messages.request(worker.peer.id, worker.dialect, tokens.encode(id), words, from, end);
  }

  /** D67: a worker that did not ask for headers gets a plain REQUEST. */
  #sendWithHeaders(id: RequestId, worker: Worker, now: number): void {
    const { requests, tokens, messages } = this.#data;
    const { peer, dialect } = worker;
    if (!worker.wantsHeaders || !isMdp(dialect)) {
      this.#send(id, worker, requests.afterHeaders());
      return;
    }
    const { words, start, end } = requests.body;
    const token = tokens.encode(id);
    const leftMs = this.#leftMs(id, now);
    messages.requestWithHeaders(peer.id, dialect, token, leftMs, words, start, end);
  }

  /** To a worker that asked for groups (D118). */
  #sendWithGroup(id: RequestId, worker: Worker, hasHeaders: boolean, now: number): void {
    const { requests, tokens, messages } = this.#data;
    const { peer, dialect, service } = worker;
    if (!isMdp(dialect)) return;
    const { words, start, end } = requests.body;
    const token = tokens.encode(id);
    const group = service.waiting.groupOf(id);
    const leftMs = this.#leftMs(id, now);
    const at = peer.id;
    messages.requestWithGroup(at, dialect, token, group, leftMs, hasHeaders, words, start, end);
  }

  /** To another broker. Its silence is for the interconnect to notice, so it is not timed here. */
  #sendAway(id: RequestId, holder: RemoteHolder, isHeaded: boolean, now: number): void {
    const { words, start, end } = this.#data.requests.body;
    const token = this.#data.tokens.encode(id).bytes;
    holder.request(token, this.#leftMs(id, now), words.bytes, start, end, isHeaded);
  }

  /** Milliseconds left until the deadline of a request; 0: it has none. */
  #leftMs(id: RequestId, now: number): number {
    const at = this.#data.requests.deadlines.of(id);
    // Rounded up: 0 would stand for none.
    return at === Infinity ? 0 : Math.max(1, Math.ceil(at - now));
  }

  /**
   * Nobody wants the answer of a request that is out, for this reason: it is not delivered again, and its worker
   * hears of it, if it wants to (D106). Its delivery ends when the worker answers, or is lost.
   * @param why ANSWERED or GIVEN_UP
   */
  cancel(id: RequestId, why: number): void {
    const { table, workers, tokens, requests, messages, counters } = this.#data;
    const isKnown = table.is(id, ANSWERED | GIVEN_UP);
    table.raise(id, why);
    requests.partials.drop(id);
    if (isKnown) return;
    const worker = workers.at(table.get(id, WORKER));
    if (worker?.wantsCancel !== true) return;
    counters.cancels++;
    const token = tokens.encode(id);
    if (worker.remote === null) messages.cancel(worker.peer.id, worker.dialect, token);
    else worker.remote.cancel(token.bytes);
  }

  /** The worker no longer has the request. */
  takeBack(id: RequestId, worker: Worker): void {
    worker.held.remove(id);
    if (this.#byDispatch.has(id)) this.#byDispatch.remove(id);
    this.#out--;
    const { waiting } = worker.service;
    if (waiting.limits !== null && worker.remote === null) waiting.ended(id);
    if (this.#data.table.is(id, STORED)) worker.service.storedOut--;
    if (worker.peer.worker !== worker) return;
    const oldest = worker.held.head;
    this.#data.workers.gave(worker, oldest !== NONE && !this.#byDispatch.has(oldest));
  }

  /**
   * A worker that has held a request for too long (D35), in MDP without heartbeats while busy (D5),
   * or `null`; `more`: many requests were looked at, and there are more.
   */
  nextOverdue(now: number): Worker | 'more' | null {
    const { table, options, workers } = this.#data;
    let looks = 0;
    for (let id = this.#byDispatch.head; id !== NONE; id = this.#byDispatch.head) {
      if (++looks > LOOKS_MAX) return 'more';
      const dispatchedAt = table.getTime(id, DISPATCHED_AT);
      if (dispatchedAt + options.busyTimeoutMs > now) return null;
      const worker = workers.find(table.get(id, WORKER));
      // The worker was lost, and its requests are being given back.
      if (worker === null) {
        this.#byDispatch.remove(id);
        continue;
      }
      if (worker.kind.mayForgetRequest) return worker;
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

  /** When `nextOverdue` may next find one; Infinity for never. */
  nextDueAt(): number {
    const id = this.#byDispatch.head;
    if (id === NONE) return Infinity;
    return this.#data.table.getTime(id, DISPATCHED_AT) + this.#data.options.busyTimeoutMs;
  }
}
