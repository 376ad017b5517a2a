/**
 * What a store holds, counted by a broker that uses it: when it is opened, and from then on with each
 * of its batches. While others use it too, all is counted again every few seconds (recount.ts). So no
 * row has to be kept for it, which all writers of a service would wait for.
 */
import {
  type Owner,
  type OwnerCount,
  type ServiceCount,
  SERVICES_COUNTED_MAX,
  type StoreCounts,
  type StoredState,
} from '../../store/store.js';
import { TITANIC_SCHEDULE } from '../../wire/tsp.js';

/** What a request takes besides its body, reply and fields: rows and index entries, roughly. */
const REQUEST_BYTES = 512;

/** Requests that entered a state (1) or left it (-1), or bytes of keys that are kept. */
export interface Delta {
  /** `null`: keys. */
  readonly service: Buffer | null;
  readonly owner: Owner;
  readonly state: StoredState;
  readonly isRetrying: boolean;
  readonly requests: number;
  /** The bytes of bodies, replies and fields, or of keys. */
  readonly bytes: number;
}

/** Keys that are kept from now on, or, with a negative number, are not any more. */
export function keysDelta(owner: Owner, bytes: number): Delta {
  return { service: null, owner, state: 'pending', isRetrying: false, requests: 0, bytes };
}

type ServiceNumbers = { -readonly [Key in keyof Omit<ServiceCount, 'service'>]: number };

export class Tally {
  readonly #services = new Map<string, ServiceNumbers>();
  readonly #owners = new Map<Owner, { stored: number; bytes: number }>();
  #bytes = 0;
  readonly #states = { pending: 0, replied: 0, dead: 0 };
  /** @param content its requests, as if they had just arrived */
  constructor(content: readonly Delta[]) {
    this.apply(content);
  }

  /** All that is reported when a store is opened. */
  get all(): StoreCounts {
    return this.#report(this.#services.keys(), this.#owners.keys(), SERVICES_COUNTED_MAX);
  }

  /** The services and owners that another one does not have, as having nothing. */
  without(other: Tally): Pick<StoreCounts, 'owners' | 'services'> {
    const none = { pending: 0, retrying: 0, replied: 0, dead: 0 };
    const names = [...this.#services.keys()].filter((name) => !other.#services.has(name));
    const owners = [...this.#owners.keys()].filter((owner) => !other.#owners.has(owner));
    return {
      owners: owners.map((owner) => ({ owner, stored: 0, bytes: 0 })),
      services: names.map((name) => ({ service: Buffer.from(name, 'latin1'), ...none })),
    };
  }

  /** @returns the counts of those that changed */
  apply(deltas: readonly Delta[]): StoreCounts {
    const services = new Set<string>();
    const owners = new Set<Owner>();
    for (const { service, owner, state, isRetrying, requests, bytes } of deltas) {
      if (service !== null) {
        const name = service.toString('latin1');
        const none = { pending: 0, retrying: 0, replied: 0, dead: 0 };
        const ofService = this.#services.get(name) ?? none;
        ofService[state] += requests;
        if (isRetrying) ofService.retrying += requests;
        this.#services.set(name, ofService);
        services.add(name);
      }
      const ofOwner = this.#owners.get(owner) ?? { stored: 0, bytes: 0 };
      ofOwner.stored += requests;
      ofOwner.bytes += bytes;
      this.#owners.set(owner, ofOwner);
      owners.add(owner);
      this.#states[state] += requests;
      this.#bytes += bytes;
    }
    const report = this.#report(services, owners, Infinity);
    for (const name of services) {
      const of = this.#services.get(name);
      if (of !== undefined && of.pending + of.replied + of.dead === 0) this.#services.delete(name);
    }
    for (const owner of owners) {
      const { stored, bytes } = this.#ownerCount(owner);
      if (stored === 0 && bytes === 0) this.#owners.delete(owner);
    }
    return report;
  }

  #report(names: Iterable<string>, owners: Iterable<Owner>, servicesMax: number): StoreCounts {
    const { pending, replied, dead } = this.#states;
    const bytes = this.#bytes + REQUEST_BYTES * (pending + replied + dead);
    return {
      ...{ pending, replied, dead, bytes },
      // The store gives numbers itself, by its clock.
      nextNumber: 1,
      owners: [...owners].map((owner) => this.#ownerCount(owner)),
      services: most(
        [...names].map((name) => this.#serviceCount(name)),
        servicesMax,
      ),
    };
  }

  #ownerCount(owner: Owner): OwnerCount {
    return { owner, stored: 0, bytes: 0, ...this.#owners.get(owner) };
  }

  #serviceCount(name: string): ServiceCount {
    const none = { pending: 0, retrying: 0, replied: 0, dead: 0 };
    return { service: Buffer.from(name, 'latin1'), ...none, ...this.#services.get(name) };
  }
}

/** The schedules, and those with the most requests. */
function most(counts: ServiceCount[], max: number): readonly ServiceCount[] {
  if (counts.length <= max) return counts;
  const weight = ({ service, pending, replied, dead }: ServiceCount): number =>
    service.toString('latin1') === TITANIC_SCHEDULE ? Infinity : pending + replied + dead;
  return counts.sort((one, other) => weight(other) - weight(one)).slice(0, max);
}

/**
 * What a store holds, as it is reported: after all was counted anew, also that there is nothing left of
 * services and owners that had something when they were last reported.
 */
export class ReportedCounts {
  #tally: Tally;
  /** What was changed since a count began; `null`: none has begun. */
  #since: DeltaSum | null = null;
  /** As it was last reported; `null`: all was reported. */
  #before: Tally | null = null;

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  /** A count begins: it sees what was applied before, and nothing that follows. */
  begin(): void {
    this.#since = new DeltaSum();
  }

  /** @param tally what was counted */
  replace(tally: Tally): void {
    tally.apply(this.#since?.all ?? []);
    this.#since = null;
    this.#before ??= this.#tally;
    this.#tally = tally;
  }

  /** @returns the counts of those that changed since the last report */
  apply(deltas: readonly Delta[]): StoreCounts {
    this.#since?.add(deltas);
    const changed = this.#tally.apply(deltas);
    return this.#before === null ? changed : this.takeAll();
  }

  /** All, and those of which nothing is left since the last report. */
  takeAll(): StoreCounts {
    const { all } = this.#tally;
    const before = this.#before;
    this.#before = null;
    if (before === null) return all;
    const gone = before.without(this.#tally);
    return {
      ...all,
      owners: [...gone.owners, ...all.owners],
      services: [...gone.services, ...all.services],
    };
  }
}

/** Changes, added up. */
class DeltaSum {
  readonly #deltas = new Map<string, { -readonly [Field in keyof Delta]: Delta[Field] }>();

  add(deltas: readonly Delta[]): void {
    for (const delta of deltas) {
      const { service, owner, state, isRetrying, requests, bytes } = delta;
      const name = `${state} ${isRetrying} ${service?.toString('hex')} ${owner}`;
      const sum = this.#deltas.get(name);
      if (sum === undefined) {
        this.#deltas.set(name, { ...delta });
      } else {
        sum.requests += requests;
        sum.bytes += bytes;
      }
    }
  }

  get all(): readonly Delta[] {
    return [...this.#deltas.values()];
  }
}
