/**
 * Messages that came together on one connection: one copy of their bytes, in the layout of
 * `core/packed`. A message of them becomes an object when its reader takes it.
 */
import type { Words } from '../../core/bytes.js';
import type { Frames } from '../../core/frames.js';
import { messageEnd, pack, packedBytes } from '../../core/packed.js';
import type { Lateness } from '../../stream/lateness.js';
import { Slab, SLAB_COPY_BYTES_MAX } from '../slab.js';

/** What is the same for all messages of one connection. */
export interface StreamSource {
  /** The endpoint of the publisher, as given in `endpoints`. */
  readonly endpoint: string;
  /** Whether the messages are those of a `Publisher`, whose second frame is a header. */
  readonly isNumbered: boolean;
  /** How late they are; `null`: that is not measured. */
  readonly lateness: Lateness | null;
}

export interface MessageRun {
  readonly source: StreamSource;
  /** The first of them came after the connection was lost. */
  readonly afterGap: boolean;
  /** When a message that is not numbered was published: it is alone. `null`: that is not known. */
  readonly sentAtMs: number | null;
  /** The buffer that has the messages, in its bytes `[start, end)`. */
  readonly bytes: Buffer;
  /** The memory of `bytes`, which begin there at 0. */
  readonly memory: ArrayBufferLike;
  readonly start: number;
  readonly end: number;
  /** How many there are. */
  readonly count: number;
}

/** Size of a slab. Messages are read and forgotten one after the other, thousands in one buffer. */
const SLAB_BYTES = 128 * 1024;
/** More than there can be. (V8 stores it as a small integer, unlike Infinity.) */
const FRAMES_UNBOUNDED = 0x3fff_ffff;
const slab = new Slab(SLAB_BYTES);

/** Where the message ends that begins at `from` of a run. */
export function endInRun({ bytes, end }: MessageRun, from: number): number {
  return messageEnd(bytes, from, end, FRAMES_UNBOUNDED) || end;
}

/** A run of the `count` messages at `[start, end)` of `words`, which are copied. */
export function runOf(
  words: Words,
  start: number,
  end: number,
  count: number,
  source: StreamSource,
  afterGap: boolean,
): MessageRun {
  const size = end - start;
  const at = slab.reserve(size);
  const { bytes } = slab;
  bytes.set(words.bytes.subarray(start, end), at);
  const memory = bytes.buffer;
  return { source, afterGap, sentAtMs: null, bytes, memory, start: at, end: at + size, count };
}

/** A run of one message, which is copied. */
export function runOfOne(
  frames: Frames,
  source: StreamSource,
  afterGap: boolean,
  sentAtMs: number | null,
): MessageRun {
  const size = packedBytes(frames, 0, frames.count);
  const isSmall = size <= SLAB_COPY_BYTES_MAX;
  const start = isSmall ? slab.reserve(size) : 0;
  const bytes = isSmall ? slab.bytes : Buffer.allocUnsafeSlow(size);
  pack(frames, 0, frames.count, bytes, start, false);
  const memory = bytes.buffer;
  return { source, afterGap, sentAtMs, bytes, memory, start, end: start + size, count: 1 };
}
