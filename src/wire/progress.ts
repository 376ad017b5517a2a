/** Progress: a PARTIAL that tells how far the worker is, and is no part of the reply (D82). */
import type { Frames } from '../core/frames.js';
import type { PackedMessage } from '../core/packed.js';
import { packedFirstFrames } from '../core/packed-first-frames.js';

/** The first frame of the body of progress; at least one more follows. */
export const PROGRESS: Buffer = Buffer.from('MDPP01');

/** @param from the index at which the body begins */
export function isProgress(frames: Frames, from: number): boolean {
  return frames.count > from + 1 && frames.equals(from, PROGRESS);
}

const PACKED: Buffer = packedFirstFrames([PROGRESS]);

/** Whether a packed body is progress. */
export function isPackedProgress(packed: Buffer, { from, to }: PackedMessage): boolean {
  const end = from + PACKED.length;
  return end <= to && PACKED.compare(packed, from, end) === 0;
}

/** Whether a body as the SDK has it is progress. */
export function isProgressBody(body: readonly Uint8Array[]): boolean {
  const [first] = body;
  return first !== undefined && body.length > 1 && PROGRESS.equals(first);
}
