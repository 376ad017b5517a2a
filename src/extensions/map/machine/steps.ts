/**
 * What becomes of each change of a batch: it is judged by the content as it will be after the
 * changes before it, and gets a number (D50).
 */
import { bytesOf, isDeletion, isSameContent, type MapRecord, numbered } from './record.js';
import type { MapNumber } from '../../../wire/chp-client.js';
import type { Content } from './content.js';
import { noteRenewal, type RecentUuids, type Renewals } from './recent-uuids.js';
import { SERVED, type ServiceKeys } from './service-keys.js';
import type { MapPeer } from './sink.js';
import { WriterMarks } from './writer-marks.js';

/** Maximum number of renewals that one batch tells the peer. */
const RENEWALS_WRITTEN_MAX = 1024;

/** What a batch is made of. */
type Intent =
  | { readonly kind: 'set'; readonly record: MapRecord; readonly writer: MapPeer }
  /** The time to live of this record is over. */
  | { readonly kind: 'expire'; readonly record: MapRecord }
  /** A merge brought this: it is published under a new number. */
  | { readonly kind: 'announce'; readonly record: MapRecord }
  /** A service may have got or lost its workers. */
  | { readonly kind: 'service'; readonly key: string };

type Of<Kind extends Intent['kind']> = Extract<Intent, { readonly kind: Kind }>;

export type SetIntent = Of<'set'>;

type Outcome = 'applied' | 'deleted' | 'expired' | 'renewed' | 'repeated' | 'announced';

/** A change with its number. */
export interface Step {
  readonly intent: Intent;
  readonly outcome: Outcome;
  readonly record: MapRecord;
  /** Whether the change is stored, too. */
  readonly isWritten: boolean;
  /** For a step that is not stored: the record that the map must still have of this key, or the step has no effect. */
  readonly basis: MapRecord | null;
  /** How many bytes the map grows. */
  readonly growth: number;
}

/** A record, or `null` for a deletion: what the map has of its key. */
export function presentOf(record: MapRecord | null): MapRecord | null {
  return record === null || isDeletion(record) ? null : record;
}

/** The map as it is after the steps of a batch that is being made. */
export class Draft {
  readonly steps: Step[] = [];
  readonly writes: MapRecord[] = [];
  /** Steps that make the map larger. */
  growing = 0;
  readonly #content: Content;
  readonly #recent: RecentUuids;
  readonly #services: ServiceKeys;
  readonly #changed = new Map<string, MapRecord>();
  readonly #uuids = new Set<string>();
  readonly #marks = new WriterMarks(
    () => Infinity,
    () => undefined,
  );
  /** By key, if this batch renews it or has told of them: the renewals that the peer does not know. */
  readonly #renewals = new Map<string, Map<string, MapNumber>>();
  #renewalsWritten = 0;
  readonly #now: number;
  readonly #epoch: number;
  #counter: number;
  readonly #tombstoneBytes: number;
  #bytes: number;

  constructor(
    content: Content,
    recent: RecentUuids,
    services: ServiceKeys,
    last: { readonly epoch: number; readonly counter: number },
    /** What is kept of deletions, beside the content. */
    tombstoneBytes: number,
    now: number,
  ) {
    this.#content = content;
    this.#recent = recent;
    this.#services = services;
    this.#epoch = last.epoch;
    this.#counter = last.counter;
    this.#tombstoneBytes = tombstoneBytes;
    this.#bytes = content.bytes + tombstoneBytes;
    this.#now = now;
  }

  /** The last number that was given. */
  get counter(): number {
    return this.#counter;
  }

  /** What is there, or a deletion of this batch; `null`: neither. */
  #latest(key: string): MapRecord | null {
    return this.#changed.get(key) ?? this.#content.records.get(key);
  }

  /**
   * @param bytesMax of the map, in bytes
   * @param mayGrow false: no more can be stored
   * @returns why it is refused, or that it has been applied before; `null`: neither
   */
  set(
    intent: SetIntent,
    bytesMax: number,
    mayGrow: boolean,
  ): 'limit' | 'store' | 'repeated' | null {
    const { record } = intent;
    const { key, uuid } = record;
    const before = this.#latest(key);
    const here = presentOf(before);
    if (uuid !== '') {
      const isLast = (before?.uuid ?? this.#recent.deletionOf(key, this.#now)) === uuid;
      const isPast = isLast || this.#isPast(record, here);
      // Whoever deletes what is not there hears it.
      if (isLast || (isPast && isDeletion(record) && here === null)) {
        this.#unwritten(intent, 'repeated', here ?? record, before);
        return null;
      }
      if (isPast) return 'repeated';
    }
    if (isDeletion(record)) {
      // A deletion may leave a tombstone where nothing was. How many there are shows only after each batch.
      const isMore = before === null && this.#tombstoneBytes > 0;
      if (isMore && this.#bytes >= bytesMax) return 'limit';
      this.#written(intent, 'deleted', record, here === null ? 0 : -bytesOf(here));
      return null;
    }
    if (here !== null && isSameContent(here, record)) {
      // The value that is there is kept: snapshots may have it, too.
      const { properties, value } = here;
      this.#unwritten(intent, 'renewed', { ...record, properties, value }, here);
      this.#noteRenewal(key, uuid);
      return null;
    }
    const growth = bytesOf(record) - (here === null ? 0 : bytesOf(here));
    if (growth > 0) {
      const isFull = this.#bytes + growth > bytesMax || (here === null && this.#content.isFull);
      // New and growing values are dropped, deletions go through (D57).
      if (isFull) return 'limit';
      if (!mayGrow) return 'store';
    }
    this.#written(intent, 'applied', record, growth);
    return null;
  }

  /** @param here what is there of its key: a deletion may be an earlier one, which came again and is heard again */
  #isPast(record: MapRecord, here: MapRecord | null): boolean {
    const isInBatch = this.#uuids.has(record.uuid) || this.#marks.has(record);
    return isInBatch || this.#recent.isPast(record, here, this.#now);
  }

  /** @returns false if the record has changed meanwhile */
  expire(intent: Of<'expire'>): boolean {
    const { key } = intent.record;
    if (this.#latest(key) !== intent.record) return false;
    const deletion = { ...intent.record, uuid: '', properties: '', value: '', ttlS: 0 };
    this.#written(intent, 'expired', deletion, -bytesOf(intent.record));
    return true;
  }

  announce(intent: Of<'announce'>): void {
    const { record } = intent;
    const before = this.#latest(record.key);
    // The key has changed again since.
    if (presentOf(before) !== presentOf(record)) return;
    this.#unwritten(intent, 'announced', record, before);
  }

  service(intent: Of<'service'>): void {
    const { key } = intent;
    const before = this.#latest(key);
    const isServed = this.#services.served.has(key);
    if (!isServed && presentOf(before) === null) return;
    const value = isServed ? SERVED : '';
    const record = { key, uuid: '', properties: '', value, ttlS: 0, epoch: 0, counter: 0 };
    this.#unwritten(intent, 'announced', record, before);
  }

  #written(intent: Intent, outcome: Outcome, change: MapRecord, growth: number): void {
    this.#writeRenewals(change.key);
    const record = numbered(change, this.#epoch, ++this.#counter);
    this.steps.push({ intent, outcome, record, isWritten: true, basis: null, growth });
    // A tombstone has no properties.
    this.writes.push(isDeletion(record) ? { ...record, properties: '', ttlS: 0 } : record);
    this.#bytes += growth;
    if (growth > 0) this.growing++;
    this.#note(record);
  }

  #noteRenewal(key: string, uuid: string): void {
    if (uuid === '') return;
    let renewals = this.#renewals.get(key);
    if (renewals === undefined) {
      renewals = new Map(this.#recent.renewalsOf(key, this.#now));
      this.#renewals.set(key, renewals);
    }
    noteRenewal(renewals, uuid, { epoch: this.#epoch, counter: this.#counter });
  }

  /**
   * Nothing of a renewal is written, so the peer does not know its uuid. If the renewal came late there, after a
   * failover, it would be applied over this change. So it is written before it, without its value: as a deletion,
   * which this change follows in the same transaction.
   */
  #writeRenewals(key: string): void {
    const renewals: Renewals = this.#renewals.get(key) ?? this.#recent.renewalsOf(key, this.#now);
    if (renewals.size === 0) return;
    for (const [uuid, number] of renewals) {
      if (++this.#renewalsWritten > RENEWALS_WRITTEN_MAX) break;
      this.writes.push({ key, ...number, uuid, properties: '', value: '', ttlS: 0 });
    }
    this.#renewals.set(key, new Map());
  }

  #unwritten(intent: Intent, outcome: Outcome, change: MapRecord, basis: MapRecord | null): void {
    const record = numbered(change, this.#epoch, ++this.#counter);
    this.steps.push({ intent, outcome, record, isWritten: false, basis, growth: 0 });
    this.#note(record);
  }

  #note(record: MapRecord): void {
    const replaced = this.#latest(record.key);
    if (replaced !== null && replaced.uuid !== '') this.#uuids.add(replaced.uuid);
    this.#marks.replaced(record, replaced, this.#now);
    this.#changed.set(record.key, record);
    if (record.uuid !== '') this.#uuids.add(record.uuid);
  }
}
