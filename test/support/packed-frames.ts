import type { Broker } from '../../src/broker/broker.js';
import { Words } from '../../src/core/bytes.js';
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

/**
 * Gives a message to the broker as our own engine does: packed, and taken apart only if the broker
 * does not take it so. The bytes are overwritten afterwards.
 * @returns whether it was taken packed
 */
export function givePacked(broker: Broker, peer: number, message: Frames, now: number): boolean {
  if (message.count === 0) {
    broker.message(peer, message, now);
    return false;
  }
  const frames = asRead(message);
  const bytes = frames.buffer(0);
  const start = packedStart(frames, 0);
  const end = frames.end(frames.count - 1);
  // The next message may follow at once.
  const taken = broker.packed(peer, new Words(bytes), start, bytes.length, now);
  if (taken === 0) broker.message(peer, frames, now);
  else if (taken !== end) throw new Error('another message was taken than was given');
  bytes.fill(0xee);
  return taken !== 0;
}

/** Parses again the bytes at which the frames claim to be packed. */
export function readAnew(message: Frames): Frames {
  const frames = new Frames();
  unpack(message.buffer(0), packedStart(message, 0), message.end(message.count - 1), frames);
  return frames;
}
