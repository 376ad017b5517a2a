/**
 * A store of words for a pair on a stage: the reason of a change is a word, and records are words with a
 * space between them. Its results come after a while, by the stage's clock.
 */
import { noCounts } from '../../src/store/record-kind.js';
import { present } from '../../src/core/assert.js';
import type { ReplicatedStore } from '../../src/bstar/replication/ports.js';
import type { NodeMerged } from '../../src/store/node-store.js';
import type {
  Change,
  ChangeResult,
  Chunk,
  Completion,
  Holding,
  MergeFailure,
  ReadCursor,
  Recovered,
  StoreCounts,
  StoreFailure,
  Transaction,
} from '../../src/store/store.js';
import type { ChangeOf } from './store-changes.js';

export type WordChange = ChangeOf<'dead'>;

const DISK_MS = 2;
const CHUNK_WORDS = 2;
const CHUNK_BYTES = 1024 * 1024;
const FULL: StoreFailure = { kind: 'full', message: 'no space left' };
const UNREADABLE: StoreFailure = { kind: 'busy', message: 'cannot read now' };
const COUNTS: StoreCounts = {
  ...{ ...noCounts(), bytes: 0, nextNumber: 1 },
  ...{ owners: [], services: [] },
};

export function wordChange(word: string): WordChange {
  const uuid = Buffer.alloc(16);
  return { kind: 'dead', uuid, generation: 0, reason: word, at: 0, expiresAt: 0 };
}

export function wordsIn(records: Buffer): string[] {
  return records.length === 0 ? [] : records.toString().split(' ');
}

export class WordStore implements ReplicatedStore {
  isFull = false;
  /** The delay of data from the peer. */
  takesMs = DISK_MS;
  readonly #later: (ms: number, run: () => void) => void;
  readonly #storeId: Buffer;
  /** Words, and the transactions that stored them. */
  readonly #words = new Map<string, number>();
  #holds: Holding | null = null;
  /** The number of the last transaction. */
  #last = 0;
  #nextNumber = 1;
  #lastRead: Completion<Chunk> | null = null;

  /** @param later calls after a delay, unless the process ends before */
  constructor(id: number, later: (ms: number, run: () => void) => void) {
    this.#storeId = Buffer.alloc(16, id);
    this.#later = later;
  }

  commitRanked(): void {
    throw new Error('these scripts have no extensions');
  }

  get words(): string[] {
    return [...this.#words.keys()].sort();
  }

  /** What a process that opens the store is told. */
  get recovered(): Recovered {
    // The one before may have given numbers to transactions that were never written.
    this.#nextNumber += 1000;
    const firstTransaction = this.#nextNumber;
    const counts = COUNTS;
    return {
      counts,
      newestAt: 0,
      storeId: this.#storeId,
      firstTransaction,
      holds: this.#holds,
      isNumbered: true,
    };
  }

  commit(
    transaction: Transaction,
    changes: readonly Change[],
    completion: Completion<readonly ChangeResult[]>,
  ): void {
    const { number, holds } = transaction;
    this.#nextNumber = Math.max(this.#nextNumber, number + 1);
    const words = changes.map((change) => (change.kind === 'dead' ? change.reason : ''));
    // What comes from the peer brings news of what this store holds of the peer's.
    const isOwn = holds === null;
    this.#later(isOwn ? DISK_MS : this.takesMs, () => {
      if (this.isFull) {
        completion.failed(FULL);
        return;
      }
      this.#write(number, words, isOwn);
      if (holds !== null) this.#holds = holds;
      completion.done([]);
    });
  }

  /** Without replication. */
  commitAlone(changes: readonly WordChange[], done: () => void): void {
    const number = this.#nextNumber++;
    this.#later(DISK_MS, () => {
      for (const { reason } of changes) this.#words.set(reason, number);
      done();
    });
  }

  merge(
    { number, holds }: Transaction,
    records: Buffer,
    _isFromActive: boolean,
    completion: Completion<NodeMerged, MergeFailure>,
  ): void {
    this.#nextNumber = Math.max(this.#nextNumber, number + 1);
    this.#later(this.takesMs, () => {
      if (this.isFull) {
        completion.failed(FULL);
        return;
      }
      const joined = this.#write(number, wordsIn(records), false);
      this.#holds = holds;
      completion.done({ joined, ranTwice: 0, opened: [], ended: [], parts: [] });
    });
  }

  /** Returns how many words are new. */
  #write(number: number, words: readonly string[], isOwn: boolean): number {
    const fresh = words.filter((word) => isOwn || !this.#words.has(word));
    for (const word of fresh) this.#words.set(word, number);
    this.#last = number;
    return fresh.length;
  }

  read(
    place: ReadCursor,
    _requestsMax: number,
    _bytesMax: number,
    completion: Completion<Chunk>,
  ): void {
    this.#lastRead = completion;
    this.#later(DISK_MS, () => {
      const above = [...this.#words].filter(([, number]) => number > place.upTo);
      above.sort(([, a], [, b]) => a - b);
      const chunk = above.slice(0, CHUNK_WORDS);
      const records = Buffer.from(chunk.map(([word]) => word).join(' '));
      const isLast = above.length <= CHUNK_WORDS && records.length < CHUNK_BYTES;
      const upTo = isLast ? Math.max(this.#last, place.upTo) : (chunk.at(-1)?.[1] ?? 0);
      const next = { ...place, upTo, bodiesUpTo: upTo };
      const holds = { storeId: this.#storeId, upTo, bodiesUpTo: upTo };
      completion.done({ records, holds, next: isLast ? null : next });
    });
  }

  /** The last read fails, now. */
  failReading(): void {
    present(this.#lastRead, 'a reading').failed(UNREADABLE);
  }
}
