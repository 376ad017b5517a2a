/**
 * The interface of the broker for the parts that run in its process: internal services and Titanic.
 */
import type { Hello, WorkerStatus } from '../../wire/mmi.js';
import type { Admission } from '../admission/admission.js';
import type { InternalRequests } from '../lifecycle/internal-requests.js';
import type { StoredDeliveries } from '../lifecycle/stored-deliveries.js';
import { type Figures, ListedLazily, serviceStatus, workerStatus } from '../listing.js';
import type {
  BrokerHost,
  EmbeddedServiceApi,
  InternalService,
  Listed,
  OwnerStanding,
  StoredBody,
} from '../ports.js';
import type { InternalServices } from '../state/internal-services.js';
import type { OwnerRights } from './owner-rights.js';
import { NONE } from '../state/request-table.js';
import type { RequestStore } from '../state/request-store.js';
import type { ServiceTable } from '../state/service-table.js';
import type { Workers } from '../state/workers.js';

/**
 * Limit for all their envelopes together: enough for ids as libzmq makes them, over any number of
 * hops.
 */
const HELLO_BYTES_PER_PEER_MAX = 65_536;

export interface EmbeddedServicesDeps {
  readonly figures: Figures;
  readonly internals: InternalServices;
  readonly services: ServiceTable;
  readonly workers: Workers;
  readonly requests: RequestStore;
  readonly admission: Admission;
  readonly internalRequests: InternalRequests;
  readonly stored: StoredDeliveries;
  readonly owners: OwnerRights;
}

export class EmbeddedServices implements BrokerHost, EmbeddedServiceApi {
  readonly #figures: Figures;
  readonly #internals: InternalServices;
  readonly #services: ServiceTable;
  readonly #workers: Workers;
  readonly #requests: RequestStore;
  readonly #admission: Admission;
  readonly #internalRequests: InternalRequests;
  readonly #stored: StoredDeliveries;
  readonly #owners: OwnerRights;

  constructor(deps: EmbeddedServicesDeps) {
    this.#figures = deps.figures;
    this.#internals = deps.internals;
    this.#services = deps.services;
    this.#workers = deps.workers;
    this.#requests = deps.requests;
    this.#admission = deps.admission;
    this.#internalRequests = deps.internalRequests;
    this.#stored = deps.stored;
    this.#owners = deps.owners;
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
    const id = this.#internalRequests.of(number);
    const peer = id === NONE ? null : this.#requests.clientOf(id)?.peer;
    if (!peer) return true;
    const { hellos, identity } = peer;
    const envelope = this.#requests.envelope(id);
    if (!hellos.has(envelope)) {
      if (identity.hellos >= identity.quotas.hellos) return false;
      if (hellos.bytes + envelope.length > HELLO_BYTES_PER_PEER_MAX) return false;
      identity.hellos++;
    }
    hellos.set(envelope, hello);
    return true;
  }

  isServed(service: Buffer): boolean {
    const internal = this.#internalOf(service);
    if (internal !== null) return internal.offers(service);
    const found = this.#services.find(service, 0, service.length);
    return found !== null && found.workers.size + found.remotes.size > 0;
  }

  #internalOf(service: Buffer): InternalService | null {
    return this.#internals.find(service, 0, service.length);
  }

  get counts(): { readonly services: number; readonly workers: number } {
    return { services: this.#services.listed, workers: this.#workers.count };
  }

  services(now: number): Listed[] {
    const figures = this.#figures;
    this.#services.forget(now);
    return Array.from(
      this.#services.all(),
      (service) => new ListedLazily(service, 0, () => serviceStatus(service, figures)),
    );
  }

  workers(now: number): Listed[] {
    const found: Listed[] = [];
    for (const service of this.#services.all()) {
      for (const worker of service.workers) {
        const status = (): WorkerStatus => workerStatus(worker, now);
        found.push(new ListedLazily(service, worker.number, status));
      }
    }
    return found;
  }

  // ---------------------------------------------------------------- for the internal client

  room(service: Buffer): number {
    return this.#admission.isOpen ? this.#stored.room(service) : 0;
  }

  served(): readonly Buffer[] {
    const served: Buffer[] = [];
    for (const { name, workers } of this.#services.all()) {
      if (workers.size > 0) served.push(name);
    }
    return served;
  }

  setTurns(service: Buffer, turns: number): void {
    this.#stored.setTurns(service, turns);
  }

  setBacklog(service: Buffer, has: boolean): void {
    this.#stored.setBacklog(service, has);
  }

  submit(
    service: Buffer,
    reference: number,
    content: StoredBody,
    again: number | null,
  ): number | null {
    if (!this.#admission.isOpen) return null;
    return this.#stored.submit(service, reference, content, again);
  }

  setStored(service: Buffer, hasStored: boolean): void {
    this.#services.setStored(service, hasStored);
  }

  standingOf(key: string | null, service: Buffer): OwnerStanding {
    return this.#owners.standingOf(key, service);
  }

  parts(id: number): Buffer | null {
    return this.#requests.partials.packedOf(id);
  }

  takeParts(id: number): Buffer | null {
    const { partials } = this.#requests;
    const parts = partials.packedOf(id);
    partials.drop(id);
    return parts;
  }

  withdraw(id: number): void {
    this.#stored.withdraw(id);
  }
}
