/** What a store in memory has: requests, idempotency keys, and tombstones of requests. */
import { isWork } from '../store/record-kind.js';
import type { StoredDeath, StoredReply } from '../store/record-codec.js';
import type {
  Attempt,
  Owner,
  RequestUuid,
  ServiceCount,
  StoredRequest,
  Tombstone as TombstoneFacts,
} from '../store/store.js';

/** What has become of a request. */
export interface EntryHistory {
  readonly attemptsEver: number;
  readonly attempts: readonly (Attempt & { readonly ordinal: number })[];
  readonly reply: StoredReply | null;
  readonly death: StoredDeath | null;
  readonly extra: Buffer | null;
}

/** A request. */
export interface Entry extends EntryHistory {
  readonly request: StoredRequest;
  readonly key: Buffer | null;
  readonly body: Buffer;
  /** The transactions that last changed it, and that stored its body here. */
  readonly changed: number;
  readonly born: number;
}

export interface Key {
  readonly service: Buffer;
  readonly key: Buffer;
  readonly uuid: Buffer;
  /** `null` while its request exists. */
  readonly until: number | null;
  readonly owner: Owner;
  readonly extra: Buffer | null;
  readonly changed: number;
}

export interface Tombstone extends TombstoneFacts {
  readonly uuid: Buffer;
  readonly changed: number;
}

export const NOTHING_OF_IT = { pending: 0, retrying: 0, replied: 0, dead: 0 };

/** The counts of each service, in the order of their names. */
export function countServices(
  entries: Iterable<{ readonly request: StoredRequest }>,
): readonly ServiceCount[] {
  const counts = new Map<string, { -readonly [Key in keyof ServiceCount]: ServiceCount[Key] }>();
  for (const { request } of entries) {
    const { service, kind, state, attempts } = request;
    if (!isWork(kind)) continue;
    const name = service.toString('latin1');
    const count = counts.get(name) ?? { service, ...NOTHING_OF_IT };
    count[state]++;
    if (state === 'pending' && attempts > 0) count.retrying++;
    counts.set(name, count);
  }
  return [...counts.values()].sort((a, b) => a.service.compare(b.service));
}

export function nameOf(uuid: RequestUuid): string {
  return uuid.toString('latin1');
}

export function keyName(service: Buffer, key: Buffer, owner: Owner): string {
  return `${service.toString('hex')}:${key.toString('hex')}:${owner}`;
}
