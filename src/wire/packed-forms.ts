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
  CLIENT_REQUEST_WITH_HEADERS,
  COMMAND_FRAMES,
  DEADLINE_MS_MAX,
  EMPTY,
  HEADER_BYTES,
  WORKER_01_REPLY,
  WORKER_02_FINAL,
  WORKER_REQUEST,
} from './mdp.js';

const MORE = 0x01;
const LONG = 0x02;
const DIGIT_0 = 0x30;
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

/** The frames from the delimiter to the body, or to deadline and headers; `null`: there are no such requests. */
function requestHeader(
  dialect: Dialect,
  service: Buffer,
  hasMetadata: boolean,
): readonly Buffer[] | null {
  if (hasMetadata) {
    const command = COMMAND_FRAMES[CLIENT_REQUEST_WITH_HEADERS] ?? EMPTY;
    return dialect === 2 ? [CLIENT_02, command, service] : null;
  }
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

/**
 * Requests for one service in one dialect, with or without an envelope of at most one frame; some may have deadline and
 * headers (D67).
 */
export class RequestForm {
  readonly dialect: Dialect;
  readonly enveloped: boolean;
  /** In the request that was found last: one past the envelope, which begins with the request. */
  envelopeEnd = 0;
  /** Where the frames begin that are kept: the headers, if it `isHeaded`, and the body. */
  contentStart = 0;
  end = 0;
  isHeaded = false;
  /** How long its client waits, in milliseconds; 0: it did not say. */
  deadlineMs = 0;
  readonly #envelopeFrames: number;
  /** The frames between envelope and body. */
  readonly #head: Words;
  /** The frames between envelope and deadline; `null`: there are none. */
  readonly #headWithMetadata: Words | null;

  /** @param envelopeFrames 0 or 1: frames before the empty delimiter */
  constructor(service: Buffer, dialect: Dialect, enveloped: boolean, envelopeFrames: number) {
    this.dialect = dialect;
    this.enveloped = enveloped;
    this.#envelopeFrames = envelopeFrames;
    const delimiter = enveloped && dialect !== BARE ? [EMPTY] : [];
    const plain = requestHeader(dialect, service, false) ?? [];
    const headed = requestHeader(dialect, service, true);
    this.#head = new Words(packedFirstFrames([...delimiter, ...plain]));
    this.#headWithMetadata =
      headed === null ? null : new Words(packedFirstFrames([...delimiter, ...headed]));
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
    const headEnd = at + head.bytes.length;
    if (headEnd > end) return false;
    this.isHeaded = !sameWords(words, at, head);
    this.contentStart = headEnd;
    this.deadlineMs = 0;
    const bodyStart = this.isHeaded ? this.#readMetadata(words, at, headEnd, end) : headEnd;
    const next = bodyStart === 0 ? 0 : lastFrameEnd(words, bodyStart, end);
    if (next === 0) return false;
    this.envelopeEnd = at;
    this.end = next;
    return true;
  }

  /** Reads short frames with deadline and headers. @returns where they end; 0: that is not what is there */
  #readMetadata(words: Words, at: number, from: number, end: number): number {
    const head = this.#headWithMetadata;
    if (head === null || !sameWords(words, at, head)) return 0;
    const { view } = words;
    if (from + SHORT_HEAD_BYTES > end || view.getUint8(from) !== MORE) return 0;
    const headersAt = from + SHORT_HEAD_BYTES + view.getUint8(from + 1);
    if (headersAt + SHORT_HEAD_BYTES > end || view.getUint8(headersAt) !== MORE) return 0;
    let deadlineMs = 0;
    for (let place = from + SHORT_HEAD_BYTES; place < headersAt; place++) {
      const digit = view.getUint8(place) - DIGIT_0;
      if (digit < 0 || digit > 9 || (deadlineMs === 0 && digit === 0)) return 0;
      deadlineMs = deadlineMs * 10 + digit;
      if (deadlineMs > DEADLINE_MS_MAX) return 0;
    }
    const headersBytes = view.getUint8(headersAt + 1);
    // Without both it is as a plain request.
    if (deadlineMs === 0 && headersBytes === 0) return 0;
    this.contentStart = headersAt;
    this.deadlineMs = deadlineMs;
    return headersAt + SHORT_HEAD_BYTES + headersBytes;
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
