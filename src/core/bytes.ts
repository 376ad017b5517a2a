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
    target.set(source.subarray(start, end), offset);
    return;
  }
  for (let from = start, to = offset; from < end; from++, to++) target[to] = source[from] ?? 0;
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
