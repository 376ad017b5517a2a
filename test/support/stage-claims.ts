/** The claims of a store that other brokers use, too: a script answers them. */
import { isWork } from '../../src/store/record-kind.js';
import type { TitanicClaims } from '../../src/titanic/machine/requests/context.js';
import type {
  ClaimedRequest,
  ClaimOrder,
  Completion,
  Hint,
  StoredRequest,
} from '../../src/store/store.js';

export class StageClaims implements TitanicClaims {
  /** All orders so far. */
  readonly orders: ClaimOrder[] = [];
  /** What other brokers were told. */
  readonly hints: Hint[] = [];
  #waiting: Completion<readonly ClaimedRequest[]> | null = null;
  readonly #lists: {
    readonly after: number;
    readonly completion: Completion<readonly StoredRequest[]>;
  }[] = [];
  /** Lists are not answered. */
  areListsHeld = false;

  claim(order: ClaimOrder, completion: Completion<readonly ClaimedRequest[]>): void {
    if (this.#waiting !== null) throw new Error('a claim before the end of another');
    this.#waiting = completion;
    this.orders.push(order);
  }

  hint(hint: Hint): void {
    this.hints.push(hint);
  }

  listKept(after: number, completion: Completion<readonly StoredRequest[]>): void {
    this.#lists.push({ after, completion });
  }

  /** @param pending what is in the store */
  answerLists(pending: readonly StoredRequest[]): void {
    if (!this.areListsHeld) while (this.answerList(pending));
  }

  /** Answers one page. @returns false if none was asked for */
  answerList(pending: readonly StoredRequest[]): boolean {
    const asked = this.#lists.shift();
    if (asked === undefined) return false;
    const isListed = ({ kind, number }: StoredRequest): boolean =>
      !isWork(kind) && number > asked.after;
    asked.completion.done(pending.filter(isListed));
    return true;
  }

  /** True if an order waits for its answer. */
  get isWaiting(): boolean {
    return this.#waiting !== null;
  }

  /** What was wanted of services in the order that waits: `echo 2`. */
  get wanted(): string[] {
    const { wanted = [] } = this.isWaiting ? (this.orders.at(-1) ?? {}) : {};
    return wanted
      .filter(({ service }) => !service.toString().startsWith('titanic.'))
      .map(({ service, most }) => `${service.toString()} ${most}`);
  }

  answer(...requests: ClaimedRequest[]): void {
    this.#end()?.done(requests);
  }

  fail(): void {
    this.#end()?.failed({ kind: 'busy', message: 'the database is away' });
  }

  #end(): Completion<readonly ClaimedRequest[]> | null {
    const waiting = this.#waiting;
    this.#waiting = null;
    return waiting;
  }
}
