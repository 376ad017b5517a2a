/** Whether a store file and a database hold the same records. */
import { createHash, type Hash } from 'node:crypto';

import { type KeyRecord, type RequestRecord, RecordWriter } from '../../store/record-codec.js';
import { TITANIC_SCHEDULE } from '../../wire/tsp.js';

/** Bytes of records that are hashed at once. */
const PIECE_BYTES = 1024 * 1024;

/** Records in one order, requests before keys. */
export class Content {
  readonly counts = { pending: 0, replied: 0, dead: 0, schedules: 0, keys: 0, attempts: 0 };
  readonly #hash: Hash = createHash('sha256');
  #piece = new RecordWriter();
  requests = 0;

  add(record: RequestRecord | KeyRecord): void {
    if (record.kind === 'request') this.#count(record);
    else this.counts.keys++;
    this.#piece.add(record);
    if (this.#piece.bytes < PIECE_BYTES) return;
    this.#hash.update(this.#piece.take());
    this.#piece = new RecordWriter();
  }

  #count({ request: { service, state }, key, attempts }: RequestRecord): void {
    const isSchedule = state === 'pending' && service.toString() === TITANIC_SCHEDULE;
    this.counts[isSchedule ? 'schedules' : state]++;
    this.counts.attempts += attempts.length;
    if (key !== null) this.counts.keys++;
    this.requests++;
  }

  /** What differs from the copy in a database, in words; `null`: nothing. It ends both. */
  differenceFrom(copy: Content): string | null {
    const differing = (['pending', 'replied', 'dead', 'schedules', 'keys', 'attempts'] as const)
      .filter((name) => this.counts[name] !== copy.counts[name])
      .map(
        (name) => `${name}: ${this.counts[name]} in the file, ${copy.counts[name]} in the database`,
      );
    if (differing.length > 0) return differing.join('; ');
    return this.#digest() === copy.#digest() ? null : 'the counts agree, what is stored does not';
  }

  #digest(): string {
    return this.#hash.update(this.#piece.take()).digest('hex');
  }
}
