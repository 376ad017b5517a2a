/**
 * The merge of D17, over whatever tables a store has: takes the records of another store.
 *
 * What is above on the ladder wins, on both sides alike. Where two histories stand the same and are
 * not (two replies, one key of two requests) the side that stays active decides: it keeps what it
 * has and has it shipped again, the other takes it. So the passive node's records are merged by the
 * active one first, then the active's by the passive, and both are equal.
 */
import { isOnceKey } from '../wire/tsp.js';
import { join, type RequestState } from './join.js';
import type { KeyRecord, RequestRecord, StoreRecord, TombstoneRecord } from './record-codec.js';
import type { Merged, RequestUuid, StoredRequest } from './store.js';

export interface KnownKey {
  readonly uuid: RequestUuid;
  /** `null` while its request is in the store. */
  readonly until: number | null;
}

/** A request that is here. */
export type RequestHere = RequestState & Pick<RequestRecord, 'key'>;

/** The tables of a store, within the transaction of a merge: what is put counts as changed by it. */
export interface MergeTables {
  /** Until when the key of a closed or expired request is to be remembered; `null` for no tombstone. */
  tombstone(uuid: RequestUuid): number | null;
  putTombstone(uuid: RequestUuid, keyUntil: number): void;
  request(uuid: RequestUuid): RequestHere | null;
  isFree(number: number): boolean;
  takeNumber(): number;
  /** A request that is not there, without a key. */
  insert(record: RequestRecord, body: Buffer, number: number): void;
  update(before: RequestState, after: RequestState): void;
  /** It did not change, but counts as changed. */
  touch(uuid: RequestUuid): void;
  /** Ends a request as a close does. */
  remove(uuid: RequestUuid, keyUntil: number): void;
  key(service: Buffer, key: Buffer): KnownKey | null;
  putKey(service: Buffer, key: Buffer, known: KnownKey): void;
  dropKey(service: Buffer, key: Buffer): void;
  /** The key of a request that is there; `null`: it leads elsewhere. */
  setKeyOf(uuid: RequestUuid, key: Buffer | null): void;
}

/** @returns `null` if a body is missing: the records are not what this store lacks */
export function merge(
  tables: MergeTables,
  records: readonly StoreRecord[],
  isFromActive: boolean,
): Merged | null {
  const merging = new Merging(tables, isFromActive);
  for (const record of records) if (record.kind === 'tombstone') merging.tombstone(record);
  for (const record of records) {
    if (record.kind === 'request' && !merging.request(record)) return null;
  }
  merging.number();
  for (const record of records) if (record.kind === 'key') merging.key(record);
  return merging.merged;
}

/** A request that is not here. */
interface NewRequest {
  readonly record: RequestRecord;
  readonly body: Buffer;
}

class Merging {
  readonly #tables: MergeTables;
  readonly #isFromActive: boolean;
  #joined = 0;
  #ranTwice = 0;
  readonly #opened = new Map<string, StoredRequest>();
  readonly #ended = new Map<string, RequestUuid>();
  /** By uuid: those whose number is another's here. */
  readonly #unnumbered = new Map<string, NewRequest>();

  constructor(tables: MergeTables, isFromActive: boolean) {
    this.#tables = tables;
    this.#isFromActive = isFromActive;
  }

  get merged(): Merged {
    return {
      joined: this.#joined,
      ranTwice: this.#ranTwice,
      opened: [...this.#opened.values()],
      ended: [...this.#ended.values()],
    };
  }

  tombstone({ uuid, keyUntil }: TombstoneRecord): void {
    const known = this.#tables.tombstone(uuid);
    if (known !== null) {
      if (keyUntil > known) this.#tables.putTombstone(uuid, keyUntil);
      return;
    }
    const before = this.#tables.request(uuid);
    if (before !== null) {
      this.#tables.remove(uuid, keyUntil);
      this.#joined++;
      if (before.request.state === 'pending') this.#end(uuid);
    }
    this.#tables.putTombstone(uuid, keyUntil);
  }

  /** @returns false if its body is missing */
  request(record: RequestRecord): boolean {
    const { key, body } = record;
    const { uuid, service, number } = record.request;
    const keyUntil = this.#tables.tombstone(uuid);
    if (keyUntil !== null) {
      if (key !== null) this.key({ kind: 'key', service, key, uuid, until: keyUntil });
      return true;
    }
    const before = this.#tables.request(uuid);
    if (before !== null) this.#join(before, record);
    else if (body === null) return false;
    else if (this.#tables.isFree(number)) this.#insert({ record, body }, number);
    else this.#unnumbered.set(nameOf(uuid), { record, body });
    return true;
  }

  /** Those whose number is another's here come after all others. */
  number(): void {
    const requests = [...this.#unnumbered.values()].sort(
      ({ record: { request: a } }, { record: { request: b } }) =>
        a.acceptedAt - b.acceptedAt || a.uuid.compare(b.uuid),
    );
    for (const request of requests) this.#insert(request, this.#tables.takeNumber());
  }

  #insert({ record, body }: NewRequest, number: number): void {
    const { request, key } = record;
    this.#tables.insert(record, body, number);
    this.#joined++;
    if (request.state === 'pending') this.#open({ ...request, number });
    if (key !== null) this.#lead(request, key);
  }

  #join(before: RequestHere, record: RequestRecord): void {
    const { state: after, isChanged, isKept, ranTwice } = join(before, record, this.#isFromActive);
    const { request } = after;
    if (ranTwice) this.#ranTwice++;
    if (isChanged) {
      this.#tables.update(before, after);
      this.#joined++;
      if (request.state === 'pending') this.#open(request);
      else if (before.request.state === 'pending') this.#end(request.uuid);
    } else if (isKept) {
      this.#tables.touch(request.uuid);
    }
    if (record.key !== null) this.#lead(request, record.key);
    else if (before.key !== null) this.#leadNowhere(request, before.key);
  }

  /** There, the key leads to this request, which is here, too. */
  #lead({ service, uuid }: StoredRequest, key: Buffer): void {
    const known = this.#tables.key(service, key);
    if (known?.uuid.equals(uuid) === true && known.until === null) return;
    // One whose request is over stands back behind one whose request is there.
    if (known?.until === null && !this.#isFromActive) {
      this.#tables.touch(known.uuid);
      return;
    }
    this.#unlead(known);
    this.#tables.putKey(service, key, { uuid, until: null });
    this.#tables.setKeyOf(uuid, key);
  }

  /** Here, the key leads to this request; there, it led to another, or does. */
  #leadNowhere({ service, uuid }: StoredRequest, key: Buffer): void {
    if (!this.#isFromActive) {
      this.#tables.touch(uuid);
      return;
    }
    this.#tables.dropKey(service, key);
    this.#tables.setKeyOf(uuid, null);
  }

  /** There, the key leads to a request that is over. */
  key({ service, key, uuid, until }: KeyRecord): void {
    if (isOnceKey(key)) return;
    const known = this.#tables.key(service, key);
    if (known?.uuid.equals(uuid) === true) {
      // Its tombstone ends a request that is there yet.
      if (known.until === null || known.until >= until) return;
    } else if (known !== null && !this.#isFromActive) {
      if (known.until === null) this.#tables.touch(known.uuid);
      else this.#tables.putKey(service, key, known);
      return;
    }
    this.#unlead(known);
    this.#tables.putKey(service, key, { uuid, until });
  }

  #unlead(known: KnownKey | null): void {
    if (known?.until === null) this.#tables.setKeyOf(known.uuid, null);
  }

  #open(request: StoredRequest): void {
    const name = nameOf(request.uuid);
    this.#ended.delete(name);
    this.#opened.set(name, request);
  }

  #end(uuid: RequestUuid): void {
    const name = nameOf(uuid);
    this.#opened.delete(name);
    this.#ended.set(name, uuid);
  }
}

function nameOf(uuid: RequestUuid): string {
  return uuid.toString('latin1');
}
