/** Writes a new store file from rows that come from elsewhere. */
import { randomBytes } from 'node:crypto';

import Database from 'better-sqlite3';

import type { KeyRecord, RequestRecord } from '../../record-codec.js';
import { makeStore } from './database.js';
import { syncPath } from './files.js';
import { DEAD, ORIGIN_BYTES, PENDING, REPLIED } from './schema.js';

const STATE_NUMBERS = { pending: PENDING, replied: REPLIED, dead: DEAD } as const;
const ID_BYTES = 16;

const REQUEST = `INSERT INTO requests (number, uuid, service, key, state, generation, priority,
    accepted_at, not_before, expires_at, max_attempts, attempts, attempts_ever, body_bytes, changed,
    born, owner, shared, extra)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const ATTEMPT = `INSERT INTO attempts (number, ordinal, worker, started_at, ended_at, reason, failure,
  extra) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`;
const KEY = `INSERT INTO keys (service, key, owner, uuid, until, changed, extra)
  VALUES (?, ?, ?, ?, ?, ?, ?)`;

type Run = Database.Statement<(number | string | Buffer | null)[]>;

/** A request with its body, which is always there. */
export type WrittenRequest = RequestRecord & { readonly body: Buffer };

export class StoreWriter {
  readonly #path: string;
  readonly #db: Database.Database;
  readonly #request: Run;
  readonly #body: Run;
  readonly #reply: Run;
  readonly #death: Run;
  readonly #attempt: Run;
  readonly #key: Run;
  /** As if each row had been changed by a transaction of its own, before the first opening. */
  #changed = 0;

  /** @param path of a file that does not exist yet, in a directory of its own */
  constructor(path: string) {
    this.#path = path;
    makeStore(path);
    this.#db = new Database(path, { fileMustExist: true });
    // It is synced once, when it is complete; until then nobody knows its name.
    this.#db.pragma('journal_mode = OFF');
    this.#db.pragma('synchronous = OFF');
    this.#request = this.#db.prepare(REQUEST);
    this.#body = this.#db.prepare('INSERT INTO bodies (number, body) VALUES (?, ?)');
    this.#reply = this.#db.prepare(
      'INSERT INTO replies (number, reply, worker, replied_at) VALUES (?, ?, ?, ?)',
    );
    this.#death = this.#db.prepare('INSERT INTO deaths (number, reason, died_at) VALUES (?, ?, ?)');
    this.#attempt = this.#db.prepare(ATTEMPT);
    this.#key = this.#db.prepare(KEY);
    this.#db.exec('BEGIN');
  }

  addRequest({ request, key, body, extra, ...more }: WrittenRequest): void {
    const { number } = request;
    const { attemptsEver, attempts, reply, death } = more;
    const changed = ++this.#changed;
    this.#request.run(
      ...[number, request.uuid, request.service, key, STATE_NUMBERS[request.state]],
      ...[request.generation, request.priority, request.acceptedAt, request.notBefore],
      ...[request.expiresAt, request.maxAttempts, request.attempts, attemptsEver],
      ...[request.bodyBytes, changed, changed, request.owner, request.isShared ? 1 : 0, extra],
    );
    this.#body.run(number, body);
    if (reply !== null) this.#reply.run(number, reply.reply, reply.worker, reply.at);
    if (death !== null) this.#death.run(number, death.reason, death.at);
    for (const [place, attempt] of attempts.entries()) {
      const ordinal = attemptsEver - attempts.length + place + 1;
      const { worker, startedAt, endedAt, reason, failure, extra: unknown } = attempt;
      this.#attempt.run(number, ordinal, worker, startedAt, endedAt, reason, failure, unknown);
    }
  }

  /** @param until `null`: as long as its request is in the store */
  addKey({
    service,
    key,
    owner,
    uuid,
    until,
    extra,
  }: Omit<KeyRecord, 'kind' | 'until'> & { readonly until: number | null }): void {
    this.#key.run(service, key, owner, uuid, until, ++this.#changed, extra);
  }

  /**
   * Makes it a store of its own, in one file, on disk.
   * @param nextNumber above the number of each request
   * @param origin of its id: copies of one store share the first half
   */
  complete(nextNumber: number, origin: Buffer): void {
    const id = Buffer.concat([origin.subarray(0, ORIGIN_BYTES), randomBytes(ID_BYTES)]);
    this.#db
      .prepare('UPDATE ledger SET next_number = ?, store_id = ? WHERE id = 1')
      .run(nextNumber, id.subarray(0, ID_BYTES));
    this.#db.exec('COMMIT');
    this.#db.pragma('journal_mode = DELETE');
    this.#db.close();
    syncPath(this.#path);
  }

  /** At the end, or after a failure. */
  close(): void {
    this.#db.close();
  }
}
