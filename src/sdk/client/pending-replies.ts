import type { MajordomoError } from '../../core/errors.js';
import { isProgressBody } from '../../wire/progress.js';
import { bodyCost } from '../body.js';
import type { Decode } from '../codec/codec.js';
import type { Call, CallOwner } from './call.js';
import { type Message, ReceivedMessage } from '../message.js';

/** Settles the promises of a client's requests. The parts of a stream are joined. */
export class PendingReplies implements CallOwner {
  readonly #bufferBytes: number;
  readonly #decode: Decode | null;
  readonly #overflow: (call: Call) => void;

  /** @param overflow called when the parts of one reply exceed `bufferBytes` */
  constructor(bufferBytes: number, decode: Decode | null, overflow: (call: Call) => void) {
    this.#bufferBytes = bufferBytes;
    this.#decode = decode;
    this.#overflow = overflow;
  }

  part(call: Call, { frames }: Message): void {
    // Progress is no part of the reply.
    if (isProgressBody(frames)) return;
    if (call.joined?.attempt !== call.answerOf) {
      call.joined = { attempt: call.answerOf, frames: [], bytes: 0 };
    }
    const { joined } = call;
    joined.bytes += bodyCost(frames);
    if (joined.bytes > this.#bufferBytes) this.#overflow(call);
    else joined.frames.push(...frames);
  }

  done(call: Call, reply: Message): void {
    const { joined } = call;
    // Parts of an earlier attempt stay until the next part, and progress is none.
    if (joined?.attempt !== call.answerOf) call.resolve(reply);
    else {
      const frames = [...joined.frames, ...reply.frames];
      call.resolve(new ReceivedMessage(call.service, this.#decode, frames));
    }
  }

  fail(call: Call, error: MajordomoError): void {
    call.reject(error);
  }
}
