/**
 * Look-ups of stored requests. Queries for the same uuid share one look-up. It returns small replies; of a large one it returns only the size. A large
 * reply is read when there is room for it: a limited number of bytes at a time in total, with the
 * identities taking turns (D75, D76).
 */
import { FairQueue } from '../../../core/fair-queue.js';
import type { RequestUuid } from '../../../store/store.js';
import type { ReplyQuery } from './waiters.js';

/** The look-up returns replies up to this size. */
export const SMALL_BYTES = 4096;
/** Maximum number of look-ups in progress. */
const LOOK_UPS_MAX = 4096;
/** Maximum bytes of large replies being read at once; the first may be of any size. */
const LARGE_BYTES_MAX = 16 * 1024 * 1024;
/** Delay after a look-up that failed. */
const RETRY_MS = 1000;

/** A look-up, and those who get its result. */
export interface LookUp {
  readonly uuid: RequestUuid;
  readonly key: string;
  /** Bytes of the reply that it reads; 0: of a small one, or only its size. */
  readonly bytes: number;
  readonly asked: ReplyQuery[];
}

/** `found` or `failed` follows. @param replyBytesMax of a larger reply only the size is read */
export type AskStore = (look: LookUp, replyBytesMax: number) => void;

export class LookUps {
  readonly #askStore: AskStore;
  readonly #inProgress = new Set<LookUp>();
  /** Look-ups that wait or are in progress, by uuid, which others may join. */
  readonly #small = new Map<string, LookUp>();
  readonly #large = new Map<string, LookUp>();
  readonly #waiting = new FairQueue<LookUp>();
  readonly #waitingLarge = new FairQueue<LookUp>();
  #largeBytes = 0;
  /** Look-ups that failed, and when they are tried again. */
  #failed: LookUp[] = [];
  #retryAt = Infinity;

  constructor(askStore: AskStore) {
    this.#askStore = askStore;
  }

  /** When `run` is next due if no input arrives; Infinity for never. Monotonic milliseconds. */
  get dueAt(): number {
    return this.#retryAt;
  }

  /** Looks up what the store knows about a uuid. @param queries all are for this one */
  ask(queries: readonly ReplyQuery[]): void {
    this.#join(this.#small, this.#waiting, queries, 0);
  }

  /** Reads its reply, which has this many bytes. */
  askLarge(query: ReplyQuery, bytes: number): void {
    this.#join(this.#large, this.#waitingLarge, [query], bytes);
  }

  #join(
    known: Map<string, LookUp>,
    queue: FairQueue<LookUp>,
    queries: readonly ReplyQuery[],
    bytes: number,
  ): void {
    const [first] = queries;
    if (first === undefined) return;
    const { uuid, asker } = first;
    const key = uuid.toString('latin1');
    const same = known.get(key);
    if (same !== undefined) {
      for (const query of queries) same.asked.push(query);
      return;
    }
    const look = { uuid, key, bytes, asked: [...queries] };
    known.set(key, look);
    queue.push(asker.identity, look, bytes);
    this.#start();
  }

  #start(): void {
    while (this.#waiting.size > 0 && this.#inProgress.size < LOOK_UPS_MAX) {
      this.#begin(this.#waiting.shift(), SMALL_BYTES);
    }
    while (this.#waitingLarge.size > 0) {
      const bytes = this.#largeBytes + this.#waitingLarge.nextBytes;
      if (this.#largeBytes > 0 && bytes > LARGE_BYTES_MAX) return;
      this.#largeBytes = bytes;
      this.#begin(this.#waitingLarge.shift(), Infinity);
    }
  }

  #begin(look: LookUp | undefined, replyBytesMax: number): void {
    if (look === undefined) return;
    this.#inProgress.add(look);
    this.#askStore(look, replyBytesMax);
  }

  /** @returns those who get the result */
  found(look: LookUp): readonly ReplyQuery[] {
    this.#end(look);
    this.#forget(look);
    this.#start();
    return look.asked;
  }

  /**
   * The look-up failed, so it is uncertain whether the request is unknown or still pending.
   */
  failed(look: LookUp, now: number): void {
    this.#end(look);
    if (this.#failed.length === 0) this.#retryAt = now + RETRY_MS;
    this.#failed.push(look);
    this.#start();
  }

  #end(look: LookUp): void {
    this.#inProgress.delete(look);
    this.#largeBytes -= look.bytes;
  }

  /** What is asked from now on may be about later changes than the result shows: nobody may join it any more. */
  stopSharing(look: LookUp): void {
    this.#forget(look);
  }

  #forget(look: LookUp): void {
    const known = look.bytes === 0 ? this.#small : this.#large;
    if (known.get(look.key) === look) known.delete(look.key);
  }

  /** Retries look-ups that failed. */
  run(now: number): void {
    if (this.#retryAt > now) return;
    const again = this.#failed;
    this.#failed = [];
    this.#retryAt = Infinity;
    for (const look of again) {
      const identity = look.asked[0]?.asker.identity ?? '';
      (look.bytes === 0 ? this.#waiting : this.#waitingLarge).push(identity, look, look.bytes);
    }
    this.#start();
  }
}
