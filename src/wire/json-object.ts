/** Frames that hold a JSON object, of any other program. */

/** @returns `null` if the frame is longer than `bytesMax`, or holds anything else */
export function readJsonObject(
  frame: Buffer,
  bytesMax = Infinity,
): Readonly<Record<string, unknown>> | null {
  if (frame.length > bytesMax) return null;
  let given: unknown;
  try {
    given = JSON.parse(frame.toString('utf8'));
  } catch {
    return null;
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return null;
  return { ...given };
}
