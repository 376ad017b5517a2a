/**
 * Packed frames: several frames in one run of bytes, in the layout that 23/ZMTP §Framing gives them
 * on the wire: `flags, size (1 byte, or 8 bytes big-endian), body`, flag 0x01 MORE, flag 0x02 long.
 *
 * The broker stores messages in this form, so that a transport that speaks ZMTP can forward them
 * with one copy.
 */
import { copyBytes, type Words } from './bytes.js';
import type { Frames } from './frames.js';

const MORE = 0x01;
const LONG = 0x02;
const SHORT_BYTES_MAX = 255;
const TWO_POW_32 = 0x1_0000_0000;

/** Where the bytes of one packed frame are; filled by `readPacked`. */
export class PackedCursor {
  /** First byte of the frame's body. */
  start = 0;
  /** Where the next frame begins: one past the last byte of the frame's body. */
  end = 0;
  more = false;
}

/** Room that was reserved for a message. The object is reused for the next one. */
export interface Room {
  readonly words: Words;
  /** Where the message begins. */
  readonly at: number;
}

/** Bytes that a frame of `size` bytes takes when packed. */
export function packedFrameBytes(size: number): number {
  return size > SHORT_BYTES_MAX ? size + 9 : size + 2;
}

/** Where a frame of packed frames begins in its buffer, including its head. */
export function packedStart(frames: Frames, index: number): number {
  return frames.start(index) - (frames.size(index) > SHORT_BYTES_MAX ? 9 : 2);
}

/** Bytes that the frames `[from, to)` take when packed. */
export function packedBytes(frames: Frames, from: number, to: number): number {
  if (from >= to) return 0;
  if (frames.isPacked) return frames.end(to - 1) - packedStart(frames, from);
  let bytes = 0;
  for (let index = from; index < to; index++) bytes += packedFrameBytes(frames.size(index));
  return bytes;
}

/**
 * Writes the head of a packed frame.
 * @returns the offset of the body
 */
export function putFrameHead(target: Buffer, offset: number, size: number, more: boolean): number {
  const flags = more ? MORE : 0;
  if (size > SHORT_BYTES_MAX) {
    target[offset] = flags | LONG;
    target.writeUInt32BE(Math.floor(size / TWO_POW_32), offset + 1);
    target.writeUInt32BE(size % TWO_POW_32, offset + 5);
    return offset + 9;
  }
  target[offset] = flags;
  target[offset + 1] = size;
  return offset + 2;
}

/**
 * Packs the frames `[from, to)` into `target`.
 * @param open marks the last frame, too, as followed by more
 * @returns the offset after them
 */
export function pack(
  frames: Frames,
  from: number,
  to: number,
  target: Buffer,
  offset: number,
  open: boolean,
): number {
  if (from >= to) return offset;
  // The MORE flags are those of the message that they arrived in.
  if (frames.isPacked && open === to < frames.count) {
    const start = packedStart(frames, from);
    const end = frames.end(to - 1);
    copyBytes(frames.buffer(from), start, end, target, offset);
    return offset + end - start;
  }
  let at = offset;
  for (let index = from; index < to; index++) {
    const start = frames.start(index);
    const end = frames.end(index);
    at = putFrameHead(target, at, end - start, open || index < to - 1);
    copyBytes(frames.buffer(index), start, end, target, at);
    at += end - start;
  }
  return at;
}

/** Reads the packed frame that begins at `offset` of bytes that this process packed. */
export function readPacked(bytes: Buffer, offset: number, cursor: PackedCursor): void {
  const flags = bytes[offset] ?? 0;
  cursor.more = (flags & MORE) !== 0;
  if ((flags & LONG) !== 0) {
    cursor.start = offset + 9;
    cursor.end =
      cursor.start + bytes.readUInt32BE(offset + 1) * TWO_POW_32 + bytes.readUInt32BE(offset + 5);
  } else {
    cursor.start = offset + 2;
    cursor.end = cursor.start + (bytes[offset + 1] ?? 0);
  }
}

/**
 * Where the message ends that begins at `from`, in bytes that may be anybody's.
 * @returns 0: it is not complete within `[from, end)`, has more than `framesMax` frames, or something
 * else stands between them
 */
export function messageEnd(bytes: Buffer, from: number, end: number, framesMax: number): number {
  let at = from;
  for (let left = framesMax; left > 0 && at + 1 < end; left--) {
    const flags = bytes[at] ?? 0;
    if ((flags & ~(MORE | LONG)) !== 0) return 0;
    if ((flags & LONG) === 0) {
      at += 2 + (bytes[at + 1] ?? 0);
    } else {
      if (at + 9 > end) return 0;
      at += 9 + bytes.readUInt32BE(at + 1) * TWO_POW_32 + bytes.readUInt32BE(at + 5);
    }
    if (at > end) return 0;
    if ((flags & MORE) === 0) return at;
  }
  return 0;
}

/** A message among several that were packed one after the other. */
export interface PackedMessage {
  readonly from: number;
  /** The byte past the last one of the message. */
  readonly to: number;
  /** The number of its frames. */
  readonly frames: number;
}

/** The messages in the first `end` bytes, which this process packed. */
export function* packedMessages(bytes: Buffer, end: number): Generator<PackedMessage, void> {
  const cursor = new PackedCursor();
  for (let from = 0; from < end; from = cursor.end) {
    let frames = 1;
    readPacked(bytes, from, cursor);
    for (; cursor.more; frames++) readPacked(bytes, cursor.end, cursor);
    yield { from, to: cursor.end, frames };
  }
}

/** Adds the packed frames `[start, end)` of `bytes` to `frames`, as views. */
export function unpack(bytes: Buffer, start: number, end: number, frames: Frames): void {
  const cursor = new PackedCursor();
  for (let at = start; at < end; at = cursor.end) {
    readPacked(bytes, at, cursor);
    frames.push(bytes, cursor.start, cursor.end);
  }
}

/**
 * True if these bytes are zero or more whole packed frames and only the last one ends a message.
 */
export function isPackedFrames(bytes: Buffer): boolean {
  const cursor = new PackedCursor();
  let at = 0;
  while (at < bytes.length) {
    const isLong = ((bytes[at] ?? 0) & LONG) !== 0;
    if (((bytes[at] ?? 0) & ~(LONG | MORE)) !== 0) return false;
    if (at + (isLong ? 9 : 2) > bytes.length) return false;
    readPacked(bytes, at, cursor);
    at = cursor.end;
    if (cursor.more === at >= bytes.length) return false;
  }
  return at === bytes.length;
}

/** Smaller frames are copied rather than held by reference. */
const SHARED_BYTES_MIN = 64 * 1024;

/** Whether a frame is worth holding by reference: it is large and fills most of its buffer. */
export function isLargeAlone(buffer: Buffer, size: number): boolean {
  return size >= SHARED_BYTES_MIN && size * 2 >= buffer.buffer.byteLength;
}
