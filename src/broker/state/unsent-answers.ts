/** Answers that a client was not sent, because it was away, or that it may have lost with its connection (D116). */
import type { MemoryAccount } from '../../core/holdings.js';

/** Memory of an answer besides its bytes (measured; most of it for the first one). */
const ANSWER_BYTES = 640;

interface Unsent {
  /** As it is sent. */
  readonly message: Buffer;
  readonly wasSent: boolean;
}

export class UnsentAnswers {
  readonly #memory: MemoryAccount;
  readonly #byId = new Map<string, Unsent>();
  #bytes = 0;
  /** The number of answers that were never sent. */
  neverSent = 0;

  /** @param memory what its bytes count in */
  constructor(memory: MemoryAccount) {
    this.#memory = memory;
  }

  get isEmpty(): boolean {
    return this.#byId.size === 0;
  }

  /** Keeps an answer. @param id of its request, one character per byte @param message nobody else changes it */
  add(id: string, message: Buffer, wasSent: boolean): void {
    this.delete(id);
    this.#count(message.length + ANSWER_BYTES);
    if (!wasSent) this.neverSent++;
    this.#byId.set(id, { message, wasSent });
  }

  /** Whether there is room for an answer of so many bytes. */
  hasRoom(bytes: number): boolean {
    return this.#memory.mayHold(bytes + ANSWER_BYTES);
  }

  get(id: string): Buffer | undefined {
    return this.#byId.get(id)?.message;
  }

  delete(id: string): void {
    const unsent = this.#byId.get(id);
    if (unsent === undefined) return;
    this.#byId.delete(id);
    this.#count(-unsent.message.length - ANSWER_BYTES);
    if (!unsent.wasSent) this.neverSent--;
  }

  /** Drops all: the object is not used any more. */
  release(): void {
    this.#count(-this.#bytes);
  }

  #count(change: number): void {
    this.#bytes += change;
    this.#memory.add('requests', change);
  }
}
