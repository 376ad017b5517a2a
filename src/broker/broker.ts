/**
 * The broker machine: 7/MDP and 18/MDP on one port, as decided in the project's protocol notes
 * (D1 …). No I/O: `(input, now)` changes the state and calls effects on a sink, in order.
 *
 * A turn of the shell: inputs as they came, then `run` once. `now` is monotonic milliseconds and
 * never goes back.
 */
import { assert, present } from '../core/assert.js';
import { escapeName } from '../core/escape.js';
import type { Frames } from '../core/frames.js';
import type { RandomFill } from '../core/random.js';
import { Inbound, type MalformedKind } from '../wire/inbound.js';
import type { MdpVersion } from '../wire/mdp.js';
import { Clients } from './clients.js';
import { BrokerCounters, type LostReason, type WorkerRefusal } from './counters.js';
import { Desk } from './desk.js';
import type { BrokerEvents } from './events.js';
import { Ledger } from './ledger.js';
import { Lifecycle } from './lifecycle.js';
import type { BrokerLimits, BrokerOptions, ListenerRoles } from './options.js';
import type { InternalClient, InternalRequest, InternalService } from './ports.js';
import {
  DISPATCHED_AT,
  LOST,
  NONE,
  OUT,
  type RequestId,
  RequestTable,
  WORKER,
} from './requests.js';
import { Services } from './services.js';
import type { BrokerSink } from './sink.js';
import { type Client, Peer, Worker } from './state.js';
import { StoredRequests } from './stored.js';
import { Tokens } from './tokens.js';
import { Workers } from './workers.js';

/** Who connected: as in the transport's port. */
export interface PeerIdentity {
  readonly listener: number;
  readonly routingId: Buffer;
  readonly ownRoutingId: boolean;
  readonly key: string | null;
}

/** Requests that one `run` handles of each kind of due work, so that the loop gets its turn. */
const RUN_BUDGET = 2048;

/** What the broker holds, for those who watch. */
export interface BrokerLoad {
  readonly peers: number;
  readonly clients: number;
  readonly services: number;
  readonly workers: number;
  /** Requests held, waiting or out. */
  readonly requests: number;
  readonly requestsOut: number;
  readonly bytes: number;
}

export class Broker {
  readonly counters: BrokerCounters = new BrokerCounters();
  readonly #options: BrokerOptions;
  readonly #sink: BrokerSink;
  readonly #events: BrokerEvents;
  readonly #table = new RequestTable();
  readonly #tokens: Tokens;
  readonly #clients: Clients;
  readonly #services: Services;
  readonly #workers: Workers;
  readonly #ledger: Ledger;
  readonly #lifecycle: Lifecycle;
  readonly #stored: StoredRequests;
  /** What internal services and the keeper of stored requests can ask. */
  readonly desk: Desk;
  readonly #peers: (Peer | null)[] = [];
  #peerCount = 0;
  readonly #inbound = new Inbound();
  /** Clients that are gone for good and whose waiting requests are being dropped. */
  readonly #departed: Client[] = [];
  #maxWorkers: number;
  #maxServices: number;
  #draining = false;
  #lastWorker = 0;

  /** @param random unpredictable bytes: tokens and hashing depend on it */
  constructor(options: BrokerOptions, sink: BrokerSink, events: BrokerEvents, random: RandomFill) {
    this.#options = options;
    this.#sink = sink;
    this.#events = events;
    this.#maxWorkers = options.limits.workers;
    this.#maxServices = options.limits.services;
    const seed = Buffer.alloc(4);
    random(seed);
    this.#tokens = new Tokens(this.#table, random);
    this.#clients = new Clients(this.#table);
    this.#services = new Services(this.#table, seed.readInt32LE());
    this.#workers = new Workers(options, this.#services, sink);
    const parts = {
      options,
      sink,
      events,
      counters: this.counters,
      table: this.#table,
      tokens: this.#tokens,
      clients: this.#clients,
      services: this.#services,
      workers: this.#workers,
    };
    this.#ledger = new Ledger(parts, options.limits);
    this.#stored = new StoredRequests({ ...parts, ledger: this.#ledger });
    this.#lifecycle = new Lifecycle({ ...parts, ledger: this.#ledger, stored: this.#stored });
    this.desk = new Desk({
      services: this.#services,
      ledger: this.#ledger,
      lifecycle: this.#lifecycle,
      stored: this.#stored,
    });
  }

  /** Plugs in a service of this process. Before the first input. */
  host(service: InternalService): void {
    this.desk.host(service);
  }

  /** Plugs in the keeper of stored requests. Before the first input. */
  keep(client: InternalClient): void {
    this.#stored.attach(client);
  }

  /** Other limits from now on; what is held already stays. */
  setLimits(limits: BrokerLimits): void {
    this.#ledger.limits = limits;
    this.#maxWorkers = limits.workers;
    this.#maxServices = limits.services;
  }

  get load(): BrokerLoad {
    return {
      peers: this.#peerCount,
      clients: this.#clients.count,
      services: this.#services.count,
      workers: this.#workers.count,
      requests: this.#ledger.held,
      requestsOut: this.#lifecycle.out,
      bytes: this.#ledger.heldBytes,
    };
  }

  // ---------------------------------------------------------------- inputs: peers

  connected(id: number, identity: PeerIdentity): void {
    assert(!this.#peers[id], 'a peer connects once');
    const { listener, routingId, key } = identity;
    const name = identity.ownRoutingId ? `${listener} ${routingId.toString('latin1')}` : null;
    const rights = key === null ? null : (this.#options.rightsOf?.(listener, key) ?? null);
    const peer = new Peer(id, listener, name, key, rights);
    this.#peers[id] = peer;
    this.#peerCount++;
    this.#clients.rejoin(peer);
  }

  disconnected(id: number, now: number): void {
    const peer = this.#peer(id);
    // D15: as its expiry, for it said nothing.
    if (peer.worker !== null) this.#lose(peer.worker, 'connection', true, now);
    const departed = this.#clients.leave(peer);
    if (departed !== null) this.#departed.push(departed);
    this.#peers[id] = null;
    this.#peerCount--;
  }

  /** The peer does not read: its output is at `limits.outputBytes`. */
  full(id: number): void {
    const peer = this.#peer(id);
    peer.full = true;
    if (peer.worker !== null) {
      this.#workers.fullChanged(peer.worker);
      return;
    }
    if (peer.closing) return;
    peer.closing = true;
    if (peer.client !== null) peer.client.slow = true;
    this.#events.emit({ name: 'client.closed', reason: 'slow_client' });
    this.#sink.close(id);
  }

  drained(id: number): void {
    const peer = this.#peer(id);
    peer.full = false;
    if (peer.worker !== null) this.#workers.fullChanged(peer.worker);
  }

  /** A message came that was larger than the limits and was not read. */
  oversized(id: number, now: number): void {
    this.#malformed(this.#peer(id), 'too_large', 'a message over the limits', now);
  }

  /** The transport ended a connection for what came over it. */
  rejected(listener: number, kind: string, reason: string): void {
    this.counters.connectionsRejected++;
    this.#events.emit({ name: 'connection.rejected', listener, kind, reason });
  }

  /** A key is no longer good: what came in by it there is ended. */
  revoke(listener: number, key: string): void {
    for (const peer of this.#peers) {
      if (peer?.key !== key || peer.listener !== listener || peer.closing) continue;
      peer.closing = true;
      this.#sink.close(peer.id);
    }
  }

  // ---------------------------------------------------------------- inputs: messages

  /** @param frames without the routing id; valid until this returns */
  message(id: number, frames: Frames, now: number): void {
    const peer = this.#peer(id);
    if (peer.closing) return;
    const inbound = this.#inbound;
    inbound.read(frames);
    switch (inbound.kind) {
      case 'request':
        this.#request(peer, inbound, now);
        return;
      case 'ready':
        this.#ready(peer, inbound, now);
        return;
      case 'final':
      case 'partial':
        this.#reply(peer, inbound, now);
        return;
      case 'heartbeat':
        this.#heartbeat(peer, inbound, now);
        return;
      case 'disconnect':
        // It said so: what it held is given back (D8).
        if (peer.worker !== null) this.#lose(peer.worker, 'disconnected', false, now);
        return;
      case 'return':
        this.#returned(peer, inbound, now);
        return;
      case 'malformed':
        this.#malformed(peer, inbound.malformed, inbound.reason, now);
    }
  }

  #request(peer: Peer, inbound: Inbound, now: number): void {
    const internal = this.desk.internalFor(inbound.frames, inbound.service);
    // `mmi.*` is answered on every listener, whoever asks, to the end.
    const isForAll = internal?.isForAll === true;
    if (!isForAll && !this.#mayBe('client', peer)) {
      this.#ledger.refuse(inbound, peer, 'rights', null);
    } else if (internal !== null && (isForAll || !this.#draining)) {
      const id = this.#lifecycle.acceptInternal(inbound, peer);
      if (id === NONE) return;
      const { frames, service, body } = inbound;
      const request: InternalRequest = { id, service: frames.view(service), frames, body };
      internal.request(request, this.desk, now);
    } else {
      this.#lifecycle.accept(inbound, peer, this.#draining, now);
    }
  }

  #ready(peer: Peer, inbound: Inbound, now: number): void {
    const { frames, version } = inbound;
    if (peer.worker !== null) {
      this.#unexpected(peer, version, 'a second READY', now);
      return;
    }
    const refusal = this.#workerRefusal(peer, inbound);
    if (refusal !== null) {
      this.counters.workersRefused[refusal]++;
      const service = escapeName(frames.view(inbound.service));
      this.#events.emit({ name: 'worker.refused', service, reason: refusal });
      this.#sink.disconnect(peer.id, version);
      return;
    }
    const at = inbound.service;
    const service =
      this.#services.find(frames.buffer(at), frames.start(at), frames.end(at)) ??
      this.#services.add(frames.copy(at));
    const { credit, declaresCredit } = inbound;
    const table = this.#table;
    const number = ++this.#lastWorker;
    const worker = new Worker(peer, service, number, version, credit, declaresCredit, table, now);
    this.#workers.add(worker);
    this.#stored.workerCame(service);
    this.#events.emit({ name: 'worker.registered', service: service.shown, credit, key: peer.key });
  }

  /** What its listener allows, and its key. */
  #mayBe(role: keyof ListenerRoles, { listener, rights }: Peer): boolean {
    return this.#options.listeners[listener]?.[role] !== false && rights?.[role] !== false;
  }

  #workerRefusal(peer: Peer, inbound: Inbound): WorkerRefusal | null {
    const { frames, service: at } = inbound;
    if (!this.#mayBe('worker', peer)) return 'rights';
    if (this.desk.internalFor(frames, at) !== null) return 'reserved';
    if (this.#draining) return 'draining';
    if (this.#workers.count >= this.#maxWorkers) return 'limit';
    const service = this.#services.find(frames.buffer(at), frames.start(at), frames.end(at));
    const isNew = service === null || service.workers.size === 0;
    return isNew && this.#services.withWorkers >= this.#maxServices ? 'limit' : null;
  }

  #reply(peer: Peer, inbound: Inbound, now: number): void {
    const { worker } = peer;
    if (worker !== null) this.#workers.touch(worker, now);
    const { frames, client } = inbound;
    const tokens = this.#tokens;
    const table = this.#table;
    const id = tokens.request(frames, client);
    if (id !== NONE) {
      if (worker !== null && this.#isHolder(id, peer, inbound)) {
        this.#lifecycle.replyOfHolder(id, worker, inbound);
        this.#settleIfDraining(worker, now);
        return;
      }
      const bit = tokens.deliveryBit(frames, client);
      if ((table.get(id, LOST) & bit) !== 0) {
        this.#lifecycle.replyOfLost(id, bit, inbound);
        if (worker === null) this.#sink.disconnect(peer.id, inbound.version);
        return;
      }
    }
    const outcome = tokens.outlived(frames, client);
    if (outcome !== null) {
      if (inbound.kind === 'final') this.#ledger.countDroppedReply(outcome);
      if (worker === null) this.#sink.disconnect(peer.id, inbound.version);
      return;
    }
    const what =
      worker === null ? 'a reply of no registered worker' : 'a reply to no request of it';
    this.#unexpected(peer, inbound.version, what, now);
  }

  #heartbeat(peer: Peer, inbound: Inbound, now: number): void {
    const { worker } = peer;
    if (worker === null) {
      this.#unexpected(peer, inbound.version, 'HEARTBEAT of no registered worker', now);
      return;
    }
    this.#workers.touch(worker, now);
    const oldest = worker.held.head;
    if (oldest === NONE || worker.heartbeatsWhileBusy) return;
    this.#workers.heartbeatWhileBusy(worker, this.#table.getTime(oldest, DISPATCHED_AT), now);
  }

  #returned(peer: Peer, inbound: Inbound, now: number): void {
    const { worker } = peer;
    const { frames, client, body } = inbound;
    const id = this.#tokens.request(frames, client);
    const outlived = this.#tokens.outlived(frames, client) !== null;
    if (worker !== null) this.#workers.touch(worker, now);
    if (worker?.declaredCredit !== true) {
      this.#unexpected(peer, inbound.version, 'RETURN of a worker without credit', now);
    } else if (id !== NONE && this.#isHolder(id, peer, inbound)) {
      const reason = body < frames.count ? escapeName(frames.view(body)) : '';
      this.#events.emit({ name: 'request.returned', service: worker.service.shown, reason });
      const why = reason === '' ? 'given back' : `given back: ${reason}`;
      this.#lifecycle.giveBack(id, worker, false, this.#draining, why, now);
      this.#settleIfDraining(worker, now);
    } else if (id !== NONE && this.#isOfLost(id, inbound)) {
      // It was lost with it and is already elsewhere.
    } else if (!outlived) {
      this.#unexpected(peer, inbound.version, 'RETURN of no request of it', now);
    }
  }

  #isHolder(id: RequestId, peer: Peer, inbound: Inbound): boolean {
    const table = this.#table;
    return (
      table.is(id, OUT) &&
      table.get(id, WORKER) === peer.id &&
      this.#tokens.isLatest(inbound.frames, inbound.client, id)
    );
  }

  #isOfLost(id: RequestId, inbound: Inbound): boolean {
    const bit = this.#tokens.deliveryBit(inbound.frames, inbound.client);
    return (this.#table.get(id, LOST) & bit) !== 0;
  }

  /** Cannot be parsed: dropped and counted; a registered worker is expelled (docs/protocol.md). */
  #malformed(peer: Peer, kind: MalformedKind, reason: string, now: number): void {
    this.counters.malformed[kind]++;
    this.#events.emit({ name: 'message.malformed', kind, reason });
    if (peer.worker === null) return;
    this.#sink.disconnect(peer.id, peer.worker.version);
    this.#lose(peer.worker, 'protocol', false, now);
  }

  /** Valid, but not in this state: DISCONNECT, and the worker is forgotten (docs/protocol.md). */
  #unexpected(peer: Peer, version: MdpVersion, what: string, now: number): void {
    this.counters.unexpected++;
    this.#events.emit({ name: 'worker.unexpected', what });
    this.#sink.disconnect(peer.id, version);
    if (peer.worker !== null) this.#lose(peer.worker, 'protocol', false, now);
  }

  // ---------------------------------------------------------------- time

  /**
   * Everything that is due: the end of a turn. Overdue workers are expired first, then waiting
   * requests are dispatched.
   * @returns true if more is due than one turn should take: come again soon
   */
  run(now: number): boolean {
    // Each kind of work has a budget of its own, so that much of one holds up no other.
    const lifecycle = this.#lifecycle;
    const areExpired = this.#expireWorkers(now);
    let more = !areExpired;
    if (!this.#forgetDeparted()) more = true;
    if (this.#draining) {
      if (lifecycle.refuseWaiting(RUN_BUDGET) === 0) more = true;
      lifecycle.dispatchNothing();
    } else {
      if (lifecycle.expire(now, RUN_BUDGET) === 0) more = true;
      if (areExpired && lifecycle.dispatch(now, RUN_BUDGET) === 0) more = true;
    }
    this.#workers.sendHeartbeats(now);
    return more;
  }

  /** When `run` is next due without any input, in monotonic milliseconds; Infinity for never. */
  nextRunAt(): number {
    return Math.min(this.#workers.nextDueAt(), this.#lifecycle.nextDueAt());
  }

  /** @returns false if there is more to do */
  #expireWorkers(now: number): boolean {
    const holder = (id: number): Worker =>
      present(this.#peers[id]?.worker, 'a request is out at a registered worker');
    // Of the requests that they hold; one worker's are not divided.
    for (let budget = RUN_BUDGET; budget > 0;) {
      const due = this.#workers.nextSilent(now) ?? this.#lifecycle.nextOverdue(now, holder);
      if (due === null) return true;
      budget -= 1 + due.held.count;
      this.#lose(due, 'expired', true, now);
    }
    return false;
  }

  /** @returns false if there is more to do */
  #forgetDeparted(): boolean {
    let budget = RUN_BUDGET;
    for (let client = this.#departed.at(-1); client; client = this.#departed.at(-1)) {
      budget = this.#lifecycle.forget(client, budget);
      if (client.requests.count > 0) return false;
      this.#departed.pop();
    }
    return true;
  }

  // ---------------------------------------------------------------- shutting down

  /**
   * Stops accepting: waiting workers are sent DISCONNECT now, busy ones after their last reply,
   * waiting requests are refused. `load.requestsOut` tells when all is done.
   */
  drain(now: number): void {
    this.#draining = true;
    this.desk.isClosed = true;
    for (const service of [...this.#services.all()]) {
      this.#stored.handBack(service);
      for (const worker of [...service.workers]) this.#settleIfDraining(worker, now);
    }
  }

  /** Tells the workers that are still busy that it is over; the last input. */
  stop(now: number): void {
    for (const service of [...this.#services.all()]) {
      for (const worker of [...service.workers]) {
        this.#sink.disconnect(worker.peer.id, worker.version);
        this.#lose(worker, 'drained', false, now);
      }
    }
  }

  #settleIfDraining(worker: Worker, now: number): void {
    if (!this.#draining || worker.held.count > 0) return;
    this.#sink.disconnect(worker.peer.id, worker.version);
    this.#lose(worker, 'drained', false, now);
  }

  // ---------------------------------------------------------------- parts

  /**
   * Forgets a worker; what it held goes back to the front of the queue, in its order (D6).
   * @param silent see `Lifecycle.giveBack`
   */
  #lose(worker: Worker, reason: LostReason, silent: boolean, now: number): void {
    const { held, service } = worker;
    this.counters.workersLost[reason]++;
    this.#events.emit({
      name: 'worker.lost',
      service: service.shown,
      reason,
      inFlight: held.count,
    });
    this.#workers.remove(worker);
    while (held.tail !== NONE) {
      this.#lifecycle.giveBack(held.tail, worker, silent, this.#draining, reason, now);
    }
    if (service.workers.size === 0) this.#stored.handBack(service);
    this.#services.releaseIfUnused(service);
  }

  #peer(id: number): Peer {
    return present(this.#peers[id], 'inputs are of connected peers');
  }
}
