/** Below this many bytes a loop is faster than the call into native code (measured). */
const LOOP_BYTES_MAX = 40;

/** Copies the bytes `[start, end)` of `source` to `offset` of `target`. */
export function copyBytes(
  source: Uint8Array,
  start: number,
  end: number,
  target: Buffer,
  offset: number,
): void {
  if (end - start > LOOP_BYTES_MAX) {
    // A view of all of it would cost more than the copy.
    const isWhole = start === 0 && end === source.length;
    target.set(isWhole ? source : source.subarray(start, end), offset);
    return;
  }
  for (let from = start, to = offset; from < end; from++, to++) target[to] = source[from] ?? 0;
}

/** A copy that keeps nothing else in memory, as a view, or a part of Node's pool, does. */
export function ownCopy(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}

/**
 * Frees the memory of a buffer, which otherwise stays until V8's next collection. Nobody may use the buffer, or
 * a view of it, any more.
 * @param bytes not from a pool
 */
export function freeBytes({ buffer }: Buffer): void {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/** Like `readInt32BE` without its checks: for fields that are read in every message. */
export function int32At(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) << 24) |
    ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)
  );
}

/** Like `writeInt32BE` without its checks. */
export function putInt32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 24;
  bytes[at + 1] = value >> 16;
  bytes[at + 2] = value >> 8;
  bytes[at + 3] = value;
}

/**
 * Bytes that are also read and written in words of 32 bits, which is faster than one by one.
 */
export class Words {
  readonly bytes: Buffer;
  readonly view: DataView;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}

const NO_WORDS = new Words(Buffer.alloc(0));
let latest = NO_WORDS;

/** The words of a buffer that is usually the one of the call before. */
export function wordsOf(bytes: Buffer): Words {
  if (latest.bytes !== bytes) latest = new Words(bytes);
  return latest;
}

/** The buffer of the last call is to be freed. */
export function forgetWords(): void {
  latest = NO_WORDS;
}

/** Longer runs are copied by native code, whose call costs more than a short loop over words. */
const WORDS_BYTES_MAX = 160;
const WORD = 4;

/** Copies the bytes `[start, end)` of `source` to `offset` of `target`, another buffer. */
export function copyWords(
  source: Words,
  start: number,
  end: number,
  target: Words,
  offset: number,
): void {
  const size = end - start;
  if (size > WORDS_BYTES_MAX) {
    target.bytes.set(source.bytes.subarray(start, end), offset);
    return;
  }
  const from = source.view;
  const to = target.view;
  if (size < WORD) {
    for (let at = 0; at < size; at++) to.setUint8(offset + at, from.getUint8(start + at));
    return;
  }
  const last = size - WORD;
  for (let at = 0; at < last; at += WORD) {
    to.setInt32(offset + at, from.getInt32(start + at, true), true);
  }
  // The last word may overlap the one before it.
  to.setInt32(offset + last, from.getInt32(start + last, true), true);
}

/** Whether all bytes of `expected` are at `at` of `words`, which has that many. */
export function sameWords(words: Words, at: number, expected: Words): boolean {
  const { view } = words;
  const other = expected.view;
  const last = expected.bytes.length - WORD;
  if (last < 0) {
    for (let index = 0; index < last + WORD; index++) {
      if (view.getUint8(at + index) !== other.getUint8(index)) return false;
    }
    return true;
  }
  for (let index = 0; index < last; index += WORD) {
    if (view.getInt32(at + index, true) !== other.getInt32(index, true)) return false;
  }
  return view.getInt32(at + last, true) === other.getInt32(last, true);
}
