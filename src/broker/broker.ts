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
import type { RandomFill } from '../core/random.js';
import { Inbound, tooLarge } from '../wire/inbound.js';
import type { BrokerCounters } from './counters.js';
import type { BrokerEvents } from './broker-events.js';
import { measure } from './gauges.js';
import { ClientRequests } from './inputs/client-requests.js';
import { Connections } from './inputs/connections.js';
import { FastPath } from './inputs/fast-path.js';
import { readHead, readMessage } from './inputs/reading.js';
import { RemoteWorkers } from './inputs/remote-workers.js';
import { WorkerInputs } from './inputs/worker-inputs.js';
import { BrokerData } from './lifecycle/broker-data.js';
import { ClientScans } from './lifecycle/client-scans.js';
import { Deliveries } from './lifecycle/deliveries.js';
import { Departures } from './lifecycle/departures.js';
import { Dispatcher } from './lifecycle/dispatcher.js';
import { InternalRequests } from './lifecycle/internal-requests.js';
import { Lifecycle } from './lifecycle/lifecycle.js';
import { Registrations } from './lifecycle/registrations.js';
import { Replies } from './lifecycle/replies.js';
import { RequestEnds } from './lifecycle/request-ends.js';
import { Resumptions } from './lifecycle/resumptions.js';
import { StoredDeliveries } from './lifecycle/stored-deliveries.js';
import { RUN_BUDGET } from './lifecycle/turns.js';
import { Listing } from './listing.js';
import type {
  AdmissionState,
  BrokerLimits,
  BrokerOptions,
  LimitsOf,
  PeerIdentity,
} from './options.js';
import type { Interconnect, ServiceWatcher } from './ports.js';
import type { RequestTracer } from './request-trace.js';
import type { BrokerSink } from './sink.js';
import type { Identities } from './state/identities.js';
import type { InternalServices } from './state/internal-services.js';

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
  /** Clients with a session, connected or away. */
  readonly sessions: number;
  readonly sessionsAway: number;
}

export class Broker {
  readonly #data: BrokerData;
  readonly #deliveries: Deliveries;
  readonly #requestEnds: RequestEnds;
  readonly #clientScans: ClientScans;
  readonly #resumptions: Resumptions;
  readonly #dispatcher: Dispatcher;
  readonly #departures: Departures;
  readonly #registrations: Registrations;
  readonly #fastPath: FastPath;
  readonly #fromClients: ClientRequests;
  readonly #fromWorkers: WorkerInputs;
  readonly #inbound: Inbound;
  readonly counters: BrokerCounters;
  /** Where services of this process are plugged in, before the first input. */
  readonly internals: InternalServices;
  /** Reports every step of every client's request, once it is started. */
  readonly tracer: RequestTracer;
  readonly identities: Identities;
  /** Where connections of peers end, and what they hold with them. */
  readonly connections: Connections;
  /** What internal services can call. */
  readonly internalRequests: InternalRequests;
  /** What the internal client can call. */
  readonly storedDeliveries: StoredDeliveries;
  /** What an interconnect with other brokers can call. */
  readonly remote: RemoteWorkers;
  /** What is registered, for callers outside the broker. */
  readonly listing: Listing;

  /** @param random unpredictable bytes, used for tokens and hashing */
  constructor(options: BrokerOptions, sink: BrokerSink, events: BrokerEvents, random: RandomFill) {
    // Each class calls only those made before it, which its constructor names.
    const data = new BrokerData(options, sink, events, random);
    const replies = new Replies(data);
    const deliveries = new Deliveries(data);
    const storedDeliveries = new StoredDeliveries(data, deliveries);
    const requestEnds = new RequestEnds(data, replies, deliveries);
    const clientScans = new ClientScans(data, requestEnds);
    const resumptions = new Resumptions(data, replies, requestEnds, clientScans);
    const internalRequests = new InternalRequests(data, replies, clientScans, resumptions);
    const lifecycle = new Lifecycle(data, replies, deliveries, storedDeliveries, requestEnds);
    const departures = new Departures(data, lifecycle);
    const registrations = new Registrations(
      data,
      deliveries,
      storedDeliveries,
      lifecycle,
      departures,
    );
    this.#data = data;
    this.#deliveries = deliveries;
    this.storedDeliveries = storedDeliveries;
    this.internalRequests = internalRequests;
    this.#requestEnds = requestEnds;
    this.#clientScans = clientScans;
    this.#resumptions = resumptions;
    this.#dispatcher = new Dispatcher(data, deliveries, storedDeliveries, requestEnds);
    this.#departures = departures;
    this.#registrations = registrations;
    this.counters = data.counters;
    this.internals = data.internals;
    this.tracer = data.tracer;
    this.identities = data.identities;
    this.listing = new Listing(data);
    this.#inbound = new Inbound((frames, index) => data.tokens.isKnown(frames, index));
    this.connections = new Connections(data, clientScans, resumptions, registrations);
    this.#fastPath = new FastPath(data, replies, deliveries, lifecycle);
    this.#fromClients = new ClientRequests(data, replies, internalRequests, lifecycle);
    this.#fromWorkers = new WorkerInputs(data, replies, lifecycle, departures, registrations);
    this.remote = new RemoteWorkers(data, departures, this.#fromWorkers, this.#fromClients);
  }

  /** The broker becomes reachable; its workers have yet to connect. */
  begin(now: number): void {
    this.#data.absence.begin(now);
    this.#data.gates.begin(now);
    this.#registrations.askRuns();
  }

  /** Plugs in what knows the workers of other brokers. Must be called before the first input. */
  connect(interconnect: Interconnect): void {
    this.#data.interconnect = interconnect;
  }

  /** Tells it from now on which services have workers. Must be called before the first input. */
  watchServices(watcher: ServiceWatcher): void {
    this.#data.watcher = watcher;
  }

  /** Replaces limits and quotas. What is already held stays. */
  setLimits(limits: BrokerLimits): void {
    this.#data.limits.values = limits;
    this.#data.identities.refreshAll();
  }

  /** Sets the limits of services and their groups that the configuration has (D118). */
  setServiceLimits(limitsOf: LimitsOf): void {
    this.storedDeliveries.limitsChanged(this.#data.services.setLimits(limitsOf));
  }

  get load(): BrokerLoad {
    const { peers, clients, services, workers, requests, sessions } = this.#data;
    return {
      sessions: sessions.count,
      sessionsAway: sessions.away,
      peers: peers.count,
      clients: clients.count,
      services: services.count,
      workers: workers.count,
      requests: requests.held,
      requestsOut: this.#deliveries.out,
      bytes: requests.heldBytes,
    };
  }

  /** Brings the gauges of the rows of services up to date. */
  measure(): void {
    measure(this.#data.services.all());
  }

  // ---------------------------------------------------------------- inputs: peers

  connected(id: number, identity: PeerIdentity, now: number): void {
    this.#data.sessions.now = now;
    this.connections.connected(id, identity, now);
  }

  disconnected(id: number, now: number): void {
    this.connections.disconnected(this.#data.peers.of(id), now);
  }

  /** The peer does not read: its output has reached `limits.outputBytes`. */
  outputFull(id: number): void {
    this.connections.outputFull(this.#data.peers.of(id));
  }

  drained(id: number): void {
    this.connections.drained(this.#data.peers.of(id));
  }

  /** Messages from the peer wait to be read, which is a sign of life (D5, D76). */
  waiting(id: number, now: number): void {
    const { peers, workers } = this.#data;
    const { worker } = peers.of(id);
    if (worker !== null) workers.touch(worker, now);
  }

  // ---------------------------------------------------------------- inputs: messages

  /**
   * Bytes from a peer, a message at `[from, …)` first, before they are taken apart. What can be
   * handled so has the same effect as `message`, and costs less.
   * @param end one past the bytes that have arrived
   * @returns where the message ends; 0: nothing was done, take it apart and call `message`
   */
  packed(id: number, words: Words, from: number, end: number, now: number): number {
    this.#data.sessions.now = now;
    return this.#fastPath.take(this.#data.peers.of(id), words, from, end, now);
  }

  /** @param frames without the routing id; valid until this returns */
  message(id: number, frames: Frames, now: number): void {
    const { peers, revivals, sessions } = this.#data;
    sessions.now = now;
    const peer = peers.of(id);
    if (peer.closing) return;
    const inbound = this.#inbound;
    if (readMessage(inbound, peer, frames)) revivals.forget(peer);
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
      case 'runs':
        this.#fromWorkers.runs(peer, inbound, now);
        return;
      case 'ping':
        this.#fromClients.ping(peer);
        return;
      case 'probe':
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
    const { peers, revivals, sessions } = this.#data;
    sessions.now = now;
    const peer = peers.of(id);
    const inbound = this.#inbound;
    revivals.forget(peer);
    const isRead = !peer.closing && readHead(inbound, peer, head);
    switch (isRead ? inbound.kind : 'malformed') {
      case 'request':
        // The log has the refusal.
        this.counters.malformed.too_large++;
        this.#fromClients.tooLarge(peer, inbound, reason, now);
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
    return this.#data.admission.state;
  }

  /**
   * Sets whether clients are served, refused, or held until one of these is decided: see
   * `Admission`. Requests at workers continue in any case, and their replies are delivered.
   */
  setAdmission(state: AdmissionState, now: number): void {
    const { admission } = this.#data;
    if (state === 'serving' && admission.state !== 'serving') this.begin(now);
    admission.set(state);
    if (admission.isOpen) this.#reopen();
    this.#fromClients.releaseHeld(now);
  }

  /**
   * Resumes dispatching of waiting requests, and tells the internal client that stored ones may be
   * delivered.
   */
  #reopen(): void {
    const { services, workers } = this.#data;
    for (const service of services.all()) {
      if (service.workers.size === 0) continue;
      workers.schedule(service);
      this.storedDeliveries.offerRoom(service);
    }
  }

  // ---------------------------------------------------------------- time

  /**
   * Does everything that is due; called at the end of a turn. Expires overdue workers first, then
   * dispatches waiting requests.
   * @returns true if more is due than one turn should handle: call it again soon
   */
  run(now: number): boolean {
    const { services, admission } = this.#data;
    this.#data.sessions.now = now;
    // Each kind of work has its own budget, so that a lot of one does not delay the others.
    const areExpired = this.#registrations.expire(now, RUN_BUDGET);
    let more = !areExpired;
    if (!this.#departures.run(now)) more = true;
    if (!this.#fromWorkers.revive(now, RUN_BUDGET)) more = true;
    if (!services.forget(now)) more = true;
    if (!this.#resumptions.run(now, RUN_BUDGET)) more = true;
    if (!this.#clientScans.run(RUN_BUDGET)) more = true;
    if (!this.#refuseWaiting() || this.#requestEnds.expireDue(now, RUN_BUDGET) === 0) more = true;
    const gates = this.#data.gates.take(now, RUN_BUDGET);
    for (const gate of gates) this.storedDeliveries.gateChanged(gate);
    if (gates.length === RUN_BUDGET) more = true;
    if (!admission.isOpen) this.#dispatcher.dispatchNothing();
    else if (areExpired && this.#dispatcher.dispatch(now, RUN_BUDGET) === 0) more = true;
    this.#registrations.sendHeartbeats(now);
    return more;
  }

  /** When `run` is next due without any input, in monotonic milliseconds; Infinity for never. */
  nextRunAt(): number {
    const { workers, revivals } = this.#data;
    return Math.min(
      workers.nextDueAt(),
      this.#deliveries.nextDueAt(),
      revivals.nextDueAt(),
      this.#data.gates.nextDueAt(),
      this.#requestEnds.nextDueAt(),
      this.#data.sessions.nextDueAt(),
    );
  }

  /** @returns false if there is more to do */
  #refuseWaiting(): boolean {
    const { admission } = this.#data;
    const { closure, isClearing } = admission;
    if (closure === null || !isClearing) return true;
    if (this.#requestEnds.refuseWaiting(closure, RUN_BUDGET) === 0) return false;
    admission.isClearing = false;
    return true;
  }

  // ---------------------------------------------------------------- shutting down

  /**
   * Stops accepting requests: sends DISCONNECT to waiting workers now and to busy ones after their
   * last reply, and refuses waiting requests. All is done when `load.requestsOut` is 0.
   */
  drain(now: number): void {
    this.#data.admission.drain();
    this.#fromClients.releaseHeld(now);
    this.#registrations.drain(now);
  }

  /**
   * Sends DISCONNECT to the workers that are still busy, and tells clients with sessions that it ends. This is the
   * last input.
   */
  stop(now: number): void {
    this.#registrations.stop(now);
    this.#resumptions.finish();
  }
}
