/** Handles what workers send: READY, replies, HEARTBEAT, RETURN, FAIL (docs/protocol.md, Workers). */
import { escapeName } from '../../core/escape.js';
import { DELIMITED, type Dialect } from '../../wire/dialect.js';
import { contractFault } from '../../wire/contract.js';
import { type Failure, readFailure, tooLargeFailure } from '../../wire/failure.js';
import { type Fault, Inbound, tooLarge } from '../../wire/inbound.js';
import { EMPTY } from '../../wire/mdp.js';
import { setReady } from '../../wire/pirate.js';
import { allows } from '../admission/access.js';
import { DRAINING, type Refusal } from '../admission/refusal.js';
import type { WorkerRefusalReason } from '../counters.js';
import { WORKER_KINDS } from '../dialects.js';
import type { BrokerData } from '../lifecycle/broker-data.js';
import { type DeliveryEnd, returned } from '../lifecycle/delivery-end.js';
import type { Departures } from '../lifecycle/departures.js';
import type { Lifecycle } from '../lifecycle/lifecycle.js';
import type { Registrations } from '../lifecycle/registrations.js';
import type { Replies } from '../lifecycle/replies.js';
import { ONE_SERVICE } from '../state/earlier-runs.js';
import type { Peer, Service, Worker } from '../state/entities.js';
import {
  ANSWERED,
  DISPATCHED_AT,
  GIVEN_UP,
  LOST,
  NONE,
  OUT,
  type RequestId,
  WORKER,
} from '../state/request-table.js';
import { serviceOf } from './reading.js';

interface WorkerRefusal extends Pick<Refusal, 'text' | 'quota'> {
  readonly reason: WorkerRefusalReason;
}

const NO_RIGHT: WorkerRefusal = { reason: 'rights', text: 'no right to offer this service' };
const RESERVED: WorkerRefusal = {
  reason: 'reserved',
  text: 'its name is that of a broker service',
};

/** Maximum length of a RETURN's reason that is shown. */
const RETURN_REASON_BYTES_MAX = 255;

export class WorkerInputs {
  readonly #data: BrokerData;
  readonly #replies: Replies;
  readonly #lifecycle: Lifecycle;
  readonly #departures: Departures;
  readonly #registrations: Registrations;
  /** The READY that a revived worker did not send. */
  readonly #revived = new Inbound();

  constructor(
    data: BrokerData,
    replies: Replies,
    lifecycle: Lifecycle,
    departures: Departures,
    registrations: Registrations,
  ) {
    this.#data = data;
    this.#replies = replies;
    this.#lifecycle = lifecycle;
    this.#departures = departures;
    this.#registrations = registrations;
  }

  // ---------------------------------------------------------------- READY

  ready(peer: Peer, inbound: Inbound, now: number): void {
    const { services, counters, events } = this.#data;
    const { frames, dialect, service: at } = inbound;
    const { worker } = peer;
    if (worker !== null) {
      if (worker.kind.mayStartAnew) this.#registrations.startAnew(worker, now);
      else this.#unexpected(peer, dialect, 'a second READY', now);
      return;
    }
    const known = services.find(frames.buffer(at), frames.start(at), frames.end(at));
    const refusal = this.#refusalOf(peer, inbound, known);
    if (refusal === null) {
      if (!this.#isContract(inbound, known)) {
        this.malformed(peer, inbound.fault, now);
        return;
      }
      this.#registrations.register(peer, inbound, known, now);
      return;
    }
    const { reason, quota } = refusal;
    counters.workersRefused[reason]++;
    if (quota !== undefined) counters.quotas[quota]++;
    const service = escapeName(frames.view(at));
    const { key, address, identity } = peer;
    // The key of the configuration that gives it.
    const given = identity.quota === null ? 'perPeer' : `quotas.${identity.quota}`;
    const text = quota === undefined ? refusal.text : `${refusal.text} (limits.${given})`;
    events.emit({ name: 'worker.refused', service, reason, text, key, address });
    this.#registrations.sendDisconnect(peer, dialect, reason === 'draining');
  }

  /** READY has no contract, or a valid one. If not, `inbound` is malformed. What is known is not read again. */
  #isContract(inbound: Inbound, known: Service | null): boolean {
    const { frames, contract } = inbound;
    if (contract < 0) return true;
    const frame = frames.view(contract);
    if (known?.contracts?.isKnown(frame) === true) return true;
    const fault = contractFault(frame);
    if (fault !== null) inbound.reject('worker', contract, fault);
    return fault === null;
  }

  #refusalOf(peer: Peer, inbound: Inbound, service: Service | null): WorkerRefusal | null {
    const { internals, admission, limits } = this.#data;
    const { frames, service: at } = inbound;
    if (!allows(peer.grants, 'worker', frames.view(at))) return NO_RIGHT;
    if (internals.of(frames, at) !== null) return RESERVED;
    if (admission.isDraining) return { reason: 'draining', text: DRAINING.text };
    const refusal = limits.ofWorker(service, peer.identity);
    return refusal === null ? null : { ...refusal, reason: 'limit' };
  }

  /** What a worker runs that this broker has not out at it (D118). It may not be registered, because it has no room. */
  runs(peer: Peer, inbound: Inbound, now: number): void {
    const { services, workers, earlierRuns } = this.#data;
    const { frames, service: at } = inbound;
    const known = services.find(frames.buffer(at), frames.start(at), frames.end(at));
    const { worker } = peer;
    if (worker !== null) workers.touch(worker, now);
    const own = worker?.service ?? earlierRuns.serviceOf(peer);
    // The worker's READY is told why. What it told before may end all the same.
    if (own === null && this.#refusalOf(peer, inbound, known) !== null) return;
    const isOther = own !== null && own !== known;
    const fault = isOther ? ONE_SERVICE : this.#countRuns(peer, inbound, known);
    if (fault === null) return;
    inbound.reject('worker', at, fault);
    this.malformed(peer, inbound.fault, now);
  }

  /** @returns what is wrong with it; `null`: it is counted */
  #countRuns(peer: Peer, inbound: Inbound, known: Service | null): string | null {
    const { services, earlierRuns } = this.#data;
    const { frames, service: at, body } = inbound;
    const service = known ?? services.add(frames.view(at), peer.identity);
    if (service.namedBy === null) services.use(service, peer.identity);
    let fault: string | null = null;
    for (let index = body; fault === null && index < frames.count; index += 2) {
      const count = Number(frames.view(index + 1).toString('latin1'));
      fault = earlierRuns.say(peer, service, frames.view(index).toString('latin1'), count);
    }
    services.releaseIfUnused(service);
    return fault;
  }

  // ---------------------------------------------------------------- commands about one request

  reply(peer: Peer, inbound: Inbound, now: number): void {
    const { tokens, workers } = this.#data;
    const { worker } = peer;
    if (worker !== null) workers.touch(worker, now);
    const { frames, token } = inbound;
    const id = tokens.request(frames, token);
    if (id !== NONE && worker !== null && this.#isDeliveredTo(id, worker, inbound)) {
      this.#lifecycle.replyOfWorker(id, worker, inbound, now);
      this.#registrations.disconnectIfDone(worker, now);
      return;
    }
    const isOfLostWorker = this.#replyOfLostWorker(id, inbound, now);
    const { dialect } = inbound;
    if (WORKER_KINDS[dialect].replyMeansReady) {
      this.#waitsAgain(peer, inbound, now);
    } else if (isOfLostWorker) {
      if (worker === null) this.#registrations.sendDisconnect(peer, dialect, true);
    } else {
      const what =
        worker === null
          ? 'a reply from a worker that is not registered'
          : 'a reply to a request that it does not have';
      this.#unexpected(peer, dialect, what, now);
    }
  }

  /**
   * Uses or drops the reply of a worker that was lost with the request (D8).
   * @param request that the reply names, or NONE
   * @returns false if this is no such reply
   */
  #replyOfLostWorker(request: RequestId, inbound: Inbound, now: number): boolean {
    const { tokens } = this.#data;
    const { frames, token } = inbound;
    const id = this.#settled(request, inbound, now);
    if (id !== NONE && this.#isOfLostWorker(id, inbound)) {
      this.#lifecycle.replyOfLostWorker(id, tokens.deliveryBit(frames, token), inbound, now);
      return true;
    }
    const outcome = tokens.outlived(frames, token);
    if (outcome === null) return false;
    if (inbound.kind !== 'partial') this.#replies.countDropped(outcome);
    return true;
  }

  /** A Simple Pirate that sent a reply waits for a request, whatever it replied to (D32, D36). */
  #waitsAgain(peer: Peer, inbound: Inbound, now: number): void {
    setReady(inbound, inbound.dialect, serviceOf(peer));
    this.ready(peer, inbound, now);
  }

  /**
   * Takes REQ sockets that have said nothing since they connected for workers that wait: they sent
   * READY to this broker's former life (D36).
   * @param budget maximum number of them
   * @returns false if there may be more
   */
  revive(now: number, budget: number): boolean {
    const inbound = this.#revived;
    for (let left = budget; left > 0; left--) {
      const peer = this.#data.revivals.takeDue(now);
      if (peer === null) return true;
      if (peer.closing) continue;
      peer.dialect = DELIMITED;
      setReady(inbound, DELIMITED, serviceOf(peer));
      this.ready(peer, inbound, now);
    }
    return false;
  }

  /**
   * A message about a request was over the limits: it ends the request, and costs the worker nothing
   * else (D100).
   */
  tooLarge(peer: Peer, inbound: Inbound, reason: string, now: number): void {
    // The log has the failure, if it reports one.
    if (this.#endsRequest(peer, inbound)) this.#data.counters.malformed.too_large++;
    else this.#countMalformed(peer, tooLarge(reason));
    // From a worker that was lost, a whole reply would be used, and its body is not here.
    if (inbound.kind !== 'partial') inbound.kind = 'fail';
    this.failed(peer, inbound, tooLargeFailure(reason), now);
  }

  /** Whether a failure in its place would be the end of a request, and no late one. */
  #endsRequest({ worker }: Peer, inbound: Inbound): boolean {
    const id = this.#data.tokens.request(inbound.frames, inbound.token);
    if (id === NONE || worker === null || !this.#isDeliveredTo(id, worker, inbound)) return false;
    return !this.#data.table.is(id, ANSWERED | GIVEN_UP);
  }

  /**
   * FAIL (D60). If its token names no delivery of this worker, it is treated like a reply.
   * @param given the failure; `null`: the message has it
   */
  failed(peer: Peer, inbound: Inbound, given: Failure | null, now: number): void {
    const { tokens, workers } = this.#data;
    const { worker } = peer;
    const { frames, token, body } = inbound;
    const id = tokens.request(frames, token);
    if (id === NONE || worker === null || !this.#isDeliveredTo(id, worker, inbound)) {
      this.reply(peer, inbound, now);
      return;
    }
    workers.touch(worker, now);
    const failure = given ?? readFailure(frames, body);
    this.#lifecycle.failureOfWorker(id, worker, failure, now, inbound.kind === 'partial');
    this.#registrations.disconnectIfDone(worker, now);
  }

  returned(peer: Peer, inbound: Inbound, now: number): void {
    const { tokens, workers, events } = this.#data;
    const { worker } = peer;
    const { frames, token, body } = inbound;
    const id = this.#settled(tokens.request(frames, token), inbound, now);
    if (worker !== null) workers.touch(worker, now);
    if (worker?.declaredCredit !== true) {
      this.#unexpected(peer, inbound.dialect, 'RETURN from a worker without credit', now);
    } else if (frames.size(token) === 0) {
      this.#registrations.leave(worker, now);
    } else if (id !== NONE && this.#isDeliveredTo(id, worker, inbound)) {
      const given = body < frames.count ? frames.view(body) : EMPTY;
      const reason = escapeName(given.subarray(0, RETURN_REASON_BYTES_MAX));
      events.emit({ name: 'request.returned', service: worker.service.shown, reason });
      this.#lifecycle.giveBack(id, worker, returned(reason), now);
      this.#registrations.disconnectIfDone(worker, now);
    } else if (id !== NONE && this.#isOfLostWorker(id, inbound)) {
      // The worker was lost while it held the request, which is already elsewhere.
    } else if (tokens.outlived(frames, token) === null) {
      this.#unexpected(peer, inbound.dialect, 'RETURN of a request that it does not have', now);
    }
  }

  #isDeliveredTo(id: RequestId, worker: Worker, inbound: Inbound): boolean {
    const { table, tokens } = this.#data;
    return (
      table.is(id, OUT) &&
      table.get(id, WORKER) === worker.place &&
      tokens.isLatest(inbound.frames, inbound.token, id)
    );
  }

  /** The request, which goes back first if it is still out at a lost worker; NONE: it has ended. */
  #settled(id: RequestId, { frames, token }: Inbound, now: number): RequestId {
    if (id === NONE || !this.#departures.settle(id, now)) return id;
    return this.#data.tokens.request(frames, token);
  }

  #isOfLostWorker(id: RequestId, inbound: Inbound): boolean {
    const bit = this.#data.tokens.deliveryBit(inbound.frames, inbound.token);
    return (this.#data.table.get(id, LOST) & bit) !== 0;
  }

  // ---------------------------------------------------------------- from holders

  /** A reply or FAIL from another broker, which is never disconnected. @returns false: it is not expected */
  replyOfRemote(peer: Peer, inbound: Inbound, now: number): boolean {
    const { tokens } = this.#data;
    const { frames, token, body } = inbound;
    const { worker } = peer;
    const id = tokens.request(frames, token);
    if (id === NONE || worker === null || !this.#isDeliveredTo(id, worker, inbound)) {
      return this.#replyOfLostWorker(id, inbound, now);
    }
    if (inbound.kind !== 'fail') this.#lifecycle.replyOfWorker(id, worker, inbound, now);
    else this.#lifecycle.failureOfWorker(id, worker, readFailure(frames, body, true), now);
    return true;
  }

  /** Takes back a request that another broker no longer has. @returns false: it is not expected */
  returnedByRemote(peer: Peer, inbound: Inbound, end: DeliveryEnd, now: number): boolean {
    const { worker } = peer;
    const id = this.#data.tokens.request(inbound.frames, inbound.token);
    if (id === NONE || worker === null || !this.#isDeliveredTo(id, worker, inbound)) return false;
    this.#lifecycle.giveBack(id, worker, end, now);
    return true;
  }

  // ---------------------------------------------------------------- HEARTBEAT, DISCONNECT

  heartbeat(peer: Peer, inbound: Inbound, now: number): void {
    const { workers, table } = this.#data;
    const { worker } = peer;
    if (worker === null) {
      const what = 'HEARTBEAT from a worker that is not registered';
      this.#unexpected(peer, inbound.dialect, what, now);
      return;
    }
    workers.touch(worker, now);
    const oldest = worker.held.head;
    if (oldest === NONE || worker.heartbeatsWhileBusy) return;
    workers.heartbeatWhileBusy(worker, table.getTime(oldest, DISPATCHED_AT), now);
  }

  /** The worker announces that it leaves, so its requests are given back (D8). */
  disconnect(peer: Peer, now: number): void {
    if (peer.worker !== null) this.#registrations.remove(peer.worker, 'disconnected', now);
  }

  // ---------------------------------------------------------------- invalid messages

  /**
   * The message cannot be parsed, whoever sent it: it is dropped and counted, and a registered
   * worker is disconnected (docs/protocol.md).
   */
  malformed(peer: Peer, fault: Fault, now: number): void {
    this.#countMalformed(peer, fault);
    if (peer.worker !== null) this.#registrations.disconnect(peer.worker, 'protocol', now);
  }

  #countMalformed({ key, address }: Peer, fault: Fault): void {
    this.#data.counters.malformed[fault.kind]++;
    this.#data.events.emit({ name: 'message.malformed', ...fault, key, address });
  }

  /**
   * The message is not valid in this state: the broker sends DISCONNECT, if the worker knows it, and
   * forgets the worker (docs/protocol.md).
   */
  #unexpected(peer: Peer, dialect: Dialect, reason: string, now: number): void {
    const { counters, events } = this.#data;
    counters.unexpected++;
    const { key, address } = peer;
    events.emit({ name: 'worker.unexpected', reason, key, address });
    this.#registrations.sendDisconnect(peer, dialect, true);
    if (peer.worker !== null) this.#registrations.remove(peer.worker, 'protocol', now);
  }
}
