/**
 * What a turn of the event loop hands to the kernel, of large outputs (D76).
 *
 * The kernel copies what it is given at once: 12 MB take it 10 ms, in which nobody else is served. So
 * an output of more than `SMALL_BYTES` leaves in pieces, so many bytes a turn of all connections
 * together; identities take turns. Small outputs leave when they come.
 */
import { Line, type Waiting } from './line.js';

/** An output of so many bytes is written at once. */
export const SMALL_BYTES: number = 64 * 1024;
/** Of one connection. */
const PIECE_BYTES = 256 * 1024;
/** Of all together, in one turn. */
const TURN_BYTES = 1024 * 1024;

/** A connection that takes turns. */
export interface Writing extends Waiting {
  /**
   * Hands over so many bytes at most.
   * @returns how many; 0: it has nothing, or what it gave before has not left yet
   */
  writePiece(bytesMax: number): number;
}

export class WriteTurns {
  #left = TURN_BYTES;
  #isEndDue = false;
  readonly #line = new Line<Writing>();

  /** Has one piece written, now or when it is its turn: whoever has more asks again. */
  ask(writing: Writing): void {
    if (this.#left > 0 && this.#line.isEmpty) this.#write(writing);
    else this.#line.append(writing);
    this.#endSoon();
  }

  #write(writing: Writing): void {
    this.#left -= writing.writePiece(Math.min(PIECE_BYTES, this.#left));
  }

  #endSoon(): void {
    if (this.#isEndDue) return;
    this.#isEndDue = true;
    setImmediate(this.#end);
  }

  readonly #end = (): void => {
    this.#isEndDue = false;
    this.#left = TURN_BYTES;
    while (this.#left > 0) {
      const writing = this.#line.shift();
      if (writing === undefined) return;
      this.#write(writing);
    }
    this.#endSoon();
  };
}
