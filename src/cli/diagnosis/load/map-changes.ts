/** Changes of the map as a load: sets keys again and again, and deletes all of them. */
import { MAP_DEFAULTS } from '../../../sdk/defaults.js';
import { SharedMap } from '../../../sdk/map.js';
import { bodyOf, type Calls, closed, nth, removed } from './calls.js';
import { keysOf, type LoadPlan } from './messages.js';

const KEYS = 1000;
/** More than a change waits for the disk of a busy node. */
const TIMEOUT_MS = 60_000;
const OUTSTANDING_MAX = 1_000_000;

export class MapChanges implements Calls {
  readonly #maps: readonly SharedMap[];
  readonly #subtree: string;
  readonly #value: Buffer;
  readonly #set = new Set<string>();

  constructor(plan: LoadPlan) {
    this.#subtree = `/${plan.service}/`;
    this.#value = bodyOf(plan);
    const { endpoints } = plan;
    // No connection gets what the others set: only changes are measured.
    this.#maps = Array.from(
      { length: plan.connections },
      (_, n) =>
        new SharedMap({
          ...{ endpoints, ...keysOf(plan) },
          ...{ subtree: `${this.#subtree}${n}/`, maxOutstanding: OUTSTANDING_MAX },
        }),
    );
  }

  async begin(): Promise<void> {
    const { timeoutMs } = MAP_DEFAULTS;
    await Promise.all(this.#maps.map((_, n) => this.one(n, timeoutMs)));
  }

  /** Resolves when the change is as safe as the node promises. */
  async one(n: number, timeoutMs = TIMEOUT_MS): Promise<void> {
    const connection = n % this.#maps.length;
    const key = `${this.#subtree}${connection}/${Math.floor(n / this.#maps.length) % KEYS}`;
    this.#set.add(key);
    await nth(this.#maps, n).set(key, this.#value, { timeoutMs });
  }

  async end(): Promise<void> {
    const keys = [...this.#set];
    await removed(async () => {
      const key = keys.pop();
      if (key === undefined) return false;
      await nth(this.#maps, Number(key.split('/')[2])).delete(key);
      return true;
    });
    await closed(this.#maps);
  }
}
