/**
 * Requests whose rows somebody else keeps locked, such as a person with an open transaction. Batches are
 * committed without the changes of these, which are tried again later.
 */
import type { Change, RequestUuid } from '../../store/store.js';
import { uuidsOf } from './changes.js';
import type { Connection } from './connection.js';
import { SCHEMA } from './schema.js';
import type { Statement } from './statements.js';
import { uuids } from './values.js';

/** For how long a row that was locked is looked at before it is waited for. */
const SUSPECTED_MS = 10_000;
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
  readonly #found: (row: LockedRow) => void;

  /** @param found called with one of those that were not known to be locked */
  constructor(found: (row: LockedRow) => void) {
    this.#found = found;
  }

  /** Whether the row of one of these was locked a short while ago. */
  mayConcern(changes: readonly Change[]): boolean {
    if (this.#suspects.size === 0) return false;
    const now = performance.now();
    for (const [suspect, at] of this.#suspects) {
      if (now - at < SUSPECTED_MS) break;
      this.#suspects.delete(suspect);
    }
    return changes.some((change) => uuidsOf(change).some((uuid) => this.#has(uuid)));
  }

  /** @returns those of these requests whose rows another session has locked now */
  async among(connection: Connection, asked: readonly RequestUuid[]): Promise<RequestUuid[]> {
    const rows = await connection.run(LOCKED, [uuids(asked)]);
    const locked = rows.map(([uuid]) => uuid as RequestUuid);
    const added = locked.filter((uuid) => !this.#has(uuid));
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

  #has(uuid: RequestUuid): boolean {
    return this.#suspects.has(keyOf(uuid));
  }
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
