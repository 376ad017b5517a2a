/**
 * The internal clients of one broker: Titanic, which stores requests, and the interconnect, which brings
 * requests of other brokers.
 */
import type { DispatchedWorker, InternalClient } from '../broker/ports.js';
import type { Frames } from '../core/frames.js';
import type { Failure } from '../wire/failure.js';

/** Calls go to the client that a reference names: below 0 the interconnect, otherwise Titanic. */
export class InternalClients implements InternalClient {
  /** `null`: nothing is stored. */
  titanic: InternalClient | null = null;
  /** `null`: no requests of other brokers come here. */
  interconnect: InternalClient | null = null;

  roomAt(service: Buffer): void {
    this.titanic?.roomAt(service);
  }

  dispatched(reference: number, worker: DispatchedWorker): void {
    this.#of(reference)?.dispatched(reference, worker);
  }

  progressed(reference: number): void {
    this.#of(reference)?.progressed(reference);
  }

  replied(reference: number, frames: Frames, from: number, parts: Buffer | null): void {
    this.#of(reference)?.replied(reference, frames, from, parts);
  }

  failed(reference: number, reason: string, isKnown: boolean, failure: Failure | null): void {
    this.#of(reference)?.failed(reference, reason, isKnown, failure);
  }

  handedBack(reference: number): void {
    this.#of(reference)?.handedBack(reference);
  }

  #of(reference: number): InternalClient | null {
    return reference < 0 ? this.interconnect : this.titanic;
  }
}
