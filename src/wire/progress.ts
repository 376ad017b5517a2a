/** Progress: a PARTIAL that tells how far the worker is, and is no part of the reply (D82). */
import type { Frames } from '../core/frames.js';
import type { PackedCursor } from '../core/packed.js';

/** The first frame of its body; at least one more follows. */
export const PROGRESS: Buffer = Buffer.from('MDPP01');

/** @param from the index at which the body begins */
export function isProgress(frames: Frames, from: number): boolean {
  return frames.count > from + 1 && frames.equals(from, PROGRESS);
}

/** The same of a packed body. @param cursor at its first frame */
export function isPackedProgress(packed: Buffer, { start, end, more }: PackedCursor): boolean {
  return more && end - start === PROGRESS.length && PROGRESS.compare(packed, start, end) === 0;
}

/** The same of a body as the SDK has it. */
export function isProgressBody(body: readonly Uint8Array[]): boolean {
  const [first] = body;
  return first !== undefined && body.length > 1 && PROGRESS.equals(first);
}
