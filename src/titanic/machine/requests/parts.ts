/** The parts of a reply that is not complete yet, and how far a client has read them (D82). */
import { Frames } from '../../../core/frames.js';
import { packedMessages, unpack } from '../../../core/packed.js';

/** How far a client has read. */
export interface PartsCursor {
  /** Names the delivery whose parts it has read; empty: none yet. */
  readonly run: string;
  /** Index of the next part. */
  readonly index: number;
}

const START: PartsCursor = { run: '', index: 0 };

/** The cursor in an answer, as the client sends it back. Any other text is the start. */
export function cursorOf(text: string): PartsCursor {
  const match = /^([0-9]+-[0-9]+-[0-9]+)-([0-9]{1,9})$/.exec(text);
  return match === null ? START : { run: match[1] ?? '', index: Number(match[2]) };
}

export function cursorText({ run, index }: PartsCursor): string {
  return `${run}-${index}`;
}

/** Consecutive parts. */
interface Parts {
  /** The number of frames of each part. */
  readonly counts: readonly number[];
  /** The frames of all of them, as views. */
  readonly frames: readonly Buffer[];
  /** The bytes with the header of each frame: empty frames are not free. */
  readonly bytes: number;
}

/**
 * The parts from `index` on, as many as fit into `bytesMax`; the first may be of any size.
 * @param packed each part ends with a frame that no other follows
 */
export function partsFrom(packed: Buffer, index: number, bytesMax: number): Parts {
  const counts: number[] = [];
  const taken = new Frames();
  let bytes = 0;
  let number = 0;
  for (const { from, to, frames } of packedMessages(packed, packed.length)) {
    if (number++ < index) continue;
    if (counts.length > 0 && bytes + to - from > bytesMax) break;
    counts.push(frames);
    bytes += to - from;
    unpack(packed, from, to, taken);
  }
  return { counts, frames: Array.from({ length: taken.count }, (_, n) => taken.view(n)), bytes };
}
