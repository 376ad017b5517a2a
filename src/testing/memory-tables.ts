/**
 * The content of a store in memory: the state ladder of the store port (D16, D17), as simply as
 * possible. Fields are `protected` for a store of a pair, which is in the tests.
 */
import { countOf, hasKind, isWork, noCounts } from '../store/record-kind.js';
import { present } from '../core/assert.js';
import { nextAfter } from '../core/numbers.js';
import { unpackFailure } from '../store/failure-codec.js';
import { joinExtra } from '../core/numbered-fields.js';
import { keyExtraOf, namesAnother, storedContent } from '../store/fields.js';
import { codedReason } from '../wire/failure.js';
import { isOnceKey } from '../wire/tsp.js';
import {
  ANY_OWNER,
  type Change,
  type ChangeResult,
  type Closer,
  endOf,
  type Found,
  isOpenTo,
  keyBytes,
  type Owner,
  type Recovered,
  type RequestUuid,
  type ServiceCount,
  type StoreCounts,
  type StoredContent,
  type StoredRequest,
  type Tombstone as TombstoneFacts,
  type Transaction,
} from '../store/store.js';
import {
  countServices,
  type Entry,
  type Key,
  keyName,
  nameOf,
  NOTHING_OF_IT,
  type Tombstone,
} from './memory-rows.js';
import { retried, stepped } from './memory-steps.js';

/** Size of a request apart from its bytes; only the order of magnitude is right. */
const ENTRY_BYTES = 200;
const TOMBSTONE_BYTES = 40;
const OPENING_TRANSACTIONS = 2 ** 32;

export class MemoryTables {
  protected requests = new Map<string, Entry>();
  protected keys = new Map<string, Key>();
  /** By uuid, one entry for each owner that closed it. */
  protected tombstones = new Map<string, readonly Tombstone[]>();
  protected nextNumber = 1;
  /** The current transaction. */
  protected transaction: Transaction = { number: 0, tombstones: 'none', holds: null, peerHolds: 0 };
  /** The number of the last transaction. */
  last = 0;
  /** All owners that had content since it was opened: empty ones are reported, too. */
  readonly #owners = new Set<Owner>();
  /** All services that had content since it was opened, by name. */
  readonly #services = new Set<string>();
  #openings = 0;

  /** A process opens it. */
  open(): Pick<Recovered, 'counts' | 'newestAt' | 'firstTransaction'> {
    this.#openings++;
    this.#owners.clear();
    this.#services.clear();
    this.last = this.#openings * OPENING_TRANSACTIONS;
    return {
      counts: this.counts,
      newestAt: this.#newestAt,
      firstTransaction: this.last + 1,
    };
  }

  get #newestAt(): number {
    const requests = [...this.requests.values()].map(({ request }) => request);
    return requests.sort((a, b) => b.uuid.compare(a.uuid))[0]?.acceptedAt ?? 0;
  }

  get counts(): StoreCounts {
    const nextNumber = this.nextNumber;
    const owners = new Map<Owner, { owner: Owner; stored: number; bytes: number }>(
      [...this.#owners].map((owner) => [owner, { owner, stored: 0, bytes: 0 }]),
    );
    const counts = { ...noCounts(), bytes: 0, nextNumber };
    for (const { request, reply, extra } of this.requests.values()) {
      counts[countOf(request)]++;
      const { owner } = request;
      const count = owners.get(owner) ?? { owner, stored: 0, bytes: 0 };
      count.stored++;
      count.bytes += request.bodyBytes + (extra?.length ?? 0) + (reply?.reply.length ?? 0);
      owners.set(owner, count);
      this.#owners.add(owner);
      counts.bytes +=
        ENTRY_BYTES + request.bodyBytes + (extra?.length ?? 0) + (reply?.reply.length ?? 0);
    }
    for (const { service, key, owner } of this.keys.values()) {
      const bytes = keyBytes(service, key);
      if (bytes === 0) continue;
      const count = owners.get(owner) ?? { owner, stored: 0, bytes: 0 };
      count.bytes += bytes;
      owners.set(owner, count);
      this.#owners.add(owner);
      counts.bytes += bytes;
    }
    counts.bytes += [...this.tombstones.values()].flat().length * TOMBSTONE_BYTES;
    return { ...counts, owners: [...owners.values()], services: this.#countServices() };
  }

  #countServices(): ServiceCount[] {
    const counted = countServices(this.requests.values());
    for (const { service } of counted) this.#services.add(service.toString('latin1'));
    const known = new Map(counted.map((count) => [count.service.toString('latin1'), count]));
    return [...this.#services].map(
      (name) => known.get(name) ?? { service: Buffer.from(name, 'latin1'), ...NOTHING_OF_IT },
    );
  }

  /** In ascending order of their numbers. */
  get entries(): readonly Entry[] {
    return [...this.requests.values()].sort((a, b) => a.request.number - b.request.number);
  }

  entry(uuid: RequestUuid): Entry | undefined {
    return this.requests.get(nameOf(uuid));
  }

  commit(transaction: Transaction, changes: readonly Change[]): ChangeResult[] {
    this.transaction = transaction;
    const results = changes.map((change) => this.#apply(change));
    this.end();
    return results;
  }

  /** Ends the current transaction. */
  protected end(): void {
    this.last = this.transaction.number;
  }

  pending(): StoredRequest[] {
    return [...this.requests.values()]
      .map(({ request }) => request)
      .filter(({ state }) => state === 'pending')
      .sort((a, b) => a.number - b.number);
  }

  /** See `Store.list`. */
  list(after: number, most: number): StoredRequest[] {
    const pending = this.pending();
    const limits = after === 0 ? pending.filter(({ kind }) => kind === 'limit') : [];
    return [...limits, ...pending.filter(({ number }) => number > after).slice(0, most)];
  }

  body(uuid: RequestUuid): StoredContent | null {
    const entry = this.requests.get(nameOf(uuid));
    if (entry?.request.state !== 'pending') return null;
    const { body, extra } = entry;
    return storedContent(body, extra);
  }

  lookUp(uuid: RequestUuid, replyBytesMax = Infinity): Found {
    const entry = this.requests.get(nameOf(uuid));
    if (entry === undefined) {
      const by = this.tombstonesOf(uuid).map((each) => each.by);
      return by.length === 0 ? { state: 'absent' } : { state: 'closed', by };
    }
    const { owner, isShared } = entry.request;
    const whose = { owner, isShared };
    if (entry.reply !== null) {
      const { reply } = entry.reply;
      const read = reply.length <= replyBytesMax ? reply : null;
      return { state: 'replied', reply: read, replyBytes: reply.length, ...whose };
    }
    if (entry.death !== null) {
      const { reason } = entry.death;
      const failure = entry.attempts.at(-1)?.failure ?? null;
      const last = unpackFailure(failure);
      const isWhy = last !== null && codedReason(last) === reason;
      return { state: 'dead', reason, failure: isWhy ? failure : null, ...whose };
    }
    return { state: 'pending', ...whose };
  }

  #apply(change: Change): ChangeResult {
    const result = this.#step(change);
    const { extra } = change;
    const entry = 'uuid' in change ? this.requests.get(nameOf(change.uuid)) : undefined;
    if (extra !== undefined && entry !== undefined && result.kind !== 'passed') {
      this.put({ ...entry, extra: joinExtra(extra, entry.extra) });
    }
    return result;
  }

  #step(change: Change): ChangeResult {
    if (change.kind === 'accept') {
      return this.#accept(change);
    }
    if (change.kind === 'sweep') return this.#sweep(change);
    const entry = this.requests.get(nameOf(change.uuid));
    if (entry === undefined) return this.#endUnknown(change);
    switch (change.kind) {
      case 'close':
      case 'expire': {
        if (!isOpenTo(change.by, entry.request)) return { kind: 'denied' };
        this.remove(entry, change.keyUntil);
        if (this.transaction.tombstones !== 'none') {
          this.#leaveTombstone(change.uuid, change.keyUntil);
        }
        return endOf(entry.request);
      }
      case 'retry': {
        const after = retried(entry, change);
        if (after === null) return { kind: 'passed' };
        this.put(after);
        return { kind: 'reopened', request: after.request };
      }
      default: {
        const after = stepped(entry, change);
        if (after === null) return { kind: 'passed' };
        this.put(after);
        const isRaised = after.request.generation > entry.request.generation;
        const isAdvanced = change.kind === 'advance' && isRaised;
        return isAdvanced ? { kind: 'reopened', request: after.request } : { kind: 'done' };
      }
    }
  }

  #endUnknown(change: Exclude<Change, { readonly kind: 'accept' | 'sweep' }>): ChangeResult {
    const isEnd = change.kind === 'close' || change.kind === 'expire';
    if (!isEnd || this.transaction.tombstones !== 'all') return { kind: 'passed' };
    const known = this.tombstonesOf(change.uuid);
    if (known.some(({ by }) => by === ANY_OWNER || by === change.by)) return { kind: 'passed' };
    if (change.by === ANY_OWNER) this.dropTombstones(change.uuid);
    this.#leaveTombstone(change.uuid, change.keyUntil, change.by);
    return { kind: 'done' };
  }

  #accept(change: Extract<Change, { readonly kind: 'accept' }>): ChangeResult {
    const { request, body, key, keepsKeys = false } = change;
    const extra = change.extra ?? null;
    if (this.tombstonesOf(request.uuid).some(({ by }) => isOpenTo(by, request))) {
      return { kind: 'passed' };
    }
    this.dropTombstones(request.uuid);
    const next = this.nextNumber;
    this.nextNumber = nextAfter(next, request.number);
    const number = this.nextNumber > next ? request.number : next;
    const { number: changed } = this.transaction;
    const entry = this.requests.get(nameOf(request.uuid));
    if (entry !== undefined) {
      if (request.generation <= entry.request.generation) return { kind: 'passed' };
      const { generation, attempts, notBefore, expiresAt } = request;
      const now = { generation, attempts, notBefore, expiresAt, state: 'pending' as const };
      this.put({ ...entry, request: { ...entry.request, ...now }, reply: null, death: null });
      return { kind: 'done' };
    }
    if (key !== null) {
      const { service, uuid, owner, acceptedAt } = request;
      const known = this.keys.get(keyName(service, key, owner));
      const isKept = keepsKeys || (known?.until ?? Infinity) > acceptedAt;
      if (known !== undefined && isKept) {
        this.#dropTelling(request);
        if (namesAnother(extra, known.extra)) return { kind: 'another' };
        const state = this.requests.get(nameOf(known.uuid))?.request.state ?? 'closed';
        return { kind: 'known', uuid: known.uuid, state };
      }
      const keyExtra = keyExtraOf(extra);
      const fresh = { service, key, owner, uuid, until: null, changed, extra: keyExtra };
      this.keys.set(keyName(service, key, owner), fresh);
    }
    this.nextNumber = nextAfter(this.nextNumber, number);
    const history = { attemptsEver: 0, attempts: [], reply: null, death: null, extra };
    const stored = { ...request, number, state: 'pending' as const };
    this.put({ request: stored, body, key, ...history, changed, born: changed });
    return { kind: 'done' };
  }

  /** What tells the webhook of a request that is not stored, by the same transaction. */
  #dropTelling({ partner }: StoredRequest): void {
    const telling = this.requests.get(nameOf(partner));
    const isNew = telling?.born === this.transaction.number;
    if (isNew && telling.request.kind === 'webhook') this.remove(telling, 0);
  }

  #sweep({ now, keyUntil, most, kinds }: Extract<Change, { kind: 'sweep' }>): ChangeResult {
    const over = [...this.requests.values()]
      .filter(({ request: { kind, state, expiresAt } }) => {
        const endsHere = state !== 'pending' || (!isWork(kind) && hasKind(kinds, kind));
        return endsHere && expiresAt <= now;
      })
      .sort(
        (a, b) =>
          a.request.expiresAt - b.request.expiresAt || a.request.uuid.compare(b.request.uuid),
      );
    const swept = over.slice(0, most);
    const { tombstones } = this.transaction;
    for (const entry of swept) {
      this.remove(entry, keyUntil);
      if (tombstones !== 'none') this.#leaveTombstone(entry.request.uuid, keyUntil);
    }
    const forgettable = [...this.keys.values()]
      .filter(({ until }) => tombstones !== 'all' && until !== null && until <= now)
      .sort(
        (a, b) =>
          (a.until ?? 0) - (b.until ?? 0) ||
          a.service.compare(b.service) ||
          a.key.compare(b.key) ||
          Buffer.from(a.owner).compare(Buffer.from(b.owner)),
      );
    for (const { service, key, owner } of forgettable.slice(0, most)) {
      this.keys.delete(keyName(service, key, owner));
    }
    const replied = swept.filter(({ reply }) => reply !== null).length;
    const more = over.length > most || forgettable.length > most;
    const services = new Map<string, { readonly service: Buffer; count: number }>();
    const gone: RequestUuid[] = [];
    for (const { request } of swept) {
      if (!isWork(request.kind)) {
        gone.push(request.uuid);
        continue;
      }
      const name = request.service.toString('latin1');
      const each = services.get(name) ?? { service: request.service, count: 0 };
      each.count++;
      services.set(name, each);
    }
    const dead = swept.filter(({ request }) => request.state === 'dead').length;
    return { kind: 'swept', replied, dead, services: [...services.values()], gone, more };
  }

  protected put(entry: Entry): void {
    const { number: changed } = this.transaction;
    this.requests.set(nameOf(entry.request.uuid), { ...entry, changed });
  }

  #leaveTombstone(uuid: RequestUuid, keyUntil: number, by: Closer = ANY_OWNER): void {
    this.putTombstone(uuid, { keyUntil, by, extra: null });
  }

  protected putTombstone(uuid: RequestUuid, tombstone: TombstoneFacts): void {
    const { number: changed } = this.transaction;
    const others = this.tombstonesOf(uuid).filter(({ by }) => by !== tombstone.by);
    const all = [...others, { ...tombstone, uuid, changed }];
    all.sort((a, b) => Buffer.from(a.by).compare(Buffer.from(b.by)));
    this.tombstones.set(nameOf(uuid), all);
  }

  protected dropTombstones(uuid: RequestUuid): void {
    this.tombstones.delete(nameOf(uuid));
  }

  protected tombstonesOf(uuid: RequestUuid): readonly Tombstone[] {
    return this.tombstones.get(nameOf(uuid)) ?? [];
  }

  protected remove({ request, key }: Entry, until: number): void {
    this.requests.delete(nameOf(request.uuid));
    if (key === null) return;
    const name = keyName(request.service, key, request.owner);
    const known = present(this.keys.get(name), 'a request in the store has its key');
    if (!known.uuid.equals(request.uuid)) return;
    if (isOnceKey(key)) this.keys.delete(name);
    else this.keys.set(name, { ...known, until, changed: this.transaction.number });
  }
}
