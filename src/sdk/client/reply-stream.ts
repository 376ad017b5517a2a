import type { MajordomoError } from '../../core/errors.js';
import { bodyCost } from '../body.js';
import type { Call, CallOwner } from './call.js';
import { sdkError } from '../errors.js';
import { type Decoders, type Message, ReceivedPart } from '../message.js';

/** What a stream needs of its client. */
interface StreamSource {
  /** Reads the values of parts. */
  readonly decoders: Decoders;
  /** Why the request cannot be sent now, or `null`. */
  obstacle(): MajordomoError | null;
  /** Sends the request, which then reports to the owner. */
  begin(owner: CallOwner): Call;
  /** Gives up a call that nobody waits for any longer. */
  abandon(call: Call): void;
}

/** Parts that were read are released after at most this many. */
const TAKEN_MAX = 1024;

/** A `next()` that waits for a part. */
interface Taker {
  readonly resolve: (result: IteratorResult<ReceivedPart, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The parts of one streamed reply. The first `next()` sends the request; leaving the loop early
 * cancels it. Parts that arrive faster than they are read wait, up to `bufferBytes`; above that the
 * stream fails with ERR_MDP_LIMIT after the parts that were kept.
 */
export class ReplyStream implements AsyncIterableIterator<ReceivedPart, undefined>, CallOwner {
  readonly #source: StreamSource;
  readonly #bufferBytes: number;
  #parts: ReceivedPart[] = [];
  /** How many of `#parts` were read. */
  #taken = 0;
  readonly #takers: Taker[] = [];
  #waitingBytes = 0;
  #call: Call | null = null;
  #state: 'new' | 'open' | 'ended' = 'new';
  #error: MajordomoError | null = null;

  constructor(source: StreamSource, bufferBytes: number) {
    this.#source = source;
    this.#bufferBytes = bufferBytes;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<ReceivedPart, undefined>> {
    if (this.#state === 'new') this.#begin();
    const part = this.#parts[this.#taken];
    if (part !== undefined) {
      this.#taken++;
      this.#waitingBytes -= bodyCost(part.frames);
      if (this.#taken === this.#parts.length || this.#taken === TAKEN_MAX) this.#forgetTaken();
      return Promise.resolve({ done: false, value: part });
    }
    if (this.#state === 'ended') return this.#end();
    return new Promise((resolve, reject) => {
      this.#takers.push({ resolve, reject });
    });
  }

  /** Cancels the stream: what still arrives is ignored. */
  return(): Promise<IteratorResult<ReceivedPart, undefined>> {
    this.#abandon();
    this.#taken = this.#parts.length;
    this.#forgetTaken();
    this.#finish(null);
    this.#error = null;
    return Promise.resolve({ done: true, value: undefined });
  }

  part(call: Call, { frames }: Message): void {
    this.#give(new ReceivedPart(call.service, this.#source.decoders, frames, false));
  }

  done(call: Call, { frames }: Message): void {
    this.#give(new ReceivedPart(call.service, this.#source.decoders, frames, true));
    if (this.#state === 'open') this.#finish(null);
  }

  fail(_call: Call, error: MajordomoError): void {
    this.#finish(error);
  }

  #begin(): void {
    const obstacle = this.#source.obstacle();
    if (obstacle !== null) {
      this.#finish(obstacle);
      return;
    }
    this.#state = 'open';
    this.#call = this.#source.begin(this);
  }

  #give(part: ReceivedPart): void {
    if (this.#state !== 'open') return;
    const taker = this.#takers.shift();
    if (taker !== undefined) {
      taker.resolve({ done: false, value: part });
      return;
    }
    const bytes = bodyCost(part.frames);
    if (this.#waitingBytes + bytes > this.#bufferBytes) {
      this.#abandon();
      const text = `more than ${this.#bufferBytes} bytes of a stream are unread (streamBufferBytes)`;
      this.#finish(sdkError('ERR_MDP_LIMIT', text, { details: { service: part.service } }));
      return;
    }
    this.#waitingBytes += bytes;
    this.#parts.push(part);
  }

  #forgetTaken(): void {
    this.#parts = this.#parts.slice(this.#taken);
    this.#taken = 0;
  }

  #abandon(): void {
    if (this.#call !== null && this.#state === 'open') this.#source.abandon(this.#call);
  }

  #finish(error: MajordomoError | null): void {
    this.#state = 'ended';
    this.#error = error;
    for (const taker of this.#takers.splice(0)) {
      if (this.#error === null) {
        taker.resolve({ done: true, value: undefined });
      } else {
        taker.reject(this.#error);
        this.#error = null;
      }
    }
  }

  /** An error is thrown once, as by generators; after that the stream is over. */
  #end(): Promise<IteratorResult<ReceivedPart, undefined>> {
    const error = this.#error;
    this.#error = null;
    if (error !== null) return Promise.reject(error);
    return Promise.resolve({ done: true, value: undefined });
  }
}
