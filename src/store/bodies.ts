/** Beginnings of stored bodies, for display: packed frames, up to where they were cut. */
import { PackedCursor, readPacked } from '../core/packed.js';
import type { Headers } from '../wire/headers.js';

/** How many bytes of a body and of a reply are shown, including the length before each frame. */
export const SHOWN_BYTES_MAX: number = 64 * 1024;
/** Maximum number of frames shown, because each costs more than its bytes. */
const SHOWN_FRAMES_MAX = 256;
/**
 * Sizes of the length before a short and before a long packed frame; this flag marks the long ones.
 */
const SHORT_HEAD_BYTES = 2;
const LONG_HEAD_BYTES = 9;
const LONG = 0x02;

/** A frame, or its beginning. */
interface ShownFrame {
  /** Size of the whole frame. */
  readonly bytes: number;
  readonly data: Buffer;
}

/** A body, or its beginning. */
export interface ShownBody {
  /** Stored size of the whole: its frames, each with its length. */
  readonly bytes: number;
  /** True if there is more than is shown. */
  readonly isCut: boolean;
  readonly frames: readonly ShownFrame[];
}

/** What was sent and answered; `null`: there is none. */
export interface Bodies {
  /** `null` also if what the client sent is not valid: nobody has checked it (D66). */
  readonly headers: Headers | null;
  readonly body: ShownBody | null;
  readonly reply: ShownBody | null;
}

/**
 * @param packed the first bytes of packed frames
 * @param bytes size of the whole
 */
export function shownBody(packed: Buffer, bytes: number): ShownBody {
  const cursor = new PackedCursor();
  const frames: ShownFrame[] = [];
  let at = 0;
  while (at < packed.length && frames.length < SHOWN_FRAMES_MAX) {
    if (packed.length - at < headBytes(packed[at] ?? 0)) break;
    readPacked(packed, at, cursor);
    const { start, end } = cursor;
    const data = packed.subarray(start, end);
    frames.push({
      bytes: end - start,
      data: end > packed.length ? wholeCharacters(data) : data,
    });
    at = end;
  }
  return { bytes, isCut: packed.length < bytes || at < bytes, frames };
}

function headBytes(flags: number): number {
  return (flags & LONG) === 0 ? SHORT_HEAD_BYTES : LONG_HEAD_BYTES;
}

/**
 * Cuts an incomplete UTF-8 character off the end; otherwise text would not be recognised as text.
 */
function wholeCharacters(data: Buffer): Buffer {
  for (let back = 1; back <= 3 && back <= data.length; back++) {
    const byte = data[data.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    return characterBytes(byte) > back ? data.subarray(0, data.length - back) : data;
  }
  return data;
}

/** Length of the character that begins with this byte. */
function characterBytes(first: number): number {
  if (first < 0xc0 || first >= 0xf8) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}
