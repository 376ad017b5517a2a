/** The registrations of workers, from READY to the loss of the worker (docs/protocol.md, Workers). */
import type { Dialect } from '../../wire/dialect.js';
import type { Inbound } from '../../wire/inbound.js';
import type { Absence } from '../admission/absence.js';
import type { Admission } from '../admission/admission.js';
import type { BrokerCounters, LostReason } from '../counters.js';
import { WORKER_KINDS } from '../dialects.js';
import type { BrokerEvents } from '../events.js';
import type { ServiceWatcher } from '../ports.js';
import type { BrokerSink } from '../sink.js';
import { type Peer, type Service, Worker } from '../state/entities.js';
import { NONE, type RequestTable } from '../state/request-table.js';
import type { ServiceTable } from '../state/service-table.js';
import type { Workers } from '../state/workers.js';
import type { Deliveries } from './deliveries.js';
import type { Departures } from './departures.js';
import { LOST_WITH_WORKER, STARTED_ANEW } from './delivery-end.js';
import type { Lifecycle } from './lifecycle.js';
import type { StoredDeliveries } from './stored-deliveries.js';

export interface RegistrationsDeps {
  readonly sink: BrokerSink;
  readonly events: BrokerEvents;
  readonly counters: BrokerCounters;
  readonly table: RequestTable;
  readonly services: ServiceTable;
  readonly workers: Workers;
  readonly admission: Admission;
  readonly absence: Absence;
  readonly lifecycle: Lifecycle;
  readonly deliveries: Deliveries;
  readonly departures: Departures;
  readonly stored: StoredDeliveries;
}

export class Registrations {
  readonly #sink: BrokerSink;
  readonly #events: BrokerEvents;
  readonly #counters: BrokerCounters;
  readonly #table: RequestTable;
  readonly #services: ServiceTable;
  readonly #workers: Workers;
  readonly #admission: Admission;
  readonly #absence: Absence;
  readonly #lifecycle: Lifecycle;
  readonly #deliveries: Deliveries;
  readonly #departures: Departures;
  readonly #stored: StoredDeliveries;
  #lastWorker = 0;
  #watcher: ServiceWatcher | null = null;

  constructor(deps: RegistrationsDeps) {
    this.#sink = deps.sink;
    this.#events = deps.events;
    this.#counters = deps.counters;
    this.#table = deps.table;
    this.#services = deps.services;
    this.#workers = deps.workers;
    this.#admission = deps.admission;
    this.#absence = deps.absence;
    this.#lifecycle = deps.lifecycle;
    this.#deliveries = deps.deliveries;
    this.#departures = deps.departures;
    this.#stored = deps.stored;
  }

  /** Tells it from now on which services have workers. */
  watch(watcher: ServiceWatcher): void {
    this.#watcher = watcher;
  }

  #served({ name }: Service, isServed: boolean): void {
    this.#watcher?.(name, isServed);
  }

  /** Registers a worker, which was found to be admissible. @param known the service, if known */
  register(peer: Peer, inbound: Inbound, known: Service | null, now: number): void {
    const { frames, service: at } = inbound;
    const service = known ?? this.#services.add(frames.copy(at), peer.identity);
    if (service.namedBy === null) this.#services.use(service, peer.identity);
    const number = ++this.#lastWorker;
    const worker = new Worker(peer, service, number, inbound, this.#table, now);
    this.#services.served(service);
    this.#workers.add(worker);
    if (service.workers.size === 1) this.#served(service, true);
    peer.identity.workers++;
    this.#stored.offerRoom(service);
    this.#events.emit({
      name: 'worker.registered',
      service: service.shown,
      worker: number,
      workerName: worker.name,
      credit: worker.credit,
      key: peer.key,
    });
  }

  /**
   * Forgets a worker. The requests that it held go back to the front of the queue, in their order
   * (D6).
   */
  lose(worker: Worker, reason: LostReason, now: number): void {
    const { held, service } = worker;
    this.#counters.workersLost[reason]++;
    this.#events.emit({
      name: 'worker.lost',
      service: service.shown,
      worker: worker.number,
      workerName: worker.name,
      reason,
      inFlight: held.count,
      key: worker.peer.key,
      address: worker.peer.address,
    });
    this.#workers.remove(worker);
    worker.peer.identity.workers--;
    this.#departures.leave(worker, LOST_WITH_WORKER[reason], now);
    if (service.workers.size === 0) {
      this.#served(service, false);
      this.#absence.lost(service.name, now);
      this.#stored.handBack(service);
    }
    this.#services.releaseIfUnused(service);
  }

  /**
   * The worker began a new conversation: what it held goes back to the queue, and it waits (D33),
   * unless the broker drains.
   */
  startAnew(worker: Worker, now: number): void {
    this.#workers.touch(worker, now);
    const { held } = worker;
    while (held.tail !== NONE) this.#lifecycle.giveBack(held.tail, worker, STARTED_ANEW, now);
    this.expelIfDrained(worker, now);
  }

  /** Tells the worker that it is none any more, and forgets it. */
  expel(worker: Worker, reason: LostReason, now: number): void {
    this.dismiss(worker.peer, worker.dialect, reason === 'drained');
    this.lose(worker, reason, now);
  }

  /**
   * Tells a peer that it is no worker.
   * @param mayReturn it has done nothing wrong: a pirate, which knows no DISCONNECT, keeps its
   *   connection
   */
  dismiss(peer: Peer, dialect: Dialect, mayReturn: boolean): void {
    if (WORKER_KINDS[dialect].knowsDisconnect) {
      this.#sink.disconnect(peer.id, dialect);
    } else if (!mayReturn) {
      this.#close(peer);
    }
  }

  #close(peer: Peer): void {
    if (peer.closing) return;
    peer.closing = true;
    this.#sink.close(peer.id);
  }

  /** While draining, a worker is expelled as soon as it holds no request. */
  expelIfDrained(worker: Worker, now: number): void {
    if (!this.#admission.isDraining || worker.held.count > 0) return;
    this.expel(worker, 'drained', now);
  }

  // ---------------------------------------------------------------- time

  /**
   * Loses the workers that were silent for too long, and ends their connections: a peer that has
   * vanished would keep its routing id (D102). One that lives connects again. A pirate that only has
   * its request for too long keeps its connection, which shows that it lives (D35).
   * @param budget maximum number of workers
   * @returns false if there is more to do
   */
  expire(now: number, budget: number): boolean {
    for (let left = budget; left > 0; left--) {
      const due = this.#workers.nextSilent(now) ?? this.#deliveries.nextOverdue(now);
      if (due === null) return true;
      if (due === 'more') return false;
      this.lose(due, 'expired', now);
      const hasVanished = !due.kind.mayForgetRequest || this.#workers.isSilent(due, now);
      if (hasVanished) this.#close(due.peer);
    }
    return false;
  }

  /** Sends HEARTBEAT to every worker that was sent nothing for an interval. */
  sendHeartbeats(now: number): void {
    const workers = this.#workers;
    for (let due = workers.nextUnsent(now); due !== null; due = workers.nextUnsent(now)) {
      if (!due.peer.full) this.#sink.heartbeat(due.peer.id, due.dialect);
      workers.sent(due, now);
    }
  }

  // ---------------------------------------------------------------- shutting down

  /** Expels idle workers, and returns what was prepared for them to the internal client. */
  drain(now: number): void {
    for (const service of [...this.#services.all()]) {
      this.#stored.handBack(service);
      for (const worker of [...service.workers]) this.expelIfDrained(worker, now);
    }
  }

  /** Expels all that are left. */
  stop(now: number): void {
    for (const service of [...this.#services.all()]) {
      for (const worker of [...service.workers]) this.expel(worker, 'drained', now);
    }
    this.#departures.finish(now);
  }
}
