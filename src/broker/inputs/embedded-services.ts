/**
 * The interface of the broker for the parts that run in its process: internal services and Titanic.
 */
import type { Hello } from '../../wire/mmi.js';
import type { WorkerStatus } from '../../wire/mmi-answers.js';
import { allows } from '../admission/access.js';
import type { BrokerData } from '../lifecycle/broker-data.js';
import type { ClientScans } from '../lifecycle/client-scans.js';
import type { InternalRequests } from '../lifecycle/internal-requests.js';
import type { StoredDeliveries } from '../lifecycle/stored-deliveries.js';
import { type Figures, ListedLazily, serviceStatus, workerStatus } from '../listing.js';
import type {
  BrokerHost,
  EmbeddedServiceApi,
  InternalService,
  Listed,
  OwnerRights,
  ServiceWorkers,
  StoredBody,
} from '../ports.js';
import { NO_QUOTAS } from '../quotas.js';
import { Grants } from '../state/entities.js';
import { ENVELOPE_BYTES, NONE } from '../state/request-table.js';

/**
 * Limit for all envelopes of a peer's hellos together: enough for ids as libzmq makes them, over any number of
 * hops.
 */
const HELLO_BYTES_PER_PEER_MAX = 65_536;
/** Maximum size of the envelope of a cancel, with which those of all requests that it names begin. */
const CANCEL_ENVELOPE_BYTES_MAX = 1024;

export class EmbeddedServices implements BrokerHost, EmbeddedServiceApi {
  readonly #data: BrokerData;
  readonly #storedDeliveries: StoredDeliveries;
  readonly #internalRequests: InternalRequests;
  readonly #clientScans: ClientScans;
  readonly #figures: Figures;

  constructor(
    data: BrokerData,
    storedDeliveries: StoredDeliveries,
    internalRequests: InternalRequests,
    clientScans: ClientScans,
    figures: Figures,
  ) {
    this.#data = data;
    this.#storedDeliveries = storedDeliveries;
    this.#internalRequests = internalRequests;
    this.#clientScans = clientScans;
    this.#figures = figures;
  }

  // ---------------------------------------------------------------- for internal services

  answer(id: number, body: readonly Buffer[]): void {
    this.#internalRequests.answer(id, body);
  }

  refuse(id: number, reason: 'rights' | 'quota' | 'limit', text: string): void {
    const status = reason === 'rights' ? '403' : '429';
    this.#internalRequests.refuse(id, { reason, status, text });
  }

  /** Forgets what internal services have not answered, and ignores their later answers. */
  dropInternal(): void {
    this.#internalRequests.endAll(
      (service) => this.#internalOf(service)?.onlyAsks?.(service) === true,
    );
  }

  recordHello(number: number, hello: Hello): boolean {
    const { requests } = this.#data;
    const id = this.#internalRequests.of(number);
    const peer = id === NONE ? null : requests.clientOf(id)?.peer;
    if (!peer) return true;
    const { hellos, identity } = peer;
    const envelope = requests.envelope(id);
    if (!hellos.has(envelope)) {
      if (identity.hellos >= identity.quotas.hellos) return false;
      if (hellos.bytes + envelope.length > HELLO_BYTES_PER_PEER_MAX) return false;
      identity.hellos++;
    }
    hellos.set(envelope, hello);
    return true;
  }

  cancel(number: number, ids: readonly Buffer[], now: number): boolean {
    const { requests, table } = this.#data;
    const id = this.#internalRequests.of(number);
    const client = id === NONE ? null : requests.clientOf(id);
    if (client === null) return true;
    if (table.get(id, ENVELOPE_BYTES) > CANCEL_ENVELOPE_BYTES_MAX) return false;
    return this.#clientScans.cancel(client, requests.envelope(id), ids, now);
  }

  isServed(service: Buffer): boolean {
    const internal = this.#internalOf(service);
    if (internal !== null) return internal.offers(service);
    const found = this.#data.services.find(service, 0, service.length);
    return found !== null && found.workers.size + found.remotes.size > 0;
  }

  contracts(service: Buffer): Buffer | null {
    return this.#data.services.find(service, 0, service.length)?.contractsJson ?? null;
  }

  #internalOf(service: Buffer): InternalService | null {
    return this.#data.internals.find(service, 0, service.length);
  }

  get counts(): { readonly services: number; readonly workers: number } {
    return { services: this.#data.services.listed, workers: this.#data.workers.count };
  }

  services(now: number): Listed[] {
    const figures = this.#figures;
    this.#data.services.forget(now);
    return Array.from(
      this.#data.services.all(),
      (service) => new ListedLazily(service, 0, () => serviceStatus(service, figures)),
    );
  }

  workers(now: number): Listed[] {
    const found: Listed[] = [];
    for (const service of this.#data.services.all()) {
      for (const worker of service.workers) {
        const status = (): WorkerStatus => workerStatus(worker, now);
        found.push(new ListedLazily(service, worker.number, status));
      }
    }
    return found;
  }

  // ---------------------------------------------------------------- for the internal client

  room(service: Buffer): number {
    return this.#data.admission.isOpen ? this.#storedDeliveries.room(service) : 0;
  }

  served(): readonly Buffer[] {
    const served: Buffer[] = [];
    for (const { name, workers } of this.#data.services.all()) {
      if (workers.size > 0) served.push(name);
    }
    return served;
  }

  workersOf(name: Buffer): ServiceWorkers {
    const service = this.#data.services.find(name, 0, name.length);
    if (service === null) return { isServed: false, unservedSince: null };
    const { workers, remotes, unservedSince } = service;
    return { isServed: workers.size > 0 || remotes.size > 0, unservedSince };
  }

  setPaused(service: Buffer, isPaused: boolean): void {
    this.#storedDeliveries.setPaused(service, isPaused);
  }

  isPaused(service: Buffer): boolean {
    return this.#data.services.find(service, 0, service.length)?.isPaused === true;
  }

  setTurns(service: Buffer, turns: number): void {
    this.#storedDeliveries.setTurns(service, turns);
  }

  setBacklog(service: Buffer, has: boolean): void {
    this.#storedDeliveries.setBacklog(service, has);
  }

  submit(
    service: Buffer,
    reference: number,
    content: StoredBody,
    again: number | null,
  ): number | null {
    if (!this.#data.admission.isOpen) return null;
    return this.#storedDeliveries.submit(service, reference, content, again);
  }

  setStored(service: Buffer, hasStored: boolean): void {
    this.#data.services.setStored(service, hasStored);
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

  parts(id: number): Buffer | null {
    return this.#data.requests.partials.packedOf(id);
  }

  takeParts(id: number): Buffer | null {
    const { partials } = this.#data.requests;
    const parts = partials.packedOf(id);
    partials.drop(id);
    return parts;
  }

  withdraw(id: number): void {
    this.#storedDeliveries.withdraw(id);
  }
}
