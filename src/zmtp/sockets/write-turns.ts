/**
 * Limits how much of large outputs a turn of the event loop hands to the kernel (D76).
 *
 * The kernel copies at once what it is given: 12 MB take 10 ms, in which nobody else is served. So
 * an output of more than `SMALL_BYTES` is written in pieces, with a limit per turn for all
 * connections together; identities take turns. Small outputs are written at once.
 */
import { TurnQueue, type Waiting } from '../../core/turn-queue.js';

/** An output up to this size is written at once. */
export const SMALL_BYTES: number = 64 * 1024;
/** Maximum piece of one connection. */
const PIECE_BYTES = 256 * 1024;
/** Maximum of all connections in one turn. */
const TURN_BYTES = 1024 * 1024;

/** A connection that takes turns. */
export interface Writing extends Waiting {
  /**
   * Writes at most `bytesMax` bytes.
   * @returns how many; 0: nothing waits, or an earlier write is still in progress
   */
  writePiece(bytesMax: number): number;
}

export class WriteTurns {
  #left = TURN_BYTES;
  #isEndDue = false;
  /** A piece is being written and not yet counted: others wait in the queue. */
  #isWriting = false;
  readonly #queue = new TurnQueue<Writing>();

  /** Writes one piece, now or when its turn comes; a connection with more output asks again. */
  ask(writing: Writing): void {
    if (this.#left > 0 && this.#queue.isEmpty && !this.#isWriting) this.#write(writing);
    else this.#queue.append(writing);
    this.#endSoon();
  }

  #write(writing: Writing): void {
    this.#isWriting = true;
    const bytes = writing.writePiece(Math.min(PIECE_BYTES, this.#left));
    this.#isWriting = false;
    this.#left -= bytes;
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
      const writing = this.#queue.shift();
      if (writing === undefined) return;
      this.#write(writing);
    }
    this.#endSoon();
  };
}
