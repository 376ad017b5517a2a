/** What a store has, in memory: the ladder of the store port (D16, D17), in the plainest words. */
import { present } from '../../src/core/assert.js';
import { isOnceKey } from '../../src/wire/tsp.js';
import { merge, type MergeTables } from '../../src/titanic/merge.js';
import {
  type RequestRecord,
  RecordWriter,
  type StoredDeath,
  type StoredReply,
  unpackRecords,
} from '../../src/titanic/record-codec.js';
import {
  type Attempt,
  ATTEMPTS_KEPT,
  type Change,
  type ChangeResult,
  type Chunk,
  type Found,
  type Holding,
  type Merged,
  type ReadPlace,
  type Recovered,
  type RequestUuid,
  type StoreCounts,
  type StoredRequest,
  type Transaction,
} from '../../src/titanic/store.js';

export interface Entry {
  readonly request: StoredRequest;
  readonly key: Buffer | null;
  readonly body: Buffer;
  readonly attemptsEver: number;
  readonly attempts: readonly (Attempt & { readonly ordinal: number })[];
  readonly reply: StoredReply | null;
  readonly death: StoredDeath | null;
  /** The transactions that last changed it, and that put its body here. */
  readonly changed: number;
  readonly born: number;
}

interface Key {
  readonly service: Buffer;
  readonly key: Buffer;
  readonly uuid: Buffer;
  /** `null` while its request is there. */
  readonly until: number | null;
  readonly changed: number;
}

interface Tombstone {
  readonly uuid: Buffer;
  readonly keyUntil: number;
  readonly changed: number;
}

/** Everything that a store has, in an order of its own: two stores of equal content are equal here. */
export interface StoreContent {
  readonly nextNumber: number;
  readonly requests: readonly Entry[];
  readonly keys: readonly Key[];
  readonly tombstones: readonly Tombstone[];
  readonly holds: Holding | null;
}

/** What one request takes beside its bytes; only in order of magnitude. */
const ENTRY_BYTES = 200;
const TOMBSTONE_BYTES = 40;
const TOMBSTONES_DROPPED = 1000;
const OPENING_TRANSACTIONS = 2 ** 32;

let stores = 0;

export class MemoryTables {
  #entries = new Map<string, Entry>();
  #keys = new Map<string, Key>();
  #tombstones = new Map<string, Tombstone>();
  #holds: Holding | null = null;
  #nextNumber = 1;
  #openings = 0;
  readonly #storeId = Buffer.alloc(16, ++stores);
  /** The present transaction. */
  #transaction: Transaction = { number: 0, tombstones: 'none', holds: null, peerHolds: 0 };
  #last = 0;
  #peerHolds = 0;

  /** A process begins to use it. */
  open(): Recovered {
    this.#openings++;
    this.#last = this.#openings * OPENING_TRANSACTIONS;
    return {
      counts: this.counts,
      storeId: this.#storeId,
      firstTransaction: this.#last + 1,
      holds: this.#holds,
      isNumbered: true,
    };
  }

  /** The number of the last transaction. */
  get last(): number {
    return this.#last;
  }

  get counts(): StoreCounts {
    const nextNumber = this.#nextNumber;
    const counts = { pending: 0, replied: 0, dead: 0, bytes: 0, nextNumber };
    for (const { request, body, reply } of this.#entries.values()) {
      counts[request.state]++;
      counts.bytes += ENTRY_BYTES + body.length + (reply?.reply.length ?? 0);
    }
    counts.bytes += this.#tombstones.size * TOMBSTONE_BYTES;
    return counts;
  }

  content(): StoreContent {
    return {
      nextNumber: this.#nextNumber,
      requests: this.entries,
      keys: [...this.#keys.values()].sort(
        (a, b) => a.service.compare(b.service) || a.key.compare(b.key),
      ),
      tombstones: [...this.#tombstones.values()].sort((a, b) => a.uuid.compare(b.uuid)),
      holds: this.#holds,
    };
  }

  /** In the order of their numbers. */
  get entries(): readonly Entry[] {
    return [...this.#entries.values()].sort((a, b) => a.request.number - b.request.number);
  }

  entry(uuid: RequestUuid): Entry | undefined {
    return this.#entries.get(nameOf(uuid));
  }

  commit(transaction: Transaction, changes: readonly Change[]): ChangeResult[] {
    this.#transaction = transaction;
    const results = changes.map((change) => this.#apply(change));
    this.#end();
    return results;
  }

  /** @returns `null` if they cannot be merged: nothing is changed */
  merge(transaction: Transaction, chunk: Buffer, isFromActive: boolean): Merged | null {
    const records = unpackRecords(chunk);
    if (records === null) return null;
    const before = {
      entries: new Map(this.#entries),
      keys: new Map(this.#keys),
      tombstones: new Map(this.#tombstones),
      nextNumber: this.#nextNumber,
    };
    this.#transaction = transaction;
    const merged = merge(this.#mergeTables(), records, isFromActive);
    if (merged === null) {
      this.#entries = before.entries;
      this.#keys = before.keys;
      this.#tombstones = before.tombstones;
      this.#nextNumber = before.nextNumber;
      return null;
    }
    this.#end();
    return merged;
  }

  #end(): void {
    const { number, holds, peerHolds } = this.#transaction;
    if (holds !== null) this.#holds = holds;
    this.#peerHolds = Math.max(this.#peerHolds, peerHolds);
    const over = [...this.#tombstones.values()]
      .filter(({ changed }) => changed <= this.#peerHolds)
      .sort((a, b) => a.changed - b.changed || a.uuid.compare(b.uuid));
    for (const { uuid } of over.slice(0, TOMBSTONES_DROPPED)) this.#tombstones.delete(nameOf(uuid));
    this.#last = number;
  }

  /** One transaction after the other, each whole, until there are so many requests or bytes. */
  read(place: ReadPlace, requestsMax: number, bytesMax: number): Chunk {
    const records = new RecordWriter();
    const requests = [...this.#entries.values()]
      .filter(({ changed, request }) => isAfter(place, changed, request.number))
      .sort((a, b) => a.changed - b.changed || a.request.number - b.request.number);
    let { changed, number } = place;
    let count = 0;
    for (const entry of requests) {
      if (count > 0 && (count === requestsMax || records.bytes >= bytesMax)) break;
      records.add(recordOf(entry, entry.born > place.bodiesUpTo));
      ({ changed } = entry);
      ({ number } = entry.request);
      count++;
    }
    const next = requests[count];
    const upTo = next === undefined ? this.#last : Math.max(place.upTo, next.changed - 1);
    const isNew = (at: { readonly changed: number }): boolean =>
      at.changed > place.upTo && at.changed <= upTo;
    for (const { uuid, keyUntil } of [...this.#tombstones.values()].filter(isNew)) {
      records.add({ kind: 'tombstone', uuid, keyUntil });
    }
    for (const { service, key, uuid, until } of [...this.#keys.values()].filter(isNew)) {
      if (until !== null) records.add({ kind: 'key', service, key, uuid, until });
    }
    const isLast = next === undefined && records.bytes < bytesMax;
    const bodiesUpTo = isLast ? this.#last : place.bodiesUpTo;
    return {
      records: records.take(),
      holds: { storeId: this.#storeId, upTo, bodiesUpTo },
      next: isLast ? null : { upTo, bodiesUpTo, changed, number },
    };
  }

  pending(): StoredRequest[] {
    return [...this.#entries.values()]
      .map(({ request }) => request)
      .filter(({ state }) => state === 'pending')
      .sort((a, b) => a.number - b.number);
  }

  body(uuid: RequestUuid): Buffer | null {
    const entry = this.#entries.get(nameOf(uuid));
    return entry?.request.state === 'pending' ? entry.body : null;
  }

  lookUp(uuid: RequestUuid): Found {
    const entry = this.#entries.get(nameOf(uuid));
    if (entry === undefined) return { state: 'absent' };
    if (entry.reply !== null) return { state: 'replied', reply: entry.reply.reply };
    if (entry.death !== null) return { state: 'dead', reason: entry.death.reason };
    return { state: 'pending' };
  }

  #apply(change: Change): ChangeResult {
    if (change.kind === 'accept') {
      return this.#accept(change.request, change.body, change.key);
    }
    if (change.kind === 'sweep') return this.#sweep(change.now, change.keyUntil, change.most);
    const entry = this.#entries.get(nameOf(change.uuid));
    if (entry === undefined) return this.#endUnknown(change);
    switch (change.kind) {
      case 'close':
      case 'expire':
        this.#remove(entry, change.keyUntil);
        if (this.#transaction.tombstones !== 'none') this.#bury(change.uuid, change.keyUntil);
        return { kind: 'done' };
      case 'retry': {
        const after = retried(entry, change);
        if (after === null) return { kind: 'passed' };
        this.#put(after);
        return { kind: 'retried', request: after.request };
      }
      default: {
        const after = stepped(entry, change);
        if (after === null) return { kind: 'passed' };
        this.#put(after);
        return { kind: 'done' };
      }
    }
  }

  #endUnknown(change: Exclude<Change, { readonly kind: 'accept' | 'sweep' }>): ChangeResult {
    const isEnd = change.kind === 'close' || change.kind === 'expire';
    if (!isEnd || this.#transaction.tombstones !== 'all') return { kind: 'passed' };
    if (this.#tombstones.has(nameOf(change.uuid))) return { kind: 'passed' };
    this.#bury(change.uuid, change.keyUntil);
    return { kind: 'done' };
  }

  #accept(request: StoredRequest, body: Buffer, key: Buffer | null): ChangeResult {
    if (this.#tombstones.has(nameOf(request.uuid))) return { kind: 'passed' };
    const number = Math.max(this.#nextNumber, request.number);
    this.#nextNumber = Math.max(this.#nextNumber, request.number + 1);
    const { number: changed } = this.#transaction;
    const entry = this.#entries.get(nameOf(request.uuid));
    if (entry !== undefined) {
      if (request.generation <= entry.request.generation) return { kind: 'passed' };
      const { generation, attempts, notBefore, expiresAt } = request;
      const now = { generation, attempts, notBefore, expiresAt, state: 'pending' as const };
      this.#put({ ...entry, request: { ...entry.request, ...now }, reply: null, death: null });
      return { kind: 'done' };
    }
    if (key !== null) {
      const known = this.#keys.get(keyName(request.service, key));
      if (known !== undefined && (known.until === null || known.until > request.acceptedAt)) {
        return { kind: 'known', uuid: known.uuid };
      }
      const { service, uuid } = request;
      this.#keys.set(keyName(service, key), { service, key, uuid, until: null, changed });
    }
    this.#nextNumber = Math.max(this.#nextNumber, number + 1);
    const history = { attemptsEver: 0, attempts: [], reply: null, death: null };
    const stored = { ...request, number, state: 'pending' as const };
    this.#put({ request: stored, body, key, ...history, changed, born: changed });
    return { kind: 'done' };
  }

  #sweep(now: number, keyUntil: number, most: number): ChangeResult {
    const over = [...this.#entries.values()]
      .filter(({ request }) => request.state !== 'pending' && request.expiresAt <= now)
      .sort(
        (a, b) =>
          a.request.expiresAt - b.request.expiresAt || a.request.uuid.compare(b.request.uuid),
      );
    const swept = over.slice(0, most);
    const { tombstones } = this.#transaction;
    for (const entry of swept) {
      this.#remove(entry, keyUntil);
      if (tombstones !== 'none') this.#bury(entry.request.uuid, keyUntil);
    }
    const forgettable = [...this.#keys.values()]
      .filter(({ until }) => tombstones !== 'all' && until !== null && until <= now)
      .sort(
        (a, b) =>
          (a.until ?? 0) - (b.until ?? 0) || a.service.compare(b.service) || a.key.compare(b.key),
      );
    for (const { service, key } of forgettable.slice(0, most)) {
      this.#keys.delete(keyName(service, key));
    }
    const replied = swept.filter(({ reply }) => reply !== null).length;
    const more = over.length > most || forgettable.length > most;
    return { kind: 'swept', replied, dead: swept.length - replied, more };
  }

  #put(entry: Entry): void {
    const { number: changed } = this.#transaction;
    this.#entries.set(nameOf(entry.request.uuid), { ...entry, changed });
  }

  #bury(uuid: RequestUuid, keyUntil: number): void {
    const { number: changed } = this.#transaction;
    this.#tombstones.set(nameOf(uuid), { uuid, keyUntil, changed });
  }

  /** As a merge sees them. */
  #mergeTables(): MergeTables {
    const entryOf = (uuid: RequestUuid): Entry =>
      present(this.#entries.get(nameOf(uuid)), 'a request that is there');
    return {
      tombstone: (uuid) => this.#tombstones.get(nameOf(uuid))?.keyUntil ?? null,
      putTombstone: (uuid, keyUntil) => this.#bury(uuid, keyUntil),
      request: (uuid) => {
        const entry = this.#entries.get(nameOf(uuid));
        return entry === undefined ? null : recordOf(entry, false);
      },
      isFree: (number) => this.entries.every(({ request }) => request.number !== number),
      takeNumber: () => this.#nextNumber++,
      insert: ({ request, attemptsEver, attempts, reply, death }, body, number) => {
        this.#nextNumber = Math.max(this.#nextNumber, number + 1);
        const { number: born } = this.#transaction;
        const numbered = { ...request, number };
        const history = { attemptsEver, attempts: inOrder(attempts, attemptsEver), reply, death };
        this.#put({ request: numbered, key: null, body, ...history, changed: born, born });
      },
      update: (_before, { request, attemptsEver, attempts, reply, death }) => {
        const history = { attemptsEver, attempts: inOrder(attempts, attemptsEver), reply, death };
        this.#put({ ...entryOf(request.uuid), request, ...history });
      },
      touch: (uuid) => this.#put(entryOf(uuid)),
      remove: (uuid, keyUntil) => this.#remove(entryOf(uuid), keyUntil),
      key: (service, key) => this.#keys.get(keyName(service, key)) ?? null,
      putKey: (service, key, { uuid, until }) => {
        const { number: changed } = this.#transaction;
        this.#keys.set(keyName(service, key), { service, key, uuid, until, changed });
      },
      dropKey: (service, key) => this.#keys.delete(keyName(service, key)),
      setKeyOf: (uuid, key) => this.#put({ ...entryOf(uuid), key }),
    };
  }

  #remove({ request, key }: Entry, until: number): void {
    this.#entries.delete(nameOf(request.uuid));
    if (key === null) return;
    const name = keyName(request.service, key);
    const known = present(this.#keys.get(name), 'a request in the store has its key');
    if (!known.uuid.equals(request.uuid)) return;
    if (isOnceKey(key)) this.#keys.delete(name);
    else this.#keys.set(name, { ...known, until, changed: this.#transaction.number });
  }
}

function isAfter(place: ReadPlace, changed: number, number: number): boolean {
  return changed === place.changed ? number > place.number : changed > place.changed;
}

function recordOf(entry: Entry, withBody: boolean): RequestRecord {
  const { request, key, body, attemptsEver, attempts, reply, death } = entry;
  const bare = attempts.map(({ worker, startedAt, endedAt, reason }) => ({
    worker,
    startedAt,
    endedAt,
    reason,
  }));
  const history = { attemptsEver, attempts: bare, reply, death };
  return { kind: 'request', request, key, body: withBody ? body : null, ...history };
}

function inOrder(attempts: readonly Attempt[], ever: number): Entry['attempts'] {
  return attempts.map((attempt, at) => ({ ...attempt, ordinal: ever - attempts.length + at + 1 }));
}

type Step = Extract<Change, { readonly kind: 'attempt' | 'reply' | 'dead' }>;

/** The entry after a step up, or `null` if it is none (D17). */
function stepped(entry: Entry, step: Step): Entry | null {
  const { request } = entry;
  if (step.generation < request.generation) return null;
  const isLater = step.generation > request.generation;
  const { generation } = step;
  switch (step.kind) {
    case 'attempt': {
      const counts = request.state === 'pending' && step.attempts > request.attempts;
      if (!isLater && !counts) return null;
      const ordinal = entry.attemptsEver + 1;
      const { attempts, notBefore } = step;
      return {
        ...entry,
        request: { ...request, state: 'pending', generation, attempts, notBefore },
        attemptsEver: ordinal,
        attempts: [...entry.attempts, { ...step.attempt, ordinal }].slice(-ATTEMPTS_KEPT),
        reply: null,
        death: null,
      };
    }
    case 'reply': {
      if (!isLater && request.state === 'replied') return null;
      const { expiresAt, reply, worker, at } = step;
      return {
        ...entry,
        request: { ...request, state: 'replied', generation, expiresAt },
        reply: { reply, worker, at },
        death: null,
      };
    }
    case 'dead': {
      if (!isLater && request.state !== 'pending') return null;
      const { expiresAt, reason, at } = step;
      return {
        ...entry,
        request: { ...request, state: 'dead', generation, expiresAt },
        reply: null,
        death: { reason, at },
      };
    }
  }
}

function retried(
  entry: Entry,
  { generation, at, expiresAt }: Extract<Change, { readonly kind: 'retry' }>,
): Entry | null {
  const { request } = entry;
  if (generation <= request.generation) return null;
  const now = { state: 'pending' as const, generation, attempts: 0, notBefore: at, expiresAt };
  return { ...entry, request: { ...request, ...now }, reply: null, death: null };
}

function nameOf(uuid: RequestUuid): string {
  return uuid.toString('latin1');
}

function keyName(service: Buffer, key: Buffer): string {
  return `${service.toString('hex')}:${key.toString('hex')}`;
}
