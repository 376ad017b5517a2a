/**
 * Messages recognised in the bytes that arrived, without taking them apart: a request like the one
 * before it, and the reply of a worker. Both have one body frame and the layout of `core/packed`. A
 * message that is not recognised may still be valid: `Inbound` decides.
 */
import { sameWords, Words } from '../core/bytes.js';
import { packedFirstFrames } from '../core/packed-first-frames.js';
import { BARE, type Dialect, isMdp, MDP_FORMS, WORKER_NUMBERS, workerHead } from './dialect.js';
import {
  CLIENT_01,
  CLIENT_02,
  CLIENT_REQUEST,
  COMMAND_FRAMES,
  EMPTY,
  HEADER_BYTES,
  WORKER_01_REPLY,
  WORKER_02_FINAL,
  WORKER_REQUEST,
} from './mdp.js';

const MORE = 0x01;
const LONG = 0x02;
const SHORT_BYTES_MAX = 255;
/** Bytes before those of a short frame. */
export const SHORT_HEAD_BYTES = 2;
const LONG_HEAD_BYTES = 9;
/** An empty frame that is followed by others, read as 16 bits in network order. */
const EMPTY_MORE = MORE << 8;

/**
 * Where the frame at `at` ends, if it is the last of its message, is in its shortest form and ends
 * before `end`; else 0.
 */
function lastFrameEnd({ view }: Words, at: number, end: number): number {
  if (at + SHORT_HEAD_BYTES > end) return 0;
  const flags = view.getUint8(at);
  let next = 0;
  if (flags === 0) {
    next = at + SHORT_HEAD_BYTES + view.getUint8(at + 1);
  } else if (flags === LONG && at + LONG_HEAD_BYTES <= end && view.getUint32(at + 1) === 0) {
    const size = view.getUint32(at + 5);
    if (size > SHORT_BYTES_MAX) next = at + LONG_HEAD_BYTES + size;
  }
  return next > end ? 0 : next;
}

/** The frames from the delimiter to the body. */
function requestHeader(dialect: Dialect, service: Buffer): readonly Buffer[] {
  if (dialect === WORKER_NUMBERS) {
    return [CLIENT_02, COMMAND_FRAMES[WORKER_REQUEST] ?? EMPTY, service];
  }
  if (!isMdp(dialect)) return [];
  const { version, commands } = MDP_FORMS[dialect];
  return version === 1
    ? [CLIENT_01, service]
    : [CLIENT_02, commands[CLIENT_REQUEST] ?? EMPTY, service];
}

/** The frames from the beginning of a reply to its token. */
function replyHeader(dialect: Dialect): readonly Buffer[] {
  const isVersion2 = isMdp(dialect) && MDP_FORMS[dialect].version === 2;
  return workerHead(dialect, isVersion2 ? WORKER_02_FINAL : WORKER_01_REPLY);
}

/** Requests for one service in one dialect, with or without an envelope of at most one frame. */
export class RequestForm {
  readonly dialect: Dialect;
  readonly enveloped: boolean;
  /** In the request that was found last: one past the envelope, which begins with the request. */
  envelopeEnd = 0;
  bodyStart = 0;
  end = 0;
  readonly #envelopeFrames: number;
  /** The frames between envelope and body. */
  readonly #head: Words;

  /** @param envelopeFrames 0 or 1: frames before the empty delimiter */
  constructor(service: Buffer, dialect: Dialect, enveloped: boolean, envelopeFrames: number) {
    this.dialect = dialect;
    this.enveloped = enveloped;
    this.#envelopeFrames = envelopeFrames;
    const delimiter = enveloped && dialect !== BARE ? [EMPTY] : [];
    this.#head = new Words(packedFirstFrames([...delimiter, ...requestHeader(dialect, service)]));
  }

  /** Whether a request of this form, complete and with one body frame, is at `[from, end)`. */
  finds(words: Words, from: number, end: number): boolean {
    const head = this.#head;
    let at = from;
    if (this.#envelopeFrames === 1) {
      if (at + SHORT_HEAD_BYTES > end || words.view.getUint8(at) !== MORE) return false;
      const size = words.view.getUint8(at + 1);
      // An empty frame would be the delimiter, and one of this size might be a header (D24).
      if (size === 0 || size === HEADER_BYTES) return false;
      at += SHORT_HEAD_BYTES + size;
    }
    const bodyStart = at + head.bytes.length;
    if (bodyStart > end || !sameWords(words, at, head)) return false;
    const next = lastFrameEnd(words, bodyStart, end);
    if (next === 0) return false;
    this.envelopeEnd = at;
    this.bodyStart = bodyStart;
    this.end = next;
    return true;
  }
}

/** The final replies of workers in one dialect. */
export class ReplyForm {
  /** Where the token of the reply begins that was found last. */
  tokenStart = 0;
  /** Size of the body, without the head of its frame. */
  bodyBytes = 0;
  end = 0;
  /** The frames before the token, and the head of its frame. */
  readonly #head: Words;
  readonly #tokenBytes: number;

  constructor(dialect: Dialect, tokenBytes: number) {
    const head = packedFirstFrames([...replyHeader(dialect), Buffer.alloc(tokenBytes)]);
    this.#head = new Words(head.subarray(0, head.length - tokenBytes));
    this.#tokenBytes = tokenBytes;
  }

  /** Whether a reply, complete and with one body frame, is at `[from, end)`. */
  finds(words: Words, from: number, end: number): boolean {
    const tokenStart = from + this.#head.bytes.length;
    const emptyAt = tokenStart + this.#tokenBytes;
    const bodyStart = emptyAt + SHORT_HEAD_BYTES;
    if (bodyStart > end || !sameWords(words, from, this.#head)) return false;
    if (words.view.getUint16(emptyAt) !== EMPTY_MORE) return false;
    const next = lastFrameEnd(words, bodyStart, end);
    if (next === 0) return false;
    this.tokenStart = tokenStart;
    const headBytes = words.view.getUint8(bodyStart) === LONG ? LONG_HEAD_BYTES : SHORT_HEAD_BYTES;
    this.bodyBytes = next - bodyStart - headBytes;
    this.end = next;
    return true;
  }
}
