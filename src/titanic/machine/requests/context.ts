/** The context that all parts of the Titanic machine share, and that outlives an activation. */
import type { Asker } from '../../../broker/ports.js';
import type { CountedServices } from '../../../core/counted-services.js';
import { TITANIC_SCHEDULE, uuidText } from '../../../wire/tsp.js';
import { Commits } from './commits.js';
import { TitanicCounters, type TitanicQuota } from './counters.js';
import { Hints } from '../../../store/hints.js';
import type { TitanicEnd, TitanicEvents, TitanicTrace } from './events.js';
import type { TitanicOptions } from './options.js';
import type { Replica } from './replica.js';
import type {
  Owner,
  ClaimStore,
  OwnerCount,
  RequestUuid,
  Store,
  StoreCounts,
} from '../../../store/store.js';
import { noCounts } from '../../../store/record-kind.js';
import { NO_PARTNER } from '../../../store/fields.js';
import { StoredServices } from './stored-services.js';
import { WallClock } from './wall-clock.js';
import { NO_WEBHOOKS, type WebhookRule } from './webhooks.js';

/** What Titanic reads of the store. It commits through its replica. */
export type TitanicReads = Pick<Store, 'list' | 'load' | 'lookUp'>;

/** What it uses of a store that several brokers share. */
export type TitanicClaims = Pick<ClaimStore, 'claim' | 'listKept' | 'hint'>;

/** The service under which schedules, pauses and limits are stored, and their keys (D80). */
export const SCHEDULE_SERVICE: Buffer = Buffer.from(TITANIC_SCHEDULE);

/** What schedules, pauses and limits have in the fields that a client chooses of a request. */
export const UNSENT = {
  service: SCHEDULE_SERVICE,
  partner: NO_PARTNER,
  isShared: false,
  priority: 0,
  maxAttempts: 1,
} as const;

const NOTHING: StoreCounts = {
  ...noCounts(),
  bytes: 0,
  nextNumber: 1,
  owners: [],
  services: [],
};

export class TitanicContext {
  readonly options: TitanicOptions;
  readonly store: TitanicReads;
  readonly replica: Replica;
  readonly events: TitanicEvents;
  readonly counters: TitanicCounters;
  readonly commits: Commits = new Commits();
  /** True while it serves. Otherwise it is inactive and knows no requests. */
  isActive = false;
  /** The contents of the store, as last reported. */
  counts: StoreCounts = NOTHING;
  /** What the store holds for each owner. */
  readonly #owners = new Map<Owner, OwnerCount>();
  /** What the store holds for each service. */
  readonly services: StoredServices;
  /** `null`: no other broker uses the store. */
  readonly claims: TitanicClaims | null;
  /** `null`: no other broker uses the store, so nobody sends any. */
  readonly hints: Hints | null;
  /** The services that the broker was told are paused: bytes as Latin-1. */
  readonly pausedServices: Set<string> = new Set();
  /** Whether the broker was told of limits of operators, or that there are some. */
  hasToldLimits = false;
  /** The schedules that hear how their last requests end, by `requestKey`; at most one for each schedule. */
  readonly scheduled: Map<string, { requestEnded(outcome: TitanicEnd): void }> = new Map();
  /** The number of the next request that is accepted. */
  nextNumber = 1;
  trace: TitanicTrace | null = null;
  /** Which URLs may be told of the end of a request. */
  webhookRule: WebhookRule = NO_WEBHOOKS;
  /** Time of this turn: monotonic milliseconds. */
  now = 0;
  /** Time of this turn: whole milliseconds since 1970. */
  wall = 0;
  readonly clock: WallClock = new WallClock();
  #wasBehind = false;

  constructor(
    options: TitanicOptions,
    store: TitanicReads,
    replica: Replica,
    events: TitanicEvents,
    counted: CountedServices,
    claims: TitanicClaims | null,
  ) {
    this.options = options;
    this.claims = claims;
    this.hints = claims === null ? null : new Hints((hint) => claims.hint(hint));
    this.store = store;
    this.replica = replica;
    this.events = events;
    this.counters = new TitanicCounters(counted);
    this.services = new StoredServices(counted);
  }

  /** See `Titanic.setTime`. */
  setTime(now: number, wall: number): void {
    const { clock, events } = this;
    this.now = now;
    this.wall = wall;
    const stepMs = clock.look(now, wall);
    if (stepMs !== 0) {
      const { pending, replied, dead } = this.counts;
      events.emit({ name: 'clock.stepped', stepMs, pending, replied, dead });
    }
    if (!this.#wasBehind || clock.isBehind) return;
    this.#wasBehind = false;
    events.emit({ name: 'clock.caught_up' });
  }

  /** The store was opened. @param newestAt when its newest request was accepted; 0: it has none */
  opened(newestAt: number): void {
    const behindMs = this.clock.starts(newestAt, this.wall);
    this.#wasBehind = behindMs > 0;
    const newest = new Date(newestAt).toISOString();
    if (this.#wasBehind) this.events.emit({ name: 'clock.behind', behindMs, newest });
  }

  /** What times to live count from: never before the newest request that the store had at the start. */
  get livesFrom(): number {
    return this.wall + this.clock.aheadMs(this.wall);
  }

  counted(counts: StoreCounts): void {
    this.counts = counts;
    this.services.update(counts.services);
    for (const count of counts.owners) {
      if (count.stored === 0 && count.bytes === 0) this.#owners.delete(count.owner);
      else this.#owners.set(count.owner, count);
    }
  }

  /** Takes the number of a new request. In a shared store it lies among the numbers that the store gives. */
  takeNumber(): number {
    if (this.claims !== null) this.nextNumber = Math.max(this.nextNumber, this.wall * 1000);
    return this.nextNumber++;
  }

  /** What the store holds for each owner that has anything there. */
  get owners(): Iterable<OwnerCount> {
    return this.#owners.values();
  }

  storedOf(owner: Owner): OwnerCount {
    return this.#owners.get(owner) ?? { owner, stored: 0, bytes: 0 };
  }

  /** A peer asked for a request that another one stored (D71). */
  denied({ owner, address }: Asker, uuid: RequestUuid, wanted: 'reply' | 'close'): void {
    const who = { key: owner, address };
    this.events.emit({ name: 'titanic.denied', wanted, uuid: uuidPrefix(uuid), ...who });
  }

  /** @returns the refusal, which it counts */
  quotaUsedUp(quota: TitanicQuota): string {
    this.counters.quotas[quota]++;
    return `the quota \`${quota}\` is used up`;
  }

  ended(uuid: RequestUuid, outcome: TitanicEnd): void {
    this.scheduled.get(requestKey(uuid))?.requestEnded(outcome);
    this.trace?.({ name: 'titanic.ended', uuid: uuidPrefix(uuid), outcome });
  }
}

/** A uuid as the key of a map. */
export function requestKey(uuid: RequestUuid): string {
  return uuid.toString('latin1');
}

/** The part of it that may be shown: the time and twelve of its random bits. */
export function uuidPrefix(uuid: RequestUuid): string {
  return uuidText(uuid).slice(0, 16);
}
