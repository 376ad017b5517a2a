/**
 * What must happen to requests: accepted, given back, answered, expired, abandoned, dropped,
 * refused. Written from the protocol's text, not from the broker.
 */
import type { RefusalReason } from '../../../src/broker/request-counters.js';
import type { BrokerOptions } from '../../../src/broker/options.js';
import type { Failure } from '../../../src/wire/failure.js';
import { ModelCounters } from './counters.js';
import { cancelFrames, Expected, replyFrames, sameFrames } from './expected.js';
import type { FailIntent, ReplyIntent, RequestIntent } from './intent.js';
import {
  bytesOf,
  type Delivery,
  type ModelClient,
  type ModelHello,
  type ModelPeer,
  ModelRequest,
  type ModelWorker,
  type Outcome,
  packedSize,
} from './state.js';
import type { ModelServices } from './services.js';

/** What PARTIALs that are held take besides a buffer, whose size doubles. */
const HELD_BYTES = 1024;

/** After this time it is looked again whether a request is served. */
const LOOK_AGAIN_MS = 1000;

export class ModelRequests {
  readonly counters = new ModelCounters();
  readonly expected = new Expected();
  readonly #options: BrokerOptions;
  readonly #services: ModelServices;
  /** By the first frame of the body, which is unique to a request. */
  readonly byKey = new Map<string, ModelRequest>();
  draining = false;
  begunAt = -Infinity;
  /** Counts the inputs and runs. */
  step = 1;
  #order = 0;
  bytes = 0;

  constructor(options: BrokerOptions, services: ModelServices) {
    this.#options = options;
    this.#services = services;
  }

  get held(): number {
    return this.byKey.size;
  }

  get out(): number {
    let out = 0;
    for (const request of this.byKey.values()) if (request.state === 'out') out++;
    return out;
  }

  // ---------------------------------------------------------------- arrival

  accept(peer: ModelPeer, client: () => ModelClient, intent: RequestIntent, now: number): void {
    this.counters.requestsReceived++;
    const hello = helloOf(peer, intent);
    const tells = hello !== null;
    if (this.#options.listeners[peer.listener]?.client.isNone === true) {
      this.#refuse(peer, intent, tells, 'rights', '403');
      return;
    }
    if (this.draining) {
      this.#refuse(peer, intent, tells, 'draining', '503');
      return;
    }
    const unservedAt = hello?.refusesToWait === true ? this.#unservedAt(intent.service) : Infinity;
    if (unservedAt <= now) {
      this.#refuse(peer, intent, tells, 'no_worker', '404');
      return;
    }
    if (this.#isOverLimit(intent)) {
      this.#refuse(peer, intent, tells, 'limit', '429');
      return;
    }
    const service = this.#services.named(intent.service);
    const owner = client();
    const times = { now, ttlMs: this.#options.requestTtlMs };
    const request = new ModelRequest(intent, service, owner, hello, times, this.#order++);
    request.unservedAt = unservedAt;
    owner.requests.add(request);
    this.byKey.set(keyOf(intent.body), request);
    this.bytes += request.bytes;
    service.queue.push(request);
    service.touched = true;
  }

  /** D65: some moments after its last worker, and after the broker's start; Infinity: it has a worker. */
  #unservedAt(name: string): number {
    const { heartbeatIntervalMs, heartbeatLiveness } = this.#options;
    const graceMs = heartbeatIntervalMs * heartbeatLiveness;
    const { workers, lostAt } = this.#services.named(name);
    return workers.size > 0 ? Infinity : Math.max(lostAt, this.begunAt) + graceMs;
  }

  /** Those whose clients do not wait for a worker, when it is certain that there is none. */
  #refuseUnserved(now: number): void {
    const due = [...this.byKey.values()].filter(({ unservedAt }) => unservedAt <= now);
    for (const request of due.sort((one, other) => one.unservedAt - other.unservedAt)) {
      request.unservedAt = Infinity;
      // One that a worker has, or had, goes on waiting.
      if (request.state !== 'queued' || request.deliveries > 0) continue;
      const at = this.#unservedAt(request.service.name);
      if (at > now) {
        request.unservedAt = Math.max(at === Infinity ? 0 : at, now + LOOK_AGAIN_MS);
        continue;
      }
      this.counters.requestsRefused.no_worker++;
      this.#tell(request, '404');
      this.#end(request, 'too_late');
    }
  }

  #isOverLimit(intent: RequestIntent): boolean {
    const { limits } = this.#options;
    const bytes = bytesOf(intent);
    if (this.held >= limits.queuedRequests) return true;
    if (this.bytes + bytes > limits.queuedBytes) return true;
    const service = this.#services.find(intent.service);
    if (service === null) return this.#services.withoutWorkers >= limits.services;
    return service.queue.length >= limits.queuedRequestsPerService;
  }

  #refuse(
    peer: ModelPeer,
    intent: RequestIntent,
    tells: boolean,
    reason: RefusalReason,
    status: string,
  ): void {
    this.counters.requestsRefused[reason]++;
    if (tells) this.#expectRefusal(peer.id, intent, status);
  }

  #expectRefusal(peer: number, intent: RequestIntent, status: string): void {
    const text = Buffer.from('why');
    const body = [Buffer.from(status), Buffer.from(intent.service, 'latin1'), text];
    this.expected.message(peer, replyFrames(intent, true, 'mmi.refused', body), true);
  }

  // ---------------------------------------------------------------- replies

  replyOfWorker(request: ModelRequest, intent: ReplyIntent): void {
    const final = intent.kind === 'final';
    if (request.answered || request.givenUp) {
      if (final) this.counters.repliesDropped[request.answered ? 'answered' : 'too_late']++;
    } else if (final) {
      this.#answer(request, intent.body);
    } else if (request.intent.version === 2) {
      request.streamed = true;
      this.#toClient(request, false, intent.body);
    } else {
      this.#keepPartial(request, intent.body);
    }
    if (final) this.#end(request, request.givenUp ? 'too_late' : 'answered');
  }

  /** D60, D61 */
  failureOfWorker(
    request: ModelRequest,
    worker: ModelWorker,
    { failure: reported }: FailIntent,
    now: number,
  ): void {
    if (request.answered || request.givenUp) {
      const outcome = request.answered ? 'answered' : 'too_late';
      this.counters.repliesDropped[outcome]++;
      this.#end(request, outcome);
      return;
    }
    const isLast = reported.kind === 'retry' && request.intent.once === true;
    const failure: Failure = isLast ? { ...reported, kind: 'error' } : reported;
    this.counters.requestsFailed[failure.kind]++;
    if (failure.kind === 'retry' && !request.streamed) {
      request.reported = { ...failure, detail: [] };
      this.giveBack(worker, [request], false, now);
      return;
    }
    if (failure.kind === 'retry') this.counters.requestsAbandoned++;
    this.#tellFailure(request, failure);
    this.#end(request, 'answered');
  }

  /** D62 */
  #tellFailure(request: ModelRequest, { code, text, detail }: Failure): void {
    const { client, intent, hello } = request;
    const peer = client?.peer;
    if (hello === null || !peer || peer.closing) return;
    if (hello.hearsFailures) {
      const words = [intent.service, code, text].map((word) => Buffer.from(word, 'latin1'));
      const frames = replyFrames(intent, true, 'mmi.failed', [...words, ...detail]);
      this.expected.message(peer.id, frames);
    } else {
      this.#expectRefusal(peer.id, intent, '502');
    }
  }

  /** D8 */
  replyOfLostWorker(delivery: Delivery, intent: ReplyIntent | FailIntent): void {
    const { request } = delivery;
    if (request.state === 'over') {
      if (intent.kind !== 'partial') this.counters.repliesDropped[request.outcome]++;
    } else if (intent.kind === 'partial') {
      delivery.spoiled = true;
    } else if (request.answered) {
      this.counters.repliesDropped.answered++;
    } else if (intent.kind === 'fail' || request.streamed || request.givenUp || delivery.spoiled) {
      this.counters.repliesDropped.too_late++;
    } else {
      this.#dropPartials(request);
      this.#answer(request, intent.body);
      if (request.state !== 'out') {
        this.#end(request, 'answered');
        return;
      }
      this.#tellWorker(request);
      request.answered = true;
    }
  }

  #keepPartial(request: ModelRequest, body: readonly Buffer[]): void {
    const { limits } = this.#options;
    const fits = this.bytes + packedSize(body) <= limits.queuedBytes;
    if (request.held.length === 0) this.#keepRoom(request, HELD_BYTES);
    request.held.push(body);
    const total = packedSize(request.held.flat());
    const room = request.heldRoom - HELD_BYTES;
    if (total > room) this.#keepRoom(request, Math.max(total, 2 * room) - room);
    if (total <= limits.messageBytes && fits) return;
    this.#dropPartials(request);
    if (total > limits.messageBytes) this.#abandonTooLarge(request, total);
    else this.#abandon(request);
    this.#tellWorker(request);
    request.givenUp = true;
  }

  #keepRoom(request: ModelRequest, more: number): void {
    request.heldRoom += more;
    this.bytes += more;
  }

  #answer(request: ModelRequest, body: readonly Buffer[]): void {
    const whole = [...request.held.flat(), ...body];
    if (request.held.length > 0 && packedSize(whole) > this.#options.limits.messageBytes) {
      this.#abandonTooLarge(request, packedSize(whole));
      request.givenUp = true;
    } else {
      this.#toClient(request, true, whole);
    }
  }

  #toClient(request: ModelRequest, final: boolean, body: readonly Buffer[]): void {
    const { client, intent } = request;
    const peer = client?.peer;
    if (peer && !peer.closing) {
      if (final) this.counters.requestsReplied++;
      this.expected.message(peer.id, replyFrames(intent, final, intent.service, body));
    } else if (final) {
      const slow = client?.slow ?? request.slow;
      this.counters.repliesDropped[slow ? 'slow_client' : 'client_gone']++;
    } else if (client !== null && client.name !== null) {
      // It may return, and would take the remaining parts for the whole reply.
      this.#abandon(request);
      this.#tellWorker(request);
      request.givenUp = true;
    }
  }

  // ---------------------------------------------------------------- taken back (D106)

  /** Those of this connection whose envelopes are that of the question, and then one of the ids. */
  takeBack(client: ModelClient, { envelope, body }: RequestIntent): void {
    for (const request of [...client.requests]) {
      const its = request.intent.envelope;
      const isIts = body.some((id) => sameFrames(its, [...envelope, id]));
      if (!isIts || request.answered || request.givenUp) continue;
      this.counters.requestsCancelled++;
      if (request.state === 'queued') {
        this.#end(request, 'too_late');
        continue;
      }
      this.#dropPartials(request);
      this.#tellWorker(request);
      request.givenUp = true;
    }
  }

  /** Nobody waits for the answer of a request that is out. */
  #tellWorker({ worker, delivery, givenUp }: ModelRequest): void {
    if (givenUp || worker?.wantsCancel !== true || delivery === null || worker.isPirate) return;
    this.counters.cancels++;
    const version = worker.version === 1 ? 1 : 2;
    this.expected.message(worker.peer.id, cancelFrames(version, delivery.token));
  }

  // ---------------------------------------------------------------- the end without a reply

  /** D6, for all requests that a worker held, or one that it returned. */
  giveBack(
    worker: ModelWorker,
    requests: readonly ModelRequest[],
    silent: boolean,
    now: number,
    unbegun = false,
  ): void {
    for (const request of requests) {
      const { delivery } = request;
      worker.held.splice(worker.held.indexOf(request), 1);
      request.worker = null;
      if (delivery !== null) {
        delivery.state = silent ? 'lost' : 'over';
        if (request.held.length > 0) delivery.spoiled = true;
      }
      this.#dropPartials(request);
      // A worker that leaves does not get it again.
      if (unbegun && worker.credit === 0) request.deliveries--;
      this.#afterLoss(request, now, unbegun);
    }
    const back = requests.filter(({ state }) => state === 'queued');
    const group = this.#order++;
    for (const [index, request] of back.entries()) {
      request.lossStep = this.step;
      request.lossGroup = group;
      request.order = index;
    }
    worker.service.queue.unshift(...back);
    if (back.length > 0) worker.service.touched = true;
  }

  #afterLoss(request: ModelRequest, now: number, unbegun: boolean): void {
    const { maxDeliveries } = this.#options;
    if (request.answered || request.givenUp) {
      this.#end(request, request.answered ? 'answered' : 'too_late');
    } else if (isClientGone(request)) {
      this.counters.requestsDropped++;
      this.#end(request, 'too_late');
    } else if (request.intent.once === true && (!unbegun || request.streamed)) {
      this.counters.requestsUnknown++;
      this.#tell(request, '520');
      this.#end(request, 'too_late');
    } else if (request.streamed || request.deliveries >= maxDeliveries) {
      if (request.reported === null) {
        this.#abandon(request);
      } else {
        this.counters.requestsAbandoned++;
        this.#tellFailure(request, request.reported);
      }
      this.#end(request, 'too_late');
    } else if (request.expiresAt <= now) {
      this.#expire(request);
    } else if (this.draining) {
      this.#refuseHeld(request);
    } else {
      request.state = 'queued';
      this.counters.requestsRequeued++;
    }
  }

  /** Requests that wait for too long; while draining, all that wait. */
  expire(now: number): void {
    if (!this.draining) this.#refuseUnserved(now);
    for (const request of [...this.byKey.values()]) {
      if (request.state !== 'queued') continue;
      if (this.draining) this.#refuseHeld(request);
      else if (request.expiresAt <= now) this.#expire(request);
    }
  }

  /** D26: the waiting requests of a client that will not return. */
  forget(client: ModelClient): void {
    for (const request of [...client.requests]) {
      if (request.state === 'queued') {
        this.counters.requestsDropped++;
        this.#end(request, 'too_late');
      } else {
        client.requests.delete(request);
        request.client = null;
        request.slow = client.slow;
      }
    }
  }

  #expire(request: ModelRequest): void {
    this.counters.requestsExpired++;
    this.#tell(request, '408');
    this.#end(request, 'too_late');
  }

  #refuseHeld(request: ModelRequest): void {
    this.counters.requestsRefused.draining++;
    this.#tell(request, '503');
    this.#end(request, 'too_late');
  }

  #abandon(request: ModelRequest): void {
    this.counters.requestsAbandoned++;
    this.#tell(request, '502');
  }

  /** D100 */
  #abandonTooLarge(request: ModelRequest, bytes: number): void {
    this.counters.requestsAbandoned++;
    const { messageBytes } = this.#options.limits;
    const text = `a reply of ${bytes} bytes in PARTIALs, at most ${messageBytes} are allowed`;
    this.#tellFailure(request, { kind: 'final', code: 'mdp.too-large', text, detail: [] });
  }

  #tell(request: ModelRequest, status: string): void {
    const peer = request.client?.peer;
    if (request.hello !== null && peer && !peer.closing) {
      this.#expectRefusal(peer.id, request.intent, status);
    }
  }

  #dropPartials(request: ModelRequest): void {
    this.bytes -= request.heldRoom;
    request.heldRoom = 0;
    request.held = [];
  }

  #end(request: ModelRequest, outcome: Outcome): void {
    this.#dropPartials(request);
    const { queue } = request.service;
    if (request.state === 'queued') queue.splice(queue.indexOf(request), 1);
    if (request.worker !== null) {
      const { held } = request.worker;
      held.splice(held.indexOf(request), 1);
      if (request.delivery !== null) request.delivery.state = 'over';
    }
    request.worker = null;
    request.state = 'over';
    request.outcome = outcome;
    request.client?.requests.delete(request);
    this.byKey.delete(keyOf(request.intent.body));
    this.bytes -= request.bytes;
  }
}

export function keyOf(body: readonly Buffer[]): string {
  return body[0]?.toString('latin1') ?? '';
}

function isClientGone(request: ModelRequest): boolean {
  return request.client?.departed ?? true;
}

/**
 * D11: its envelope begins with that of a hello over this connection; the longest of several
 * counts.
 */
function helloOf(peer: ModelPeer, intent: RequestIntent): ModelHello | null {
  let found: ModelHello | null = null;
  for (const hello of peer.hellos) {
    const { envelope } = hello;
    const isIts =
      envelope.length <= intent.envelope.length &&
      envelope.every((frame, index) => intent.envelope[index]?.equals(frame) === true);
    if (isIts && envelope.length >= (found?.envelope.length ?? 0)) found = hello;
  }
  return found;
}
