/**
 * A worker's failure as stored with an attempt (D63): packed frames `kind, code, text, detail*`.
 */
import { Frames } from '../core/frames.js';
import { isPackedFrames, pack, packedBytes, unpack } from '../core/packed.js';
import {
  FAILURE_KINDS,
  type Failure,
  type FailureKind,
  failureText,
  isWellFormedCode,
} from '../wire/failure.js';

/** How much of the detail is kept. */
const DETAIL_BYTES_MAX = 4096;

/** More than any kept failure takes. */
const PACKED_BYTES_MAX = 8192;

export function packFailure({ kind, code, text, detail }: Failure): Buffer {
  const frames = Frames.of(kind, code, text, ...truncatedDetail(detail));
  const packed = Buffer.allocUnsafeSlow(packedBytes(frames, 0, frames.count));
  pack(frames, 0, frames.count, packed, 0, false);
  return packed;
}

/** The first 4 KiB of the detail, frame by frame. */
export function truncatedDetail(detail: readonly Buffer[]): Buffer[] {
  const truncated: Buffer[] = [];
  let left = DETAIL_BYTES_MAX;
  for (const frame of detail) {
    if (left === 0) break;
    truncated.push(frame.subarray(0, left));
    left -= Math.min(left, frame.length);
  }
  return truncated;
}

/** Whether bytes from the other node, or from a file, can be a stored failure. */
export function isPackedFailure(packed: Buffer): boolean {
  return packed.length <= PACKED_BYTES_MAX && isPackedFrames(packed);
}

/** @returns `null` if it is not one that this version knows */
export function unpackFailure(packed: Buffer | null): Failure | null {
  if (packed === null || !isPackedFailure(packed)) return null;
  const frames = new Frames();
  unpack(packed, 0, packed.length, frames);
  if (frames.count < 3) return null;
  const kind = frames.view(0).toString('latin1') as FailureKind;
  if (!FAILURE_KINDS.includes(kind)) return null;
  const code = frames.view(1).toString('latin1');
  if (!isWellFormedCode(code)) return null;
  const text = failureText(frames.view(2));
  const detail = Array.from({ length: frames.count - 3 }, (_, index) => frames.view(index + 3));
  return { kind, code, text, detail };
}
