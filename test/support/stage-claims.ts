/** The claims of a store that other brokers use, too: a script answers them. */
import { SCHEDULES, type TitanicClaims } from '../../src/titanic/machine/context.js';
import type { Titanic } from '../../src/titanic/machine/titanic.js';
import type { ClaimedRequest, ClaimOrder, Hint, StoredRequest } from '../../src/store/store.js';

export class StageClaims implements TitanicClaims {
  /** All orders so far. */
  readonly orders: ClaimOrder[] = [];
  /** What other brokers were told. */
  readonly hints: Hint[] = [];
  #titanic: Titanic | null = null;
  #last = 0;
  #isWaiting = false;
  readonly #lists: { readonly list: number; readonly after: number }[] = [];
  /** Lists are not answered. */
  areListsHeld = false;

  serve(titanic: Titanic): void {
    this.#titanic = titanic;
  }

  claim(claim: number, order: ClaimOrder): void {
    if (this.#isWaiting) throw new Error('a claim before the end of another');
    this.#isWaiting = true;
    this.#last = claim;
    this.orders.push(order);
  }

  hint(hint: Hint): void {
    this.hints.push(hint);
  }

  listSchedules(list: number, after: number): void {
    this.#lists.push({ list, after });
  }

  /** @param pending what is in the store */
  answerLists(pending: readonly StoredRequest[]): void {
    if (!this.areListsHeld) while (this.answerList(pending));
  }

  /** Answers one page. @returns false if none was asked for */
  answerList(pending: readonly StoredRequest[]): boolean {
    const asked = this.#lists.shift();
    if (asked === undefined) return false;
    const isListed = ({ service, number }: StoredRequest): boolean =>
      service.equals(SCHEDULES) && number > asked.after;
    this.#titanic?.listed(asked.list, pending.filter(isListed));
    return true;
  }

  /** True if an order waits for its answer. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /** What was wanted of services in the order that waits: `echo 2`. */
  get wanted(): string[] {
    const { wanted = [] } = this.#isWaiting ? (this.orders.at(-1) ?? {}) : {};
    return wanted
      .filter(({ service }) => !service.toString().startsWith('titanic.'))
      .map(({ service, most }) => `${service.toString()} ${most}`);
  }

  answer(...requests: ClaimedRequest[]): void {
    this.#isWaiting = false;
    this.#titanic?.claimed(this.#last, requests);
  }

  fail(): void {
    this.#isWaiting = false;
    this.#titanic?.claimFailed(this.#last);
  }
}
