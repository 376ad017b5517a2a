/** The registrations of workers, from READY to the loss of the worker (docs/protocol.md, Workers). */
import type { Dialect } from '../../wire/dialect.js';
import type { Inbound } from '../../wire/inbound.js';
import type { LostReason } from '../counters.js';
import { WORKER_KINDS } from '../dialects.js';
import { type Peer, type Service, Worker } from '../state/entities.js';
import { ServiceContracts } from '../state/contracts.js';
import { NONE } from '../state/request-table.js';
import type { BrokerData } from './broker-data.js';
import type { Deliveries } from './deliveries.js';
import { LOST_WITH_WORKER, STARTED_ANEW } from './delivery-end.js';
import type { Departures } from './departures.js';
import type { Lifecycle } from './lifecycle.js';
import type { StoredDeliveries } from './stored-deliveries.js';

export class Registrations {
  readonly #data: BrokerData;
  readonly #deliveries: Deliveries;
  readonly #storedDeliveries: StoredDeliveries;
  readonly #lifecycle: Lifecycle;
  readonly #departures: Departures;
  #lastWorker = 0;

  constructor(
    data: BrokerData,
    deliveries: Deliveries,
    storedDeliveries: StoredDeliveries,
    lifecycle: Lifecycle,
    departures: Departures,
  ) {
    this.#data = data;
    this.#deliveries = deliveries;
    this.#storedDeliveries = storedDeliveries;
    this.#lifecycle = lifecycle;
    this.#departures = departures;
  }

  /** Registers a worker, which was found to be admissible. @param known the service, if known */
  register(peer: Peer, inbound: Inbound, known: Service | null, now: number): void {
    const { services, table, workers, events } = this.#data;
    const { frames, service: at } = inbound;
    const service = known ?? services.add(frames.view(at), peer.identity);
    if (service.namedBy === null) services.use(service, peer.identity);
    const number = ++this.#lastWorker;
    const worker = new Worker(peer, service, number, inbound, table, now);
    services.served(service);
    workers.add(worker);
    service.unservedSince = null;
    if (inbound.contract >= 0) this.#announced(worker, frames.view(inbound.contract));
    if (service.workers.size === 1) this.#data.watcher?.(service.name, true);
    peer.identity.workers++;
    this.#storedDeliveries.offerRoom(service);
    if (this.#data.gates.areUnknown(now)) this.#storedDeliveries.askRunsOf(worker);
    events.emit({
      name: 'worker.registered',
      service: service.shown,
      worker: number,
      workerName: worker.name,
      credit: worker.credit,
      key: peer.key,
    });
  }

  /** Asks all workers, because the broker begins to serve. */
  askRuns(): void {
    for (const service of this.#data.services.all()) {
      for (const worker of service.workers) this.#storedDeliveries.askRunsOf(worker);
    }
  }

  /** D107. */
  #announced(worker: Worker, contract: Buffer): void {
    const contracts = (worker.service.contracts ??= new ServiceContracts());
    if (!contracts.add(worker, contract)) this.#data.counters.contractsNotKept++;
  }

  /**
   * Forgets a worker. The requests that it held go back to the front of the queue, in their order
   * (D6).
   */
  remove(worker: Worker, reason: LostReason, now: number): void {
    const { counters, events, workers, absence, services } = this.#data;
    const { held, service } = worker;
    counters.workersLost[reason]++;
    events.emit({
      name: 'worker.lost',
      service: service.shown,
      worker: worker.number,
      workerName: worker.name,
      reason,
      inFlight: held.count,
      key: worker.peer.key,
      address: worker.peer.address,
    });
    workers.remove(worker);
    service.contracts?.remove(worker);
    if (service.contracts?.isEmpty === true) service.contracts = null;
    worker.peer.identity.workers--;
    this.#departures.leave(worker, LOST_WITH_WORKER[reason], now);
    if (service.workers.size === 0) {
      this.#data.watcher?.(service.name, false);
      absence.lost(service.name, now);
      service.unservedSince = now;
      this.#storedDeliveries.handBack(service);
    }
    services.releaseIfUnused(service);
  }

  /**
   * The worker began a new conversation: what it held goes back to the queue, and it waits (D33),
   * unless the broker drains.
   */
  startAnew(worker: Worker, now: number): void {
    this.#data.workers.touch(worker, now);
    const { held } = worker;
    while (held.tail !== NONE) this.#lifecycle.giveBack(held.tail, worker, STARTED_ANEW, now);
    this.disconnectIfDone(worker, now);
  }

  /** Tells the worker that it is none any more, and forgets it. */
  disconnect(worker: Worker, reason: LostReason, now: number): void {
    this.sendDisconnect(worker.peer, worker.dialect, reason === 'drained');
    this.remove(worker, reason, now);
  }

  /**
   * Tells a peer that it is no worker.
   * @param mayReturn it has done nothing wrong: a pirate, which knows no DISCONNECT, keeps its
   *   connection
   */
  sendDisconnect(peer: Peer, dialect: Dialect, mayReturn: boolean): void {
    if (WORKER_KINDS[dialect].knowsDisconnect) {
      this.#data.messages.disconnect(peer.id, dialect);
    } else if (!mayReturn) {
      this.#close(peer);
    }
  }

  #close(peer: Peer): void {
    if (peer.closing) return;
    peer.closing = true;
    this.#data.sink.close(peer.id);
  }

  /** The worker wants no more requests: it is disconnected when it holds none. */
  leave(worker: Worker, now: number): void {
    this.#data.workers.setLeaving(worker);
    this.disconnectIfDone(worker, now);
  }

  /** Disconnects a worker that holds no request, if it is leaving, or the broker drains. */
  disconnectIfDone(worker: Worker, now: number): void {
    if (worker.held.count > 0) return;
    if (this.#data.admission.isDraining) this.disconnect(worker, 'drained', now);
    else if (worker.isLeaving) this.disconnect(worker, 'disconnected', now);
  }

  // ---------------------------------------------------------------- time

  /**
   * Removes the workers that were silent for too long, and ends their connections: a peer that has
   * vanished would keep its routing id (D102). One that lives connects again. A pirate that only has
   * its request for too long keeps its connection, which shows that it lives (D35).
   * @param budget maximum number of workers
   * @returns false if there is more to do
   */
  expire(now: number, budget: number): boolean {
    const { workers } = this.#data;
    for (let left = budget; left > 0; left--) {
      const due = workers.nextSilent(now) ?? this.#deliveries.nextOverdue(now);
      if (due === null) return true;
      if (due === 'more') return false;
      this.remove(due, 'expired', now);
      const hasVanished = !due.kind.mayForgetRequest || workers.isSilent(due, now);
      if (hasVanished) this.#close(due.peer);
    }
    return false;
  }

  /** Sends HEARTBEAT to every worker that was sent nothing for an interval. */
  sendHeartbeats(now: number): void {
    const { workers, messages } = this.#data;
    for (let due = workers.nextUnsent(now); due !== null; due = workers.nextUnsent(now)) {
      if (!due.peer.full) messages.heartbeat(due.peer.id, due.dialect);
      workers.sent(due, now);
    }
  }

  // ---------------------------------------------------------------- shutting down

  /** Disconnects idle workers, and returns what was prepared for them to its submitter. */
  drain(now: number): void {
    for (const service of [...this.#data.services.all()]) {
      this.#storedDeliveries.handBack(service);
      for (const worker of [...service.workers]) this.disconnectIfDone(worker, now);
    }
  }

  /** Disconnects all that are left. */
  stop(now: number): void {
    for (const service of [...this.#data.services.all()]) {
      for (const worker of [...service.workers]) this.disconnect(worker, 'drained', now);
    }
    this.#departures.finish(now);
  }
}
