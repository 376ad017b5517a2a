/** Copies a store in a database, as of one moment, into a store file. */
import { existsSync, linkSync, mkdtempSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { present } from '../../core/assert.js';
import { codeOf, MajordomoError } from '../../core/errors.js';
import { isSequence } from '../../core/numbers.js';
import { type Attempt, type Owner, STATES } from '../../store/store.js';
import { syncPath } from '../../store/sqlite/file/files.js';
import { openError } from '../../store/sqlite/file/sqlite-errors.js';
import { StoreWriter, type WrittenRequest } from '../../store/sqlite/file/store-writer.js';
import type { Row } from './changes.js';
import { connect, type Connection, type Login } from './connection.js';
import { failedCommand } from './rights.js';
import { refuseNewer } from './migrate.js';
import { refuseUnfinished } from './origin.js';
import { inParts } from './reader.js';
import { WHOLE_FRAMES } from './reads.js';
import { DEAD, PENDING, REPLIED, REQUEST_BODY, SCHEMA } from './schema.js';
import { uuids } from './values.js';
import { setWholeTables } from './server.js';

const CONNECT_MS = 10_000;
const PAGE_REQUESTS = 1000;
/** Bodies and replies that are in memory at once; one of any size. */
const PAGE_BYTES = 8 * 1024 * 1024;

/** Acceptance may have other numbers than a file: two brokers may give the same one. */
const CURSOR = `DECLARE copied NO SCROLL CURSOR FOR
  SELECT id FROM ${SCHEMA}.request ORDER BY seq, id`;
const NEXT = `FETCH ${PAGE_REQUESTS} FROM copied`;
const REQUESTS = `SELECT id, seq, service, owner, shared, priority, state, generation, attempts,
    attempts_ever, max_attempts, accepted_at, not_before, expires_at, body_bytes, reply_bytes, key, extra
  FROM ${SCHEMA}.request WHERE id = ANY ($1::uuid[]) ORDER BY seq, id`;
const BODIES = `SELECT b.id, b.kind, ${WHOLE_FRAMES}, b.worker, b.at FROM ${SCHEMA}.body b
  WHERE b.id = ANY ($1::uuid[])`;
const ATTEMPTS = `SELECT id, worker, started_at, ended_at, reason, failure, extra
  FROM ${SCHEMA}.attempt WHERE id = ANY ($1::uuid[]) ORDER BY id, n`;
const KEYS = `SELECT service, key, owner, id, until, extra FROM ${SCHEMA}.key
  WHERE (service, key, owner) > ($1::bytea, $2::bytea, $3::bytea)
  ORDER BY service, key, owner LIMIT ${PAGE_REQUESTS}`;
const FACTS = `SELECT (SELECT count(*) FROM ${SCHEMA}.request),
  (SELECT coalesce(max(seq), 0) FROM ${SCHEMA}.request), format, store_id
  FROM ${SCHEMA}.meta`;

/**
 * Writes a store file (mode 0600) that must not exist. It is complete and on disk when the promise
 * resolves; a copy that failed leaves nothing behind.
 * @param onProgress requests copied, of how many
 * @throws ERR_TITANIC_TARGET if `target` exists, otherwise as `connect`, or the errors of a file
 */
export async function backupDatabase(
  login: Login,
  target: string,
  onProgress: (done: number, all: number) => void,
): Promise<void> {
  if (existsSync(target)) throw occupied(target);
  const { connection } = await connect(login, { place: 0 }, CONNECT_MS);
  let directory: string | null = null;
  try {
    directory = mkdtempSync(join(dirname(target), `.${basename(target)}-`));
    const making = join(directory, 'titanic.db');
    const file = new StoreWriter(making);
    try {
      await copy(connection, file, onProgress);
    } finally {
      file.close();
    }
    if (existsSync(target)) throw occupied(target);
    linkSync(making, target);
    syncPath(target);
    syncPath(dirname(target));
  } catch (error) {
    const isOfFile = /^(SQLITE_|E[A-Z]+$)/.test(codeOf(error) ?? '') && connection.isOpen;
    throw isOfFile ? openError(target, error) : await failedCommand(connection, error, login.place);
  } finally {
    await connection.close();
    if (directory !== null) rmSync(directory, { recursive: true, force: true });
  }
}

function occupied(target: string): MajordomoError {
  return new MajordomoError('ERR_TITANIC_TARGET', `${target} exists: a backup overwrites nothing`);
}

async function copy(
  connection: Connection,
  file: StoreWriter,
  onProgress: (done: number, all: number) => void,
): Promise<void> {
  await connection.ask('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  await refuseUnfinished(connection);
  await setWholeTables(connection, 'on');
  const [facts = []] = await connection.ask(FACTS);
  const [all = 0, highest = 0, format = 0] = facts as number[];
  refuseNewer(format);
  await connection.ask(CURSOR);
  await setWholeTables(connection, 'off');
  const numbers = new Numbers(highest);
  let done = 0;
  for (;;) {
    const ids = await connection.ask(NEXT);
    if (ids.length === 0) break;
    const rows = await connection.ask(REQUESTS, [uuids(ids.map(([id]) => id as Buffer))]);
    for (const part of partsOf(rows)) {
      for (const record of await recordsOf(connection, part, numbers)) file.addRequest(record);
      done += part.length;
      onProgress(done, all);
    }
  }
  await copyKeys(connection, file);
  await connection.ask('COMMIT');
  file.complete(numbers.next, facts[3] as Buffer);
}

async function copyKeys(connection: Connection, file: StoreWriter): Promise<void> {
  let place: readonly Buffer[] = [Buffer.alloc(0), Buffer.alloc(0), Buffer.alloc(0)];
  for (;;) {
    const rows = await connection.ask(KEYS, [...place]);
    const last = rows.at(-1);
    if (last === undefined) break;
    place = last.slice(0, 3) as Buffer[];
    for (const [service, key, owner, id, until, extra] of rows) {
      file.addKey({
        ...{ service: service as Buffer, key: key as Buffer, uuid: id as Buffer },
        ...{ owner: String(owner) as Owner, until: until as number | null },
        extra: extra as Buffer | null,
      });
    }
  }
}

/**
 * Numbers of requests in a file: those of the database, if each is above the one before and small
 * enough for a file; otherwise the order stays.
 */
class Numbers {
  readonly #areKept: boolean;
  #last = 0;

  constructor(highest: number) {
    this.#areKept = isSequence(highest);
  }

  of(seq: number): number {
    this.#last = this.#areKept ? Math.max(this.#last + 1, seq) : this.#last + 1;
    return this.#last;
  }

  /** Above all of them. */
  get next(): number {
    return this.#last + 1;
  }
}

function partsOf(rows: readonly Row[]): Row[][] {
  const parts: Row[][] = [];
  let bytes = Infinity;
  for (const row of rows) {
    const extraBytes = (row[17] as Buffer | null)?.length ?? 0;
    const more = (row[14] as number) + (row[15] as number) + extraBytes;
    if (bytes + more > PAGE_BYTES) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)?.push(row);
    bytes += more;
  }
  return parts;
}

async function recordsOf(
  connection: Connection,
  rows: readonly Row[],
  numbers: Numbers,
): Promise<WrittenRequest[]> {
  const ids = uuids(rows.map(([id]) => id as Buffer));
  const [bodies, attempts] = await Promise.all([
    connection.ask(BODIES, [ids]),
    connection.ask(ATTEMPTS, [ids]),
  ]);
  const nameOf = (id: unknown, kind: unknown): string =>
    `${(id as Buffer).toString('latin1')}${String(kind)}`;
  const byName = new Map(bodies.map((row) => [nameOf(row[0], row[1]), row]));
  const framesOf = async (
    row: Row,
    kind: typeof REQUEST_BODY | typeof REPLIED,
  ): Promise<Buffer> => {
    const kept = byName.get(nameOf(row[0], kind));
    if (kept === undefined) return Buffer.alloc(0);
    const whole = { uuid: row[0] as Buffer, kind, generation: row[7] as number };
    const frames = (kept[2] as Buffer | null) ?? (await inParts((work) => work(connection), whole));
    return present(frames, 'what this snapshot has');
  };
  const triedBy = new Map<string, Attempt[]>();
  for (const [id, worker, startedAt, endedAt, reason, failure, extra] of attempts) {
    const name = (id as Buffer).toString('latin1');
    const tried = triedBy.get(name) ?? [];
    tried.push({
      ...{ worker: String(worker), startedAt: startedAt as number, endedAt: endedAt as number },
      ...{ reason: String(reason), failure: failure as Buffer | null },
      extra: extra as Buffer | null,
    });
    triedBy.set(name, tried);
  }
  const records: WrittenRequest[] = [];
  for (const row of rows) {
    const [id, seq, service, owner, shared, priority, state, generation] = row;
    const [tries, attemptsEver, maxAttempts, acceptedAt, notBefore, expiresAt, bodyBytes] =
      row.slice(8) as number[];
    const reply = byName.get(nameOf(id, REPLIED));
    const death = byName.get(nameOf(id, DEAD));
    records.push({
      kind: 'request',
      request: {
        ...{ uuid: id as Buffer, number: numbers.of(seq as number), service: service as Buffer },
        ...{ owner: String(owner) as Owner, isShared: shared === true },
        state: STATES[(state as number) - PENDING] ?? 'pending',
        ...{ priority: priority as number, generation: generation as number },
        ...{ attempts: tries ?? 0, maxAttempts: maxAttempts ?? 0, acceptedAt: acceptedAt ?? 0 },
        ...{ notBefore: notBefore ?? 0, expiresAt: expiresAt ?? 0, bodyBytes: bodyBytes ?? 0 },
      },
      key: row[16] as Buffer | null,
      extra: row[17] as Buffer | null,
      body: await framesOf(row, REQUEST_BODY),
      attemptsEver: attemptsEver ?? 0,
      attempts: triedBy.get((id as Buffer).toString('latin1')) ?? [],
      reply:
        reply === undefined
          ? null
          : {
              reply: await framesOf(row, REPLIED),
              ...{ worker: String(reply[3]), at: reply[4] as number },
            },
      death: death === undefined ? null : { reason: String(death[2]), at: death[4] as number },
    });
  }
  return records;
}
