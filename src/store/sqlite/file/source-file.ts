/** Reads a whole store file in the order of its ids, for a copy elsewhere. */
import type Database from 'better-sqlite3';

import type { Owner } from '../../store.js';
import { closingOnError, openForReading, openMoving } from './database.js';
import { markMoved, type Moved, movedTo } from './moved.js';
import { DEAD, PENDING, REPLIED } from './schema.js';
import { openError } from './sqlite-errors.js';

/** Bodies, replies and fields that are in memory at once; one request of any size. */
const PIECE_BYTES = 8 * 1024 * 1024;

/** A request, with what belongs to it. */
export interface SourceRequest {
  readonly id: Buffer;
  readonly number: number;
  readonly service: Buffer;
  readonly owner: Owner;
  readonly isShared: boolean;
  readonly priority: number;
  /** `PENDING`, `REPLIED` or `DEAD`. */
  readonly state: number;
  readonly generation: number;
  readonly attempts: number;
  readonly attemptsEver: number;
  readonly maxAttempts: number;
  readonly acceptedAt: number;
  readonly notBefore: number;
  readonly expiresAt: number;
  readonly bodyBytes: number;
  readonly key: Buffer | null;
  readonly extra: Buffer | null;
  readonly body: Buffer;
  readonly end: SourceEnd | null;
  readonly tried: readonly SourceAttempt[];
}

/** A reply, or the reason of a death, which no worker gave. */
export interface SourceEnd {
  readonly frames: Buffer;
  readonly worker: string | null;
  readonly at: number;
}

export interface SourceAttempt {
  readonly n: number;
  readonly worker: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly reason: string;
  readonly failure: Buffer | null;
  readonly extra: Buffer | null;
}

export interface SourceKey {
  readonly service: Buffer;
  readonly key: Buffer;
  readonly owner: Owner;
  readonly id: Buffer;
  /** When its request was accepted; 0: it is not in the store any more. */
  readonly takenAt: number;
  readonly until: number | null;
  readonly extra: Buffer | null;
}

/** Rows that are copied together. */
export interface Piece<Row> {
  readonly rows: readonly Row[];
  /** The transaction ends after it. */
  readonly isLast: boolean;
}

/** What a request is compared by, after its id: numbers, in an order that the reader chooses. */
export interface Standing {
  readonly id: Buffer;
  readonly numbers: readonly number[];
}

interface RequestRow extends Omit<SourceRequest, 'isShared' | 'end' | 'tried'> {
  readonly shared: number;
  readonly reply: Buffer | null;
  readonly worker: string | null;
  readonly repliedAt: number | null;
  readonly reason: string | null;
  readonly diedAt: number | null;
}

// CROSS JOIN keeps the order of the tables: `requests` is read along its index of ids.
const REQUESTS = `SELECT r.uuid AS id, r.number, service, owner, shared, priority, state, generation,
    attempts, attempts_ever AS attemptsEver, max_attempts AS maxAttempts, accepted_at AS acceptedAt,
    not_before AS notBefore, expires_at AS expiresAt, body_bytes AS bodyBytes, key, extra, body,
    reply, worker, replied_at AS repliedAt, reason, died_at AS diedAt
  FROM requests r CROSS JOIN bodies b ON b.number = r.number
    LEFT JOIN replies p ON p.number = r.number LEFT JOIN deaths d ON d.number = r.number
  WHERE r.uuid > ? ORDER BY r.uuid`;
const ATTEMPTS = `SELECT ordinal AS n, worker, started_at AS startedAt, ended_at AS endedAt, reason,
  failure, extra FROM attempts WHERE number = ? ORDER BY ordinal`;
const KEYS = `SELECT k.service, k.key, k.owner, k.uuid AS id, until, k.extra,
    coalesce((SELECT accepted_at FROM requests r WHERE r.uuid = k.uuid), 0) AS takenAt
  FROM keys k WHERE (k.service, k.key, k.owner) > (?, ?, ?) ORDER BY k.service, k.key, k.owner`;
/** Also the sizes of what belongs to a request, so that what is missing shows. */
const STANDINGS = `SELECT uuid, state, generation, attempts, attempts_ever, max_attempts, requests.number,
    priority, shared, accepted_at, not_before, expires_at, body_bytes, length(body),
    coalesce(length(reply), length(CAST(reason AS BLOB)), -1), coalesce(replied_at, died_at, -1)
  FROM requests LEFT JOIN bodies USING (number) LEFT JOIN replies USING (number)
    LEFT JOIN deaths USING (number) ORDER BY uuid`;

export class SourceFile {
  readonly #path: string;
  readonly #db: Database.Database;
  readonly storeId: Buffer;
  /** How often it was opened for service: it changes only while it is. */
  readonly openings: number;
  readonly nextNumber: number;
  /** Keys of the map, which a database does not keep. */
  readonly mapKeys: number;
  /** `null`: it was not moved. */
  readonly moved: Moved | null;
  readonly requests: number;
  readonly keys: number;

  /**
   * Opens the file, and brings its tables to this version. Nobody may have it open for service.
   * @throws as opening a store does
   */
  static open(path: string): SourceFile {
    try {
      // Reads its head first: what is not a store stays as it is.
      openForReading(path).close();
      const db = openMoving(path);
      return closingOnError(db, () => new SourceFile(path, db));
    } catch (error) {
      throw openError(path, error);
    }
  }

  private constructor(path: string, db: Database.Database) {
    this.#path = path;
    this.#db = db;
    const ledger = db
      .prepare<[], { storeId: Buffer; openings: number; nextNumber: number }>(
        'SELECT store_id AS storeId, openings, next_number AS nextNumber FROM ledger WHERE id = 1',
      )
      .get();
    if (ledger === undefined) throw new Error('the ledger is empty');
    this.storeId = ledger.storeId;
    this.openings = ledger.openings;
    this.nextNumber = ledger.nextNumber;
    const count = (of: string): number =>
      Number(db.prepare(`SELECT count(*) FROM ${of}`).pluck().get());
    this.mapKeys = count('map WHERE value IS NOT NULL');
    this.requests = count('requests');
    this.keys = count('keys');
    this.moved = movedTo(db);
  }

  get attempts(): number {
    return Number(this.#db.prepare('SELECT count(*) FROM attempts').pluck().get());
  }

  /** @param after the id of the last request that was copied; empty: from the beginning */
  *pieces(after: Buffer, rowsMax: number): Generator<Piece<SourceRequest>> {
    const attempts = this.#db.prepare<[number], SourceAttempt>(ATTEMPTS);
    const rows = this.#db.prepare<[Buffer], RequestRow>(REQUESTS).iterate(after);
    const size = ({ body, end, extra }: SourceRequest): number =>
      body.length + (end?.frames.length ?? 0) + (extra?.length ?? 0);
    const requests = mapped(rows, (row) => {
      return requestOf(row, row.attemptsEver === 0 ? [] : attempts.all(row.number));
    });
    yield* inPieces(requests, rowsMax, size);
  }

  /** @param after of the last key that was copied: service, key and owner */
  *keyPieces(
    [service, key, owner]: readonly [Buffer, Buffer, string],
    rowsMax: number,
  ): Generator<Piece<SourceKey>> {
    const rows = this.#db
      .prepare<[Buffer, Buffer, string], SourceKey>(KEYS)
      .iterate(service, key, owner);
    yield* inPieces(rows, rowsMax, ({ extra }) => extra?.length ?? 0);
  }

  /** All requests in the order of their ids. */
  *standings(): Generator<Standing> {
    const rows = this.#db.prepare<[], [Buffer, ...number[]]>(STANDINGS).raw().iterate();
    for (const [id, ...numbers] of rows) yield { id, numbers };
  }

  /** From now on nobody serves it. On disk when this returns. */
  mark(moved: Moved): void {
    try {
      markMoved(this.#db, moved);
    } catch (error) {
      throw openError(this.#path, error);
    }
  }

  close(): void {
    this.#db.close();
  }
}

function requestOf(row: RequestRow, tried: readonly SourceAttempt[]): SourceRequest {
  return { ...row, isShared: row.shared === 1, end: endOf(row), tried };
}

function endOf({ state, reply, worker, repliedAt, reason, diedAt }: RequestRow): SourceEnd | null {
  if (state === PENDING) return null;
  if (state === REPLIED && reply !== null) return { frames: reply, worker, at: repliedAt ?? 0 };
  if (state === DEAD && reason !== null) {
    return { frames: Buffer.from(reason), worker: null, at: diedAt ?? 0 };
  }
  return null;
}

function* mapped<Row, Result>(
  rows: Iterable<Row>,
  change: (row: Row) => Result,
): Generator<Result> {
  for (const row of rows) yield change(row);
}

/** @param rowsMax of one transaction, which may have several pieces */
function* inPieces<Row>(
  rows: Iterable<Row>,
  rowsMax: number,
  size: (row: Row) => number,
): Generator<Piece<Row>> {
  let piece: Row[] = [];
  let bytes = 0;
  let inTransaction = 0;
  for (const row of rows) {
    if (inTransaction === rowsMax || (piece.length > 0 && bytes + size(row) > PIECE_BYTES)) {
      yield { rows: piece, isLast: inTransaction === rowsMax };
      if (inTransaction === rowsMax) inTransaction = 0;
      piece = [];
      bytes = 0;
    }
    piece.push(row);
    bytes += size(row);
    inTransaction++;
  }
  if (piece.length > 0) yield { rows: piece, isLast: true };
}
