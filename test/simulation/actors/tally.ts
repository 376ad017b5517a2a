import { hold } from '../world/failure.js';

/** How the body begins of a request that may run once (D117): it is the last character of its key. */
const ONCE = '!';

/** What happened in simulated worlds, for the summary. */
export class Tally {
  requests = 0;
  replies = 0;
  readonly faults = new Map<string, number>();
  /** What else is worth knowing of worlds of one kind. */
  readonly figures = new Map<string, number>();

  /** Keys of requests that may run once, and that a handler has begun. */
  readonly #begun = new Set<string>();

  keyOf(request: string, isOnce: boolean): string {
    return isOnce ? `${request}${ONCE}` : request;
  }

  /** A handler begins a request. */
  begins(key: string): void {
    if (!key.endsWith(ONCE)) return;
    hold(!this.#begun.has(key), `${key} may run once, and runs again`);
    this.#begun.add(key);
  }

  fault(what: string): void {
    this.faults.set(what, (this.faults.get(what) ?? 0) + 1);
  }

  add(other: Tally): void {
    this.requests += other.requests;
    this.replies += other.replies;
    addTo(this.faults, other.faults);
    addTo(this.figures, other.figures);
  }

  get faultCount(): number {
    let count = 0;
    for (const each of this.faults.values()) count += each;
    return count;
  }
}

function addTo(sums: Map<string, number>, counts: ReadonlyMap<string, number>): void {
  for (const [what, count] of counts) sums.set(what, (sums.get(what) ?? 0) + count);
}
