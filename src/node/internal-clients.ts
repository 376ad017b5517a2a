/** The internal clients of one broker: Titanic, which stores requests, and the fleet. */
import type { DispatchedWorker, InternalClient } from '../broker/ports.js';
import type { Frames } from '../core/frames.js';
import type { Failure } from '../wire/failure.js';

/** Requests of the fleet have references below 0, those of Titanic do not. */
export class InternalClients implements InternalClient {
  /** `null`: nothing is stored. */
  titanic: InternalClient | null = null;
  /** `null`: there is no fleet. */
  fleet: InternalClient | null = null;

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
    return reference < 0 ? this.fleet : this.titanic;
  }
}
