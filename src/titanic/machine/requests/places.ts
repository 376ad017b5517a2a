/**
 * How many durable requests may be in flight, and how many bytes their bodies have: `titanic.maxInFlight` and
 * `titanic.inFlightBytes`, for all services together and webhooks, which are a service here.
 *
 * A service that has none in flight gets a place in any case: none waits for what others have. So there may be one
 * more for each further service. Of these, what is larger than 64 KiB waits while there are twice as many bytes as the
 * limit: the bodies of all have less than that, and one body, and 64 KiB for each service, more. What is left of the
 * limits is shared: while some wait, those that hold least come first.
 */
import type { TitanicOptions } from './options.js';

/** A body up to this size finds a place as the first one of its service. */
const SMALL_BYTES = 64 * 1024;
const BEYOND = 2;

/** The limit for which a service waits that has requests, and workers with room. */
export type Lack = 'maxInFlight' | 'inFlightBytes';

/** What a service has of the places. */
export interface PlaceHolder {
  /** Requests in flight, and the bytes of their bodies. */
  inFlight: number;
  inFlightBytes: number;
  /** Why it has no place for the next one; `null`: it does not wait for one. */
  lack: Lack | null;
}

/** Whose turn it is. */
interface Turn<Service> {
  readonly services: readonly Service[];
  /** Up to which share of the limits each may come now, if it takes more than one request. */
  readonly level: number;
}

export class Places<Service extends PlaceHolder> {
  readonly #limits: Pick<TitanicOptions, Lack>;
  requests = 0;
  bytes = 0;
  /** Services that lack a place, in the order in which they began to. */
  readonly lacking = new Set<Service>();
  /** There may be a place for some of them. */
  #isDue = false;

  constructor(limits: Pick<TitanicOptions, Lack>) {
    this.#limits = limits;
  }

  taken(service: Service, bytes: number): void {
    this.#count(service, 1, bytes);
  }

  left(service: Service, bytes: number): void {
    const { maxInFlight, inFlightBytes } = this.#limits;
    const most = inFlightBytes * BEYOND;
    const wasFull = this.bytes >= most;
    this.#count(service, -1, -bytes);
    if (this.lacking.size === 0) return;
    const isForAll = this.requests < maxInFlight && this.bytes < inFlightBytes;
    if (isForAll || (wasFull && this.bytes < most)) this.#isDue = true;
  }

  #count(service: Service, requests: number, bytes: number): void {
    this.requests += requests;
    this.bytes += bytes;
    service.inFlight += requests;
    service.inFlightBytes += bytes;
  }

  /** Why a service may not have one more in flight, with a body of so many bytes; `null`: it may. */
  lackOf({ inFlight }: Pick<PlaceHolder, 'inFlight'>, bytes: number): Lack | null {
    const { maxInFlight, inFlightBytes } = this.#limits;
    if (inFlight === 0) {
      const isRoomy = bytes <= SMALL_BYTES || this.bytes < inFlightBytes * BEYOND;
      return isRoomy ? null : 'inFlightBytes';
    }
    if (this.requests >= maxInFlight) return 'maxInFlight';
    return this.bytes >= inFlightBytes ? 'inFlightBytes' : null;
  }

  /** False if what is read beyond what workers can take might be missing elsewhere: half of the limits are for others. */
  get hasSpare(): boolean {
    const { maxInFlight, inFlightBytes } = this.#limits;
    return this.requests * 2 < maxInFlight && this.bytes * 2 < inFlightBytes;
  }

  /** How many more a service may have in flight, as far as that is known without their sizes. */
  roomFor(service: Pick<PlaceHolder, 'inFlight'>): number {
    if (this.lackOf(service, 0) !== null) return 0;
    return Math.max(1, this.#limits.maxInFlight - this.requests);
  }

  /** @param lack `null`: it lacks no place, or has nothing to send */
  setLack(service: Service, lack: Lack | null): void {
    if (lack === service.lack) return;
    service.lack = lack;
    if (lack === null) this.lacking.delete(service);
    else this.lacking.add(service);
  }

  /** True if there may be a place for services that lack one. */
  get isDue(): boolean {
    return this.#isDue;
  }

  /** @param asking services that may lack no place */
  turn(asking: readonly Service[]): Turn<Service> {
    if (!this.#isDue) return { services: asking, level: Infinity };
    this.#isDue = false;
    const all = [...new Set([...this.lacking, ...asking])];
    const holders = all.map((service) => ({ service, share: this.shareOf(service) }));
    holders.sort((a, b) => a.share - b.share);
    const { maxInFlight, inFlightBytes } = this.#limits;
    let left = 1 - Math.max(this.requests / maxInFlight, this.bytes / inFlightBytes);
    let level = Infinity;
    for (const [count, { share }] of holders.entries()) {
      if (share >= level) break;
      left += share;
      level = left / (count + 1);
    }
    return { services: holders.map(({ service }) => service), level };
  }

  /** A service has come to its level: there may be more for it, after others. */
  levelled(): void {
    this.#isDue = true;
  }

  /** What of the limits a service holds: of the one of which it holds more. */
  shareOf({ inFlight, inFlightBytes }: PlaceHolder): number {
    const limits = this.#limits;
    return Math.max(inFlight / limits.maxInFlight, inFlightBytes / limits.inFlightBytes);
  }
}
