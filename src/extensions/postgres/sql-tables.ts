/** The port of a store, carried out by the statements of PostgreSQL. */
import { present } from '../../core/assert.js';
import { claim, freeUnknown, release, wake } from './claim-rows.js';
import { commit } from './commit.js';
import { connect, type Login } from './connect.js';
import type { Connection } from './connection.js';
import { locked, lockHolders } from './locked-rows.js';
import { snapshots, unclaimed } from './looks.js';
import { migrate } from './migrate.js';
import { listen, listenAgain, notify, senders, unlisten } from './notifications.js';
import type { Dial } from './persistent-connection.js';
import {
  claimedOf,
  count,
  countSnapshot,
  list,
  listKept,
  load,
  lookUp,
  mustBeStore,
  newestAt,
  part,
  snapshot,
} from './reader.js';
import { missingRight } from './rights.js';
import { limitLocks } from './server.js';
import { endSession, free, leave, others, raiseToken, renew, take, token } from './session.js';
import { setAside } from './set-aside.js';
import type { Held, Tables } from './tables.js';

type Operations = Omit<Tables, keyof Held>;

const SQL: {
  readonly [Name in keyof Operations]: (
    connection: Connection,
    ...args: Parameters<Operations[Name]>
  ) => ReturnType<Operations[Name]>;
} = {
  ...{ migrate, setAside, mustBeStore, newestAt },
  ...{ take, renew, others, endSession, free, leave, raiseToken, token },
  ...{ limitLocks, commit, locked, lockHolders, claimedOf, claim, release, freeUnknown, wake },
  ...{ count, snapshot, countSnapshot, list, listKept, load, lookUp, part, unclaimed, snapshots },
  ...{ missingRight, listen, listenAgain, unlisten, notify, senders },
};

export function tablesOver(connection: Connection): Tables {
  const bound = Object.entries(SQL).map(([name, run]: [string, (...args: never[]) => unknown]) => [
    name,
    run.bind(null, ...([connection] as never[])),
  ]);
  return {
    get isOpen() {
      return connection.isOpen;
    },
    get isIdle() {
      return connection.isIdle;
    },
    destroy: () => connection.destroy(),
    close: () => connection.close(),
    ...(Object.fromEntries(bound) as Operations),
  };
}

/** Connects to the tables of a store. */
export function dialTables(login: Login): Dial<Tables> {
  return async (known, timeoutMs, check) => {
    const made: Tables[] = [];
    const opened = await connect(login, known, timeoutMs, async (connection, server) => {
      const tables = tablesOver(connection);
      made.push(tables);
      await check(tables, server);
    });
    return { ...opened, connection: present(made.at(-1), 'a connection that was checked') };
  };
}
