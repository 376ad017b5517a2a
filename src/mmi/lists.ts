/**
 * Pages of `mmi.services` and `mmi.workers` (D74): what the asking identity may request or offer. A
 * list of more than a thousand entries is built at most once a second (D76), so that a request of a
 * few bytes costs no more than its page.
 */
import { isWhole } from '../core/numbers.js';
import { readJsonObject } from '../wire/json-object.js';
import type { Asker, Listed } from '../broker/ports.js';

interface PageOptions {
  readonly limit: number;
  /** Where the previous page ended: `Page.next`. */
  readonly cursor: Position | null;
}

interface Position {
  readonly service: number;
  readonly worker: number;
}

interface Page {
  readonly json: Buffer;
  /** The position of the next page; `null`: this was the last page. */
  readonly next: string | null;
}

/**
 * Maximum number of entries on a page, of those in a list that is built anew for each request, and of parts that a
 * snapshot keeps.
 */
const PAGE_MAX = 1000;
const FRESH_MS = 1000;
const OPTIONS_BYTES_MAX = 256;
/** Memory limit for the pages of one snapshot that are kept for others who ask for the same. */
const CACHED_BYTES_MAX = 8 * 1024 * 1024;

/** A list at a point in time, and the parts that each scope may see. */
interface Snapshot {
  readonly at: number;
  readonly all: readonly Listed[];
  /** Parts of the list, by the askers' scope and the named service. */
  readonly shown: Map<string, Shown>;
  readonly room: CacheRoom;
}

/** Memory left for the pages of a snapshot. */
interface CacheRoom {
  bytes: number;
}

/** The entries of a list that an asker may see, page by page. */
class Shown {
  readonly entries: readonly Listed[];
  readonly #pages = new Map<string, Page>();
  readonly #room: CacheRoom;

  constructor(all: readonly Listed[], room: CacheRoom) {
    this.entries = all;
    this.#room = room;
  }

  get isEmpty(): boolean {
    return this.entries.length === 0;
  }

  page({ limit, cursor }: PageOptions): Page {
    const key = `${limit} ${cursor === null ? '' : positionText(cursor)}`;
    const known = this.#pages.get(key);
    if (known !== undefined) return known;
    const page = pageOf(this.entries, { limit, cursor });
    if (this.#room.bytes >= page.json.length) {
      this.#room.bytes -= page.json.length;
      this.#pages.set(key, page);
    }
    return page;
  }
}

export class PagedList {
  readonly #build: () => readonly Listed[];
  readonly #count: () => number;
  #snapshot: Snapshot | null = null;
  /** Index of the snapshot, made when somebody first asks for one service. */
  #byName: Map<string, Listed[]> | null = null;

  /**
   * @param count the current number of entries, in constant time
   * @param build all entries, sorted
   */
  constructor(count: () => number, build: () => readonly Listed[]) {
    this.#count = count;
    this.#build = build;
  }

  /**
   * @param service only entries of this service; `null`: all
   * @returns the entries that the asker may see, in order
   */
  shownTo(asker: Asker, service: Buffer | null, now: number): Shown {
    const { all, shown, room } = this.#present(now);
    const key = `${asker.scope} ${service === null ? '' : service.toString('latin1')}`;
    let found = shown.get(key);
    if (found === undefined) {
      found = new Shown(visible(service === null ? all : this.#of(service, all), asker), room);
      if (shown.size < PAGE_MAX) shown.set(key, found);
    }
    return found;
  }

  /** The entries of one service, which are adjacent. */
  #of(service: Buffer, all: readonly Listed[]): readonly Listed[] {
    const isCached = this.#snapshot?.all === all;
    if (!isCached) return all.filter(({ name }) => name.equals(service));
    this.#byName ??= groupByName(all);
    return this.#byName.get(service.toString('latin1')) ?? [];
  }

  #present(now: number): Snapshot {
    const known = this.#snapshot;
    if (known !== null && now - known.at < FRESH_MS) return known;
    const room = { bytes: CACHED_BYTES_MAX };
    const made = { at: now, all: this.#build(), shown: new Map<string, Shown>(), room };
    this.#byName = null;
    this.#snapshot = this.#count() > PAGE_MAX ? made : null;
    return made;
  }
}

function groupByName(all: readonly Listed[]): Map<string, Listed[]> {
  const groups = new Map<string, Listed[]>();
  for (const each of all) {
    const name = each.name.toString('latin1');
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [each]);
    else group.push(each);
  }
  return groups;
}

function visible(all: readonly Listed[], asker: Asker): readonly Listed[] {
  let last: Buffer | null = null;
  let isShown = false;
  return all.filter(({ name }) => {
    // Workers of one service are adjacent.
    if (last !== name) isShown = asker.mayRequest(name) || asker.mayServe(name);
    last = name;
    return isShown;
  });
}

function positionText({ service, worker }: Position): string {
  return `${service}.${worker}`;
}

function pageOf(shown: readonly Listed[], { limit, cursor }: PageOptions): Page {
  const from = cursor === null ? 0 : after(shown, cursor);
  const items = shown.slice(from, from + limit);
  const last = items.at(-1);
  const hasMore = from + limit < shown.length && last !== undefined;
  return {
    json: Buffer.from(`[${items.map(({ json }) => json).join(',')}]`),
    next: hasMore ? positionText(last) : null,
  };
}

/** The index of the first entry after a position. */
function after(shown: readonly Listed[], position: Position): number {
  let low = 0;
  let high = shown.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const each = shown[middle];
    const isBehind =
      each === undefined ||
      each.service > position.service ||
      (each.service === position.service && each.worker > position.worker);
    if (isBehind) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** @returns `null` if the frame does not contain valid options */
export function readPageOptions(frame: Buffer | null): PageOptions | null {
  if (frame === null) return { limit: PAGE_MAX, cursor: null };
  const options = readJsonObject(frame, OPTIONS_BYTES_MAX);
  if (options === null) return null;
  if (Object.keys(options).some((key) => key !== 'limit' && key !== 'cursor')) return null;
  const { limit = PAGE_MAX, cursor = null } = options;
  if (!isWhole(limit, 1, PAGE_MAX)) return null;
  if (cursor === null) return { limit, cursor: null };
  const parts = typeof cursor === 'string' ? /^(\d{1,10})\.(\d{1,15})$/.exec(cursor) : null;
  if (parts === null) return null;
  return { limit, cursor: { service: Number(parts[1]), worker: Number(parts[2]) } };
}
