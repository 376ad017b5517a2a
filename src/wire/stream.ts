/**
 * What publishers and subscribers send each other: `topic, header, body+`, and subscriptions.
 *
 * The header has 24 bytes in network order: the publisher's id (8 random bytes, new at each start),
 * the message's number (uint64, from 1), the time at which it was published (int64, microseconds
 * since 1970).
 */
import { int32At, putInt32 } from '../core/bytes.js';
import type { Frames } from '../core/frames.js';
import { isSequence, isWhole, WALL_US_MAX } from '../core/numbers.js';

/** The publisher id, the number of the message, and the time when it was published (D42). */
export const STREAM_HEADER_BYTES = 24;
export const PUBLISHER_ID_BYTES = 8;
/** The longest topic of a subscription (D41). */
export const TOPIC_BYTES_MAX = 255;

const NUMBER_AT = 8;
const TIME_AT = 16;
/** The flag of packed frames that another one follows. */
const FLAG_MORE = 0x01;
const FLAG_LONG = 0x02;
const SHORT_HEAD_BYTES = 2;
const LONG_HEAD_BYTES = 9;
const TWO_POW_32 = 0x1_0000_0000;

/** The header of a published message. */
export interface StreamHeader {
  /** The publisher's id, in hexadecimal. */
  readonly publisher: string;
  readonly number: number;
  /** Microseconds since 1970. */
  readonly timeUs: number;
}

/**
 * Writes a header into the first bytes of `target`.
 * @param publisher its id, 8 bytes
 * @param timeUs whole microseconds since 1970
 */
export function writeStreamHeader(
  target: Buffer,
  publisher: Buffer,
  number: number,
  timeUs: number,
): void {
  publisher.copy(target, 0, 0, PUBLISHER_ID_BYTES);
  restampStreamHeader(target, number, timeUs);
}

/** Gives a header the number and the time of the publisher's next message. */
export function restampStreamHeader(header: Buffer, number: number, timeUs: number): void {
  putInt64(header, NUMBER_AT, number);
  putInt64(header, TIME_AT, timeUs);
}

function putInt64(target: Buffer, at: number, value: number): void {
  const high = Math.floor(value / TWO_POW_32);
  putInt32(target, at, high);
  putInt32(target, at + 4, value - high * TWO_POW_32);
}

/** Whether a message has a header, its second frame. */
export function hasStreamHeader(frames: Frames): boolean {
  // A body has at least one frame.
  if (frames.count < 3 || frames.size(1) !== STREAM_HEADER_BYTES) return false;
  return isStreamHeader(frames.buffer(1), frames.start(1));
}

function isStreamHeader(bytes: Buffer, at: number): boolean {
  const number = readInt64(bytes, at + NUMBER_AT);
  return number > 0 && isSequence(number) && isWhole(streamTimeUs(bytes, at), 0, WALL_US_MAX);
}

/**
 * Where the header of a packed message is, which begins at `from` and is complete.
 * @returns 0: it has none
 */
export function streamHeaderAt(bytes: Buffer, from: number): number {
  const flags = bytes[from] ?? 0;
  const second =
    (flags & FLAG_LONG) === 0
      ? from + SHORT_HEAD_BYTES + (bytes[from + 1] ?? 0)
      : from + LONG_HEAD_BYTES + longSize(bytes, from);
  // The second frame has the size of a header, and a third follows.
  if ((flags & FLAG_MORE) === 0 || bytes[second] !== FLAG_MORE) return 0;
  if (bytes[second + 1] !== STREAM_HEADER_BYTES) return 0;
  const at = second + SHORT_HEAD_BYTES;
  return isStreamHeader(bytes, at) ? at : 0;
}

function longSize(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at + 1) * TWO_POW_32 + bytes.readUInt32BE(at + 5);
}

/** Reads the header at `at`, of a message that has one. */
export function readStreamHeader(bytes: Buffer, at: number): StreamHeader {
  const publisher = bytes.toString('hex', at, at + PUBLISHER_ID_BYTES);
  return { publisher, number: readInt64(bytes, at + NUMBER_AT), timeUs: streamTimeUs(bytes, at) };
}

/** The time alone. */
export function streamTimeUs(bytes: Buffer, at: number): number {
  return readInt64(bytes, at + TIME_AT);
}

/** Reads an int64, not exact beyond 2^53. */
function readInt64(bytes: Buffer, at: number): number {
  return int32At(bytes, at) * TWO_POW_32 + (int32At(bytes, at + 4) >>> 0);
}

const CANCEL = 0x00;
const SUBSCRIBE = 0x01;

/** What a subscriber's message says (23/ZMTP); `null`: it is no subscription. */
export function readSubscription(frames: Frames): 'subscribe' | 'cancel' | null {
  if (frames.count !== 1 || frames.size(0) === 0) return null;
  const first = frames.buffer(0)[frames.start(0)];
  if (first === SUBSCRIBE) return 'subscribe';
  return first === CANCEL ? 'cancel' : null;
}

/** The topic of a message that is a subscription; a view. */
export function subscribedTopic(frames: Frames): Buffer {
  return frames.buffer(0).subarray(frames.start(0) + 1, frames.end(0));
}
