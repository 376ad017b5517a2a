/**
 * The broker machine: 7/MDP and 18/MDP on one port, following the decisions in the project's
 * protocol notes (D1 …). It does no I/O: `(input, now)` changes the state and calls effects on a
 * sink, in order.
 *
 * In each turn, the shell passes the inputs in order of arrival, then calls `run` once. `now` is in
 * monotonic milliseconds and never goes back.
 */
import { assert, present } from '../core/assert.js';
import { Holdings } from '../core/holdings.js';
import { Frames } from '../core/frames.js';
import { unpack } from '../core/packed.js';
import type { RandomFill } from '../core/random.js';
import { Inbound } from '../wire/inbound.js';
import { Absence } from './admission/absence.js';
import { Access } from './admission/access.js';
import { Clients } from './state/clients.js';
import { BrokerCounters } from './counters.js';
import { EmbeddedServices } from './inputs/embedded-services.js';
import type { BrokerEvents } from './events.js';
import { Following, type RequestTrace } from './request-trace.js';
import { type Closure, Admission, type AdmissionState } from './admission/admission.js';
import { gaugesOf, type ServiceGauges } from './gauges.js';
import { Identities, overQuota } from './state/identities.js';
import { Ledger, type RefusalReply } from './ledger.js';
import { Lifecycle } from './lifecycle/lifecycle.js';
import { Listing } from './listing.js';
import type { BrokerLimits, BrokerOptions } from './options.js';
import type { InternalClient, InternalRequest, InternalService } from './ports.js';
import { NO_QUOTAS } from './quotas.js';
import { NONE, type RequestId, RequestTable } from './state/request-table.js';
import { EVERYTHING } from './rights.js';
import { ServiceTable } from './state/service-table.js';
import type { BrokerSink } from './sink.js';
import { type Client, Peer, type Worker } from './state/entities.js';
import { StoredDeliveries } from './lifecycle/stored-deliveries.js';
import { Tokens } from './state/tokens.js';
import { WorkerInputs } from './inputs/worker-inputs.js';
import { Workers } from './state/workers.js';

/** Who connected; as in the transport's port. */
export interface PeerIdentity {
  readonly listener: number;
  readonly routingId: Buffer;
  readonly ownRoutingId: boolean;
  readonly key: string | null;
  readonly publicKey?: string | null;
  readonly address: string;
  readonly identity: string;
}

/** A pass over the requests of one client, spread over as many turns as it takes. */
interface Sweep {
  readonly client: Client;
  /** Requests not yet examined. */
  left: number;
  /** What to do with those that wait. */
  readonly end: (id: RequestId) => void;
}

const WITHDRAWN: Closure = {
  reason: 'rights',
  refusal: { status: '403', text: 'the right to send requests to this service was withdrawn' },
};
const TOO_FAST: RefusalReply = { status: '429', text: overQuota('requestsPerSecond') };
const TAKEN_OUT = 'its key was removed from the keys file';
const NO_RIGHT: RefusalReply = { status: '403', text: 'no right to send requests to this service' };

/**
 * Maximum number of requests that one `run` handles per kind of due work, so that it does not block
 * the loop.
 */
const RUN_BUDGET = 2048;

/** What the broker holds, for monitoring. */
export interface BrokerLoad {
  readonly peers: number;
  readonly clients: number;
  readonly services: number;
  readonly workers: number;
  /** Requests held: waiting, or out at workers. */
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
  readonly #identities: Identities;
  readonly #clients: Clients;
  readonly #services: ServiceTable;
  readonly #workers: Workers;
  readonly #ledger: Ledger;
  readonly #admission: Admission;
  readonly #lifecycle: Lifecycle;
  readonly #absence: Absence;
  readonly #stored: StoredDeliveries;
  readonly #fromWorkers: WorkerInputs;
  readonly #following = new Following();
  /** The functions that internal services and the keeper of stored requests can call. */
  readonly embedded: EmbeddedServices;
  /** What is registered, for callers outside the broker. */
  readonly listing: Listing;
  readonly #peers: (Peer | null)[] = [];
  #peerCount = 0;
  readonly #inbound = new Inbound();
  readonly #sweeps: Sweep[] = [];

  /** @param random unpredictable bytes, used for tokens and hashing */
  constructor(options: BrokerOptions, sink: BrokerSink, events: BrokerEvents, random: RandomFill) {
    this.#options = options;
    this.#sink = sink;
    this.#events = events;
    const seed = Buffer.alloc(4);
    random(seed);
    this.#tokens = new Tokens(this.#table, random);
    const holdings = options.holdings ?? new Holdings();
    this.#identities = new Identities(holdings, options.quotasOf ?? (() => NO_QUOTAS));
    this.#clients = new Clients(this.#table);
    const { labels } = this.counters.requests;
    const identities = this.#identities;
    this.#services = new ServiceTable(this.#table, seed.readInt32LE(), labels, identities);
    const figures = { source: null };
    this.listing = new Listing(this.#services, figures);
    this.#workers = new Workers(options, this.#services, sink);
    const parts = {
      options,
      sink,
      events,
      counters: this.counters,
      table: this.#table,
      tokens: this.#tokens,
      identities: this.#identities,
      clients: this.#clients,
      services: this.#services,
      following: this.#following,
      workers: this.#workers,
    };
    this.#ledger = new Ledger(parts, options.limits, holdings);
    this.#stored = new StoredDeliveries({ ...parts, ledger: this.#ledger });
    this.#admission = new Admission(this.#ledger, options.vote ?? (() => false));
    this.#absence = new Absence(options.heartbeatIntervalMs * options.heartbeatLiveness);
    const keepers = {
      ledger: this.#ledger,
      admission: this.#admission,
      stored: this.#stored,
      absence: this.#absence,
    };
    const lifecycleParts = { ...parts, ...keepers };
    this.#lifecycle = new Lifecycle(lifecycleParts);
    const all = { ...lifecycleParts, lifecycle: this.#lifecycle, figures };
    this.embedded = new EmbeddedServices(all);
    this.#fromWorkers = new WorkerInputs({ ...all, embedded: this.embedded });
  }

  /** The broker becomes reachable; its workers have yet to connect. */
  begin(now: number): void {
    this.#absence.begin(now);
  }

  /** Plugs in a service of this process. Must be called before the first input. */
  host(service: InternalService): void {
    this.embedded.host(service);
  }

  /** Plugs in the keeper of stored requests. Must be called before the first input. */
  keep(client: InternalClient): void {
    this.#stored.attach(client);
  }

  /** Replaces limits and quotas. What is already held stays. */
  setLimits(limits: BrokerLimits): void {
    this.#ledger.limits = limits;
    this.#fromWorkers.maxWorkers = limits.workers;
    this.#fromWorkers.maxServices = limits.services;
    this.#identities.refreshAll();
  }

  /** Reports every step of every client's request from now on; `null` stops it. */
  follow(trace: RequestTrace | null): void {
    this.#following.follow(trace);
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

  /** Current counts, by label of the service. */
  get gauges(): ServiceGauges {
    return gaugesOf(this.#services.all());
  }

  // ---------------------------------------------------------------- inputs: peers

  connected(id: number, identity: PeerIdentity): void {
    assert(!this.#peers[id], 'a peer connects once');
    const { listener, routingId, key, address } = identity;
    const rights = key === null ? null : (this.#options.rightsOf?.(listener, key) ?? null);
    const owner = this.#identities.join(identity.identity, key, rights?.quota ?? null);
    // D70: another identity with this routing id is a different client.
    const own = identity.ownRoutingId ? `${owner.name} ${routingId.toString('latin1')}` : null;
    const access = new Access(this.#options.listeners[listener] ?? EVERYTHING, rights);
    const peer = new Peer(id, listener, own, owner, address, access);
    peer.publicKey = identity.publicKey ?? null;
    this.#peers[id] = peer;
    this.#peerCount++;
    this.#clients.rejoin(peer);
  }

  disconnected(id: number, now: number): void {
    const peer = this.#peer(id);
    // D15: counted as an expiry, because the worker did not announce that it leaves.
    if (peer.worker !== null) this.#fromWorkers.lose(peer.worker, 'connection', true, now);
    const departed = this.#clients.leave(peer);
    if (departed !== null) this.#sweep(departed, this.#lifecycle.dropQueued);
    this.#peers[id] = null;
    peer.isGone = true;
    this.#peerCount--;
    peer.identity.hellos -= peer.hellos.count;
    this.#identities.leave(peer.identity);
  }

  /** The peer does not read: its output has reached `limits.outputBytes`. */
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

  /** Messages from the peer wait to be read, which is a sign of life (D5, D76). */
  waiting(id: number, now: number): void {
    const { worker } = this.#peer(id);
    if (worker !== null) this.#workers.touch(worker, now);
  }

  /** A message exceeded the limits and was not read. */
  oversized(id: number, now: number): void {
    this.#fromWorkers.malformed(this.#peer(id), 'too_large', 'a message over the limits', now);
  }

  /** The transport ended a connection because of what it received on it. */
  rejected(
    listener: number,
    kind: string,
    reason: string,
    { address, key }: { readonly address: string; readonly key: string | null },
  ): void {
    this.counters.connectionsRejected++;
    this.#events.emit({ name: 'connection.rejected', listener, kind, reason, address, key });
  }

  /** Whether a peer of this identity is connected. */
  isConnected(identity: string): boolean {
    return this.#identities.isConnected(identity);
  }

  /**
   * A key is no longer valid: the connections that use it end (D73).
   * @param publicKey in hexadecimal; connections of the same name with another key stay
   */
  revoke(listener: number, publicKey: string): void {
    for (const peer of this.#peers) {
      if (peer?.publicKey !== publicKey || peer.listener !== listener || peer.closing) continue;
      peer.closing = true;
      this.rejected(listener, 'key', TAKEN_OUT, peer);
      this.#sink.close(peer.id);
    }
  }

  /**
   * The rights of a key changed. What the key may no longer do ends: its workers are expelled and
   * its waiting requests are refused (D73). What it stored stays.
   * @param key the name of the key
   */
  rightsChanged(key: string, now: number): void {
    for (const peer of this.#peers) {
      if (peer?.key !== key) continue;
      const { access, worker, identity } = peer;
      access.changed();
      const quota = access.rights?.quota ?? null;
      if (quota !== identity.quota) this.#identities.refresh(identity, quota);
      if (worker === null || access.allows('worker', worker.service.name)) continue;
      this.#sink.disconnect(peer.id, worker.version);
      this.#fromWorkers.lose(worker, 'rights', false, now);
    }
    for (const client of this.#clients.all()) {
      if (client.identity.key !== key) continue;
      this.#sweep(client, (id) => {
        this.#refuseIfWithdrawn(client, id);
      });
    }
  }

  #refuseIfWithdrawn(client: Client, id: RequestId): void {
    const access = client.access;
    const { name } = this.#ledger.serviceOf(id);
    if (access.allows('client', name)) return;
    this.#lifecycle.refuseQueued(id, WITHDRAWN);
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
        this.#fromWorkers.ready(peer, inbound, now);
        return;
      case 'final':
      case 'partial':
        this.#fromWorkers.reply(peer, inbound, now);
        return;
      case 'heartbeat':
        this.#fromWorkers.heartbeat(peer, inbound, now);
        return;
      case 'disconnect':
        // The worker announced it, so its requests are given back (D8).
        if (peer.worker !== null) this.#fromWorkers.lose(peer.worker, 'disconnected', false, now);
        return;
      case 'return':
        this.#fromWorkers.returned(peer, inbound, now);
        return;
      case 'fail':
        this.#fromWorkers.failed(peer, inbound, now);
        return;
      case 'malformed':
        this.#fromWorkers.malformed(peer, inbound.malformed, inbound.reason, now);
    }
  }

  #request(peer: Peer, inbound: Inbound, now: number): void {
    const internal = this.embedded.internalFor(inbound.frames, inbound.service);
    if (!peer.identity.takesRequest(now)) {
      this.#ledger.refuse(inbound, peer, 'quota', TOO_FAST, internal !== null);
      return;
    }
    // `mmi.*` is answered on every listener, for every peer, in every state.
    if (internal?.isForAll !== true) {
      const isAllowed =
        internal === null
          ? peer.access.mayRequest(inbound.frames, inbound.service)
          : peer.access.isClient;
      if (!isAllowed) {
        this.#ledger.refuse(inbound, peer, 'rights', NO_RIGHT, internal !== null);
        return;
      }
      if (!this.#admission.isOpen && !this.#admission.lets(inbound, peer, internal !== null)) {
        return;
      }
    }
    if (internal === null) this.#lifecycle.accept(inbound, peer, now);
    else this.#ask(internal, inbound, peer, now);
  }

  #ask(internal: InternalService, inbound: Inbound, peer: Peer, now: number): void {
    const id = this.#lifecycle.acceptInternal(inbound, peer, internal.isForAll === true);
    if (id === NONE) return;
    const { frames, service, body } = inbound;
    const number = this.embedded.numberOf(id);
    const asker = this.embedded.askerOf(peer);
    const name = frames.view(service);
    const request: InternalRequest = { id: number, service: name, frames, body, asker };
    internal.request(request, this.embedded, now);
  }

  // ---------------------------------------------------------------- whether clients are served

  get admission(): AdmissionState {
    return this.#admission.state;
  }

  /**
   * Sets whether clients are served, refused, or held until one of these is decided. Requests at
   * workers continue in any case, and their replies are delivered.
   */
  setAdmission(state: AdmissionState, now: number): void {
    if (state === 'serving' && this.#admission.state !== 'serving') this.#absence.begin(now);
    this.#admission.set(state);
    if (this.#admission.isOpen) this.#reopen();
    if (state !== 'holding') this.#endHolding(now);
  }

  /** Processes the held requests as if they had just arrived, or refuses them. */
  #endHolding(now: number): void {
    // A separate object, because the request that is asking for a vote may be using the other one.
    const inbound = new Inbound();
    const frames = new Frames();
    for (const { peer, packed } of this.#admission.takeHeld()) {
      this.#identities.settled(peer.identity);
      // The peer disconnected, and its held requests end with it.
      if (this.#peers[peer.id] !== peer || peer.closing) continue;
      frames.clear();
      unpack(packed, 0, packed.length, frames);
      inbound.read(frames);
      const { closure } = this.#admission;
      if (closure === null) this.#request(peer, inbound, now);
      else this.#admission.refuse(inbound, peer, closure, true);
    }
  }

  /**
   * Resumes dispatching of waiting requests, and tells the keeper that stored ones may be
   * delivered.
   */
  #reopen(): void {
    for (const service of this.#services.all()) {
      if (service.workers.size === 0) continue;
      this.#workers.schedule(service);
      this.#stored.workerCame(service);
    }
  }

  /**
   * Called after the internal services were told to stop. Requests that they have not answered get
   * no answer, except those that change nothing, which are refused.
   */
  dropInternal(): void {
    this.embedded.dropInternal();
  }

  // ---------------------------------------------------------------- time

  /**
   * Does everything that is due; called at the end of a turn. Expires overdue workers first, then
   * dispatches waiting requests.
   * @returns true if more is due than one turn should handle: call it again soon
   */
  run(now: number): boolean {
    // Each kind of work has its own budget, so that a lot of one does not delay the others.
    const lifecycle = this.#lifecycle;
    const areExpired = this.#expireWorkers(now);
    let more = !areExpired;
    this.#services.forget(now);
    if (!this.#runSweeps()) more = true;
    if (!this.#refuseWaiting() || lifecycle.expire(now, RUN_BUDGET) === 0) more = true;
    if (!this.#admission.isOpen) lifecycle.dispatchNothing();
    else if (areExpired && lifecycle.dispatch(now, RUN_BUDGET) === 0) more = true;
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
    // Counted in requests that these workers hold; those of one worker are handled together.
    for (let budget = RUN_BUDGET; budget > 0;) {
      const due = this.#workers.nextSilent(now) ?? this.#lifecycle.nextOverdue(now, holder);
      if (due === null) return true;
      budget -= 1 + due.held.count;
      this.#fromWorkers.lose(due, 'expired', true, now);
    }
    return false;
  }

  /** @returns false if there is more to do */
  #refuseWaiting(): boolean {
    const { closure, isClearing } = this.#admission;
    if (closure === null || !isClearing) return true;
    if (this.#lifecycle.refuseWaiting(closure, RUN_BUDGET) === 0) return false;
    this.#admission.isClearing = false;
    return true;
  }

  #sweep(client: Client, end: (id: RequestId) => void): void {
    this.#sweeps.push({ client, left: client.requests.count, end });
  }

  /** @returns false if there is more to do */
  #runSweeps(): boolean {
    let budget = RUN_BUDGET;
    for (let sweep = this.#sweeps.at(-1); sweep; sweep = this.#sweeps.at(-1)) {
      const { client, left, end } = sweep;
      sweep.left = this.#lifecycle.sweep(client, left, budget, end);
      budget -= left - sweep.left;
      if (sweep.left > 0) return false;
      this.#sweeps.pop();
      this.#clients.forget(client);
    }
    return true;
  }

  // ---------------------------------------------------------------- shutting down

  /**
   * Stops accepting requests: sends DISCONNECT to waiting workers now and to busy ones after their
   * last reply, and refuses waiting requests. All is done when `load.requestsOut` is 0.
   */
  drain(now: number): void {
    this.#admission.drain();
    this.#endHolding(now);
    for (const service of [...this.#services.all()]) {
      this.#stored.handBack(service);
      for (const worker of [...service.workers]) this.#fromWorkers.settleIfDraining(worker, now);
    }
  }

  /** Sends DISCONNECT to the workers that are still busy. This is the last input. */
  stop(now: number): void {
    for (const service of [...this.#services.all()]) {
      for (const worker of [...service.workers]) {
        this.#sink.disconnect(worker.peer.id, worker.version);
        this.#fromWorkers.lose(worker, 'drained', false, now);
      }
    }
  }

  // ---------------------------------------------------------------- parts

  #peer(id: number): Peer {
    return present(this.#peers[id], 'inputs are of connected peers');
  }
}
