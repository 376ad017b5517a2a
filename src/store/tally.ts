/**
 * What a store holds for each service and owner: counted when it is opened, and from then on with each
 * transaction, in memory. In the store, these would be rows that every receipt writes.
 */
import { countOf, isWork, noCounts, type RecordKind, type StoredState } from './record-kind.js';
import {
  type Owner,
  type OwnerCount,
  type ServiceCount,
  SERVICES_COUNTED_MAX,
  type StoreCounts,
  type StoredRequest,
} from './store.js';

/** `bytes` as in `Delta`. */
export type ContentCounts = Omit<StoreCounts, 'nextNumber'>;

/** Requests that entered a state (1) or left it (-1), or bytes of keys that are kept. */
export interface Delta {
  /** `null`: keys. */
  readonly service: Buffer | null;
  readonly kind: RecordKind;
  readonly owner: Owner;
  readonly state: StoredState;
  readonly isRetrying: boolean;
  readonly requests: number;
  /** The bytes of bodies, replies and fields, or of keys. */
  readonly bytes: number;
}

/** A record of the given bytes enters the state that it is in (1), or leaves it (-1). */
export function requestDelta(
  {
    service,
    owner,
    state,
    attempts,
    kind,
  }: Pick<StoredRequest, 'service' | 'owner' | 'state' | 'attempts' | 'kind'>,
  requests: 1 | -1,
  bytes: number,
): Delta {
  const isRetrying = state === 'pending' && attempts > 0;
  return { service, owner, kind, state, isRetrying, requests, bytes: requests * bytes };
}

/** Keys that are kept from now on, or, with a negative number, are not any more. */
export function keysDelta(owner: Owner, bytes: number): Delta {
  return {
    service: null,
    owner,
    kind: 'request',
    state: 'pending',
    isRetrying: false,
    requests: 0,
    bytes,
  };
}

type ServiceNumbers = { -readonly [Key in keyof Omit<ServiceCount, 'service'>]: number };

export class Tally {
  readonly #services = new Map<string, ServiceNumbers>();
  readonly #owners = new Map<Owner, { stored: number; bytes: number }>();
  #bytes = 0;
  readonly #counts = noCounts();

  /** @param content its requests, as if they had just arrived */
  constructor(content: readonly Delta[]) {
    this.apply(content);
  }

  /** All that is reported when a store is opened. */
  get all(): ContentCounts {
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
  apply(deltas: readonly Delta[]): ContentCounts {
    const services = new Set<string>();
    const owners = new Set<Owner>();
    for (const { service, owner, kind, state, isRetrying, requests, bytes } of deltas) {
      if (service !== null) this.#counts[countOf({ kind, state })] += requests;
      if (service !== null && isWork(kind)) {
        const name = service.toString('latin1');
        const none = { pending: 0, retrying: 0, replied: 0, dead: 0 };
        const ofService = this.#services.get(name) ?? none;
        ofService[state] += requests;
        if (isRetrying) ofService.retrying += requests;
        this.#services.set(name, ofService);
        services.add(name);
      }
      const ofOwner = this.#owners.get(owner) ?? { stored: 0, bytes: 0 };
      // Schedules count here, too, besides their own quota.
      ofOwner.stored += requests;
      ofOwner.bytes += bytes;
      this.#owners.set(owner, ofOwner);
      owners.add(owner);
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

  #report(names: Iterable<string>, owners: Iterable<Owner>, servicesMax: number): ContentCounts {
    return {
      ...this.#counts,
      bytes: this.#bytes,
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

/** The services with the most requests. */
function most(counts: ServiceCount[], max: number): readonly ServiceCount[] {
  if (counts.length <= max) return counts;
  const weight = ({ pending, replied, dead }: ServiceCount): number => pending + replied + dead;
  return counts.sort((one, other) => weight(other) - weight(one)).slice(0, max);
}

type Sum = { -readonly [Field in keyof Delta]: Delta[Field] };

/** Whether a delta counts for the same requests as a sum. */
function isOfSum(delta: Delta, sum: Sum | null): sum is Sum {
  const { service, owner, kind, state, isRetrying } = delta;
  if (service === null || sum?.service?.equals(service) !== true) return false;
  return (
    owner === sum.owner && kind === sum.kind && state === sum.state && isRetrying === sum.isRetrying
  );
}

/** Changes, added up. */
export class DeltaSum {
  readonly #sums = new Map<string, Sum>();
  #last: Sum | null = null;

  add(delta: Delta): void {
    // Most changes of a batch are alike.
    const sum = isOfSum(delta, this.#last) ? this.#last : this.#sumOf(delta);
    this.#last = sum;
    sum.requests += delta.requests;
    sum.bytes += delta.bytes;
  }

  #sumOf(delta: Delta): Sum {
    const { service, owner, kind, state, isRetrying } = delta;
    const ofService = service === null ? 'keys' : service.toString('latin1');
    const name = `${kind} ${state} ${isRetrying} ${service === null} ${owner.length} ${owner}${ofService}`;
    let sum = this.#sums.get(name);
    if (sum === undefined) {
      sum = { ...delta, requests: 0, bytes: 0 };
      this.#sums.set(name, sum);
    }
    return sum;
  }

  get all(): readonly Delta[] {
    return [...this.#sums.values()];
  }
}
