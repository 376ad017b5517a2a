/** The requests that are out at workers. */
import { isMdp } from '../../wire/dialect.js';
import type { BrokerCounters } from '../counters.js';
import type { BrokerOptions } from '../options.js';
import type { RemoteHolder } from '../ports.js';
import type { RequestTracer } from '../request-trace.js';
import type { BrokerSink } from '../sink.js';
import type { Worker } from '../state/entities.js';
import {
  ARRIVED_AT,
  DELIVERIES,
  DISPATCHED_AT,
  FLAGS,
  HEADED,
  LOST,
  NONE,
  OUT,
  QUEUED,
  recordAt,
  type RequestId,
  RequestList,
  type RequestTable,
  SPOILED,
  STORED,
  WORKER,
} from '../state/request-table.js';
import type { RequestStore } from '../state/request-store.js';
import { deliveryBit, type Tokens } from '../state/tokens.js';
import type { Workers } from '../state/workers.js';

/** Requests that are looked at in one turn to find those that are overdue: some milliseconds. */
const LOOKS_MAX = 65_536;

export interface DeliveriesDeps {
  readonly options: BrokerOptions;
  readonly sink: BrokerSink;
  readonly counters: BrokerCounters;
  readonly tracer: RequestTracer;
  readonly table: RequestTable;
  readonly tokens: Tokens;
  readonly workers: Workers;
  readonly requests: RequestStore;
}

export class Deliveries {
  readonly #busyTimeoutMs: number;
  readonly #heartbeatIntervalMs: number;
  readonly #sink: BrokerSink;
  readonly #counters: BrokerCounters;
  readonly #tracer: RequestTracer;
  readonly #table: RequestTable;
  readonly #tokens: Tokens;
  readonly #workers: Workers;
  readonly #requests: RequestStore;
  /** Requests that have been out for less than `busyTimeoutMs`, in order of dispatch (D5). */
  readonly #byDispatch: RequestList;
  #out = 0;

  constructor(deps: DeliveriesDeps) {
    this.#busyTimeoutMs = deps.options.busyTimeoutMs;
    this.#heartbeatIntervalMs = deps.options.heartbeatIntervalMs;
    this.#sink = deps.sink;
    this.#counters = deps.counters;
    this.#tracer = deps.tracer;
    this.#table = deps.table;
    this.#tokens = deps.tokens;
    this.#workers = deps.workers;
    this.#requests = deps.requests;
    this.#byDispatch = RequestList.byDispatch(deps.table);
  }

  /** Requests out at workers. */
  get out(): number {
    return this.#out;
  }

  /** Sends a request, which must be in no queue, to a worker. */
  deliver(id: RequestId, worker: Worker, now: number): void {
    const table = this.#table;
    const { service } = worker;
    const page = table.page(id);
    const at = recordAt(id);
    const delivery = (page[at + DELIVERIES] ?? 0) + 1;
    if (delivery === 1) {
      this.#tokens.assign(id);
    } else {
      const othersOnly = ~deliveryBit(delivery);
      page[at + LOST] = (page[at + LOST] ?? 0) & othersOnly;
      page[at + SPOILED] = (page[at + SPOILED] ?? 0) & othersOnly;
    }
    page[at + DELIVERIES] = delivery;
    const flags = page[at + FLAGS] ?? 0;
    page[at + FLAGS] = (flags & ~QUEUED) | OUT;
    page[at + WORKER] = worker.place;
    table.setTime(id, DISPATCHED_AT, now);
    this.#requests.locateBody(id);
    if (worker.remote !== null) {
      this.#count(id, worker, delivery, now);
      this.#sendAway(id, worker.remote, (flags & HEADED) !== 0, now);
      this.#out++;
      worker.held.pushBack(id);
      this.#workers.took(worker, now);
      return;
    }
    if ((flags & (STORED | HEADED)) === 0) {
      this.#count(id, worker, delivery, now);
      this.#send(id, worker, this.#requests.body.start);
    } else {
      if ((flags & STORED) !== 0) service.storedOut++;
      else this.#count(id, worker, delivery, now);
      if ((flags & HEADED) === 0) this.#send(id, worker, this.#requests.body.start);
      else this.#sendWithHeaders(id, worker, now);
    }
    this.#byDispatch.pushBack(id);
    this.#out++;
    worker.held.pushBack(id);
    this.#workers.took(worker, now);
  }

  #count(id: RequestId, worker: Worker, delivery: number, now: number): void {
    if (delivery === 1) {
      const waitedMs = now - this.#table.getTime(id, ARRIVED_AT);
      this.#counters.requests.countWait(worker.service.counts, waitedMs);
    }
    if (this.#tracer.isOn) {
      this.#tracer.step(id, { name: 'request.dispatched', worker: worker.number, delivery });
    }
  }

  /** Sends a plain REQUEST. @param from where its body begins, in what `locateBody` found */
  #send(id: RequestId, worker: Worker, from: number): void {
    const { words, end } = this.#requests.body;
    this.#sink.request(worker.peer.id, worker.dialect, this.#tokens.encode(id), words, from, end);
  }

  /** D67: a worker that did not ask for headers gets a plain REQUEST. */
  #sendWithHeaders(id: RequestId, worker: Worker, now: number): void {
    const requests = this.#requests;
    const { peer, dialect } = worker;
    if (!worker.wantsHeaders || !isMdp(dialect)) {
      this.#send(id, worker, requests.afterHeaders());
      return;
    }
    const { words, start, end } = requests.body;
    const token = this.#tokens.encode(id);
    const leftMs = this.#leftMs(id, now);
    this.#sink.requestWithHeaders(peer.id, dialect, token, leftMs, words, start, end);
  }

  /** To another broker. Its silence is for the interconnect to notice, so it is not timed here. */
  #sendAway(id: RequestId, holder: RemoteHolder, isHeaded: boolean, now: number): void {
    const { words, start, end } = this.#requests.body;
    const token = this.#tokens.encode(id).bytes;
    holder.request(token, this.#leftMs(id, now), words.bytes, start, end, isHeaded);
  }

  /** What is left of its deadline; 0: it has none. */
  #leftMs(id: RequestId, now: number): number {
    const at = this.#requests.deadlines.of(id);
    // Rounded up: 0 would stand for none.
    return at === Infinity ? 0 : Math.max(1, Math.ceil(at - now));
  }

  /** The worker no longer has the request. */
  takeBack(id: RequestId, worker: Worker): void {
    worker.held.remove(id);
    if (this.#byDispatch.has(id)) this.#byDispatch.remove(id);
    this.#out--;
    if (this.#table.is(id, STORED)) worker.service.storedOut--;
    if (worker.peer.worker !== worker) return;
    const oldest = worker.held.head;
    this.#workers.gave(worker, oldest !== NONE && !this.#byDispatch.has(oldest));
  }

  /**
   * A worker that has held a request for too long (D35), in MDP without heartbeats while busy (D5),
   * or `null`; `more`: many requests were looked at, and there are more.
   */
  nextOverdue(now: number): Worker | 'more' | null {
    const table = this.#table;
    let looks = 0;
    for (let id = this.#byDispatch.head; id !== NONE; id = this.#byDispatch.head) {
      if (++looks > LOOKS_MAX) return 'more';
      const dispatchedAt = table.getTime(id, DISPATCHED_AT);
      if (dispatchedAt + this.#busyTimeoutMs > now) return null;
      const worker = this.#workers.find(table.get(id, WORKER));
      // It was lost, and its requests are being given back.
      if (worker === null) {
        this.#byDispatch.remove(id);
        continue;
      }
      if (worker.kind.mayForgetRequest) return worker;
      // A message within one interval of the dispatch may have crossed it, so it proves nothing.
      const isUnheard = worker.lastSeenAt <= dispatchedAt + this.#heartbeatIntervalMs;
      if (!worker.heartbeatsWhileBusy && (isUnheard || this.#workers.isSilent(worker, now))) {
        return worker;
      }
      // From now on its silence decides.
      this.#workers.timeSilence(worker);
      this.#byDispatch.remove(id);
    }
    return null;
  }

  /** When `nextOverdue` may next find one; Infinity for never. */
  nextDueAt(): number {
    const id = this.#byDispatch.head;
    if (id === NONE) return Infinity;
    return this.#table.getTime(id, DISPATCHED_AT) + this.#busyTimeoutMs;
  }
}
