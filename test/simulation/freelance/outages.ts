/** When something was wrong with a server, or with the way to it. */

/**
 * *quick*: whoever needs the server can see that it is away: its connection is lost, or nothing is heard of it, or
 * it refuses. *slow*: it is alive and answers late or never.
 */
type OutageKind = 'quick' | 'slow';

interface Outage {
  readonly kind: OutageKind;
  readonly from: number;
  readonly to: number;
}

export class Outages {
  readonly #all: Outage[] = [];

  add(kind: OutageKind, from: number, to: number): void {
    this.#all.push({ kind, from, to });
  }

  /** Whether one began before `to` and ended after `from`. */
  overlap(from: number, to: number, kind: OutageKind | null = null): boolean {
    return this.#all.some(
      (each) => (kind === null || each.kind === kind) && each.from <= to && each.to >= from,
    );
  }
}
