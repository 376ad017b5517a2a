/** The content of a store of a node of a pair, in memory: also the records of extensions, and what the nodes exchange. */
import { present } from '../../src/core/assert.js';
import { nextAfter } from '../../src/core/numbers.js';
import { packChunk, unpackChunk } from '../../src/store/chunk-codec.js';
import type { RequestState } from '../../src/store/join.js';
import { merge, type MergeTables } from '../../src/store/merge.js';
import type { NodeRecovered } from '../../src/store/node-store.js';
import type { Ranked, RankedMerged } from '../../src/store/ranked.js';
import { type RequestRecord, RecordWriter, unpackRecords } from '../../src/store/record-codec.js';
import type {
  Chunk,
  Holding,
  Merged,
  OwnerCount,
  ReadCursor,
  RequestUuid,
  ServiceCount,
  Transaction,
} from '../../src/store/store.js';
import {
  countServices,
  type Entry,
  type EntryHistory,
  type Key,
  keyName,
  nameOf,
  type Tombstone,
} from '../../src/testing/memory-rows.js';
import { MemoryTables } from '../../src/testing/memory-tables.js';
import { MemoryRankedRows } from './memory-ranked-rows.js';

const TOMBSTONES_DROPPED = 1000;

let stores = 0;

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

export class MemoryNodeTables extends MemoryTables {
  readonly ranked = new MemoryRankedRows();
  readonly #storeId = Buffer.alloc(16, ++stores);
  #holds: Holding | null = null;
  #peerHolds = 0;

  override open(): NodeRecovered {
    return {
      ...super.open(),
      storeId: this.#storeId,
      holds: this.#holds,
      isNumbered: true,
      epochMax: this.ranked.epochMax,
      parts: this.ranked.parts,
    };
  }

  content(): StoreContent {
    return {
      nextNumber: this.nextNumber,
      requests: this.entries,
      keys: [...this.keys.values()].sort(
        (a, b) =>
          a.service.compare(b.service) ||
          a.key.compare(b.key) ||
          Buffer.from(a.owner).compare(Buffer.from(b.owner)),
      ),
      tombstones: [...this.tombstones.values()].flat().sort((a, b) => a.uuid.compare(b.uuid)),
      owners: this.counts.owners
        .filter(({ stored, bytes }) => stored > 0 || bytes > 0)
        .sort((a, b) => Buffer.from(a.owner).compare(Buffer.from(b.owner))),
      services: countServices(this.requests.values()),
      holds: this.#holds,
    };
  }

  commitRanked(transaction: Transaction, part: number, changes: readonly Ranked[]): void {
    this.transaction = transaction;
    this.ranked.change(transaction, part, changes);
    this.end();
  }

  /** @returns `null` if they cannot be merged; then nothing is changed */
  merge(
    transaction: Transaction,
    chunk: Buffer,
    isFromActive: boolean,
    epochMax = Infinity,
  ): { readonly merged: Merged; readonly parts: readonly RankedMerged[] } | null {
    const found = unpackChunk(chunk, epochMax);
    const records = found === null ? null : unpackRecords(found.requests);
    if (found === null || records === null) return null;
    const before = {
      entries: new Map(this.requests),
      keys: new Map(this.keys),
      tombstones: new Map(this.tombstones),
      nextNumber: this.nextNumber,
    };
    this.transaction = transaction;
    const merged = merge(this.#mergeTables(), records, isFromActive);
    if (merged === null) {
      this.requests = before.entries;
      this.keys = before.keys;
      this.tombstones = before.tombstones;
      this.nextNumber = before.nextNumber;
      return null;
    }
    const peerHolds = Math.max(this.#peerHolds, transaction.peerHolds);
    const parts = found.parts.map((part) => this.ranked.merge(transaction, part, peerHolds));
    this.end();
    return { merged, parts };
  }

  protected override end(): void {
    const { holds, peerHolds } = this.transaction;
    if (holds !== null) this.#holds = holds;
    this.#peerHolds = Math.max(this.#peerHolds, peerHolds);
    const over = [...this.tombstones.values()]
      .flat()
      .filter(({ changed }) => changed <= this.#peerHolds)
      .sort((a, b) => a.changed - b.changed || a.uuid.compare(b.uuid));
    for (const { uuid, by } of over.slice(0, TOMBSTONES_DROPPED)) {
      const rest = this.tombstonesOf(uuid).filter((each) => each.by !== by);
      if (rest.length > 0) this.tombstones.set(nameOf(uuid), rest);
      else this.dropTombstones(uuid);
    }
    this.ranked.dropTombstones(this.#peerHolds);
    super.end();
  }

  /** Whole transactions, one after the other, up to this many requests or bytes. */
  read(place: ReadCursor, requestsMax: number, bytesMax: number): Chunk {
    const records = new RecordWriter();
    // As in sqlite/tables/changed-records.ts.
    const aheadTo = place.changed - 1;
    const isAhead = aheadTo > place.upTo;
    const requests = (isAhead ? [] : [...this.requests.values()])
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
    const whole = next === undefined ? this.last : Math.max(place.upTo, next.changed - 1);
    let upTo = isAhead ? aheadTo : whole;
    const ofParts = this.ranked.changed(place.upTo, upTo, bytesMax - records.bytes);
    ({ upTo } = ofParts);
    const isNew = (at: { readonly changed: number }): boolean =>
      at.changed > place.upTo && at.changed <= upTo;
    for (const { uuid, keyUntil, by, extra } of [...this.tombstones.values()]
      .flat()
      .filter(isNew)) {
      records.add({ kind: 'tombstone', uuid, keyUntil, by, extra });
    }
    for (const { until, ...known } of [...this.keys.values()].filter(isNew)) {
      if (until !== null) records.add({ kind: 'key', ...known, until });
    }
    const isWhole = next === undefined && upTo === this.last;
    const isLast = isWhole && records.bytes + ofParts.bytes < bytesMax;
    const bodiesUpTo = isLast ? this.last : place.bodiesUpTo;
    return {
      records: packChunk({ requests: records.to.takeBuffer(), parts: ofParts.parts }),
      holds: { storeId: this.#storeId, upTo, bodiesUpTo },
      next: isLast ? null : { upTo, bodiesUpTo, changed, number },
    };
  }

  /** The form that a merge compares. */
  #mergeTables(): MergeTables {
    const entryOf = (uuid: RequestUuid): Entry =>
      present(this.requests.get(nameOf(uuid)), 'a request that is there');
    return {
      tombstones: (uuid) => this.tombstonesOf(uuid),
      putTombstone: (uuid, { keyUntil, by, extra }) => {
        this.putTombstone(uuid, { keyUntil, by, extra });
      },
      dropTombstones: (uuid) => this.dropTombstones(uuid),
      request: (uuid) => {
        const entry = this.requests.get(nameOf(uuid));
        return entry === undefined ? null : recordOf(entry, false);
      },
      isFree: (number) => this.entries.every(({ request }) => request.number !== number),
      takeNumber: () => this.nextNumber++,
      insert: (record, body, number) => {
        this.nextNumber = nextAfter(this.nextNumber, number);
        const { number: born } = this.transaction;
        const request = { ...record.request, number };
        const history = historyOf(record);
        this.put({ request, key: null, body, ...history, changed: born, born });
      },
      update: (_before, record) => {
        const { request } = record;
        this.put({ ...entryOf(request.uuid), request, ...historyOf(record) });
      },
      touch: (uuid) => this.put(entryOf(uuid)),
      remove: (uuid, keyUntil) => this.remove(entryOf(uuid), keyUntil),
      keyOf: (service, key, owner) => this.keys.get(keyName(service, key, owner)) ?? null,
      putKey: (service, key, { uuid, until, owner, extra }) => {
        const { number: changed } = this.transaction;
        const known = { service, key, uuid, until, owner, extra, changed };
        this.keys.set(keyName(service, key, owner), known);
      },
      dropKey: (service, key, owner) => this.keys.delete(keyName(service, key, owner)),
      setKeyOf: (uuid, key) => this.put({ ...entryOf(uuid), key }),
    };
  }
}

function isAfter(place: ReadCursor, changed: number, number: number): boolean {
  return changed === place.changed ? number > place.number : changed > place.changed;
}

/** As the peer is told of it. */
function recordOf(entry: Entry, withBody: boolean): RequestRecord {
  const { request, key, body, attemptsEver, attempts, reply, death, extra } = entry;
  const bare = attempts.map(({ ordinal: _ordinal, ...attempt }) => attempt);
  const history = { attemptsEver, attempts: bare, reply, death, extra };
  return { kind: 'request', request, key, body: withBody ? body : null, ...history };
}

/** What a record tells of attempts and their ends, as an entry has it. */
function historyOf(record: RequestState): EntryHistory {
  const { attemptsEver, attempts, reply, death, extra } = record;
  const first = attemptsEver - attempts.length + 1;
  const numbered = attempts.map((attempt, at) => ({ ...attempt, ordinal: first + at }));
  return { attemptsEver, attempts: numbered, reply, death, extra };
}
