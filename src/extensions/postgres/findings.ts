/** What the facts of a database mean for an operator. */
import type { ServerFacts } from './examine.js';
import type { HolderKind, SnapshotHolder, Snapshots } from './looks.js';
import { type Finding, ok, problem, warning } from '../../core/finding.js';

export const NAME = 'database';

/** A snapshot that is as old keeps many dead rows, and slows everything down. */
const OLD_SECONDS = 60;
/** So many transactions mean the same for a snapshot whose age the server does not know. */
const OLD_TRANSACTIONS = 100_000;

/** On how many machines receipts are. */
export function safety({
  host,
  synchronous,
  isSynchronous,
  snapshots,
}: Omit<ServerFacts, 'store'>): Finding {
  if (synchronous > 0) return ok(NAME, `${host}, with ${synchronous} synchronous standby servers`);
  if (!isSynchronous) {
    return warning(
      NAME,
      `${host}: receipts live on one machine, because no standby is synchronous`,
      'set synchronous_standby_names, unless the engine replicates below PostgreSQL',
    );
  }
  // Which standbys there are is seen only with the right to read statistics.
  if (snapshots?.areAllSeen !== true) return ok(NAME, `${host}, which waits for its standby`);
  return problem(
    NAME,
    `${host}: no synchronous standby is connected, so nothing can be stored`,
    'start the standby that synchronous_standby_names means, or change that setting',
  );
}

const STORE = 'store';

/** Whether a broker would start on what the database holds. */
export function storeFinding({ store }: Pick<ServerFacts, 'store'>, name: string): Finding {
  if (store === 'absent') return ok(STORE, `${name}: the store will be created`);
  if ('refused' in store) {
    return problem(STORE, store.refused, 'see docs/postgresql.md');
  }
  const { missing, aside } = store;
  if (aside !== null) {
    return warning(STORE, `${name}: ${aside}`, 'see docs/operating.md, If rows were set aside');
  }
  if (missing.length === 0) return ok(STORE, `${name} is the expected store`);
  const text = `${name}: the store is slow: ${missing.map((each) => each.text).join(', ')}`;
  return warning(STORE, text, missing.map(({ sql }) => sql).join('; '));
}

const SNAPSHOT = 'oldest snapshot';
const SLOW = 'until it ends, deleted rows stay and slow the store down';

/** What holds the oldest snapshot, and how to end it. */
export function oldestSnapshot(snapshots: Snapshots | null, user: string): Finding {
  if (snapshots === null) return ok(SNAPSHOT, 'this engine does not tell');
  const old = snapshots.holders.find(isOld);
  if (old !== undefined) {
    const { of, remedy } = HOLDER[old.kind];
    const text = `${of} ${JSON.stringify(old.name)} ${ageOf(old)}: ${SLOW}`;
    return warning(SNAPSHOT, text, `${remedy}; take dumps from a standby`);
  }
  if (!snapshots.areAllSeen) {
    const text = `the role ${user} does not see the transactions of others`;
    return warning(SNAPSHOT, text, `GRANT pg_read_all_stats TO "${user}"`);
  }
  const [first] = snapshots.holders;
  if (first === undefined) return ok(SNAPSHOT, 'none: no transaction is open');
  return ok(SNAPSHOT, `${HOLDER[first.kind].of} ${JSON.stringify(first.name)} ${ageOf(first)}`);
}

function isOld({ seconds, transactions, isActive }: SnapshotHolder): boolean {
  return (
    !isActive || (seconds === null ? transactions >= OLD_TRANSACTIONS : seconds >= OLD_SECONDS)
  );
}

function ageOf({ seconds, transactions, isActive }: SnapshotHolder): string {
  const use = isActive ? '' : ', and nobody reads it';
  return seconds === null
    ? `is ${transactions} transactions old${use}`
    : `has been open for ${seconds} s`;
}

const HOLDER: Readonly<Record<HolderKind, { readonly of: string; readonly remedy: string }>> = {
  transaction: {
    of: 'a transaction of the process',
    remedy: 'end it: pg_stat_activity shows whose it is, pg_terminate_backend ends it',
  },
  prepared: {
    of: 'the prepared transaction',
    remedy: 'end it with COMMIT PREPARED or ROLLBACK PREPARED',
  },
  slot: {
    of: 'the replication slot',
    remedy: 'start its standby, or drop it with pg_drop_replication_slot',
  },
  standby: {
    of: 'a query on the standby of the process',
    remedy: 'end the query there, or switch hot_standby_feedback off',
  },
};
