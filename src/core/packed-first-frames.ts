import { Frames } from './frames.js';
import { pack, packedBytes } from './packed.js';

/** Packs the first frames of a message that goes on after them. */
export function packedFirstFrames(frames: readonly Uint8Array[]): Buffer {
  const made = Frames.of(...frames);
  const packed = Buffer.allocUnsafeSlow(packedBytes(made, 0, made.count));
  pack(made, 0, made.count, packed, 0, true);
  return packed;
}
