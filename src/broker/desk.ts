/** The broker's counter for those who live in its process: internal services, and Titanic. */
import type { Frames } from '../core/frames.js';
import type { ServiceStatus, WorkerStatus } from '../wire/mmi.js';
import type { Gate } from './gate.js';
import type { Ledger } from './ledger.js';
import type { Lifecycle } from './lifecycle.js';
import { serviceStatus, workerStatus } from './listing.js';
import type { BrokerDesk, BrokerHost, InternalService } from './ports.js';
import { NONE, type RequestId } from './requests.js';
import type { Services } from './services.js';
import type { StoredRequests } from './stored.js';

/** Different owners of `mmi.hello` over one connection: clients behind one proxy. */
const HELLOS_PER_PEER_MAX = 1024;
/** Their envelopes together: enough for ids as libzmq makes them, in any number of hops. */
const HELLO_BYTES_PER_PEER_MAX = 65_536;

/** Record numbers are below it. */
const GENERATION_STEP = 2 ** 31;

/** What the desk works on; all of it belongs to one `Broker`. */
export interface DeskParts {
  readonly services: Services;
  readonly ledger: Ledger;
  readonly gate: Gate;
  readonly lifecycle: Lifecycle;
  readonly stored: StoredRequests;
}

export class Desk implements BrokerHost, BrokerDesk {
  readonly #parts: DeskParts;
  readonly #internals: InternalService[] = [];
  /** Of the numbers that internal services know requests by: see `dropInternal`. */
  #generation = 0;

  constructor(parts: DeskParts) {
    this.#parts = parts;
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

  /** The number by which an internal service answers a request. */
  numberOf(id: RequestId): number {
    return this.#generation * GENERATION_STEP + id;
  }

  #requestOf(number: number): RequestId {
    const isPresent = Math.floor(number / GENERATION_STEP) === this.#generation;
    return isPresent ? number % GENERATION_STEP : NONE;
  }

  answer(number: number, body: readonly Buffer[]): void {
    const id = this.#requestOf(number);
    if (id !== NONE) this.#parts.lifecycle.answerInternal(id, body);
  }

  /** What internal services have not answered is forgotten, and what they say of it ignored. */
  dropInternal(): void {
    this.#generation++;
    this.#parts.lifecycle.dropInternal((service) => {
      const owner = this.#internals.find(({ prefix }) => startsWith(service, prefix));
      return owner?.onlyAsks?.(service) === true;
    });
  }

  tellsRefusals(number: number): boolean {
    const { ledger } = this.#parts;
    const id = this.#requestOf(number);
    const peer = ledger.clientOf(id)?.peer;
    if (!peer) return true;
    const { hellos } = peer;
    const envelope = ledger.envelope(id);
    if (hellos.some((known) => known.equals(envelope))) return true;
    const bytes = peer.helloBytes + envelope.length;
    if (hellos.length >= HELLOS_PER_PEER_MAX || bytes > HELLO_BYTES_PER_PEER_MAX) return false;
    hellos.push(envelope);
    peer.helloBytes = bytes;
    return true;
  }

  isServed(service: Buffer): boolean {
    const internal = this.#internals.find(({ prefix }) => startsWith(service, prefix));
    if (internal !== undefined) return internal.offers(service);
    const found = this.#parts.services.find(service, 0, service.length);
    return found !== null && found.workers.size > 0;
  }

  services(): ServiceStatus[] {
    return Array.from(this.#parts.services.all(), serviceStatus);
  }

  workers(service: Buffer | null, now: number): WorkerStatus[] {
    const { services } = this.#parts;
    const only = service === null ? null : services.find(service, 0, service.length);
    if (service !== null && only === null) return [];
    const status: WorkerStatus[] = [];
    for (const each of only === null ? services.all() : [only]) {
      for (const worker of each.workers) status.push(workerStatus(worker, now));
    }
    return status;
  }

  // ---------------------------------------------------------------- the keeper of stored requests

  room(service: Buffer): number {
    return this.#parts.gate.isOpen ? this.#parts.stored.room(service) : 0;
  }

  setBacklog(service: Buffer, has: boolean): void {
    this.#parts.stored.setBacklog(service, has);
  }

  submit(service: Buffer, reference: number, body: Buffer, again: number | null): number | null {
    if (!this.#parts.gate.isOpen) return null;
    return this.#parts.stored.submit(service, reference, body, again);
  }

  withdraw(id: number): void {
    this.#parts.stored.withdraw(id);
  }
}

function startsWith(service: Buffer, prefix: Buffer): boolean {
  return service.subarray(0, prefix.length).equals(prefix);
}
