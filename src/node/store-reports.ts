/** What a store reports besides the outcome of calls, passed on to the machines that it concerns. */
import { MajordomoError } from '../core/errors.js';
import type { RankedStoreEvents, TombstoneSizes } from '../store/ranked.js';
import type {
  ClaimStoreEvents,
  Hint,
  StoreCounts,
  StoredRequest,
  StoreFailure,
} from '../store/store.js';
import type { Titanic } from '../titanic/machine/titanic.js';
import type { Time } from '../core/clock.js';

/** Error codes of a start that could not read the pending requests. */
const LIST_CODES: Readonly<Record<StoreFailure['kind'], string>> = {
  full: 'ERR_TITANIC_FULL',
  busy: 'ERR_TITANIC_BUSY',
  fatal: 'ERR_TITANIC_DISK',
};

export class StoreReports implements ClaimStoreEvents, RankedStoreEvents {
  readonly #wake: () => void;
  readonly #time: Time;
  #end: (error: MajordomoError) => void;
  /** Set when the store is open; before that the store has nothing to report. */
  titanic: Titanic | null = null;
  /** Extensions that keep records, by the numbers of their parts. */
  readonly parts = new Map<number, RankedStoreEvents>();

  /**
   * @param wake a report or an outcome arrived: the machine acts on it in the turn that this causes
   * @param end the store can no longer be trusted
   */
  constructor(wake: () => void, time: Time, end: (error: MajordomoError) => void) {
    this.#wake = wake;
    this.#time = time;
    this.#end = end;
  }

  /** Activates the machine. Resolves when it knows all pending requests; rejects if they cannot be read. */
  async restore(titanic: Titanic): Promise<void> {
    const end = this.#end;
    await new Promise<void>((resolve, reject) => {
      this.#end = reject;
      titanic.activate({
        done: () => {
          this.#end = end;
          resolve();
        },
        failed: ({ kind, message }) => reject(new MajordomoError(LIST_CODES[kind], message)),
      });
    });
  }

  arrived(): void {
    this.#wake();
    this.titanic?.setTime(this.#time.now(), this.#time.wall());
  }

  fatal({ message }: StoreFailure): void {
    this.#end(new MajordomoError('ERR_TITANIC_DISK', message));
  }

  counted(counts: StoreCounts): void {
    this.titanic?.counted(counts);
  }

  foundClaimed(requests: readonly StoredRequest[]): void {
    this.titanic?.foundClaimed(requests);
  }

  taken(): void {
    this.titanic?.taken();
  }

  hinted(hint: Hint): void {
    this.titanic?.hinted(hint);
  }

  tombstones(sizes: TombstoneSizes): void {
    this.parts.get(sizes.part)?.tombstones(sizes);
  }
}
