/**
 * The interface of the broker for the parts that run in its process: internal services and Titanic.
 */
import type { Frames } from '../../core/frames.js';
import type { Holder } from '../../core/holdings.js';
import type { Hello, WorkerStatus } from '../../wire/mmi.js';
import type { Admission } from '../admission/admission.js';
import type { Ledger } from '../ledger.js';
import type { Lifecycle } from '../lifecycle/lifecycle.js';
import { type Figures, ListedLazily, serviceStatus, workerStatus } from '../listing.js';
import type { BrokerOptions } from '../options.js';
import type { Asker, EmbeddedServiceApi, BrokerHost, InternalService, Listed } from '../ports.js';
import type { Quotas } from '../quotas.js';
import { NONE, type RequestId } from '../state/request-table.js';
import type { ServiceTable } from '../state/service-table.js';
import type { Peer } from '../state/entities.js';
import type { StoredDeliveries } from '../lifecycle/stored-deliveries.js';
import type { Workers } from '../state/workers.js';

/**
 * Limit for all their envelopes together: enough for ids as libzmq makes them, over any number of
 * hops.
 */
const HELLO_BYTES_PER_PEER_MAX = 65_536;

/** Record numbers are below this. */
const GENERATION_STEP = 2 ** 31;

/** What the embedded services work on. All of it belongs to one `Broker`. */
export interface EmbeddedServicesDeps {
  readonly options: BrokerOptions;
  readonly services: ServiceTable;
  readonly workers: Workers;
  readonly ledger: Ledger;
  readonly admission: Admission;
  readonly lifecycle: Lifecycle;
  readonly stored: StoredDeliveries;
  readonly figures: Figures;
}

export class EmbeddedServices implements BrokerHost, EmbeddedServiceApi {
  readonly #deps: EmbeddedServicesDeps;
  readonly #internals: InternalService[] = [];
  /** Generation of the numbers by which internal services know requests: see `dropInternal`. */
  #generation = 0;

  constructor(deps: EmbeddedServicesDeps) {
    this.#deps = deps;
  }

  // ---------------------------------------------------------------- internal services

  host(service: InternalService): void {
    this.#internals.push(service);
  }

  /** The internal service that a name belongs to, or `null`. */
  internalFor(frames: Frames, index: number): InternalService | null {
    const buffer = frames.buffer(index);
    const start = frames.start(index);
    for (const internal of this.#internals) {
      const { prefix } = internal;
      if (frames.size(index) < prefix.length) continue;
      let at = 0;
      while (at < prefix.length && buffer[start + at] === prefix[at]) at++;
      if (at === prefix.length) return internal;
    }
    return null;
  }

  /** The number that an internal service uses to answer a request. */
  numberOf(id: RequestId): number {
    return this.#generation * GENERATION_STEP + id;
  }

  #requestOf(number: number): RequestId {
    const isPresent = Math.floor(number / GENERATION_STEP) === this.#generation;
    return isPresent ? number % GENERATION_STEP : NONE;
  }

  answer(number: number, body: readonly Buffer[]): void {
    const id = this.#requestOf(number);
    if (id !== NONE) this.#deps.lifecycle.answerInternal(id, body);
  }

  /** Forgets what internal services have not answered, and ignores their later answers. */
  dropInternal(): void {
    this.#generation++;
    this.#deps.lifecycle.dropInternal((service) => {
      const owner = this.#internals.find(({ prefix }) => startsWith(service, prefix));
      return owner?.onlyAsks?.(service) === true;
    });
  }

  hear(number: number, hello: Hello): boolean {
    const { ledger } = this.#deps;
    const id = this.#requestOf(number);
    const peer = ledger.clientOf(id)?.peer;
    if (!peer) return true;
    const { hellos, identity } = peer;
    const envelope = ledger.envelope(id);
    if (!hellos.has(envelope)) {
      if (identity.hellos >= identity.quotas.hellos) return false;
      if (hellos.bytes + envelope.length > HELLO_BYTES_PER_PEER_MAX) return false;
      identity.hellos++;
    }
    hellos.set(envelope, hello);
    return true;
  }

  askerOf(peer: Peer): Asker {
    peer.asker ??= new PeerAsker(peer, this.#deps.options.outputLeft ?? (() => Infinity));
    return peer.asker;
  }

  refuse(number: number, reason: 'rights' | 'quota' | 'limit', text: string): void {
    const id = this.#requestOf(number);
    if (id === NONE) return;
    this.#deps.lifecycle.refuseInternal(id, reason, {
      status: reason === 'rights' ? '403' : '429',
      text,
    });
  }

  isServed(service: Buffer): boolean {
    const internal = this.#internals.find(({ prefix }) => startsWith(service, prefix));
    if (internal !== undefined) return internal.offers(service);
    const found = this.#deps.services.find(service, 0, service.length);
    return found !== null && found.workers.size > 0;
  }

  get counts(): { readonly services: number; readonly workers: number } {
    const { services, workers } = this.#deps;
    return { services: services.listed, workers: workers.count };
  }

  services(now: number): Listed[] {
    const { services, figures } = this.#deps;
    services.forget(now);
    return Array.from(
      services.all(),
      (service) => new ListedLazily(service, 0, () => serviceStatus(service, figures)),
    );
  }

  workers(now: number): Listed[] {
    const found: Listed[] = [];
    for (const service of this.#deps.services.all()) {
      for (const worker of service.workers) {
        const status = (): WorkerStatus => workerStatus(worker, now);
        found.push(new ListedLazily(service, worker.number, status));
      }
    }
    return found;
  }

  // ---------------------------------------------------------------- the keeper of stored requests

  room(service: Buffer): number {
    return this.#deps.admission.isOpen ? this.#deps.stored.room(service) : 0;
  }

  setBacklog(service: Buffer, has: boolean): void {
    this.#deps.stored.setBacklog(service, has);
  }

  submit(service: Buffer, reference: number, body: Buffer, again: number | null): number | null {
    if (!this.#deps.admission.isOpen) return null;
    return this.#deps.stored.submit(service, reference, body, again);
  }

  setStored(service: Buffer, hasStored: boolean): void {
    this.#deps.services.setStored(service, hasStored);
  }

  withdraw(id: number): void {
    this.#deps.stored.withdraw(id);
  }
}

function startsWith(service: Buffer, prefix: Buffer): boolean {
  return service.subarray(0, prefix.length).equals(prefix);
}

/** A connection, as internal services see it. */
class PeerAsker implements Asker {
  readonly #peer: Peer;
  readonly #outputLeft: (peer: number) => number;

  constructor(peer: Peer, outputLeft: (peer: number) => number) {
    this.#peer = peer;
    this.#outputLeft = outputLeft;
  }

  get identity(): string {
    return this.#peer.identity.name;
  }

  get scope(): string {
    return `${this.#peer.listener} ${this.#peer.key ?? ''}`;
  }

  get owner(): string | null {
    return this.#peer.key;
  }

  get address(): string {
    return this.#peer.address;
  }

  get isOperator(): boolean {
    return this.#peer.access.isOperator;
  }

  get isMmiMinimal(): boolean {
    return this.#peer.access.rules.mmi === 'minimal';
  }

  get quotas(): Quotas {
    return this.#peer.identity.quotas;
  }

  get holder(): Holder {
    return this.#peer.identity.holder;
  }

  get isGone(): boolean {
    return this.#peer.isGone || this.#peer.closing;
  }

  mayRequest(service: Buffer): boolean {
    return this.#peer.access.allows('client', service);
  }

  mayServe(service: Buffer): boolean {
    return this.#peer.access.allows('worker', service);
  }

  outputLeft(): number {
    if (this.isGone) return 0;
    return Math.min(this.#outputLeft(this.#peer.id), this.identityOutputLeft());
  }

  identityOutputLeft(): number {
    const { quotas, holder } = this.#peer.identity;
    return quotas.outputBytes - holder.output;
  }
}
