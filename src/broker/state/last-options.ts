/** The options of the last request of a connection that had some (D117): those of the next are mostly the same. */
import { ownCopy } from '../../core/bytes.js';
import type { MemoryAccount } from '../../core/holdings.js';
import {
  NO_REQUEST_OPTIONS,
  readRequestOptions,
  type RequestOptions,
} from '../../wire/request-options.js';

/** Memory that they take, besides the bytes of the frame. */
const LAST_BYTES = 160;

export class LastOptions {
  readonly #memory: MemoryAccount;
  #frame: Buffer | null = null;
  #options = NO_REQUEST_OPTIONS;

  /** @param memory of the identity of the connection */
  constructor(memory: MemoryAccount) {
    this.#memory = memory;
  }

  /** @param frame valid until this returns @returns what is wrong with it, if it is not valid */
  read(frame: Buffer): RequestOptions | string {
    if (this.#frame?.equals(frame) === true) return this.#options;
    const options = readRequestOptions(frame);
    if (typeof options === 'string') return options;
    this.clear();
    const bytes = frame.length + LAST_BYTES;
    if (!this.#memory.mayHold(bytes)) return options;
    this.#memory.add('contracts', bytes);
    this.#frame = ownCopy(frame);
    this.#options = options;
    return options;
  }

  clear(): void {
    if (this.#frame !== null) this.#memory.add('contracts', -this.#frame.length - LAST_BYTES);
    this.#frame = null;
  }
}
