/**
 * For a store that other brokers may use as well: this one may write to it only while its session
 * lasts, which is judged by its own clock (D19).
 */
import type { BatchOutcome, Replica } from '../../titanic/machine/requests/replica.js';
import type { Change, ChangeResult, Store } from '../../store/store.js';
import { Standalone } from './standalone.js';

/**
 * How many times `titanic.storeTimeoutMs` a client waits. One operation takes at most one of it, and a batch
 * may wait for another one, and for what became of it; but three are promised, on the client's side.
 */
const ANSWER_TIMES = 2.5;

const LOST = 'the store cannot be reached';
const OVERDUE = 'this broker could not renew its session with the store';
const ENDED = 'the session of this broker with the store has ended';

export class SharedStore implements Replica {
  readonly isPaired = false;
  readonly answerMs: number;
  /** Batches under way: one on each connection of the store. */
  readonly batchesMax = 2;
  readonly batchBytesMax: number = 1024 * 1024;
  readonly #standalone: Standalone;
  readonly #leaseMs: number;
  readonly #now: () => number;
  #renewedAt: number;
  /** Why the session ended; `null`: it has not. */
  #ended: string | null = null;
  #isLost = false;

  /**
   * @param timeoutMs `titanic.storeTimeoutMs`
   * @param now monotonic milliseconds, read at each question: a stall must not be overlooked
   * @param renewedAt when the order was sent that began the session
   */
  constructor(
    store: Pick<Store, 'commit'>,
    firstTransaction: number,
    leaseMs: number,
    timeoutMs: number,
    now: () => number,
    renewedAt: number,
  ) {
    this.#standalone = new Standalone(store, firstTransaction);
    this.#leaseMs = leaseMs;
    this.answerMs = ANSWER_TIMES * timeoutMs;
    this.#now = now;
    this.#renewedAt = renewedAt;
  }

  get refusal(): string | null {
    if (this.#ended !== null) return this.#ended;
    return this.#now() < this.#renewedAt + this.#leaseMs ? null : OVERDUE;
  }

  get silence(): string | null {
    return this.#isLost ? LOST : this.refusal;
  }

  /** @param at when the order for it was sent: monotonic milliseconds */
  renewed(at: number): void {
    this.#renewedAt = Math.max(this.#renewedAt, at);
    this.#ended = null;
  }

  ended(): void {
    this.#ended = ENDED;
  }

  /** Takes note that the store cannot be reached. */
  lost(): void {
    this.#isLost = true;
  }

  returned(): void {
    this.#isLost = false;
  }

  /** Commits changes, also while the session is over: the store refuses them then. */
  commit(changes: readonly Change[], outcome: BatchOutcome<readonly ChangeResult[]>): boolean {
    return this.#standalone.commit(changes, outcome);
  }

  probe(): number {
    return 0;
  }
}
