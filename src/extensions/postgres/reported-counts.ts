/**
 * What a broker reports of a store that others use, too: all is counted again every few seconds
 * (recount.ts), and in between with each of this broker's batches. So no row has to be kept for it, which
 * all writers of a service would wait for.
 */
import type { StoreCounts } from '../../store/store.js';
import { type ContentCounts, type Delta, DeltaSum, type Tally } from '../../store/tally.js';

/** What a request takes besides its body, reply and fields: rows and index entries, roughly. */
const REQUEST_BYTES = 512;

/**
 * What a store holds, as it is reported: after all was counted anew, also that there is nothing left of
 * services and owners that had something when they were last reported.
 */
export class ReportedCounts {
  #tally: Tally;
  /** What was changed since a count began; `null`: none has begun. */
  #since: DeltaSum | null = null;
  /** The tally as it was last reported; `null`: all was reported. */
  #before: Tally | null = null;

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  /** A count begins: it sees what was applied before, and nothing that follows. */
  begin(): void {
    this.#since = new DeltaSum();
  }

  /** @param tally what was counted */
  replace(tally: Tally): void {
    tally.apply(this.#since?.all ?? []);
    this.#since = null;
    this.#before ??= this.#tally;
    this.#tally = tally;
  }

  /** @returns the counts of those that changed since the last report */
  apply(deltas: readonly Delta[]): StoreCounts {
    for (const delta of deltas) this.#since?.add(delta);
    const changed = this.#tally.apply(deltas);
    return this.#before === null ? inDatabase(changed) : this.takeAll();
  }

  /** All counts, with those of which nothing is left since the last report. */
  takeAll(): StoreCounts {
    const { all } = this.#tally;
    const before = this.#before;
    this.#before = null;
    if (before === null) return inDatabase(all);
    const gone = before.without(this.#tally);
    return inDatabase({
      ...all,
      owners: [...gone.owners, ...all.owners],
      services: [...gone.services, ...all.services],
    });
  }
}

function inDatabase(counts: ContentCounts): StoreCounts {
  const { pending, replied, dead } = counts;
  const bytes = counts.bytes + REQUEST_BYTES * (pending + replied + dead);
  // The store gives numbers itself, by its clock.
  return { ...counts, bytes, nextNumber: 1 };
}
