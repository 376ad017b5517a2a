/**
 * What a store holds, as it is reported: after all was counted anew, also that there is nothing left of
 * services and owners that had something when they were last reported.
 */
import type { StoreCounts } from '../../store/store.js';
import type { Delta, Tally } from './tally.js';

export class ReportedCounts {
  #tally: Tally;
  /** What was changed since a count began; `null`: none has begun. */
  #since: DeltaSum | null = null;
  /** As it was last reported; `null`: all was reported. */
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
    this.#since?.add(deltas);
    const changed = this.#tally.apply(deltas);
    return this.#before === null ? changed : this.takeAll();
  }

  /** All, and those of which nothing is left since the last report. */
  takeAll(): StoreCounts {
    const { all } = this.#tally;
    const before = this.#before;
    this.#before = null;
    if (before === null) return all;
    const gone = before.without(this.#tally);
    return {
      ...all,
      owners: [...gone.owners, ...all.owners],
      services: [...gone.services, ...all.services],
    };
  }
}

/** Changes, added up. */
class DeltaSum {
  readonly #deltas = new Map<string, { -readonly [Field in keyof Delta]: Delta[Field] }>();

  add(deltas: readonly Delta[]): void {
    for (const delta of deltas) {
      const { service, owner, state, isRetrying, requests, bytes } = delta;
      const name = `${state} ${isRetrying} ${service?.toString('hex')} ${owner}`;
      const sum = this.#deltas.get(name);
      if (sum === undefined) {
        this.#deltas.set(name, { ...delta });
      } else {
        sum.requests += requests;
        sum.bytes += bytes;
      }
    }
  }

  get all(): readonly Delta[] {
    return [...this.#deltas.values()];
  }
}
