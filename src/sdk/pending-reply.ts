import type { MajordomoError } from '../core/errors.js';
import { bodyCost } from './body.js';
import type { Call, CallOwner } from './call.js';
import { Message } from './message.js';

/** The promise of one reply. The parts of a stream are joined. */
export class PendingReply implements CallOwner {
  readonly #resolve: (reply: Message) => void;
  readonly #reject: (error: MajordomoError) => void;
  readonly #bufferBytes: number;
  readonly #overflow: (call: Call) => void;
  #parts: Buffer[] = [];
  #partsOf = 0;
  #bytes = 0;

  /** @param overflow called when the parts exceed `bufferBytes` */
  constructor(
    resolve: (reply: Message) => void,
    reject: (error: MajordomoError) => void,
    bufferBytes: number,
    overflow: (call: Call) => void,
  ) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.#bufferBytes = bufferBytes;
    this.#overflow = overflow;
  }

  part(call: Call, frames: Buffer[]): void {
    if (this.#partsOf !== call.partsOf) {
      this.#partsOf = call.partsOf;
      this.#parts = [];
      this.#bytes = 0;
    }
    this.#bytes += bodyCost(frames);
    if (this.#bytes > this.#bufferBytes) this.#overflow(call);
    else this.#parts.push(...frames);
  }

  done(call: Call, frames: Buffer[]): void {
    const whole = call.hasParts ? [...this.#parts, ...frames] : frames;
    this.#resolve(new Message(call.service, whole));
  }

  fail(_call: Call, error: MajordomoError): void {
    this.#reject(error);
  }
}
