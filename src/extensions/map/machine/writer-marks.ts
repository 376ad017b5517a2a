/**
 * How far the writers of a key had come whose changes its record does not tell any more, because another writer's came
 * after them, or the key was deleted. A copy of such a change can come late: by a connection that stood still, or
 * because its writer sends it again. It must not be made again (D121).
 *
 * Marks are kept per key: a change that was never made for one key is made, whatever its writer has changed since
 * elsewhere. Only uuids with numbers have marks.
 */
import { OldestFirst } from '../../../core/oldest-first.js';
import { isUpTo, writerOf } from '../../../wire/chp-client.js';
import { isDeletion, type MapRecord } from './record.js';

/** Longer than the kernel of a writer goes on with a connection whose other end is silent: that is 16 minutes. */
const RETAINED_MS = 20 * 60_000;
const RETAINED_MAX = 131_072;
/** The part of `limits.mapBytes` that they may take besides the map. */
const SHARE = 1 / 8;
/** Memory of a mark, besides its key. */
const MARK_BYTES = 256;
/** How many old ones a change drops, so that none takes long. */
const DROPPED_AT_ONCE = 4;

interface Mark {
  /** The highest uuid of the writer for that key. */
  readonly uuid: string;
  readonly at: number;
}

export class WriterMarks {
  readonly #bytesMax: () => number;
  readonly #dropped: () => void;
  #bytes = 0;
  /** By writer and key; all writers are of one length. */
  readonly #marks = new OldestFirst<string, Mark>();

  /**
   * @param mapBytesMax `limits.mapBytes`, in bytes
   * @param dropped called when one is dropped before its time, because there are too many
   */
  constructor(mapBytesMax: () => number, dropped: () => void) {
    this.#bytesMax = () => mapBytesMax() * SHARE;
    this.#dropped = dropped;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the key had this change, or a later one of its writer. */
  has({ key, uuid }: MapRecord): boolean {
    if (this.#marks.size === 0) return false;
    const mark = this.#marks.get(writerOf(uuid) + key);
    return mark !== undefined && isUpTo(uuid, mark.uuid);
  }

  /** @param before what the map had of its key */
  replaced(change: MapRecord, before: MapRecord | null, now: number): void {
    const { key, uuid } = change;
    const isDeleted = isDeletion(change);
    if (before !== null && (isDeleted || writerOf(before.uuid) !== writerOf(uuid))) {
      this.add(key, before.uuid, now);
    }
    if (isDeleted) this.add(key, uuid, now);
  }

  /** The key had this change, and its record does not tell it. */
  add(key: string, uuid: string, now: number): void {
    const writer = writerOf(uuid);
    if (writer === '') return;
    const name = writer + key;
    const before = this.#marks.get(name)?.uuid ?? '';
    this.#delete(name);
    // The mark becomes the newest.
    this.#marks.set(name, { uuid: before > uuid ? before : uuid, at: now });
    this.#bytes += costOf(name);
    this.prune(now);
  }

  /** Forgets some that are too old, or too many. */
  prune(now: number): void {
    for (let left = DROPPED_AT_ONCE; left > 0; left--) {
      const { oldest, size } = this.#marks;
      if (oldest === null) return;
      const isOld = oldest.value.at <= now - RETAINED_MS;
      if (!isOld && size <= RETAINED_MAX && this.#bytes <= this.#bytesMax()) return;
      if (!isOld) this.#dropped();
      this.#delete(oldest.key);
    }
  }

  #delete(name: string): void {
    if (this.#marks.delete(name)) this.#bytes -= costOf(name);
  }
}

function costOf(name: string): number {
  return MARK_BYTES + name.length;
}
