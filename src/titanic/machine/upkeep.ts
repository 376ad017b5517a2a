/** What ends by time: open requests that expire, and entries in the store whose time is over. */
import { escapeName } from '../../core/escape.js';
import { increment } from '../../core/counts.js';
import { STORED } from './requests/counters.js';
import type { TitanicContext } from './requests/context.js';
import { isBeingDecided } from './requests/fsm.js';
import { NO_SLOT, STATE } from './requests/open-index.js';
import type { OpenRequests } from './requests/open-requests.js';
import type { Schedules } from './schedules/schedules.js';
import { KEPT_KINDS_BITS } from '../../store/record-kind.js';
import type { Change } from '../../store/store.js';

/** How often entries whose time is over (unclosed replies, dead requests, keys) are dropped. */
const SWEEP_MS = 10_000;
const SWEEP_REQUESTS_MAX = 1000;
/** Maximum number of expired requests that are ended in one turn. */
const TURN_EXPIRIES_MAX = 4096;

export class Upkeep {
  readonly #context: TitanicContext;
  readonly #requests: OpenRequests;
  readonly #schedules: Pick<Schedules, 'gone'>;
  #sweepAt = -Infinity;
  #isSweeping = false;

  constructor(context: TitanicContext, requests: OpenRequests, schedules: Pick<Schedules, 'gone'>) {
    this.#context = context;
    this.#requests = requests;
    this.#schedules = schedules;
  }

  /** When `sweep` is next due; Infinity for never. Monotonic milliseconds. */
  get dueAt(): number {
    return this.#maySweep ? this.#sweepAt : Infinity;
  }

  get #maySweep(): boolean {
    const { answers, trouble } = this.#requests;
    const { clock, replica } = this.#context;
    // A store in trouble is tried by it, also while nothing ends by time.
    const isWanted = !clock.isHeld || trouble !== null;
    return !this.#isSweeping && !answers.isUntrusted && isWanted && replica.refusal === null;
  }

  /** @returns true if no expired request is left */
  expire(): boolean {
    const { dispatcher, webhooks } = this.#requests;
    if (this.#context.clock.isHeld) return true;
    for (let left = TURN_EXPIRIES_MAX; this.#requests.mayWork; left--) {
      if (left === 0) return false;
      const slot = dispatcher.nextExpired(this.#context.wall);
      if (slot === NO_SLOT) return true;
      // A request that is just being answered, closed or found dead does not expire.
      if (isBeingDecided(dispatcher.index.get(slot, STATE)) || webhooks.isWaiting(slot)) continue;
      this.#requests.expire(slot);
    }
    return false;
  }

  /** Drops replies that nobody closed, dead requests, and records that are not sent to workers, when their time is over. */
  sweep(): void {
    const { now, wall, clock, livesFrom, options, counters } = this.#context;
    if (now < this.dueAt) return;
    this.#sweepAt = now + SWEEP_MS;
    this.#isSweeping = true;
    const keyUntil = livesFrom + options.keyTtlMs;
    const most = SWEEP_REQUESTS_MAX;
    const until = clock.isHeld ? 0 : wall;
    const change: Change = { kind: 'sweep', now: until, keyUntil, most, kinds: KEPT_KINDS_BITS };
    this.#requests.commit({
      ...{ change, party: '', bytes: 0 },
      ended: (outcome) => {
        this.#isSweeping = false;
        if (outcome.kind !== 'made' || outcome.result.kind !== 'swept') return false;
        const { result } = outcome;
        for (const { service, count } of result.services) {
          increment(counters.of(escapeName(service)), STORED.expired, count);
        }
        for (const uuid of result.gone) this.#schedules.gone(uuid);
        if (result.more) this.#sweepAt = -Infinity;
        return false;
      },
    });
  }
}
