import { present } from '../../core/assert.js';
import { ByteTable } from '../../core/byte-table.js';
import { ownCopy } from '../../core/bytes.js';
import type { CountedServices } from '../../core/counted-services.js';
import { escapeName } from '../../core/escape.js';
import { OldestFirst } from '../../core/oldest-first.js';
import type { RandomFill } from '../../core/random.js';
import type { Identities, Identity } from './identities.js';
import type { RequestTable } from './request-table.js';
import { Service } from './entities.js';
import type { LimitsOf, ServiceLimits } from '../options.js';
import type { Gates } from './gates.js';
import { Groups, type SharedParts, Waiting } from './waiting.js';

/** A service that was active within this time is still listed. */
const REMEMBERED_MS = 600_000;
/**
 * Maximum number of services that are only remembered. Above it, those that ended first are
 * forgotten.
 */
const REMEMBERED_MAX = 10_000;
/** Maximum number of remembered services that never had a worker: a peer can name any number of them. */
const REMEMBERED_UNSERVED_MAX = 1000;
/** While it is not known which services operators limit. */
const NOTHING_STARTS: ServiceLimits = {
  service: { running: 0, perSecond: Infinity, burst: 1 },
  group: null,
  holds: false,
};
/** Maximum number of services that are forgotten at once: tens of thousands can end together. */
const FORGOTTEN_AT_ONCE_MAX = 1024;

/**
 * All services by name and number. A service is *in use*, and counts in the limits, while it has
 * workers or waiting requests. Otherwise it is only listed: because it has stored requests, because an operator
 * paused or limited it, or because it was one of these a short time ago.
 */
export class ServiceTable {
  readonly #byName: ByteTable;
  readonly #byId: (Service | null)[] = [];
  readonly #freeIds: number[] = [];
  readonly #counted: CountedServices;
  readonly #identities: Identities;
  readonly #parts: SharedParts;
  #limitsOf: LimitsOf = () => null;
  /** The limits that operators set; `null`: they are not known yet. */
  #ofOperators: ReadonlyMap<string, ServiceLimits> | null = new Map();
  #withWorkers = 0;
  #inUse = 0;
  /** Services that ended since the last turn. */
  #ended: Service[] = [];
  /** When they ended, the oldest first. */
  readonly #remembered = new OldestFirst<Service, number>();
  readonly #rememberedUnserved = new OldestFirst<Service, number>();

  /** @param random see `KeyedHash` */
  constructor(
    table: RequestTable,
    random: RandomFill,
    counted: CountedServices,
    identities: Identities,
    gates: Gates,
  ) {
    this.#parts = { table, groups: new Groups(), gates };
    this.#identities = identities;
    this.#counted = counted;
    this.#byName = new ByteTable(random);
  }

  /** Services in use. */
  get count(): number {
    return this.#inUse;
  }

  /** Services in use and those that are only listed. */
  get listed(): number {
    return this.#byName.size;
  }

  /** Services that have a worker. */
  get withWorkers(): number {
    return this.#withWorkers;
  }

  /** Finds a service, also one that is not in use. */
  find(bytes: Uint8Array, start: number, end: number): Service | null {
    const id = this.#byName.get(bytes, start, end);
    return id < 0 ? null : (this.#byId[id] ?? null);
  }

  byId(id: number): Service {
    return present(this.#byId[id], 'a service that lives');
  }

  /**
   * Adds an unknown service, which is in use from now on.
   * @param name copied
   * @param namedBy who requested or offers it
   */
  add(name: Buffer, namedBy: Identity): Service {
    const service = this.#make(name);
    this.use(service, namedBy);
    return service;
  }

  /** A service that was only listed is in use from now on. */
  use(service: Service, namedBy: Identity): void {
    service.namedBy = namedBy;
    namedBy.services++;
    this.#inUse++;
    this.#recall(service);
  }

  #make(given: Buffer): Service {
    const name = ownCopy(given);
    const id = this.#freeIds.pop() ?? this.#byId.length;
    const waiting = new Waiting(id, this.#parts);
    const service = new Service(id, name, this.#counted.of(escapeName(name)), waiting);
    const limits = this.#limitsFor(name);
    if (limits !== null) waiting.setLimits(limits);
    this.#byId[id] = service;
    this.#byName.add(name, id);
    return service;
  }

  /** The service has a worker, so it may have a label from now on. */
  served(service: Service): void {
    this.#counted.served(service.counted);
  }

  /** A worker came or went. */
  workersChanged(before: number, after: number): void {
    if (before === 0 && after > 0) this.#withWorkers++;
    if (before > 0 && after === 0) this.#withWorkers--;
  }

  /**
   * Sets the limits that the configuration has.
   * @returns the services whose limits are others now: what is at their workers is to be counted
   */
  setLimits(limitsOf: LimitsOf): ReadonlySet<Service> {
    this.#limitsOf = limitsOf;
    return this.#setLimitsOf(this.all());
  }

  /** Sets the limits that operators have set: see `DeliveryPort.setLimits`. @returns see `setLimits` */
  setOperatorLimits(limits: ReadonlyMap<string, ServiceLimits> | null): ReadonlySet<Service> {
    const before = this.#ofOperators;
    this.#ofOperators = limits;
    for (const key of limits?.keys() ?? []) {
      const name = Buffer.from(key, 'latin1');
      const service = this.find(name, 0, name.length) ?? this.#make(name);
      service.isLimited = true;
      this.#recall(service);
    }
    // One command changes those of one service, and there may be thousands.
    const isWhole = before === null || limits === null;
    const named = isWhole ? this.all() : this.#named(new Set([...before.keys(), ...limits.keys()]));
    const changed = this.#setLimitsOf(named);
    if (limits === null) return changed;
    for (const service of this.all()) {
      if (!service.isLimited || limits.has(service.name.toString('latin1'))) continue;
      service.isLimited = false;
      this.#endIfUnused(service);
    }
    return changed;
  }

  *#named(keys: Iterable<string>): IterableIterator<Service> {
    for (const key of keys) {
      const name = Buffer.from(key, 'latin1');
      const service = this.find(name, 0, name.length);
      if (service !== null) yield service;
    }
  }

  #setLimitsOf(services: Iterable<Service>): ReadonlySet<Service> {
    const changed = new Set<Service>();
    for (const service of services) {
      const limits = this.#limitsFor(service.name);
      if (limits === service.waiting.limits) continue;
      service.waiting.setLimits(limits);
      changed.add(service);
    }
    return changed;
  }

  #limitsFor(name: Buffer): ServiceLimits | null {
    const operators = this.#ofOperators;
    if (operators === null) return NOTHING_STARTS;
    const set = operators.size === 0 ? undefined : operators.get(name.toString('latin1'));
    return set ?? this.#limitsOf(name);
  }

  /** Sets whether it is paused. A paused one is listed. @returns `null`: it is unknown, and not paused */
  setPaused(name: Buffer, isPaused: boolean): Service | null {
    const known = this.find(name, 0, name.length);
    if (known === null && !isPaused) return null;
    const service = known ?? this.#make(name);
    service.isPaused = isPaused;
    if (isPaused) this.#recall(service);
    else this.#endIfUnused(service);
    return service;
  }

  /** Sets whether Titanic stores requests for it. */
  setStored(name: Buffer, hasStored: boolean): void {
    const known = this.find(name, 0, name.length);
    if (hasStored) {
      const service = known ?? this.#make(name);
      service.hasStored = true;
      this.#recall(service);
    } else if (known?.hasStored === true) {
      known.hasStored = false;
      this.#endIfUnused(known);
    } else if (known === null) {
      // All of them came and went since the last turn.
      const counted = this.#counted.find(escapeName(name));
      if (counted !== null) this.#counted.forget(counted);
    }
  }

  /** Ends the use of the service if nothing needs it any more. */
  releaseIfUnused(service: Service): void {
    const { namedBy } = service;
    if (
      service.workers.size > 0 ||
      service.remotes.size > 0 ||
      service.due ||
      service.leaving > 0 ||
      service.earlierRuns > 0 ||
      service.waiting.count > 0 ||
      namedBy === null
    ) {
      return;
    }
    service.namedBy = null;
    namedBy.services--;
    this.#inUse--;
    this.#identities.releaseIfUnused(namedBy);
    this.#endIfUnused(service);
  }

  /** Has the service only remembered from now on, unless something keeps it. */
  #endIfUnused(service: Service): void {
    if (!isKept(service)) this.#ended.push(service);
  }

  /**
   * Forgets services that were inactive for a while, and those above the maximum.
   * @returns false if there is more to do
   */
  forget(now: number): boolean {
    const ended = this.#ended;
    if (ended.length > 0) {
      this.#ended = [];
      for (const service of ended) {
        if (isKept(service)) continue;
        const among = service.counted.wasServed ? this.#remembered : this.#rememberedUnserved;
        among.delete(service);
        among.set(service, now);
      }
    }
    const budget = FORGOTTEN_AT_ONCE_MAX;
    const left = this.#forgetAmong(this.#remembered, REMEMBERED_MAX, now, budget);
    return this.#forgetAmong(this.#rememberedUnserved, REMEMBERED_UNSERVED_MAX, now, left) > 0;
  }

  /** @returns what is left of the budget */
  #forgetAmong(
    among: OldestFirst<Service, number>,
    most: number,
    now: number,
    budget: number,
  ): number {
    for (let left = budget; left > 0; left--) {
      const { oldest } = among;
      if (oldest === null) return left;
      const { key: service, value: endedAt } = oldest;
      if (endedAt + REMEMBERED_MS > now && among.size <= most) return left;
      among.shift();
      const { usedAt } = service.counted;
      // Above the maximum nothing keeps it: anyone can name services.
      if (service.waiting.hasCounted && among.size < most) {
        among.set(service, now);
        continue;
      }
      if (usedAt > endedAt && among.size < most) {
        // Clients that do not wait for a worker were refused meanwhile.
        among.set(service, usedAt);
        continue;
      }
      service.waiting.end();
      this.#byName.delete(service.id);
      this.#byId[service.id] = null;
      this.#freeIds.push(service.id);
      this.#counted.forget(service.counted);
    }
    return 0;
  }

  /** The service is in use, or has stored requests, again. */
  #recall(service: Service): void {
    this.#remembered.delete(service);
    this.#rememberedUnserved.delete(service);
  }

  all(): IterableIterator<Service> {
    return this.from(0);
  }

  /** Services whose number is at least `id`, in order of their numbers. */
  *from(id: number): IterableIterator<Service> {
    for (let at = id; at < this.#byId.length; at++) {
      const service = this.#byId[at] ?? null;
      if (service !== null) yield service;
    }
  }
}

/** Whether a service is in use, or listed because of what is stored for it, or of what an operator ordered. */
function isKept({ namedBy, hasStored, isPaused, isLimited }: Service): boolean {
  return namedBy !== null || hasStored || isPaused || isLimited;
}
