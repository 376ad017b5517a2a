/** The last answers that were sent to a client, until it is likely that they have arrived (D116). */
import { copyWords, Words } from '../../core/bytes.js';
import type { MemoryAccount } from '../../core/holdings.js';
import { packedMessages } from '../../core/packed.js';
import { EMPTY } from '../../wire/mdp.js';
import type { SentMessage } from '../../wire/outbound.js';

const NO_WORDS = new Words(EMPTY);
/** Memory that keeping answers takes, besides what `RecentAnswers` keeps them in (measured). */
export const RECENT_BYTES = 800;
/** A client from which something was read so long after an answer was sent has received that. */
const RECEIVED_MS = 500;
const BLOCK_BYTES_MIN = 512;
const BLOCK_BYTES_MAX = 128 * 1024;
const BLOCK_ANSWERS_MAX = 512;
/**
 * A larger answer is not copied while its client is connected: the copy would cost as much as sending it. (And from
 * this size on, a transport may hold what is sent by reference, which the bytes of a block must not be.)
 */
const ANSWER_BYTES_MAX = 64 * 1024;

/** Answers one after the other, as they were sent. */
class Block {
  words = NO_WORDS;
  end = 0;
  count = 0;
  /** When the first and the last of them were sent. */
  firstAt = -Infinity;
  lastAt = -Infinity;

  clear(): void {
    this.end = 0;
    this.count = 0;
  }
}

/** Two blocks, of which the older one is dropped in one go: that costs nothing for each answer. */
export class RecentAnswers {
  /** Until then all that is kept may be lost, also if something arrives from the client. */
  #uncertainUntil = Infinity;
  readonly #memory: MemoryAccount;
  #newer = new Block();
  #older = new Block();

  /** @param memory what its bytes count in */
  constructor(memory: MemoryAccount) {
    this.#memory = memory;
    memory.add('requests', RECENT_BYTES);
  }

  get isEmpty(): boolean {
    return this.#newer.count === 0 && this.#older.count === 0;
  }

  /** Keeps an answer, if there is room for it; the oldest go first. @param now monotonic milliseconds */
  keep({ words, start, end }: SentMessage, now: number): void {
    const bytes = end - start;
    if (!this.#hasRoom(bytes) && !this.#makeRoom(bytes)) return;
    const block = this.#newer;
    copyWords(words, start, end, block.words, block.end);
    block.end += bytes;
    if (block.count++ === 0) {
      block.firstAt = now;
      this.#uncertainUntil = Math.min(this.#uncertainUntil, now + RECEIVED_MS);
    }
    block.lastAt = now;
  }

  #hasRoom(bytes: number): boolean {
    const { count, end, words } = this.#newer;
    return count < BLOCK_ANSWERS_MAX && end + bytes <= words.bytes.length;
  }

  #makeRoom(bytes: number): boolean {
    if (bytes > ANSWER_BYTES_MAX) return false;
    const { count, end } = this.#newer;
    if (count < BLOCK_ANSWERS_MAX && this.#grow(end + bytes)) return true;
    this.#older.clear();
    this.#turn();
    return this.#hasRoom(bytes) || this.#grow(bytes);
  }

  #grow(needed: number): boolean {
    const { words, end } = this.#newer;
    const { length } = words.bytes;
    let size = Math.max(BLOCK_BYTES_MIN, length);
    while (size < needed) size *= 2;
    if (size > BLOCK_BYTES_MAX || !this.#memory.mayHold(size - length)) return false;
    const grown = new Words(Buffer.allocUnsafeSlow(size));
    words.bytes.copy(grown.bytes, 0, 0, end);
    this.#memory.add('requests', size - length);
    this.#newer.words = grown;
    return true;
  }

  /** The newer block, whose place an empty one takes, is the older one now. */
  #turn(): void {
    [this.#newer, this.#older] = [this.#older, this.#newer];
  }

  /** Something arrived from the client, over the connection that they were sent over. */
  heard(now: number): void {
    if (now < this.#uncertainUntil) return;
    this.dropOlder(RECEIVED_MS, now);
    const olderAt = this.#older.count === 0 ? Infinity : this.#older.lastAt;
    const newerAt = this.#newer.count === 0 ? Infinity : this.#newer.firstAt;
    this.#uncertainUntil = Math.min(olderAt, newerAt) + RECEIVED_MS;
  }

  /** Drops those that were sent at least so many milliseconds ago, as far as whole blocks were. */
  dropOlder(ageMs: number, now: number): void {
    const sentBy = now - ageMs;
    if (this.#older.count > 0 && this.#older.lastAt <= sentBy) this.#older.clear();
    const newer = this.#newer;
    if (newer.count === 0 || newer.firstAt > sentBy) return;
    if (newer.lastAt <= sentBy) newer.clear();
    else if (this.#older.count === 0) this.#turn();
  }

  /** Frees the memory: the object is not used any more. */
  release(): void {
    const bytes = this.#newer.words.bytes.length + this.#older.words.bytes.length;
    this.#memory.add('requests', -bytes - RECENT_BYTES);
  }

  /** The answers, the oldest first, as views that are valid until the next call. */
  *all(): Generator<Buffer, undefined> {
    for (const { words, end } of [this.#older, this.#newer]) {
      for (const { from, to } of packedMessages(words.bytes, end)) {
        yield words.bytes.subarray(from, to);
      }
    }
  }
}
