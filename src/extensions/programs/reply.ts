/** A reply in the form that its program wants. */
import { randomBytes } from 'node:crypto';

import type { Answer } from '../../admin/http/answer.js';
import type { Frames } from '../../core/frames.js';
import { type Piece, pieceOf } from '../../core/piece.js';
import { PackWriter } from '../../core/value-bytes.js';
import type { Made } from './call.js';
import type { Wanted } from './headers.js';
import type { Body } from './message.js';

const ANY_TYPE = 'application/octet-stream';
const PART_END = '\r\n';
/** The answer of a reply, whose memory its call counts. */
const GOOD = { status: 200, headers: {}, isCounted: true } as const;

/**
 * Makes the answer while the parts of a reply come: so its memory is known at any time, and there is never much to do
 * at once. A part of `multipart/mixed` costs a head beside its bytes, one that is joined to the others nothing.
 */
export class Reply implements Made {
  readonly #type: string;
  /** RFC 2046; random, so that no reply contains it. `null`: the frames are joined. */
  readonly #boundary: string | null;
  #made: PackWriter | null = null;
  /** Memory of the answer that is this answer's alone; `undefined`: V8 collects it. */
  piece: Piece | undefined;

  /** @param wanted default: the frames joined */
  constructor(wanted?: Wanted) {
    this.#boundary = wanted?.kind === 'parts' ? randomBytes(18).toString('hex') : null;
    this.#type = wanted?.kind === 'bytes' ? wanted.type : ANY_TYPE;
  }

  get bytes(): number {
    return this.#made?.bytesWritten ?? 0;
  }

  get roomBytes(): number {
    return this.#made?.roomBytes ?? 0;
  }

  add({ frames, body }: Body): void {
    const made = (this.#made ??= new PackWriter(this.#bytesOf(frames, body)));
    for (let index = body; index < frames.count; index++) {
      const size = frames.size(index);
      if (this.#boundary !== null) made.latin1(this.#partHead(size));
      if (size > 0) made.raw(frames.view(index));
      if (this.#boundary !== null) made.latin1(PART_END);
    }
  }

  /** Adds the last part. */
  answer({ frames, body }: Body): Answer {
    if (this.#boundary === null) {
      const isAlone = this.#made === null && frames.count === body + 1;
      if (!isAlone) this.add({ frames, body });
      if (isAlone) this.piece = pieceOf(frames.buffer(body));
      const joined = isAlone ? frames.view(body) : this.#made?.takeBuffer();
      return { ...GOOD, type: this.#type, body: joined ?? '' };
    }
    this.add({ frames, body });
    this.#made?.latin1(`--${this.#boundary}--\r\n`);
    const type = `multipart/mixed; boundary=${this.#boundary}`;
    return { ...GOOD, type, body: this.#made?.takeBuffer() ?? '' };
  }

  #partHead(size: number): string {
    return `--${this.#boundary ?? ''}\r\ncontent-type: ${ANY_TYPE}\r\ncontent-length: ${size}\r\n\r\n`;
  }

  /** At least what the frames take. */
  #bytesOf(frames: Frames, from: number): number {
    const head = this.#boundary === null ? 0 : this.#partHead(0).length + PART_END.length;
    let bytes = head;
    for (let index = from; index < frames.count; index++) {
      bytes += frames.size(index) + head;
    }
    return bytes;
  }
}
