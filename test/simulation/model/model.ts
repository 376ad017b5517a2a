/**
 * The reference model: it receives every input before the broker does, and knows what the broker
 * must do. Where the protocol leaves a choice to the broker (the order in which services are
 * served), it checks what the broker chose.
 */
import type { Broker, BrokerLoad } from '../../../src/broker/broker.js';
import type { LostReason } from '../../../src/broker/counters.js';
import type { BrokerOptions } from '../../../src/broker/options.js';
import { hold, violated } from '../world/failure.js';
import type { Dialled } from '../world/network.js';
import { checkAgreement } from './agreement.js';
import { STATUS } from './broker-status.js';
import type { ModelCounters } from './counters.js';
import { checkDispatch, checkMetadata } from './dispatch.js';
import { heartbeatFrames, replyFrames, requestHead, sameFrames, show } from './expected.js';
import type {
  FailIntent,
  Intent,
  LeaveIntent,
  ReadyIntent,
  ReplyIntent,
  RequestIntent,
  ReturnIntent,
  WorkerKind,
} from './intent.js';
import { keyOf, ModelRequests } from './requests.js';
import { ModelServices } from './services.js';
import { Delivery, ModelClient, ModelPeer, type ModelRequest, ModelWorker } from './state.js';

const TOKEN_BYTES_MIN = 8;

export class Model {
  readonly #options: BrokerOptions;
  readonly #services = new ModelServices();
  readonly #requests: ModelRequests;
  readonly #peers = new Map<number, ModelPeer>();
  readonly #clients = new Set<ModelClient>();
  readonly #away = new Map<string, ModelClient>();
  readonly #workers = new Set<ModelWorker>();
  readonly #deliveries = new Map<string, Delivery>();
  #departed: ModelClient[] = [];
  #uses = 0;
  #running = false;
  #now = 0;

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.#requests = new ModelRequests(options, this.#services);
  }

  get counters(): ModelCounters {
    return this.#requests.counters;
  }

  get load(): BrokerLoad {
    return {
      sessions: 0,
      sessionsAway: 0,
      peers: this.#peers.size,
      clients: this.#clients.size,
      services: this.#services.count,
      workers: this.#workers.size,
      requests: this.#requests.held,
      requestsOut: this.#requests.out,
      bytes: this.#requests.bytes,
    };
  }

  /** The broker is reachable from now on. */
  begin(now: number): void {
    this.#requests.begunAt = now;
  }

  // ---------------------------------------------------------------- inputs: peers

  connected(id: number, dialled: Dialled, now: number): void {
    const { listener, routingId, ownRoutingId, identity } = dialled;
    const name = ownRoutingId ? `${identity} ${routingId.toString('latin1')}` : null;
    const peer = new ModelPeer(id, listener, name);
    this.#peers.set(id, peer);
    if (this.#isForPirates(peer) && dialled.socketType === 'REQ') {
      peer.revivesAt = now + this.#options.heartbeatIntervalMs;
    }
    const client = name === null ? undefined : this.#away.get(name);
    if (name === null || client === undefined) return;
    this.#away.delete(name);
    client.peer = peer;
    client.slow = false;
    peer.client = client;
  }

  disconnected(id: number, now: number): void {
    const peer = this.#peer(id);
    if (peer.worker !== null) this.#remove(peer.worker, 'connection', true, now);
    this.#peers.delete(id);
    const { client } = peer;
    if (client === null) return;
    client.peer = null;
    if (client.requests.size === 0) {
      this.#clients.delete(client);
    } else if (client.name !== null) {
      this.#away.set(client.name, client);
    } else {
      client.departed = true;
      this.#departed.push(client);
    }
  }

  outputFull(id: number): void {
    const peer = this.#peer(id);
    peer.full = true;
    if (peer.worker !== null || peer.closing) return;
    peer.closing = true;
    if (peer.client !== null) peer.client.slow = true;
    this.#requests.expected.close(id);
  }

  drained(id: number): void {
    const peer = this.#peer(id);
    peer.full = false;
    if (peer.worker !== null) peer.worker.usedAt = this.#uses++;
  }

  oversized(id: number, now: number): void {
    this.#malformed(this.#peer(id), 'too_large', now);
  }

  // ---------------------------------------------------------------- inputs: messages

  message(id: number, intent: Intent, now: number): void {
    const peer = this.#peer(id);
    if (peer.closing) return;
    peer.revivesAt = Infinity;
    switch (intent.kind) {
      case 'request':
        if (intent.service.startsWith('mmi.')) this.#mmi(peer, intent);
        else this.#requests.accept(peer, () => this.#clientOf(peer), intent, now);
        return;
      case 'ready':
        this.#ready(peer, intent, now);
        return;
      case 'final':
      case 'partial':
      case 'fail':
        this.#reply(peer, intent, now);
        return;
      case 'heartbeat':
        this.#heartbeat(peer, intent.version, now);
        return;
      case 'disconnect':
        if (peer.worker !== null) this.#remove(peer.worker, 'disconnected', false, now);
        return;
      case 'return':
        this.#returned(peer, intent, now);
        return;
      case 'leave':
        this.#leaves(peer, intent, now);
        return;
      case 'ping':
        if (!this.#requests.draining) this.#requests.expected.message(id, [Buffer.from('PONG')]);
        return;
      case 'malformed':
        this.#malformed(peer, intent.as, now);
    }
  }

  #mmi(peer: ModelPeer, intent: RequestIntent): void {
    this.#clientOf(peer);
    let answer = ['501'];
    if (intent.service === 'mmi.service') {
      const service = this.#services.find(keyOf(intent.body));
      answer = [service !== null && service.workers.size > 0 ? '200' : '404'];
    } else if (intent.service === 'mmi.hello') {
      answer = ['200'];
      const said = keyOf(intent.body);
      const [refusesToWait, hearsFailures] = [said.includes('refuse'), said.includes('failures')];
      peer.hellos.push({ envelope: intent.envelope, refusesToWait, hearsFailures });
    } else if (intent.service === 'mmi.cancel') {
      answer = ['200'];
      this.#requests.takeBack(this.#clientOf(peer), intent);
    } else if (intent.service === 'mmi.broker') {
      answer = ['200', JSON.stringify(STATUS)];
    }
    const body = answer.map((frame) => Buffer.from(frame));
    const frames = replyFrames(intent, true, intent.service, body);
    this.#requests.expected.message(peer.id, frames);
  }

  #ready(peer: ModelPeer, intent: ReadyIntent, now: number): void {
    if (peer.worker !== null) {
      if (peer.worker.isPirate) this.#startAnew(peer.worker, now);
      else this.#unexpected(peer, intent.version, now);
      return;
    }
    const { limits, listeners } = this.#options;
    const isNew = (this.#services.find(intent.service)?.workers.size ?? 0) === 0;
    const isLimit =
      this.#workers.size >= limits.workers ||
      (isNew && this.#services.withWorkers >= limits.services);
    const refusals = this.counters.workersRefused;
    const before = refusals.draining;
    if (listeners[peer.listener]?.worker.isNone === true) refusals.rights++;
    else if (intent.service.startsWith('mmi.')) refusals.reserved++;
    else if (this.#requests.draining) refusals.draining++;
    else if (isLimit) refusals.limit++;
    else {
      const service = this.#services.named(intent.service);
      const { version } = intent;
      const worker = new ModelWorker(peer, service, version, intent, now, this.#uses++);
      service.workers.add(worker);
      this.#workers.add(worker);
      peer.worker = worker;
      return;
    }
    this.#sendDisconnect(
      peer,
      intent.version,
      this.#requests.draining && refusals.draining > before,
    );
  }

  /** D33: what it held goes back, and it waits. */
  #startAnew(worker: ModelWorker, now: number): void {
    worker.lastSeenAt = now;
    if (worker.held.length > 0) {
      this.#requests.giveBack(worker, [...worker.held], true, now);
      worker.usedAt = this.#uses++;
    }
    this.#settleIfDone(worker, now);
  }

  /** D33: a pirate is told nothing, and loses its connection if it did wrong or is refused. */
  #sendDisconnect(peer: ModelPeer, kind: WorkerKind, mayReturn: boolean): void {
    if (typeof kind === 'number') {
      this.#requests.expected.disconnect(peer.id, kind);
    } else if (!mayReturn) {
      peer.closing = true;
      this.#requests.expected.close(peer.id);
    }
  }

  #reply(peer: ModelPeer, intent: ReplyIntent | FailIntent, now: number): void {
    const { worker } = peer;
    if (worker !== null) worker.lastSeenAt = now;
    const delivery = this.#deliveries.get(intent.token);
    if (delivery?.state === 'out' && delivery.worker === worker) {
      const { request } = delivery;
      if (intent.kind === 'fail') this.#requests.failureOfWorker(request, worker, intent, now);
      else this.#requests.replyOfWorker(request, intent);
      if (intent.kind === 'partial') return;
      worker.usedAt = this.#uses++;
      this.#settleIfDone(worker, now);
    } else if (delivery?.state === 'lost') {
      this.#requests.replyOfLostWorker(delivery, intent);
      if (intent.version === 'spp') this.#waitsAgain(peer, now);
      else if (worker === null) this.#sendDisconnect(peer, intent.version, true);
    } else if (intent.version === 'spp') {
      this.#waitsAgain(peer, now);
    } else {
      this.#unexpected(peer, intent.version, now);
    }
  }

  /** D32, D36: whatever a Simple Pirate replied to, it waits for a request now. */
  #waitsAgain(peer: ModelPeer, now: number): void {
    const service = this.#options.listeners[peer.listener]?.service?.toString() ?? '';
    this.#ready(peer, { kind: 'ready', version: 'spp', service, credit: null }, now);
  }

  #isForPirates({ listener }: ModelPeer): boolean {
    const rules = this.#options.listeners[listener];
    return (rules?.service ?? null) !== null && rules?.client.isNone === true;
  }

  #heartbeat(peer: ModelPeer, version: WorkerKind, now: number): void {
    const { worker } = peer;
    if (worker === null) {
      this.#unexpected(peer, version, now);
      return;
    }
    worker.lastSeenAt = now;
    const oldest = worker.held[0];
    if (oldest === undefined) return;
    // D5: within an interval after the dispatch it proves nothing.
    if (now - oldest.dispatchedAt > this.#options.heartbeatIntervalMs) {
      worker.heartbeatsWhileBusy = true;
    }
  }

  #returned(peer: ModelPeer, intent: ReturnIntent, now: number): void {
    const { worker } = peer;
    if (worker !== null) worker.lastSeenAt = now;
    const delivery = this.#deliveries.get(intent.token);
    if (worker?.declaredCredit !== true) {
      this.#unexpected(peer, intent.version, now);
    } else if (delivery?.state === 'out' && delivery.worker === worker) {
      this.#requests.giveBack(worker, [delivery.request], false, now, intent.unbegun);
      worker.usedAt = this.#uses++;
      this.#settleIfDone(worker, now);
    } else if (delivery?.state !== 'lost') {
      this.#unexpected(peer, intent.version, now);
    }
  }

  #leaves(peer: ModelPeer, { version }: LeaveIntent, now: number): void {
    const { worker } = peer;
    if (worker?.declaredCredit !== true) {
      if (worker !== null) worker.lastSeenAt = now;
      this.#unexpected(peer, version, now);
      return;
    }
    worker.lastSeenAt = now;
    worker.credit = 0;
    this.#settleIfDone(worker, now);
  }

  #malformed(peer: ModelPeer, kind: keyof ModelCounters['malformed'], now: number): void {
    this.counters.malformed[kind]++;
    const { worker } = peer;
    if (worker === null) return;
    this.#sendDisconnect(peer, worker.version, false);
    this.#remove(worker, 'protocol', false, now);
  }

  #unexpected(peer: ModelPeer, version: WorkerKind, now: number): void {
    this.counters.unexpected++;
    this.#sendDisconnect(peer, version, true);
    if (peer.worker !== null) this.#remove(peer.worker, 'protocol', false, now);
  }

  // ---------------------------------------------------------------- inputs: the end

  drain(now: number): void {
    this.#requests.draining = true;
    for (const worker of [...this.#workers]) this.#settleIfDone(worker, now);
  }

  stop(now: number): void {
    for (const worker of [...this.#workers]) {
      this.#sendDisconnect(worker.peer, worker.version, true);
      this.#remove(worker, 'drained', false, now);
    }
  }

  #settleIfDone(worker: ModelWorker, now: number): void {
    const { draining } = this.#requests;
    if ((!draining && worker.credit > 0) || worker.held.length > 0) return;
    this.#sendDisconnect(worker.peer, worker.version, true);
    this.#remove(worker, draining ? 'drained' : 'disconnected', false, now);
  }

  // ---------------------------------------------------------------- time

  /** Overdue workers first, then overdue requests; dispatch and heartbeats in any order. */
  beginRun(now: number): void {
    this.#running = true;
    this.#now = now;
    for (const worker of [...this.#workers]) {
      if (worker.lostAt(this.#options) > now) continue;
      this.#remove(worker, 'expired', true, now);
      if (!worker.hasVanished(this.#options, now) || worker.peer.closing) continue;
      worker.peer.closing = true;
      this.#requests.expected.close(worker.peer.id);
    }
    this.#revive(now);
    for (const client of this.#departed) {
      this.#requests.forget(client);
      this.#clients.delete(client);
    }
    this.#departed = [];
    this.#requests.expire(now);
  }

  /** D36 */
  #revive(now: number): void {
    for (const peer of this.#peers.values()) {
      if (peer.revivesAt > now) continue;
      peer.revivesAt = Infinity;
      if (!peer.closing) this.#waitsAgain(peer, now);
    }
  }

  endRun(): void {
    this.#running = false;
    for (const service of this.#services.all()) {
      service.touched = false;
      hold(
        service.queue.length === 0 || service.nextWorker() === null,
        `a request for ${service.name} waits though a worker is available`,
      );
    }
    for (const worker of this.#workers) {
      if (worker.heartbeatAt(this.#options) > this.#now) continue;
      hold(worker.peer.full, `worker at peer ${worker.peer.id} gets no heartbeat`);
      worker.lastSentAt = this.#now;
    }
  }

  /** After each input and run: nothing that must be done has been left undone. */
  settle(): void {
    this.#requests.expected.settle();
    this.#requests.step++;
    for (const client of this.#clients) {
      if (client.peer !== null || client.requests.size > 0) continue;
      this.#clients.delete(client);
      if (client.name !== null) this.#away.delete(client.name);
    }
  }

  /** The latest time at which something must happen. */
  dueAt(): number {
    let due = Infinity;
    for (const worker of this.#workers) {
      due = Math.min(due, worker.heartbeatAt(this.#options), worker.lostAt(this.#options));
    }
    for (const { revivesAt } of this.#peers.values()) due = Math.min(due, revivesAt);
    for (const service of this.#services.all()) {
      for (const { expiresAt } of service.queue) due = Math.min(due, expiresAt);
    }
    return due;
  }

  // ---------------------------------------------------------------- outputs

  /** The broker sent this to a peer. Frames as on the wire, without the routing id. */
  sent(id: number, frames: readonly Buffer[]): void {
    hold(this.#peers.has(id), `a message to peer ${id}, which is gone: ${show(frames)}`);
    if (this.#requests.expected.take(id, frames)) return;
    const { worker } = this.#peer(id);
    if (worker !== null && this.#running) {
      const heartbeat = heartbeatFrames(worker.version, worker.usesWords);
      if (heartbeat !== null && sameFrames(heartbeat, frames)) {
        this.#sentHeartbeat(worker);
        return;
      }
      const head = requestHead(worker.version);
      const { length } = head;
      const isRequest = sameFrames(head, frames.slice(0, length));
      if (frames.length > length + 2 && isRequest) {
        this.#sentRequest(worker, frames, length, 0);
        return;
      }
      const command = worker.isPirate ? undefined : frames[length - 1];
      if (frames.length > length + 4 && command?.equals(Buffer.from([9])) === true) {
        this.#sentRequest(worker, frames, length, 2);
        return;
      }
    }
    violated(`peer ${id} is sent what it must not get: ${show(frames)}`);
  }

  closed(id: number): void {
    this.#requests.expected.takeClose(id);
  }

  /** The broker's own numbers equal these. */
  agrees(broker: Broker, after: string): void {
    checkAgreement(broker, this, after);
  }

  #sentHeartbeat(worker: ModelWorker): void {
    hold(!worker.peer.full, 'a heartbeat to a worker that does not read');
    hold(worker.heartbeatAt(this.#options) <= this.#now, 'a heartbeat before its time');
    worker.lastSentAt = this.#now;
  }

  /** @param told how many frames are before the body: deadline and headers, or nothing */
  #sentRequest(worker: ModelWorker, frames: readonly Buffer[], at: number, told: number): void {
    const [token, empty, ...rest] = frames.slice(at);
    const body = rest.slice(told);
    hold(token !== undefined && empty?.length === 0, 'REQUEST without token and empty frame');
    const request = this.#requests.byKey.get(keyOf(body));
    checkDispatch(request, worker, body, this.#options, this.#now);
    checkMetadata(request, worker, rest.slice(0, told), this.#now);
    this.#deliver(request, worker, token);
  }

  #deliver(request: ModelRequest, worker: ModelWorker, token: Buffer): void {
    const name = token.toString('latin1');
    hold(token.length >= TOKEN_BYTES_MIN, 'a token of too few bytes (D7)');
    hold(!this.#deliveries.has(name), 'a token is given twice (D7)');
    const delivery = new Delivery(request, worker, token);
    this.#deliveries.set(name, delivery);
    request.service.queue.splice(request.service.queue.indexOf(request), 1);
    request.state = 'out';
    request.worker = worker;
    request.delivery = delivery;
    request.deliveries++;
    request.dispatchedAt = this.#now;
    worker.held.push(request);
    worker.lastSentAt = this.#now;
    worker.usedAt = this.#uses++;
  }

  // ---------------------------------------------------------------- parts

  #remove(worker: ModelWorker, reason: LostReason, silent: boolean, now: number): void {
    this.counters.workersLost[reason]++;
    worker.peer.worker = null;
    worker.service.workers.delete(worker);
    if (worker.service.workers.size === 0) worker.service.lostAt = now;
    this.#workers.delete(worker);
    this.#requests.giveBack(worker, [...worker.held], silent, now);
  }

  #clientOf(peer: ModelPeer): ModelClient {
    let { client } = peer;
    if (client === null) {
      client = new ModelClient(peer);
      peer.client = client;
      this.#clients.add(client);
    }
    return client;
  }

  #peer(id: number): ModelPeer {
    return this.#peers.get(id) ?? violated(`no peer ${id}`);
  }
}
