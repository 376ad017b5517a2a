/**
 * What a broker looks at again and again, while nobody waits for it: how long requests wait that nobody has
 * claimed, and what keeps dead rows in the database.
 */
import type { Clock, Timer } from './clock.js';
import type { Connection } from './connection.js';
import { IS_CLAIMABLE, SCHEMA } from './schema.js';
import type { Statement } from './statements.js';

const LOOK_MS = 10_000;

export class RepeatedLook<Seen> {
  readonly #clock: Clock;
  readonly #look: () => Promise<Seen>;
  readonly #report: (seen: Seen | null) => void;
  #timer: Timer | null = null;
  #isClosed = false;

  /** @param report is given `null` if a look has failed */
  constructor(clock: Clock, look: () => Promise<Seen>, report: (seen: Seen | null) => void) {
    this.#clock = clock;
    this.#look = look;
    this.#report = report;
    void this.#run();
  }

  async #run(): Promise<void> {
    // The store is away, which is told elsewhere, or its engine does not tell.
    const seen = await this.#look().catch(() => null);
    if (this.#isClosed) return;
    this.#report(seen);
    this.#timer = this.#clock.later(LOOK_MS, () => void this.#run());
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) this.#clock.cancel(this.#timer);
  }
}

const SERVICES_MAX = 1000;

/**
 * The first request of each service, in the order of claims. One look into the index leads to the next
 * service, so it does not matter how many requests wait.
 */
export const UNCLAIMED: Statement = {
  name: 'unclaimed',
  text: `WITH RECURSIVE waiting AS (
    SELECT ''::bytea AS service
    UNION ALL
    SELECT (
      SELECT r.service FROM ${SCHEMA}.request r WHERE ${IS_CLAIMABLE} AND r.service > w.service
      ORDER BY r.service, r.priority DESC, r.seq LIMIT 1
    ) FROM waiting w WHERE w.service IS NOT NULL
  )
  SELECT w.service, first.since FROM waiting w, LATERAL (
    SELECT CASE r.attempts WHEN 0 THEN greatest(r.accepted_at, r.not_before) ELSE r.accepted_at END
      AS since FROM ${SCHEMA}.request r
    WHERE ${IS_CLAIMABLE} AND r.service = w.service
    ORDER BY r.service, r.priority DESC, r.seq LIMIT 1
  ) first LIMIT ${SERVICES_MAX}`,
};

/** Since when the first one waits, in wall milliseconds, by service, one character per byte. */
export async function unclaimed(connection: Connection): Promise<Map<string, number>> {
  const rows = await connection.run(UNCLAIMED, []);
  return new Map(
    rows.map(([service, since]) => [(service as Buffer).toString('latin1'), since as number]),
  );
}

/**
 * - *transaction*: an open one, also of an idle session, in which a dump may run
 * - *prepared*: one that was prepared (two-phase commit) and not ended
 * - *slot*: a replication slot, for a standby that may be away
 * - *standby*: a query on a standby with hot_standby_feedback
 */
export type HolderKind = 'transaction' | 'prepared' | 'slot' | 'standby';

export interface SnapshotHolder {
  readonly kind: HolderKind;
  /** The process of the server, or the name of the slot or of the prepared transaction. */
  readonly name: string;
  /** The oldest transaction that it may still see as running. */
  readonly xmin: string;
  /** Transactions that began since. */
  readonly transactions: number;
  /** Since it began; `null`: the server does not know when. */
  readonly seconds: number | null;
  /** False for a slot that nobody reads. */
  readonly isActive: boolean;
}

/** What a role without the right to read statistics does not see is left out. */
export interface Snapshots {
  /** Whether this role sees the sessions of other roles. */
  readonly areAllSeen: boolean;
  /** Holders of snapshots, those that keep the most first. */
  readonly holders: readonly SnapshotHolder[];
}

const HOLDERS_MAX = 20;

/**
 * A transaction that writes counts wherever it is, because snapshots of this database remember it
 * as running; one that only reads counts in its own database.
 */
const HOLDERS = `SELECT * FROM (
    SELECT CASE backend_type WHEN 'walsender' THEN 'standby' ELSE 'transaction' END, pid::text,
      coalesce(backend_xmin, backend_xid)::text,
      greatest(age(backend_xmin), age(backend_xid))::bigint AS transactions,
      CASE WHEN backend_type <> 'walsender' THEN
        extract(epoch FROM clock_timestamp() - xact_start)::bigint END, true
    FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND backend_type <> 'autovacuum worker'
      AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL
        AND (datname = current_database() OR backend_type = 'walsender'))
    UNION ALL
    SELECT 'prepared', gid, transaction::text, age(transaction)::bigint,
      extract(epoch FROM clock_timestamp() - prepared)::bigint, true
    FROM pg_prepared_xacts
    UNION ALL
    SELECT 'slot', slot_name::text, xmin::text, age(xmin)::bigint, NULL, active
    FROM pg_replication_slots WHERE xmin IS NOT NULL
  ) held ORDER BY transactions DESC LIMIT ${HOLDERS_MAX}`;

const MAY_SEE_ALL = "SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')";

/** Rejects on an engine that does not tell. */
export async function snapshots(connection: Connection): Promise<Snapshots> {
  const [right] = await connection.ask(MAY_SEE_ALL);
  const rows = await connection.ask(HOLDERS);
  return {
    areAllSeen: right?.[0] === true,
    holders: rows.map(([kind, name, xmin, transactions, seconds, isActive]) => ({
      kind: kind as HolderKind,
      name: String(name),
      xmin: String(xmin),
      transactions: transactions as number,
      seconds: seconds === null ? null : Math.max(0, seconds as number),
      isActive: isActive === true,
    })),
  };
}

/** How old the oldest snapshot is, of those that are looked at again and again. */
export class SnapshotAges {
  /** Since when (`nowMs`) this broker has seen unchanged what the server gives no time of. */
  #seen = new Map<string, number>();

  /**
   * @param nowMs of any clock that does not go back
   * @returns seconds; 0 if there is none, `null` if this role does not see all
   */
  oldest({ areAllSeen, holders }: Snapshots, nowMs: number): number | null {
    const seen = new Map<string, number>();
    let oldest = 0;
    for (const { kind, name, xmin, seconds } of holders) {
      const key = `${kind} ${name} ${xmin}`;
      const since = this.#seen.get(key) ?? nowMs;
      if (seconds === null) seen.set(key, since);
      oldest = Math.max(oldest, seconds ?? (nowMs - since) / 1000);
    }
    this.#seen = seen;
    return areAllSeen ? oldest : null;
  }
}
