/** Counts the requests that a filter finds, by what they have in common. */
import { REASON_CHARACTERS_MAX, type RequestGroup } from './queries.js';
import { bytesOf, failureGroupOf, type Grouping, type ScannedRow } from './stored-filter.js';

export class GroupCounts {
  readonly #by: Grouping;
  readonly #most: number;
  readonly #groups = new Map<
    string,
    { -readonly [Field in keyof RequestGroup]: RequestGroup[Field] }
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
    this.#groups.set(key, {
      ...common,
      service: common.service === null ? null : bytesOf(service),
      count: 1,
      example: { uuid: bytesOf(uuid), service: bytesOf(service), reason: shown },
    });
    return true;
  }

  #commonOf(
    service: string,
    reason: string | null,
  ): Readonly<Record<'service' | 'code' | 'pattern', string | null>> {
    switch (this.#by) {
      case 'service':
        return { service, code: null, pattern: null };
      case 'code':
        return { service: null, code: failureGroupOf(reason).code, pattern: null };
      case 'reason':
        return { service: null, ...failureGroupOf(reason) };
    }
  }

  /** All groups, those with the most requests first. */
  all(): RequestGroup[] {
    return [...this.#groups.values()].sort((a, b) => b.count - a.count);
  }
}
