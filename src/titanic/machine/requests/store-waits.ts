/**
 * Who waits for an answer, and for how long the store may keep them waiting (D105). Each request for
 * `titanic.*`, and each operator's change, gets a number here when it comes, and its answer passes
 * here: what has waited too long is answered, and an answer that comes later is dropped.
 */
import { LATE, OUTCOME_UNKNOWN } from '../../../core/failure-words.js';
import { type MemoryAccount, QUERY_BYTES } from '../../../core/holdings.js';
import { OldestFirst } from '../../../core/oldest-first.js';

/** Stands for a request that is to be answered. */
export type AnswerNumber = number;

/** The broker's number of a request, or an operator who is told why it failed. */
type Recipient = number | ((why: string) => void);

interface Open {
  readonly to: Recipient;
  readonly isChange: boolean;
  readonly memory: MemoryAccount | null;
  /** Since when it waits for the store: monotonic milliseconds. */
  since: number;
  /** Frames by which its outcome can be found out; `null`: it is not with the store. */
  handedOver: readonly Buffer[] | null;
}

/** Somebody who has waited too long. */
export interface Overdue {
  readonly to: Recipient;
  readonly why: string;
  readonly detail: readonly Buffer[];
  /** Whether it was to change something, and has not. */
  readonly isRefused: boolean;
}

export class StoreWaits {
  readonly #answerMs: number;
  readonly #now: () => number;
  #last: AnswerNumber = 0;
  readonly #waiting = new OldestFirst<AnswerNumber, Open>();
  /** Large replies are read one after the other: it counts when the store has given the last one. */
  readonly #large = new OldestFirst<AnswerNumber, Open>();
  #largeReadAt = -Infinity;
  /** Requests that wait for something else than the store. */
  readonly #resting = new Map<AnswerNumber, Open>();
  /** Queries that were answered late, and are kept until the store answers: the broker no longer counts them. */
  readonly #late = new Map<AnswerNumber, MemoryAccount>();

  /** @param answerMs see `Replica` @param now monotonic milliseconds */
  constructor(answerMs: number, now: () => number) {
    this.#answerMs = answerMs;
    this.#now = now;
  }

  /**
   * Numbers a request that waits for the store from now on.
   * @param memory accounts for it if it is kept after it was answered late
   */
  begins(to: Recipient, isChange: boolean, memory: MemoryAccount | null = null): AnswerNumber {
    const open = { to, isChange, memory, since: this.#now(), handedOver: null };
    this.#waiting.set(++this.#last, open);
    return this.#last;
  }

  /** False if it has been answered. */
  isOpen(number: AnswerNumber): boolean {
    return this.#find(number) !== undefined;
  }

  #find(number: AnswerNumber): Open | undefined {
    return this.#waiting.get(number) ?? this.#resting.get(number) ?? this.#large.get(number);
  }

  /** Whether it was answered because the store took too long: it must not be carried out any more. */
  isOver(number: AnswerNumber): boolean {
    return this.#answerMs < Infinity && !this.isOpen(number);
  }

  /** The store may carry it out from now on. @param detail by which its outcome can be found out */
  handsOver(number: AnswerNumber, ...detail: readonly Buffer[]): void {
    const open = this.#find(number);
    if (open !== undefined) open.handedOver = detail;
  }

  /** Suspends the wait for the store. */
  rests(number: AnswerNumber): void {
    const open = this.#take(number);
    if (open !== undefined) this.#resting.set(number, open);
  }

  /** Resumes the wait for the store. */
  waits(number: AnswerNumber): void {
    this.#again(number, this.#waiting);
  }

  /** Resumes the wait, for a large reply. */
  waitsForLarge(number: AnswerNumber): void {
    this.#again(number, this.#large);
  }

  #again(number: AnswerNumber, among: OldestFirst<AnswerNumber, Open>): void {
    const hasRested = this.#resting.has(number);
    const open = this.#take(number);
    if (open === undefined) return;
    // The time for its look-up and for its large reply is the same.
    if (hasRested) open.since = this.#now();
    among.set(number, open);
  }

  /** The store has given a large reply. */
  largeRead(): void {
    this.#largeReadAt = this.#now();
  }

  /** Nothing is kept of it any more. @returns who is to be answered; `null`: it has been answered */
  ends(number: AnswerNumber): Recipient | null {
    this.#late.get(number)?.add('requests', -QUERY_BYTES);
    this.#late.delete(number);
    return this.#take(number)?.to ?? null;
  }

  /** All are forgotten. */
  abandon(): void {
    for (const number of this.#late.keys()) this.ends(number);
  }

  #take(number: AnswerNumber): Open | undefined {
    const open = this.#find(number);
    if (open === undefined) return undefined;
    if (!this.#waiting.delete(number) && !this.#resting.delete(number)) this.#large.delete(number);
    return open;
  }

  /** When the next one has waited too long; Infinity for never. Monotonic milliseconds. */
  get dueAt(): number {
    const waiting = this.#waiting.oldest?.value.since ?? Infinity;
    const large = this.#large.oldest?.value.since ?? Infinity;
    return Math.min(waiting, Math.max(large, this.#largeReadAt)) + this.#answerMs;
  }

  /**
   * Takes out those that have waited too long, up to a maximum.
   * @param why what is known to be wrong with the store
   */
  overdue(now: number, why: string | null, most: number): Overdue[] {
    const overdue: Overdue[] = [];
    while (overdue.length < most && this.dueAt <= now) {
      const isLarge = (this.#waiting.oldest?.value.since ?? Infinity) + this.#answerMs > now;
      const among = isLarge ? this.#large : this.#waiting;
      const { key, value } = among.oldest ?? {};
      among.shift();
      if (key === undefined || value === undefined) break;
      const { to, isChange, memory, handedOver } = value;
      memory?.add('requests', QUERY_BYTES);
      if (memory !== null) this.#late.set(key, memory);
      const text = why ?? LATE;
      overdue.push({
        to,
        why: handedOver === null ? text : `${OUTCOME_UNKNOWN}: ${text}`,
        detail: handedOver ?? [],
        isRefused: isChange && handedOver === null,
      });
    }
    return overdue;
  }
}
