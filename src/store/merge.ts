/**
 * The merge of D17, on the tables of any store: takes in the records of another store.
 *
 * The state that is higher on the ladder wins, on both sides alike. Where two histories have the
 * same rank but differ (two replies, one key for two requests), the side that stays active decides:
 * it keeps what it has and ships it again, and the other side takes it. So the active node merges
 * the passive node's records first, then the passive node merges the active node's, and both are
 * equal.
 */
import { isOnceKey, isScheduleKey } from '../wire/tsp.js';
import { keyExtraOf } from './fields.js';
import { join, type RequestState } from './join.js';
import { joinExtra } from '../core/numbered-fields.js';
import type { KeyRecord, RequestRecord, StoreRecord, TombstoneRecord } from './record-codec.js';
import {
  ANY_OWNER,
  type Closer,
  isOpenTo,
  type Merged,
  type Owner,
  type RequestUuid,
  type StoredRequest,
  type Tombstone,
} from './store.js';

export interface KnownKey {
  readonly owner: Owner;
  readonly uuid: RequestUuid;
  /** `null` while its request is in the store. */
  readonly until: number | null;
  /** Fields of a later version, as they came. */
  readonly extra: Buffer | null;
}

/** A request that is in this store. */
export type RequestHere = RequestState & Pick<RequestRecord, 'key'>;

/**
 * The tables of a store, within the transaction of a merge. Everything put counts as changed by it.
 */
export interface MergeTables {
  /** All tombstones of a uuid. */
  tombstones(uuid: RequestUuid): readonly Tombstone[];
  /** Added beside tombstones by others. */
  putTombstone(uuid: RequestUuid, tombstone: Tombstone): void;
  dropTombstones(uuid: RequestUuid): void;
  request(uuid: RequestUuid): RequestHere | null;
  isFree(number: number): boolean;
  takeNumber(): number;
  /** Inserts a request that is not in the store, without its key. */
  insert(record: RequestRecord, body: Buffer, number: number): void;
  update(before: RequestState, after: RequestState): void;
  /** The request did not change, but counts as changed. */
  touch(uuid: RequestUuid): void;
  /** Ends a request like a close does. */
  remove(uuid: RequestUuid, keyUntil: number): void;
  keyOf(service: Buffer, key: Buffer, owner: Owner): KnownKey | null;
  putKey(service: Buffer, key: Buffer, known: KnownKey): void;
  dropKey(service: Buffer, key: Buffer, owner: Owner): void;
  /** Sets the key of a request that is in the store; `null`: the key leads elsewhere. */
  setKeyOf(uuid: RequestUuid, key: Buffer | null): void;
}

/** @returns `null` if a body is missing: then the records are not those that this store lacks */
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
  merging.insertTheRest();
  for (const record of records) if (record.kind === 'key') merging.key(record);
  return merging.merged;
}

/** A request that is not in this store. */
interface MissingRequest {
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
  /** By uuid: requests whose number is taken here by another. */
  readonly #withoutNumber = new Map<string, MissingRequest>();

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

  tombstone(record: TombstoneRecord): void {
    const { uuid, keyUntil, by, extra } = record;
    const before = this.#tables.request(uuid);
    if (before === null) {
      this.#recordTombstone(uuid, record);
      return;
    }
    // D71: a close of a uuid that was unknown there concerned another owner's request.
    if (!isOpenTo(by, before.request)) {
      this.#tables.touch(uuid);
      return;
    }
    this.#tables.remove(uuid, keyUntil);
    this.#joined++;
    if (before.request.state === 'pending') this.#end(uuid);
    this.#tables.putTombstone(uuid, { keyUntil, by: ANY_OWNER, extra });
  }

  /** Records the tombstone of a request that is not in this store. */
  #recordTombstone(uuid: RequestUuid, { by, ...record }: Tombstone): void {
    const known = this.#tables.tombstones(uuid);
    // A tombstone of a request that existed also covers those by others.
    const isCertain = by === ANY_OWNER || known.some((each) => each.by === ANY_OWNER);
    const joins = isCertain ? known : known.filter((each) => each.by === by);
    const joined = joinTombstones(isCertain ? ANY_OWNER : by, [...joins, record]);
    const [first] = joins;
    if (joins.length === 1 && first !== undefined && isSameTombstone(first, joined)) return;
    if (isCertain) this.#tables.dropTombstones(uuid);
    this.#tables.putTombstone(uuid, joined);
  }

  /** @returns false if its body is missing */
  request(record: RequestRecord): boolean {
    const { key, body } = record;
    const { uuid, service, number, owner } = record.request;
    const tombstones = this.#tables.tombstones(uuid);
    if (tombstones.some(({ by }) => isOpenTo(by, record.request))) {
      const tombstone = joinTombstones(ANY_OWNER, tombstones);
      const { keyUntil: until } = tombstone;
      if (key !== null) {
        const extra = keyExtraOf(record.extra);
        this.key({ kind: 'key', service, key, uuid, until, owner, extra });
      }
      if (tombstones.some(({ by }) => by !== ANY_OWNER)) {
        this.#tables.dropTombstones(uuid);
        this.#tables.putTombstone(uuid, tombstone);
      }
      return true;
    }
    const before = this.#tables.request(uuid);
    if (before === null && body === null) return false;
    const twin = before === null ? this.#twinOf(record) : null;
    if (twin !== null && key !== null) {
      this.#endTwin(uuid);
      this.#endTwin(record.request.partner);
      this.#sendKey(service, key, twin);
      return true;
    }
    if (tombstones.length > 0) this.#tables.dropTombstones(uuid);
    if (before !== null) this.#join(before, record);
    else if (body !== null && this.#tables.isFree(number)) this.#insert({ record, body }, number);
    else if (body !== null) this.#withoutNumber.set(nameOf(uuid), { record, body });
    return true;
  }

  /**
   * D80: both nodes stored the request of a schedule for the same due time. Nobody was told its uuid,
   * so only that of the node that stays active is kept.
   *
   * @returns the key with the request that is kept
   */
  #twinOf({ key, request: { service, owner, uuid } }: RequestRecord): KnownKey | null {
    if (key === null || !isScheduleKey(key) || this.#isFromActive) return null;
    const known = this.#tables.keyOf(service, key, owner);
    return known?.uuid.equals(uuid) === true ? null : known;
  }

  /** Inserts the requests whose number is taken here, after all others. */
  insertTheRest(): void {
    const requests = [...this.#withoutNumber.values()].sort(
      ({ record: { request: a } }, { record: { request: b } }) =>
        a.acceptedAt - b.acceptedAt || a.uuid.compare(b.uuid),
    );
    for (const request of requests) this.#insert(request, this.#tables.takeNumber());
  }

  #insert({ record, body }: MissingRequest, number: number): void {
    const { request, key, extra } = record;
    this.#tables.insert(record, body, number);
    this.#joined++;
    if (request.state === 'pending') this.#open({ ...request, number });
    if (key !== null) this.#pointKeyHere(request, key, extra);
  }

  #join(before: RequestHere, record: RequestRecord): void {
    const {
      state: after,
      isChanged,
      isNewsToOther,
      ranTwice,
    } = join(before, record, this.#isFromActive);
    const { request } = after;
    if (ranTwice) this.#ranTwice++;
    if (isChanged) {
      this.#tables.update(before, after);
      this.#joined++;
      if (request.state === 'pending') this.#open(request);
      else if (before.request.state === 'pending') this.#end(request.uuid);
    } else if (isNewsToOther) {
      this.#tables.touch(request.uuid);
    }
    if (record.key !== null) this.#pointKeyHere(request, record.key, record.extra);
    else if (before.key !== null) this.#dropKeyOf(request, before.key);
  }

  /** Ends the request of a schedule on the side that yields, and its webhook. */
  #endTwinAndWebhook(uuid: RequestUuid): void {
    const webhook = this.#tables.request(uuid)?.request.partner;
    this.#endTwin(uuid);
    if (webhook !== undefined) this.#endTwin(webhook);
  }

  /** @param uuid of a record that may be here, or in what is merged; empty: none */
  #endTwin(uuid: RequestUuid): void {
    if (uuid.length === 0) return;
    this.#withoutNumber.delete(nameOf(uuid));
    if (this.#tables.request(uuid) === null) {
      this.#recordTombstone(uuid, TWIN_TOMBSTONE);
      return;
    }
    this.#tables.remove(uuid, TWIN_TOMBSTONE.keyUntil);
    this.#tables.putTombstone(uuid, TWIN_TOMBSTONE);
    this.#joined++;
    this.#end(uuid);
  }

  /** On the other side, the key leads to this request, which is also in this store. */
  #pointKeyHere(
    { service, uuid, owner }: StoredRequest,
    key: Buffer,
    extraOfRequest: Buffer | null,
  ): void {
    const known = this.#tables.keyOf(service, key, owner);
    if (known?.uuid.equals(uuid) === true && known.until === null) return;
    // A key whose request has ended yields to one whose request is in the store.
    if (known?.until === null && !this.#isFromActive) {
      this.#tables.touch(known.uuid);
      return;
    }
    if (known?.until === null && isScheduleKey(key)) this.#endTwinAndWebhook(known.uuid);
    else this.#releaseKey(known);
    // What was kept with it belongs to the request that it led to.
    const own = known?.uuid.equals(uuid) === true ? known.extra : null;
    const extra = joinExtra(keyExtraOf(extraOfRequest), own);
    this.#tables.putKey(service, key, { owner, uuid, until: null, extra });
    this.#tables.setKeyOf(uuid, key);
  }

  /** Here, the key leads to this request; on the other side, it leads or led to another. */
  #dropKeyOf({ service, uuid, owner }: StoredRequest, key: Buffer): void {
    if (!this.#isFromActive) {
      this.#tables.touch(uuid);
      return;
    }
    this.#tables.dropKey(service, key, owner);
    this.#tables.setKeyOf(uuid, null);
  }

  /** On the other side, the key leads to a request that has ended. */
  key(record: KeyRecord): void {
    const { service, key, uuid, owner } = record;
    if (isOnceKey(key)) return;
    const known = this.#tables.keyOf(service, key, owner);
    if (known?.uuid.equals(uuid) === true) {
      this.#rememberLonger(known, record);
      return;
    }
    if (known !== null && !this.#isFromActive) {
      this.#sendKey(service, key, known);
      return;
    }
    this.#releaseKey(known);
    this.#tables.putKey(service, key, record);
  }

  /** Sends a key that stays as it is here: the other side may have passed over it in a join that broke off. */
  #sendKey(service: Buffer, key: Buffer, known: KnownKey): void {
    if (known.until === null) this.#tables.touch(known.uuid);
    else this.#tables.putKey(service, key, known);
  }

  /** The key is known here with the same request: it is remembered as long as either side says. */
  #rememberLonger(known: KnownKey, { service, key, until, extra }: KeyRecord): void {
    // The tombstone ends the request, which is still in the store.
    if (known.until === null) return;
    const joined = joinExtra(known.extra, extra);
    if (known.until >= until && joined === known.extra) return;
    const longer = Math.max(known.until, until);
    this.#tables.putKey(service, key, { ...known, until: longer, extra: joined });
  }

  #releaseKey(known: KnownKey | null): void {
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

/** What a twin leaves; its key leads to the request that is kept. */
const TWIN_TOMBSTONE: Tombstone = { keyUntil: 0, by: ANY_OWNER, extra: null };

function joinTombstones(by: Closer, all: readonly Omit<Tombstone, 'by'>[]): Tombstone {
  return {
    by,
    keyUntil: Math.max(...all.map(({ keyUntil }) => keyUntil)),
    extra: all.map(({ extra }) => extra).reduce(joinExtra),
  };
}

function isSameTombstone(one: Tombstone, two: Tombstone): boolean {
  return one.by === two.by && one.keyUntil === two.keyUntil && one.extra === two.extra;
}

function nameOf(uuid: RequestUuid): string {
  return uuid.toString('latin1');
}
