/** Changes of the map as a load: sets keys again and again, and deletes all of them. */
import { SHARED_MAP_OPTIONS } from '../../../sdk/option-tables.js';
import { SharedMap } from '../../../sdk/map.js';
import { type Calls, closed, nth, removed } from './calls.js';
import type { LoadPlan } from './messages.js';

/** The number of keys that each connection sets. */
const KEYS = 1000;
/** How long a change may take: more than it waits for the disk of a busy node. */
const TIMEOUT_MS = 60_000;
/** The node deletes what an interrupted run leaves. */
const TTL_MS = 60_000;
const OUTSTANDING_MAX = 1_000_000;

/** A connection, and where in the map its keys are. */
interface Writer {
  readonly map: SharedMap;
  readonly subtree: string;
}

export class MapChanges implements Calls {
  readonly #writers: readonly Writer[];
  /** Values in turns: a key set to the value that it has is no change. */
  readonly #values: readonly Buffer[];
  readonly #set = new Map<string, SharedMap>();

  constructor({ endpoints, keys, connections, service, size }: LoadPlan) {
    this.#values = ['x', 'y'].map((byte) => Buffer.alloc(size, byte));
    // No connection gets what the others set: only changes are measured.
    this.#writers = Array.from({ length: connections }, (_, n) => {
      const subtree = `/${service}/${n}/`;
      const map = new SharedMap({ endpoints, ...keys, subtree, maxOutstanding: OUTSTANDING_MAX });
      return { map, subtree };
    });
  }

  async begin(): Promise<void> {
    const timeoutMs = SHARED_MAP_OPTIONS.timeoutMs.default;
    await Promise.all(this.#writers.map((_, n) => this.one(n, timeoutMs)));
  }

  /** Resolves when the change is as safe as the node promises. */
  async one(n: number, timeoutMs = TIMEOUT_MS): Promise<void> {
    const { map, subtree } = nth(this.#writers, n);
    const nthOfWriter = Math.floor(n / this.#writers.length);
    const key = `${subtree}${nthOfWriter % KEYS}`;
    const value = nth(this.#values, Math.floor(nthOfWriter / KEYS));
    this.#set.set(key, map);
    await map.set(key, value, { timeoutMs, ttlMs: TTL_MS });
  }

  async end(): Promise<void> {
    const keys = [...this.#set];
    await removed(async () => {
      const [key, map] = keys.pop() ?? [];
      if (key === undefined) return false;
      await map?.delete(key);
      return true;
    });
    await closed(this.#writers.map(({ map }) => map));
  }
}
