/**
 * The broker machine: 7/MDP and 18/MDP on one port, following the decisions in the project's
 * protocol notes (D1 …). It does no I/O: `(input, now)` changes the state and calls effects on a
 * sink, in order. This file composes it and passes each input on; docs/ARCHITECTURE.md says which
 * folder holds what.
 *
 * In each turn, the shell passes the inputs in order of arrival, then calls `run` once. `now` is in
 * monotonic milliseconds and never goes back.
 */
import type { Words } from '../core/bytes.js';
import type { Frames } from '../core/frames.js';
import { Holdings } from '../core/holdings.js';
import type { RandomFill } from '../core/random.js';
import { Inbound, tooLarge } from '../wire/inbound.js';
import { Absence } from './admission/absence.js';
import { Admission } from './admission/admission.js';
import { Limits } from './admission/limits.js';
import { BrokerCounters } from './counters.js';
import type { BrokerEvents } from './events.js';
import { measure } from './gauges.js';
import { ClientRequests } from './inputs/client-requests.js';
import { Connections } from './inputs/connections.js';
import { FastPath } from './inputs/fast-path.js';
import { EmbeddedServices } from './inputs/embedded-services.js';
import { readHead, readMessage } from './inputs/reading.js';
import { OwnerRights } from './inputs/owner-rights.js';
import { RemoteWorkers } from './inputs/remote-workers.js';
import { WorkerInputs } from './inputs/worker-inputs.js';
import { ClientScans } from './lifecycle/client-scans.js';
import { Deliveries } from './lifecycle/deliveries.js';
import { Departures } from './lifecycle/departures.js';
import { Dispatcher } from './lifecycle/dispatcher.js';
import { InternalRequests } from './lifecycle/internal-requests.js';
import { Lifecycle } from './lifecycle/lifecycle.js';
import { Registrations } from './lifecycle/registrations.js';
import { Replies } from './lifecycle/replies.js';
import { RequestEnds } from './lifecycle/request-ends.js';
import { StoredDeliveries } from './lifecycle/stored-deliveries.js';
import { type Figures, Listing } from './listing.js';
import type {
  AdmissionState,
  BrokerLimits,
  BrokerOptions,
  OutputRoom,
  PeerIdentity,
} from './options.js';
import type { Interconnect, InternalClient, InternalService, ServiceWatcher } from './ports.js';
import { NO_QUOTAS } from './quotas.js';
import { type RequestTrace, RequestTracer } from './request-trace.js';
import type { BrokerSink } from './sink.js';
import { Clients } from './state/clients.js';
import { Identities } from './state/identities.js';
import { InternalServices } from './state/internal-services.js';
import { Peers } from './state/peers.js';
import { RequestStore } from './state/request-store.js';
import { RequestTable } from './state/request-table.js';
import { ServiceTable } from './state/service-table.js';
import { Tokens } from './state/tokens.js';
import { Revivals } from './state/revivals.js';
import { Workers } from './state/workers.js';

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

const UNBOUNDED_OUTPUT: OutputRoom = {
  left: () => Infinity,
  max: () => Infinity,
  takesRequest: () => true,
};

export class Broker {
  readonly counters: BrokerCounters = new BrokerCounters();
  readonly #peers = new Peers();
  readonly #identities: Identities;
  readonly #clients: Clients;
  readonly #services: ServiceTable;
  readonly #workers: Workers;
  readonly #revivals: Revivals;
  readonly #internals = new InternalServices();
  readonly #requests: RequestStore;
  readonly #tracer = new RequestTracer();
  readonly #limits: Limits;
  readonly #admission: Admission;
  readonly #absence: Absence;
  readonly #stored: StoredDeliveries;
  readonly #deliveries: Deliveries;
  readonly #ends: RequestEnds;
  readonly #dispatcher: Dispatcher;
  readonly #departures: Departures;
  readonly #registrations: Registrations;
  readonly #scans: ClientScans;
  readonly #connections: Connections;
  readonly #fastPath: FastPath;
  readonly #fromClients: ClientRequests;
  readonly #fromWorkers: WorkerInputs;
  /** The functions that internal services and the keeper of stored requests can call. */
  readonly embedded: EmbeddedServices;
  /** What an interconnect with other brokers can call. */
  readonly remote: RemoteWorkers;
  /** What is registered, for callers outside the broker. */
  readonly listing: Listing;
  readonly #inbound: Inbound;

  /** @param random unpredictable bytes, used for tokens and hashing */
  constructor(options: BrokerOptions, sink: BrokerSink, events: BrokerEvents, random: RandomFill) {
    const { counters } = this;
    const tracer = this.#tracer;
    const holdings = options.holdings ?? new Holdings();
    const output = options.output ?? UNBOUNDED_OUTPUT;
    const seed = Buffer.alloc(4);
    random(seed);

    // State.
    const peers = this.#peers;
    const internals = this.#internals;
    const table = new RequestTable();
    const tokens = new Tokens(table, random);
    this.#inbound = new Inbound((frames, index) => tokens.isKnown(frames, index));
    const identities = new Identities(holdings, options.quotasOf ?? (() => NO_QUOTAS));
    const clients = new Clients(table);
    const { services: counted } = counters.requests;
    const services = new ServiceTable(table, seed.readInt32LE(), counted, identities);
    const workers = new Workers(options, services);
    const revivals = new Revivals(options.heartbeatIntervalMs);
    const requests = new RequestStore({
      ...{ table, clients, services, identities, tokens, tracer, holdings },
    });
    this.#identities = identities;
    this.#clients = clients;
    this.#services = services;
    this.#workers = workers;
    this.#revivals = revivals;
    this.#requests = requests;

    // Admission.
    const limits = new Limits(options.limits, requests, services, workers);
    const admission = new Admission(sink);
    const absence = new Absence(options.heartbeatIntervalMs * options.heartbeatLiveness);
    this.#limits = limits;
    this.#admission = admission;
    this.#absence = absence;

    // Lifecycle.
    const { requestTtlMs, maxDeliveries } = options;
    const replies = new Replies({ sink, events, counters, tracer, table, requests });
    const ends = new RequestEnds({
      ...{ requestTtlMs, events, counters, tracer, table, requests, services, replies },
    });
    const stored = new StoredDeliveries(table, services, workers, requests);
    const deliveries = new Deliveries({
      ...{ options, sink, counters, tracer, table, tokens, workers, requests },
    });
    const lifecycle = new Lifecycle({
      ...{ maxDeliveries, events, counters, tracer, table, services, workers, requests },
      ...{ limits, admission, replies, ends, deliveries, stored },
    });
    const departures = new Departures({
      ...{ table, services, workers, lifecycle, budget: RUN_BUDGET },
    });
    const registrations = new Registrations({
      ...{ sink, events, counters, table, services, workers, admission, absence },
      ...{ lifecycle, deliveries, departures, stored },
    });
    const internalRequests = new InternalRequests(table, requests, replies);
    const scans = new ClientScans(table, clients, requests, ends);
    this.#ends = ends;
    this.#stored = stored;
    this.#deliveries = deliveries;
    this.#departures = departures;
    this.#registrations = registrations;
    this.#scans = scans;
    this.#dispatcher = new Dispatcher({
      ...{ output, table, services, workers, requests, ends, deliveries, stored },
    });

    // Inputs.
    const figures: Figures = { source: null };
    this.listing = new Listing(services, figures);
    this.embedded = new EmbeddedServices({
      ...{ figures, internals, services, workers, requests, admission, internalRequests, stored },
      owners: new OwnerRights(options),
    });
    this.#fromClients = new ClientRequests({
      ...{ output, peers, identities, services, internals, admission, absence, limits },
      ...{ requests, replies, lifecycle, internalRequests, host: this.embedded },
    });
    this.#fromWorkers = new WorkerInputs({
      ...{ events, counters, table, tokens, services, workers, revivals, internals },
      ...{ admission, limits, replies, lifecycle, registrations, departures },
    });
    this.#fastPath = new FastPath({
      ...{ table, tokens, workers, requests, admission, limits, replies, lifecycle },
      ...{ deliveries },
    });
    this.remote = new RemoteWorkers({
      ...{ table, services, workers, identities, departures },
      ...{ fromWorkers: this.#fromWorkers, fromClients: this.#fromClients },
    });
    this.#connections = new Connections({
      ...{ options, sink, events, counters, peers, identities, clients, workers, revivals },
      ...{ scans, registrations },
    });
  }

  /** The broker becomes reachable; its workers have yet to connect. */
  begin(now: number): void {
    this.#absence.begin(now);
  }

  /** Plugs in a service of this process. Must be called before the first input. */
  host(service: InternalService): void {
    this.#internals.add(service);
  }

  /** Plugs in the keeper of stored requests. Must be called before the first input. */
  keep(client: InternalClient): void {
    this.#stored.attach(client);
  }

  /** Plugs in what knows the workers of other brokers. Must be called before the first input. */
  connect(interconnect: Interconnect): void {
    this.#dispatcher.connect(interconnect);
    this.remote.connect(interconnect);
  }

  /** Tells it from now on which services have workers. Must be called before the first input. */
  watchServices(watcher: ServiceWatcher): void {
    this.#registrations.watch(watcher);
  }

  /** Replaces limits and quotas. What is already held stays. */
  setLimits(limits: BrokerLimits): void {
    this.#limits.values = limits;
    this.#identities.refreshAll();
  }

  /** Reports every step of every client's request from now on; `null` stops it. */
  follow(trace: RequestTrace | null): void {
    this.#tracer.start(trace);
  }

  get load(): BrokerLoad {
    return {
      peers: this.#peers.count,
      clients: this.#clients.count,
      services: this.#services.count,
      workers: this.#workers.count,
      requests: this.#requests.held,
      requestsOut: this.#deliveries.out,
      bytes: this.#requests.heldBytes,
    };
  }

  /** Brings the gauges of the rows of services up to date. */
  measure(): void {
    measure(this.#services.all());
  }

  // ---------------------------------------------------------------- inputs: peers

  connected(id: number, identity: PeerIdentity, now: number): void {
    this.#connections.connected(id, identity, now);
  }

  disconnected(id: number, now: number): void {
    this.#connections.disconnected(this.#peers.of(id), now);
  }

  /** The peer does not read: its output has reached `limits.outputBytes`. */
  full(id: number): void {
    this.#connections.full(this.#peers.of(id));
  }

  drained(id: number): void {
    this.#connections.drained(this.#peers.of(id));
  }

  /** Messages from the peer wait to be read, which is a sign of life (D5, D76). */
  waiting(id: number, now: number): void {
    const { worker } = this.#peers.of(id);
    if (worker !== null) this.#workers.touch(worker, now);
  }

  /** The transport ended a connection because of what it received on it. */
  rejected(
    listener: number,
    kind: string,
    reason: string,
    from: { readonly address: string; readonly key: string | null },
  ): void {
    this.#connections.rejected(listener, kind, reason, from);
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
    this.#connections.revoke(listener, publicKey);
  }

  /**
   * The rights of a key changed. What the key may no longer do ends: its workers are expelled and
   * its waiting requests are refused (D73). What it stored stays.
   * @param key the name of the key
   */
  rightsChanged(key: string, now: number): void {
    this.#connections.rightsChanged(key, now);
  }

  // ---------------------------------------------------------------- inputs: messages

  /**
   * Bytes from a peer, a message at `[from, …)` first, before they are taken apart. What can be
   * handled so has the same effect as `message`, and costs less.
   * @param end one past the bytes that have arrived
   * @returns where the message ends; 0: nothing was done, take it apart and call `message`
   */
  packed(id: number, words: Words, from: number, end: number, now: number): number {
    return this.#fastPath.take(this.#peers.of(id), words, from, end, now);
  }

  /** @param frames without the routing id; valid until this returns */
  message(id: number, frames: Frames, now: number): void {
    const peer = this.#peers.of(id);
    if (peer.closing) return;
    const inbound = this.#inbound;
    if (readMessage(inbound, peer, frames)) this.#revivals.forget(peer);
    switch (inbound.kind) {
      case 'request':
        this.#fromClients.request(peer, inbound, now);
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
        this.#fromWorkers.disconnect(peer, now);
        return;
      case 'return':
        this.#fromWorkers.returned(peer, inbound, now);
        return;
      case 'fail':
        this.#fromWorkers.failed(peer, inbound, null, now);
        return;
      case 'ping':
        this.#fromClients.ping(peer);
        return;
      case 'malformed':
        this.#fromWorkers.malformed(peer, inbound.fault, now);
    }
  }

  /**
   * A message exceeded the limits and was skipped (D100). One that is a request is refused; one about
   * a request ends it.
   * @param head, reason see `TransportEvents.oversized`
   */
  oversized(id: number, head: Frames, reason: string, now: number): void {
    const peer = this.#peers.of(id);
    const inbound = this.#inbound;
    this.#revivals.forget(peer);
    const isRead = !peer.closing && readHead(inbound, peer, head);
    switch (isRead ? inbound.kind : 'malformed') {
      case 'request':
        // The log has the refusal.
        this.counters.malformed.too_large++;
        this.#fromClients.tooLarge(peer, inbound, reason);
        return;
      case 'final':
      case 'partial':
      case 'return':
      case 'fail':
        this.#fromWorkers.tooLarge(peer, inbound, reason, now);
        return;
      default:
        this.#fromWorkers.malformed(peer, tooLarge(reason), now);
    }
  }

  // ---------------------------------------------------------------- whether clients are served

  get admission(): AdmissionState {
    return this.#admission.state;
  }

  /**
   * Sets whether clients are served, refused, or held until one of these is decided: see
   * `Admission`. Requests at workers continue in any case, and their replies are delivered.
   */
  setAdmission(state: AdmissionState, now: number): void {
    if (state === 'serving' && this.#admission.state !== 'serving') this.#absence.begin(now);
    this.#admission.set(state);
    if (this.#admission.isOpen) this.#reopen();
    this.#fromClients.releaseHeld(now);
  }

  /**
   * Resumes dispatching of waiting requests, and tells the keeper that stored ones may be
   * delivered.
   */
  #reopen(): void {
    for (const service of this.#services.all()) {
      if (service.workers.size === 0) continue;
      this.#workers.schedule(service);
      this.#stored.offerRoom(service);
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
    const areExpired = this.#registrations.expire(now, RUN_BUDGET);
    let more = !areExpired;
    if (!this.#departures.run(now)) more = true;
    if (!this.#fromWorkers.revive(now, RUN_BUDGET)) more = true;
    this.#services.forget(now);
    if (!this.#scans.run(RUN_BUDGET)) more = true;
    if (!this.#refuseWaiting() || this.#ends.expireDue(now, RUN_BUDGET) === 0) more = true;
    if (!this.#admission.isOpen) this.#dispatcher.dispatchNothing();
    else if (areExpired && this.#dispatcher.dispatch(now, RUN_BUDGET) === 0) more = true;
    this.#registrations.sendHeartbeats(now);
    return more;
  }

  /** When `run` is next due without any input, in monotonic milliseconds; Infinity for never. */
  nextRunAt(): number {
    return Math.min(
      this.#workers.nextDueAt(),
      this.#deliveries.nextDueAt(),
      this.#revivals.nextDueAt(),
      this.#ends.nextDueAt(),
    );
  }

  /** @returns false if there is more to do */
  #refuseWaiting(): boolean {
    const { closure, isClearing } = this.#admission;
    if (closure === null || !isClearing) return true;
    if (this.#ends.refuseWaiting(closure, RUN_BUDGET) === 0) return false;
    this.#admission.isClearing = false;
    return true;
  }

  // ---------------------------------------------------------------- shutting down

  /**
   * Stops accepting requests: sends DISCONNECT to waiting workers now and to busy ones after their
   * last reply, and refuses waiting requests. All is done when `load.requestsOut` is 0.
   */
  drain(now: number): void {
    this.#admission.drain();
    this.#fromClients.releaseHeld(now);
    this.#registrations.drain(now);
  }

  /** Sends DISCONNECT to the workers that are still busy. This is the last input. */
  stop(now: number): void {
    this.#registrations.stop(now);
  }
}
