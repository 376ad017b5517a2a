/** Below this many bytes a loop is faster than the call into native code (measured). */
const LOOP_BYTES_MAX = 40;

// Works on any Uint8Array, and makes no view where `set` would need one.
const copy = Buffer.prototype.copy;

/** Copies the bytes `[start, end)` of `source` to `offset` of `target`. */
export function copyBytes(
  source: Uint8Array,
  start: number,
  end: number,
  target: Buffer,
  offset: number,
): void {
  if (end - start > LOOP_BYTES_MAX) {
    copy.call(source, target, offset, start, end);
    return;
  }
  for (let from = start, to = offset; from < end; from++, to++) target[to] = source[from] ?? 0;
}
