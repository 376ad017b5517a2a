/**
 * Requests that parts of this process submit: those that Titanic stores, and those of other brokers, which
 * the interconnect brings. They wait in a queue of their own beside that of plain requests, have no time to
 * live here, and are delivered once. If a worker is lost, the submitter decides what happens next.
 */
import { assert, present } from '../../core/assert.js';
import type { Frames } from '../../core/frames.js';
import { type Failure, codedReason } from '../../wire/failure.js';
import { allows } from '../admission/access.js';
import type {
  BridgedRequestsApi,
  DeliveryPort,
  GroupRule,
  HeldParts,
  InternalClient,
  InternalWorker,
  OwnerRights,
  ServiceLimits,
  ServiceWorkers,
  StoredBody,
  Submitter,
} from '../ports.js';
import { NO_QUOTAS } from '../quotas.js';
import { Grants, type Service, type Worker } from '../state/entities.js';
import type { Gate } from '../state/gates.js';
import {
  ANSWERED,
  BRIDGED,
  GIVEN_UP,
  OUT,
  QUEUED,
  REFERENCE,
  type RequestId,
  SERVICE,
  WORKER,
} from '../state/request-table.js';
import type { BrokerData } from './broker-data.js';
import type { Deliveries } from './deliveries.js';

/** Maximum number of requests of one service that are prepared ahead of its workers. */
const PREPARED_MAX = 256;
/** A request at the internal worker has this plus its reference as number: the table has no record of it. */
const AT_INTERNAL_WORKER = 2 ** 52;

export class StoredDeliveries implements DeliveryPort, BridgedRequestsApi {
  readonly #data: BrokerData;
  readonly #deliveries: Deliveries;
  #client: InternalClient | null = null;
  /** `null`: no worker in this process takes submitted requests. */
  #internal: { readonly service: Buffer; readonly worker: InternalWorker } | null = null;

  constructor(data: BrokerData, deliveries: Deliveries) {
    this.#data = data;
    this.#deliveries = deliveries;
  }

  /** Plugs in Titanic. Must be called before the first input. */
  attach(client: InternalClient): void {
    assert(this.#client === null, 'there is one internal client');
    this.#client = client;
  }

  /** Plugs in the worker that all requests of Titanic for this service go to. */
  serve(service: Buffer, worker: InternalWorker): void {
    assert(this.#internal === null, 'there is one internal worker');
    this.#internal = { service, worker };
    present(this.#client, 'Titanic is attached before').roomAt(service);
  }

  // ---------------------------------------------------------------- calls of submitters

  /** As many as let no worker wait. */
  room(name: Buffer): number {
    const service = this.#find(name);
    const worker = this.#internalWorkerOf(name);
    if (worker !== null) return service?.isPaused === true ? 0 : worker.room();
    if (service === null || service.isPaused || !this.#canHold) return 0;
    const most = Math.min(
      service.credit,
      PREPARED_MAX,
      service.waiting.gate?.lookahead ?? Infinity,
    );
    const places = PREPARED_MAX - service.waiting.storedCount;
    return Math.max(0, Math.min(most - preparedOf(service), places));
  }

  groupRule(name: Buffer): GroupRule | null {
    const limits = this.#find(name)?.waiting.limits ?? null;
    return limits === null ? null : { isLimited: limits.group !== null, holds: limits.holds };
  }

  whyHeld(name: Buffer, group: Buffer): string | null {
    const waiting = this.#find(name)?.waiting ?? null;
    return waiting?.whyHeld(group.toString('latin1'), this.#data.gates.now) ?? null;
  }

  mayPrepare(name: Buffer, group: Buffer, prepared: number): boolean {
    return this.#find(name)?.waiting.mayPrepare(group.toString('latin1'), prepared) ?? true;
  }

  fullGroups(name: Buffer, most: number): Buffer[] {
    const keys = this.#find(name)?.waiting.fullGroups(most) ?? [];
    return keys.map((key) => Buffer.from(key, 'latin1'));
  }

  window(name: Buffer): number {
    const service = this.#find(name);
    // Without plain requests, Titanic's own turns are enough: what is read ahead is behind no later priority.
    if (service === null || service.waiting.plainCount === 0) return 0;
    return service.credit > 0 && !service.isPaused && this.#canHold ? PREPARED_MAX : 0;
  }

  served(): readonly Buffer[] {
    const served = this.#internal === null ? [] : [this.#internal.service];
    for (const { name, workers } of this.#data.services.all()) {
      if (workers.size > 0) served.push(name);
    }
    return served;
  }

  workersOf(name: Buffer): ServiceWorkers {
    if (this.#internalWorkerOf(name) !== null) return { isServed: true, unservedSince: null };
    const service = this.#find(name);
    if (service === null) return { isServed: false, unservedSince: null };
    const { workers, remotes, unservedSince } = service;
    return { isServed: workers.size > 0 || remotes.size > 0, unservedSince };
  }

  /** Requests for a paused service wait; those that its workers have go on. */
  setPaused(name: Buffer, isPaused: boolean): void {
    const service = this.#data.services.setPaused(name, isPaused);
    if (service === null || isPaused) return;
    this.#data.workers.schedule(service);
    this.offerRoom(service);
  }

  setLimits(limits: ReadonlyMap<string, ServiceLimits> | null): void {
    this.limitsChanged(this.#data.services.setOperatorLimits(limits));
  }

  setStored(name: Buffer, hasStored: boolean): void {
    this.#data.services.setStored(name, hasStored);
  }

  setTurns(name: Buffer, turns: number): void {
    const service = this.#find(name);
    if (service !== null) service.waiting.storedTurns = turns;
  }

  setBacklog(name: Buffer, has: boolean): void {
    const service = this.#find(name);
    if (service !== null) service.hasBacklog = has;
  }

  submit(
    name: Buffer,
    reference: number,
    content: StoredBody,
    again: RequestId | null,
  ): RequestId | null {
    const worker = this.#internalWorkerOf(name);
    if (worker === null) return this.#submit(name, reference, content, again, 0);
    worker.take(reference);
    return AT_INTERNAL_WORKER + reference;
  }

  bridge(name: Buffer, reference: number, content: StoredBody): RequestId | null {
    return this.#submit(name, reference, content, null, BRIDGED);
  }

  /** @param origin BRIDGED; 0: it is of Titanic */
  #submit(
    name: Buffer,
    reference: number,
    { body, headers, deadlineAt = Infinity, group, isFirst = false }: StoredBody,
    again: RequestId | null,
    origin: number,
  ): RequestId | null {
    const { table, requests, workers } = this.#data;
    const service = this.#find(name);
    if (service === null || service.workers.size === 0 || !this.#canHold) return null;
    const id = again ?? requests.addStored(origin);
    requests.setBody(id, body, headers);
    if (deadlineAt !== Infinity) requests.setDeadline(id, deadlineAt);
    table.set(id, SERVICE, service.id);
    table.setTime(id, REFERENCE, reference);
    if (group !== undefined && group.length > 0) requests.setGroup(id, group.toString('latin1'));
    table.raise(id, QUEUED);
    if (isFirst) service.waiting.pushReturned(id);
    else service.waiting.push(id);
    if (origin === BRIDGED) service.waiting.storedOfOthers++;
    workers.schedule(service);
    return id;
  }

  /**
   * What the owner of a stored request could do over some listener that its key may connect to (D80).
   * @param key `null`: the owner that all peers without a key share
   */
  ownerRightsOf(key: string | null, service: Buffer): OwnerRights {
    const { listeners, rightsOf, quotasOf } = this.#data.options;
    let quota: string | null = null;
    let mayRequest = false;
    for (const [listener, rules] of listeners.entries()) {
      if (rules.hasKeys === (key === null)) continue;
      const rights = key === null ? null : (rightsOf?.(listener, key) ?? null);
      if (!allows(new Grants(rules, rights), 'client', service)) continue;
      mayRequest = true;
      quota ??= rights?.quota ?? null;
    }
    return { mayRequest, quotas: quotasOf?.(quota) ?? NO_QUOTAS };
  }

  parts(id: RequestId): Buffer | null {
    if (id >= AT_INTERNAL_WORKER) return null;
    return this.#data.requests.partials.packedOf(id);
  }

  takeParts(id: RequestId): Buffer | null {
    const parts = this.parts(id);
    this.#data.requests.partials.drop(id);
    return parts;
  }

  heldParts(id: RequestId): HeldParts {
    const held = this.#data.requests.partials.of(id);
    if (held === null) return { count: 0, bytes: 0 };
    return { count: held.count, bytes: held.bytes - held.progressBytes };
  }

  withdraw(id: RequestId): void {
    if (id >= AT_INTERNAL_WORKER) {
      this.#internal?.worker.withdraw(id - AT_INTERNAL_WORKER);
      return;
    }
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

  // ---------------------------------------------------------------- reports to submitters

  /** A worker registered, or clients are served again. */
  offerRoom(service: Service): void {
    this.#client?.roomAt(service.name);
  }

  /** A plain request waits: from the first one on, groups of stored requests need a turn beside it. */
  plainWaits(service: Service): void {
    if (!service.hasStored || !service.hasBacklog) return;
    const { plainCount, groupCount } = service.waiting;
    if (plainCount === 1 && groupCount > 0) this.offerRoom(service);
  }

  /** The limits of these services are others than before: what is at their workers is counted anew. */
  limitsChanged(services: ReadonlySet<Service>): void {
    if (services.size === 0) return;
    const { table, requests, workers, earlierRuns, gates } = this.#data;
    for (const id of table.all(OUT)) {
      // What is at another broker counts there. What a lost worker had counts until it is back.
      if (table.get(id, WORKER) < 0) continue;
      const service = requests.serviceOf(id);
      if (services.has(service)) service.waiting.counted(id);
    }
    earlierRuns.count(services);
    const areUnknown = gates.areUnknown(gates.now);
    for (const service of services) {
      // While it had no limits, they were not asked.
      if (areUnknown) for (const worker of service.workers) this.askRunsOf(worker);
      workers.schedule(service);
      if (service.hasStored) this.#client?.groupRoomAt(service.name, null);
    }
  }

  /**
   * Asks a worker what it runs that others gave it, while that is not known: at a start, or a takeover (D118). One whose
   * service has no limits is not asked.
   */
  askRunsOf({ service, wantsGroup, peer, dialect }: Worker): void {
    if (!wantsGroup || service.waiting.limits === null) return;
    this.#data.messages.askRuns(peer.id, dialect);
  }

  /** A limit of a service, or of a group, may let another request start. */
  gateChanged(gate: Gate): void {
    const service = this.#data.services.byId(gate.service);
    const { isAwaited, group } = gate;
    if (group === null) {
      if (service.hasBacklog) this.offerRoom(service);
    } else {
      gate.isAwaited = false;
      if (isAwaited) this.#client?.groupRoomAt(service.name, Buffer.from(group, 'latin1'));
      service.waiting.gateChanged(gate);
    }
    this.#data.workers.schedule(service);
  }

  /** A plain request is dispatched. */
  tookTurn(id: RequestId, { name, waiting }: Service): void {
    if (waiting.groupCount > 0) this.#client?.tookTurn(name, waiting.groupOf(id));
  }

  dispatched(id: RequestId, worker: Worker): void {
    const { service } = worker;
    if (!this.#data.table.is(id, BRIDGED)) this.#client?.dispatched(this.#reference(id), worker);
    const isEnough = preparedOf(service) > Math.min(service.credit, PREPARED_MAX) / 2;
    if (!service.hasBacklog || isEnough) return;
    this.#client?.roomAt(service.name);
  }

  progressed(id: RequestId): void {
    this.#submitterOf(id)?.progressed(this.#reference(id));
  }

  replied(id: RequestId, frames: Frames, from: number): void {
    this.#submitterOf(id)?.replied(this.#reference(id), frames, from, this.parts(id));
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
    this.#submitterOf(id)?.failed(this.#reference(id), reason, true, failure);
  }

  /** Reports that the worker can no longer send a usable reply, but still has the request. */
  spoiled(id: RequestId, text: string, failure: Failure | null): void {
    const reason = failure === null ? text : codedReason(failure);
    this.#submitterOf(id)?.failed(this.#reference(id), reason, false, failure);
  }

  /** Puts back a request that was out when the broker stopped, which does not count as an attempt. */
  interrupted(id: RequestId): void {
    this.#data.table.lower(id, OUT);
    this.#putBack(id);
  }

  /** Hands back what waits for a service that has no workers any more, or because the broker is draining. */
  handBack(service: Service): void {
    for (const id of service.waiting.allStored()) this.handBackOne(id, service);
  }

  handBackOne(id: RequestId, service: Service): void {
    this.unqueue(id, service);
    this.#data.table.lower(id, QUEUED);
    this.#putBack(id);
  }

  /** Takes a request from those that wait for a worker. */
  unqueue(id: RequestId, service: Service): void {
    service.waiting.remove(id);
    this.left(id, service);
  }

  /** A stored request waits no more. */
  left(id: RequestId, { waiting }: Service): void {
    if (this.#data.table.is(id, BRIDGED)) waiting.storedOfOthers--;
  }

  #putBack(id: RequestId): void {
    this.#data.requests.dropBody(id);
    this.#submitterOf(id)?.handedBack(this.#reference(id));
  }

  /** Whether clients are served here, and another request finds memory. */
  get #canHold(): boolean {
    return this.#data.admission.isOpen && this.#data.requests.hasRoom;
  }

  #internalWorkerOf(name: Buffer): InternalWorker | null {
    return this.#internal?.service.equals(name) === true ? this.#internal.worker : null;
  }

  #find(name: Buffer): Service | null {
    return this.#data.services.find(name, 0, name.length);
  }

  #submitterOf(id: RequestId): Submitter | null {
    const { table, interconnect } = this.#data;
    return table.is(id, BRIDGED) ? (interconnect?.incoming ?? null) : this.#client;
  }

  #reference(id: RequestId): number {
    return this.#data.table.getTime(id, REFERENCE);
  }
}

/** Requests of Titanic that wait for workers. What a limit holds takes none of these from other groups. */
function preparedOf({ waiting }: Service): number {
  return waiting.storedCount - waiting.storedOfOthers - waiting.storedHeld;
}
