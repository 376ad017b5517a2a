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
