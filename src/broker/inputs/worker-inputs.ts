/**
 * Handles what workers send: READY, replies, HEARTBEAT, RETURN, and invalid messages; and the loss
 * of a worker. (docs/protocol.md, Workers.)
 */
import { escapeName } from '../../core/escape.js';
import { readFailure } from '../../wire/failure.js';
import type { Inbound, MalformedKind } from '../../wire/inbound.js';
import { EMPTY, type MdpVersion } from '../../wire/mdp.js';
import type { LostReason, WorkerRefusal } from '../counters.js';
import type { EmbeddedServices } from './embedded-services.js';
import type { DeliveryEnd, Lifecycle, LifecycleDeps } from '../lifecycle/lifecycle.js';
import { DISPATCHED_AT, LOST, NONE, OUT, type RequestId, WORKER } from '../state/request-table.js';
import { type Peer, Worker } from '../state/entities.js';

/** Maximum length of a RETURN's reason that is shown. */
const RETURN_REASON_BYTES_MAX = 255;

/** What it works on. All of it belongs to one `Broker`. */
export interface WorkerInputDeps extends LifecycleDeps {
  readonly lifecycle: Lifecycle;
  readonly embedded: EmbeddedServices;
}

export class WorkerInputs {
  readonly #deps: WorkerInputDeps;
  maxWorkers: number;
  maxServices: number;
  #lastWorker = 0;

  constructor(deps: WorkerInputDeps) {
    this.#deps = deps;
    this.maxWorkers = deps.options.limits.workers;
    this.maxServices = deps.options.limits.services;
  }

  ready(peer: Peer, inbound: Inbound, now: number): void {
    const { frames, version } = inbound;
    if (peer.worker !== null) {
      this.#unexpected(peer, version, 'a second READY', now);
      return;
    }
    const refusal = this.#workerRefusal(peer, inbound);
    if (refusal !== null) {
      this.#deps.counters.workersRefused[refusal]++;
      const service = escapeName(frames.view(inbound.service));
      const { key, address } = peer;
      this.#deps.events.emit({ name: 'worker.refused', service, reason: refusal, key, address });
      this.#deps.sink.disconnect(peer.id, version);
      return;
    }
    const at = inbound.service;
    const { services } = this.#deps;
    const known = services.find(frames.buffer(at), frames.start(at), frames.end(at));
    const service = known ?? services.add(frames.copy(at), peer.identity);
    if (service.namedBy === null) services.use(service, peer.identity);
    const number = ++this.#lastWorker;
    const worker = new Worker(peer, service, number, inbound, this.#deps.table, now);
    this.#deps.services.label(service);
    this.#deps.workers.add(worker);
    peer.identity.workers++;
    this.#deps.stored.workerCame(service);
    this.#deps.events.emit({
      name: 'worker.registered',
      service: service.shown,
      worker: number,
      workerName: worker.name,
      credit: worker.credit,
      key: peer.key,
    });
  }

  #workerRefusal(peer: Peer, inbound: Inbound): WorkerRefusal | null {
    const { frames, service: at } = inbound;
    if (!peer.access.allows('worker', frames.view(at))) return 'rights';
    if (this.#deps.embedded.internalFor(frames, at) !== null) return 'reserved';
    if (this.#deps.admission.isDraining) return 'draining';
    if (this.#deps.workers.count >= this.maxWorkers) return 'limit';
    const { identity } = peer;
    const { quotas } = identity;
    if (identity.workers >= quotas.workers) return 'limit';
    const service = this.#deps.services.find(frames.buffer(at), frames.start(at), frames.end(at));
    const isUsed = service !== null && service.namedBy !== null;
    if (!isUsed && identity.services >= quotas.services) return 'limit';
    const isNew = service === null || service.workers.size === 0;
    return isNew && this.#deps.services.withWorkers >= this.maxServices ? 'limit' : null;
  }

  reply(peer: Peer, inbound: Inbound, now: number): void {
    const { worker } = peer;
    if (worker !== null) this.#deps.workers.touch(worker, now);
    const { frames, client } = inbound;
    const tokens = this.#deps.tokens;
    const table = this.#deps.table;
    const id = tokens.request(frames, client);
    if (id !== NONE) {
      if (worker !== null && this.#isHolder(id, peer, inbound)) {
        this.#deps.lifecycle.replyOfHolder(id, worker, inbound, now);
        this.settleIfDraining(worker, now);
        return;
      }
      const bit = tokens.deliveryBit(frames, client);
      if ((table.get(id, LOST) & bit) !== 0) {
        this.#deps.lifecycle.replyOfLost(id, bit, inbound, now);
        if (worker === null) this.#deps.sink.disconnect(peer.id, inbound.version);
        return;
      }
    }
    const outcome = tokens.outlived(frames, client);
    if (outcome !== null) {
      if (inbound.kind !== 'partial') this.#deps.ledger.countDroppedReply(outcome);
      if (worker === null) this.#deps.sink.disconnect(peer.id, inbound.version);
      return;
    }
    const what =
      worker === null
        ? 'a reply from a worker that is not registered'
        : 'a reply to a request that it does not have';
    this.#unexpected(peer, inbound.version, what, now);
  }

  /** FAIL (D60). If its token names no delivery of this worker, it is treated like a reply. */
  failed(peer: Peer, inbound: Inbound, now: number): void {
    const { worker } = peer;
    const { frames, client, body } = inbound;
    const id = this.#deps.tokens.request(frames, client);
    if (id === NONE || worker === null || !this.#isHolder(id, peer, inbound)) {
      this.reply(peer, inbound, now);
      return;
    }
    this.#deps.workers.touch(worker, now);
    this.#deps.lifecycle.failureOfHolder(id, worker, readFailure(frames, body), now);
    this.settleIfDraining(worker, now);
  }

  heartbeat(peer: Peer, inbound: Inbound, now: number): void {
    const { worker } = peer;
    if (worker === null) {
      this.#unexpected(
        peer,
        inbound.version,
        'HEARTBEAT from a worker that is not registered',
        now,
      );
      return;
    }
    this.#deps.workers.touch(worker, now);
    const oldest = worker.held.head;
    if (oldest === NONE || worker.heartbeatsWhileBusy) return;
    this.#deps.workers.heartbeatWhileBusy(
      worker,
      this.#deps.table.getTime(oldest, DISPATCHED_AT),
      now,
    );
  }

  returned(peer: Peer, inbound: Inbound, now: number): void {
    const { worker } = peer;
    const { frames, client, body } = inbound;
    const id = this.#deps.tokens.request(frames, client);
    const outlived = this.#deps.tokens.outlived(frames, client) !== null;
    if (worker !== null) this.#deps.workers.touch(worker, now);
    if (worker?.declaredCredit !== true) {
      this.#unexpected(peer, inbound.version, 'RETURN from a worker without credit', now);
    } else if (id !== NONE && this.#isHolder(id, peer, inbound)) {
      const given = body < frames.count ? frames.view(body) : EMPTY;
      const reason = escapeName(given.subarray(0, RETURN_REASON_BYTES_MAX));
      this.#deps.events.emit({ name: 'request.returned', service: worker.service.shown, reason });
      const words = reason === '' ? 'given back' : `given back: ${reason}`;
      const end: DeliveryEnd = { kind: 'returned', isSilent: false, reason: words };
      this.#deps.lifecycle.giveBack(id, worker, end, now);
      this.settleIfDraining(worker, now);
    } else if (id !== NONE && this.#isOfLost(id, inbound)) {
      // The worker was lost while it held the request, which is already elsewhere.
    } else if (!outlived) {
      this.#unexpected(peer, inbound.version, 'RETURN of a request that it does not have', now);
    }
  }

  #isHolder(id: RequestId, peer: Peer, inbound: Inbound): boolean {
    const table = this.#deps.table;
    return (
      table.is(id, OUT) &&
      table.get(id, WORKER) === peer.id &&
      this.#deps.tokens.isLatest(inbound.frames, inbound.client, id)
    );
  }

  #isOfLost(id: RequestId, inbound: Inbound): boolean {
    const bit = this.#deps.tokens.deliveryBit(inbound.frames, inbound.client);
    return (this.#deps.table.get(id, LOST) & bit) !== 0;
  }

  /**
   * The message cannot be parsed: it is dropped and counted, and a registered worker is expelled
   * (docs/protocol.md).
   */
  malformed(peer: Peer, kind: MalformedKind, reason: string, now: number): void {
    this.#deps.counters.malformed[kind]++;
    this.#deps.events.emit({ name: 'message.malformed', kind, reason });
    if (peer.worker === null) return;
    this.#deps.sink.disconnect(peer.id, peer.worker.version);
    this.lose(peer.worker, 'protocol', false, now);
  }

  /**
   * The message is not valid in this state: the broker sends DISCONNECT and forgets the worker
   * (docs/protocol.md).
   */
  #unexpected(peer: Peer, version: MdpVersion, what: string, now: number): void {
    this.#deps.counters.unexpected++;
    this.#deps.events.emit({ name: 'worker.unexpected', what });
    this.#deps.sink.disconnect(peer.id, version);
    if (peer.worker !== null) this.lose(peer.worker, 'protocol', false, now);
  }

  // ---------------------------------------------------------------- losing workers

  /**
   * Forgets a worker. The requests that it held go back to the front of the queue, in their order
   * (D6).
   * @param silent see `DeliveryEnd.isSilent`
   */
  lose(worker: Worker, reason: LostReason, silent: boolean, now: number): void {
    const { held, service } = worker;
    this.#deps.counters.workersLost[reason]++;
    this.#deps.events.emit({
      name: 'worker.lost',
      service: service.shown,
      worker: worker.number,
      workerName: worker.name,
      reason,
      inFlight: held.count,
      key: worker.peer.key,
      address: worker.peer.address,
    });
    this.#deps.workers.remove(worker);
    worker.peer.identity.workers--;
    const kind = reason === 'drained' ? 'drained' : 'lost';
    const end: DeliveryEnd = { kind, isSilent: silent, reason };
    while (held.tail !== NONE) this.#deps.lifecycle.giveBack(held.tail, worker, end, now);
    if (service.workers.size === 0) {
      this.#deps.absence.lost(service.name, now);
      this.#deps.stored.handBack(service);
    }
    this.#deps.services.releaseIfUnused(service);
  }

  settleIfDraining(worker: Worker, now: number): void {
    if (!this.#deps.admission.isDraining || worker.held.count > 0) return;
    this.#deps.sink.disconnect(worker.peer.id, worker.version);
    this.lose(worker, 'drained', false, now);
  }
}
