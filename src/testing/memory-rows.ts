/** What a store in memory has: requests, idempotency keys, and tombstones of requests. */
import { isWork } from '../store/record-kind.js';
import type { RequestState } from '../store/join.js';
import type { RequestRecord, StoredDeath, StoredReply } from '../store/record-codec.js';
import type {
  Attempt,
  Holding,
  Owner,
  OwnerCount,
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

/** The whole content in a canonical order: stores with equal content give equal values. */
export interface StoreContent {
  readonly nextNumber: number;
  readonly requests: readonly Entry[];
  readonly keys: readonly Key[];
  readonly tombstones: readonly Tombstone[];
  /** Owners with any content. */
  readonly owners: readonly OwnerCount[];
  /** Services with any content. */
  readonly services: readonly ServiceCount[];
  readonly holds: Holding | null;
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

/** As the peer is told of it. */
export function recordOf(entry: Entry, withBody: boolean): RequestRecord {
  const { request, key, body, attemptsEver, attempts, reply, death, extra } = entry;
  const bare = attempts.map(({ ordinal: _ordinal, ...attempt }) => attempt);
  const history = { attemptsEver, attempts: bare, reply, death, extra };
  return { kind: 'request', request, key, body: withBody ? body : null, ...history };
}

/** What a record tells of attempts and their ends, as an entry has it. */
export function historyOf(record: RequestState): EntryHistory {
  const { attemptsEver, attempts, reply, death, extra } = record;
  const first = attemptsEver - attempts.length + 1;
  const numbered = attempts.map((attempt, at) => ({ ...attempt, ordinal: first + at }));
  return { attemptsEver, attempts: numbered, reply, death, extra };
}

export function nameOf(uuid: RequestUuid): string {
  return uuid.toString('latin1');
}

export function keyName(service: Buffer, key: Buffer, owner: Owner): string {
  return `${service.toString('hex')}:${key.toString('hex')}:${owner}`;
}
