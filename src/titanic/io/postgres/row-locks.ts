/**
 * Requests whose rows somebody else keeps locked, such as a person with an open transaction. Batches are
 * committed without the changes of these, which are tried again later.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import type { Change, RequestUuid } from '../../store/store.js';
import type { Connection } from './connection.js';
import { SCHEMA } from './schema.js';
import type { Statement } from './statements.js';
import { uuids } from './values.js';

/** For how long rows are looked at before they are waited for, after one was locked. */
const SUSPECTED_MS = 10_000;
/** After so long, a row that was not known to be locked is looked at again; then after twice as long. */
const LOOK_AGAIN_MS = 5;
/** The oldest are forgotten. */
const SUSPECTS_MAX = 10_000;

/** Those that another session has locked now. */
const LOCKED: Statement = {
  name: 'locked',
  text: `WITH free AS MATERIALIZED (
      SELECT r.id FROM ${SCHEMA}.request r WHERE r.id = ANY ($1::uuid[]) FOR UPDATE SKIP LOCKED
    )
    SELECT r.id FROM ${SCHEMA}.request r
    WHERE r.id = ANY ($1::uuid[]) AND r.id <> ALL (ARRAY(SELECT f.id FROM free f))`,
};

/** The process of the server that has locked a row, if it is the only one. Not all servers know it. */
const HOLDER = `SELECT min(l.pid) FROM ${SCHEMA}.request r
  JOIN pg_locks l ON l.transactionid = r.xmax AND l.granted WHERE r.id = ANY ($1::uuid[])`;

/** What was found locked, and by which process of the server; `null`: not known. */
export interface LockedRow {
  readonly uuid: RequestUuid;
  readonly pid: number | null;
}

export class RowLocks {
  /** When they were last found locked, in monotonic milliseconds; the oldest first. */
  readonly #suspects = new Map<string, number>();
  readonly #pauseMs: number;
  readonly #found: (row: LockedRow) => void;

  /**
   * @param pauseMs a row that stays locked for so long is not one that a batch of another broker has
   * locked for a moment
   * @param found called with one of those that were not known to be locked
   */
  constructor(pauseMs: number, found: (row: LockedRow) => void) {
    this.#pauseMs = pauseMs;
    this.#found = found;
  }

  /**
   * Whether these may be locked: a row was, a short while ago, and who keeps one locked may keep others,
   * too.
   */
  mayConcern(changes: readonly Change[]): boolean {
    if (this.#suspects.size === 0) return false;
    const now = performance.now();
    for (const [suspect, at] of this.#suspects) {
      if (now - at < SUSPECTED_MS) break;
      this.#suspects.delete(suspect);
    }
    return this.#suspects.size > 0 && changes.some(({ kind }) => kind !== 'accept');
  }

  /** @returns those of these requests whose rows another session has locked now */
  async among(connection: Connection, asked: readonly RequestUuid[]): Promise<RequestUuid[]> {
    const seen = await lockedOf(connection, asked);
    const known = seen.filter((uuid) => this.#has(uuid));
    const added = await this.#stillLocked(
      connection,
      seen.filter((uuid) => !this.#has(uuid)),
    );
    const locked = [...known, ...added];
    for (const uuid of asked) this.#suspects.delete(keyOf(uuid));
    for (const uuid of locked) this.#suspects.set(keyOf(uuid), performance.now());
    for (const oldest of this.#suspects.keys()) {
      if (this.#suspects.size <= SUSPECTS_MAX) break;
      this.#suspects.delete(oldest);
    }
    const [first] = added;
    if (first !== undefined) this.#found({ uuid: first, pid: await holderOf(connection, first) });
    return locked;
  }

  /** Those that nobody unlocks within the pause. */
  async #stillLocked(connection: Connection, seen: readonly RequestUuid[]): Promise<RequestUuid[]> {
    let locked = [...seen];
    const until = performance.now() + this.#pauseMs;
    for (let ms = LOOK_AGAIN_MS; locked.length > 0 && performance.now() < until; ms *= 2) {
      await sleep(ms);
      locked = await lockedOf(connection, locked);
    }
    return locked;
  }

  #has(uuid: RequestUuid): boolean {
    return this.#suspects.has(keyOf(uuid));
  }
}

async function lockedOf(
  connection: Connection,
  asked: readonly RequestUuid[],
): Promise<RequestUuid[]> {
  const rows = await connection.run(LOCKED, [uuids(asked)]);
  return rows.map(([uuid]) => uuid as RequestUuid);
}

async function holderOf(connection: Connection, uuid: RequestUuid): Promise<number | null> {
  try {
    const [row] = await connection.ask(HOLDER, [uuids([uuid])]);
    return row?.[0] as number | null;
  } catch {
    return null;
  }
}

function keyOf(uuid: RequestUuid): string {
  return uuid.toString('latin1');
}
