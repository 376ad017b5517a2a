/** Counts the requests that a filter finds, by what they have in common. */
import { REASON_CHARACTERS_MAX } from './queries.js';
import { failureOf, type Grouping, type ScannedRow } from './stored-filter.js';

/** What they have in common is not null. Uuids and names in hexadecimal digits. */
export interface PackedGroup {
  readonly service: string | null;
  readonly code: string | null;
  readonly pattern: string | null;
  readonly count: number;
  /** The newest of them. */
  readonly example: Pick<ScannedRow, 'uuid' | 'service' | 'reason'>;
}

export class GroupCounts {
  readonly #by: Grouping;
  readonly #most: number;
  readonly #groups = new Map<
    string,
    { -readonly [Field in keyof PackedGroup]: PackedGroup[Field] }
  >();

  /** @param most maximum number of groups, at least 1 */
  constructor(by: Grouping, most: number) {
    this.#by = by;
    this.#most = most;
  }

  /** @returns false if it was not counted, because it would begin one group too many */
  add({ uuid, service, reason }: ScannedRow): boolean {
    const common = this.#commonOf(service, reason);
    const key = `${common.service ?? ''} ${common.code ?? ''} ${common.pattern ?? ''}`;
    const group = this.#groups.get(key);
    if (group !== undefined) {
      group.count++;
      return true;
    }
    if (this.#groups.size === this.#most) return false;
    const shown = reason?.slice(0, REASON_CHARACTERS_MAX) ?? null;
    this.#groups.set(key, { ...common, count: 1, example: { uuid, service, reason: shown } });
    return true;
  }

  #commonOf(
    service: string,
    reason: string | null,
  ): Pick<PackedGroup, 'service' | 'code' | 'pattern'> {
    switch (this.#by) {
      case 'service':
        return { service, code: null, pattern: null };
      case 'code':
        return { service: null, code: failureOf(reason).code, pattern: null };
      case 'reason':
        return { service: null, ...failureOf(reason) };
    }
  }

  /** All groups, those with the most requests first. */
  all(): PackedGroup[] {
    return [...this.#groups.values()].sort((a, b) => b.count - a.count);
  }
}
