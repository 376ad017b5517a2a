/**
 * The interface of the broker for the parts that run in its process: internal services and Titanic.
 */
import type { Hello, WorkerStatus } from '../../wire/mmi.js';
import { allows } from '../admission/access.js';
import type { BrokerState } from '../lifecycle/broker-state.js';
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
  readonly #state: BrokerState;
  readonly #figures: Figures;

  constructor(state: BrokerState, figures: Figures) {
    this.#state = state;
    this.#figures = figures;
  }

  // ---------------------------------------------------------------- for internal services

  answer(id: number, body: readonly Buffer[]): void {
    this.#state.internalRequests.answer(id, body);
  }

  refuse(id: number, reason: 'rights' | 'quota' | 'limit', text: string): void {
    const status = reason === 'rights' ? '403' : '429';
    this.#state.internalRequests.refuse(id, { reason, status, text });
  }

  /** Forgets what internal services have not answered, and ignores their later answers. */
  dropInternal(): void {
    this.#state.internalRequests.endAll(
      (service) => this.#internalOf(service)?.onlyAsks?.(service) === true,
    );
  }

  recordHello(number: number, hello: Hello): boolean {
    const { internalRequests, requests } = this.#state;
    const id = internalRequests.of(number);
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
    const { internalRequests, requests, scans, table } = this.#state;
    const id = internalRequests.of(number);
    const client = id === NONE ? null : requests.clientOf(id);
    if (client === null) return true;
    if (table.get(id, ENVELOPE_BYTES) > CANCEL_ENVELOPE_BYTES_MAX) return false;
    return scans.cancel(client, requests.envelope(id), ids, now);
  }

  isServed(service: Buffer): boolean {
    const internal = this.#internalOf(service);
    if (internal !== null) return internal.offers(service);
    const found = this.#state.services.find(service, 0, service.length);
    return found !== null && found.workers.size + found.remotes.size > 0;
  }

  contracts(service: Buffer): Buffer | null {
    return this.#state.services.find(service, 0, service.length)?.contractsJson ?? null;
  }

  #internalOf(service: Buffer): InternalService | null {
    return this.#state.internals.find(service, 0, service.length);
  }

  get counts(): { readonly services: number; readonly workers: number } {
    return { services: this.#state.services.listed, workers: this.#state.workers.count };
  }

  services(now: number): Listed[] {
    const figures = this.#figures;
    this.#state.services.forget(now);
    return Array.from(
      this.#state.services.all(),
      (service) => new ListedLazily(service, 0, () => serviceStatus(service, figures)),
    );
  }

  workers(now: number): Listed[] {
    const found: Listed[] = [];
    for (const service of this.#state.services.all()) {
      for (const worker of service.workers) {
        const status = (): WorkerStatus => workerStatus(worker, now);
        found.push(new ListedLazily(service, worker.number, status));
      }
    }
    return found;
  }

  // ---------------------------------------------------------------- for the internal client

  room(service: Buffer): number {
    return this.#state.admission.isOpen ? this.#state.stored.room(service) : 0;
  }

  served(): readonly Buffer[] {
    const served: Buffer[] = [];
    for (const { name, workers } of this.#state.services.all()) {
      if (workers.size > 0) served.push(name);
    }
    return served;
  }

  workersOf(name: Buffer): ServiceWorkers {
    const service = this.#state.services.find(name, 0, name.length);
    if (service === null) return { isServed: false, unservedSince: null };
    const { workers, remotes, unservedSince } = service;
    return { isServed: workers.size > 0 || remotes.size > 0, unservedSince };
  }

  setPaused(service: Buffer, isPaused: boolean): void {
    this.#state.stored.setPaused(service, isPaused);
  }

  isPaused(service: Buffer): boolean {
    return this.#state.services.find(service, 0, service.length)?.isPaused === true;
  }

  setTurns(service: Buffer, turns: number): void {
    this.#state.stored.setTurns(service, turns);
  }

  setBacklog(service: Buffer, has: boolean): void {
    this.#state.stored.setBacklog(service, has);
  }

  submit(
    service: Buffer,
    reference: number,
    content: StoredBody,
    again: number | null,
  ): number | null {
    if (!this.#state.admission.isOpen) return null;
    return this.#state.stored.submit(service, reference, content, again);
  }

  setStored(service: Buffer, hasStored: boolean): void {
    this.#state.services.setStored(service, hasStored);
  }

  /**
   * What the owner of a stored request could do over some listener that its key may connect to (D80).
   * @param key `null`: the owner that all peers without a key share
   */
  ownerRightsOf(key: string | null, service: Buffer): OwnerRights {
    const { listeners, rightsOf, quotasOf } = this.#state.options;
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
    return this.#state.requests.partials.packedOf(id);
  }

  takeParts(id: number): Buffer | null {
    const { partials } = this.#state.requests;
    const parts = partials.packedOf(id);
    partials.drop(id);
    return parts;
  }

  withdraw(id: number): void {
    this.#state.stored.withdraw(id);
  }
}
