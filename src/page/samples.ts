/** The samples of a node or of one of its services that the page has loaded. */
import type { DayHistory, Overview, ServiceHistory } from '../admin/api/node-answers.js';
import { get, withQuery } from './api.js';

/** A sample, by column name. */
export type Sample = Readonly<Record<string, number | null>>;

/** What both histories have. */
type Block = Pick<Overview, 'startedAt' | 'columns' | 'samples' | 'next'>;

/** The column that marks the first sample after a restart of the node. */
export const RESTARTED = 'restarted';
/** The page may be open for longer than the node keeps samples. */
const SAMPLES_MAX = 3600;
/** Services whose samples stay while other views are shown. */
const SERVICES_MAX = 8;

export class Samples {
  /** Oldest first. */
  all: readonly Sample[] = [];
  /** The number of the first missing sample. */
  next = 0;
  #startedAt: string | null = null;
  /** The next sample is the first one after a restart. */
  #isRestarted = false;

  /**
   * @returns false if the node was restarted: it numbers its samples from 0 again, so this block
   *   may have too many or too few; it is dropped, and the caller must load it again
   */
  take({ startedAt, columns, samples, next }: Block): boolean {
    const isRestarted = this.#startedAt !== null && this.#startedAt !== startedAt;
    this.#startedAt = isRestarted ? null : startedAt;
    // Of two answers to the same question, the second one brings nothing new.
    const known = this.next === 0 ? 0 : this.next - (next - samples.length);
    this.next = isRestarted ? 0 : Math.max(this.next, next);
    if (isRestarted) {
      this.#isRestarted = this.all.length > 0;
      return false;
    }
    const newest = this.all.at(-1)?.['at'] ?? 0;
    const added = samples
      .slice(Math.max(0, known))
      .map((row) => named(columns, row))
      .filter(({ at }) => (at ?? 0) > newest);
    const [first] = added;
    if (this.#isRestarted && first !== undefined) {
      added[0] = { ...first, [RESTARTED]: 1 };
      this.#isRestarted = false;
    }
    this.all = [...this.all, ...added].slice(-SAMPLES_MAX);
    return true;
  }

  /** The sum of a column over the last `ms` before the newest sample. */
  static sum(samples: readonly Sample[], column: string, ms: number): number {
    const from = (samples.at(-1)?.['at'] ?? 0) - ms;
    const recent = samples.filter(({ at }) => (at ?? 0) > from);
    return recent.reduce((sum, sample) => sum + (sample[column] ?? 0), 0);
  }
}

/** The samples by service: those that were looked at last are at the end. */
const ofServices = new Map<string, Samples>();

/** The samples of a service, with those that the page had of it before. */
export function samplesOf(service: string): Samples {
  const known = ofServices.get(service) ?? new Samples();
  ofServices.delete(service);
  ofServices.set(service, known);
  for (const name of [...ofServices.keys()].slice(0, -SERVICES_MAX)) ofServices.delete(name);
  return known;
}

/** The samples of the last day. @param service `null`: of the node */
export async function dayOf(service: string | null): Promise<readonly Sample[]> {
  const { columns, samples } = await get<DayHistory>(
    withQuery('/api/v1/history', { service: service ?? '' }),
  );
  return samples.map((row) => named(columns, row));
}

function named(columns: readonly string[], row: readonly (number | null)[]): Sample {
  return Object.fromEntries(columns.map((name, index) => [name, row[index] ?? null] as const));
}

/** Loads the samples of a service that `kept` does not have yet, and its failures. */
export async function historyOf(service: string, kept: Samples): Promise<ServiceHistory> {
  const query = { service, since: String(kept.next) };
  const answer = await get<ServiceHistory>(withQuery('/api/v1/services/history', query));
  return kept.take(answer) ? answer : await historyOf(service, kept);
}
