/**
 * Requests of the internal client: those that Titanic, in this process, stores. They wait
 * in a queue of their own beside that of plain requests, have no time to live here, and are
 * delivered once. If a worker is lost, the internal client decides what happens next.
 */
import { assert } from '../../core/assert.js';
import type { Frames } from '../../core/frames.js';
import { type Failure, failureLine } from '../../wire/failure.js';
import type { InternalClient, StoredBody } from '../ports.js';
import type { Service, Worker } from '../state/entities.js';
import {
  ANSWERED,
  GIVEN_UP,
  OUT,
  QUEUED,
  REFERENCE,
  type RequestId,
  SERVICE,
} from '../state/request-table.js';
import type { BrokerData } from './broker-data.js';
import type { Deliveries } from './deliveries.js';

/** Maximum number of requests of one service that are prepared ahead of its workers. */
const PREPARED_MAX = 256;

export class StoredDeliveries {
  readonly #data: BrokerData;
  readonly #deliveries: Deliveries;
  #client: InternalClient | null = null;

  constructor(data: BrokerData, deliveries: Deliveries) {
    this.#data = data;
    this.#deliveries = deliveries;
  }

  attach(client: InternalClient): void {
    assert(this.#client === null, 'there is one internal client');
    this.#client = client;
  }

  // ---------------------------------------------------------------- calls of the client

  /** How many more requests of this service are wanted, so that no worker has to wait. */
  room(name: Buffer): number {
    const service = this.#data.services.find(name, 0, name.length);
    if (service === null || service.isPaused || !this.#data.requests.hasRoom) return 0;
    return Math.max(0, Math.min(service.credit, PREPARED_MAX) - preparedOf(service));
  }

  /** Requests for a paused service wait; those that its workers have go on. */
  setPaused(name: Buffer, isPaused: boolean): void {
    const service = this.#data.services.setPaused(name, isPaused);
    if (service === null || isPaused) return;
    this.#data.workers.schedule(service);
    this.offerRoom(service);
  }

  setTurns(name: Buffer, turns: number): void {
    const service = this.#data.services.find(name, 0, name.length);
    if (service !== null) service.storedTurns = turns;
  }

  setBacklog(name: Buffer, has: boolean): void {
    const service = this.#data.services.find(name, 0, name.length);
    if (service !== null) service.hasBacklog = has;
  }

  /** @returns `null` if the service has no workers, or nothing more can be held */
  submit(
    name: Buffer,
    reference: number,
    { body, headers, deadlineAt = Infinity }: StoredBody,
    again: RequestId | null,
  ): RequestId | null {
    const { table, requests, services, workers } = this.#data;
    const service = services.find(name, 0, name.length);
    if (service === null || service.workers.size === 0 || !requests.hasRoom) return null;
    const id = again ?? requests.addStored();
    requests.setBody(id, body, headers);
    if (deadlineAt !== Infinity) requests.setDeadline(id, deadlineAt);
    table.set(id, SERVICE, service.id);
    table.setTime(id, REFERENCE, reference);
    table.raise(id, QUEUED);
    service.stored.pushBack(id);
    if (reference < 0) service.storedOfOthers++;
    workers.schedule(service);
    return id;
  }

  /** The client no longer wants a reply. */
  withdraw(id: RequestId): void {
    const { table, requests, services } = this.#data;
    if (table.is(id, OUT)) {
      this.#deliveries.cancel(id, GIVEN_UP);
      return;
    }
    if (table.is(id, QUEUED)) {
      const service = requests.serviceOf(id);
      this.unqueue(id, service);
      requests.release(id, 'too_late');
      services.releaseIfUnused(service);
    } else {
      requests.release(id, 'too_late');
    }
  }

  // ---------------------------------------------------------------- reports to the client

  /** A worker registered, or clients are served again. */
  offerRoom(service: Service): void {
    this.#client?.roomAt(service.name);
  }

  dispatched(id: RequestId, worker: Worker): void {
    const { service } = worker;
    this.#client?.dispatched(this.#reference(id), worker);
    const isEnough = preparedOf(service) > Math.min(service.credit, PREPARED_MAX) / 2;
    if (!service.hasBacklog || isEnough) return;
    this.#client?.roomAt(service.name);
  }

  progressed(id: RequestId): void {
    this.#client?.progressed(this.#reference(id));
  }

  replied(id: RequestId, frames: Frames, from: number): void {
    const parts = this.#data.requests.partials.packedOf(id);
    this.#client?.replied(this.#reference(id), frames, from, parts);
  }

  /**
   * Reports that a delivery ended. The request's number stays known, since a reply may still arrive,
   * until it goes out again.
   */
  failed(id: RequestId, reason: string, failure: Failure | null): void {
    const { table, requests } = this.#data;
    assert(!table.is(id, ANSWERED), 'what is answered does not fail');
    table.lower(id, OUT | QUEUED | GIVEN_UP);
    requests.dropBody(id);
    this.#client?.failed(this.#reference(id), reason, true, failure);
  }

  /** Reports that the worker can no longer send a usable reply, but still has the request. */
  spoiled(id: RequestId, text: string, failure: Failure | null): void {
    const reason = failure === null ? text : failureLine(failure);
    this.#client?.failed(this.#reference(id), reason, false, failure);
  }

  /** Puts back a request that was out when the broker stopped, which does not count as an attempt. */
  interrupted(id: RequestId): void {
    this.#data.table.lower(id, OUT);
    this.#putBack(id);
  }

  /** Hands back what waits for a service that has no workers any more, or because the broker is draining. */
  handBack(service: Service): void {
    while (service.stored.count > 0) this.handBackOne(service.stored.head, service);
  }

  handBackOne(id: RequestId, service: Service): void {
    this.unqueue(id, service);
    this.#data.table.lower(id, QUEUED);
    this.#putBack(id);
  }

  /** Takes a request from those that wait for a worker. */
  unqueue(id: RequestId, service: Service): void {
    service.stored.remove(id);
    if (this.#reference(id) < 0) service.storedOfOthers--;
  }

  #putBack(id: RequestId): void {
    this.#data.requests.dropBody(id);
    this.#client?.handedBack(this.#reference(id));
  }

  #reference(id: RequestId): number {
    return this.#data.table.getTime(id, REFERENCE);
  }
}

/** Requests of the internal client that wait for workers. */
function preparedOf({ stored, storedOfOthers }: Service): number {
  return stored.count - storedOfOthers;
}
