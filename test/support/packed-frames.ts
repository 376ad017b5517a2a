import { Frames } from '../../src/core/frames.js';
import { pack, packedBytes, packedStart, unpack } from '../../src/core/packed.js';

/** The message as our own engine delivers it: frames with their heads, in the middle of a chunk. */
export function asRead(message: Frames): Frames {
  const start = 5;
  const bytes = Buffer.alloc(start + packedBytes(message, 0, message.count) + 5, 0xff);
  const end = pack(message, 0, message.count, bytes, start, false);
  const frames = new Frames();
  unpack(bytes, start, end, frames);
  frames.isPacked = true;
  return frames;
}

/** Parses again the bytes at which the frames claim to be packed. */
export function readAnew(message: Frames): Frames {
  const frames = new Frames();
  unpack(message.buffer(0), packedStart(message, 0), message.end(message.count - 1), frames);
  return frames;
}
