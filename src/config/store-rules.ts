/** Rules about where durable requests are kept. */
import { isPostgres, databaseAddressOf } from '../core/postgres-url.js';
import type { Config } from './config.js';
import type { Broken } from './rules.js';
import { formatSize } from './size.js';

const SQLITE = 'sqlite';

/** `sqlite`, or a URL that can be read. */
export function storeIsKnown({ titanic }: Config): readonly Broken[] {
  const { store } = titanic;
  if (store === SQLITE) return [];
  const place = isPostgres(store) ? databaseAddressOf(store) : 'expected sqlite, or postgresql://…';
  return typeof place === 'string' ? [{ path: ['titanic', 'store'], message: place }] : [];
}

/**
 * Larger ones would take seconds to store and to read. Those that are in the database already are read
 * all the same, in parts.
 */
const DATABASE_MESSAGE_BYTES_MAX = 200 * 1024 * 1024;

/** What a database replaces, or cannot keep. */
export function besideDatabase({ titanic, bstar, map, limits }: Config): readonly Broken[] {
  if (!isPostgres(titanic.store)) return [];
  const broken: Broken[] = [];
  if (bstar.role !== 'standalone') {
    const message = `${bstar.role} contradicts titanic.store: with a database, the database is replicated, not the broker; set bstar.role: standalone`;
    broken.push({ path: ['bstar', 'role'], message });
  }
  if (map.listen !== null) {
    const message =
      'contradicts titanic.store: the records of the map are kept in the file of a node or a pair, not in a database; set map.listen: off';
    broken.push({ path: ['map', 'listen'], message });
  }
  if (limits.messageBytes > DATABASE_MESSAGE_BYTES_MAX) {
    const size = formatSize(limits.messageBytes);
    const most = formatSize(DATABASE_MESSAGE_BYTES_MAX);
    const message = `${size} is too much for titanic.store: in a database, requests and replies have at most ${most}; set limits.messageBytes: ${most}`;
    broken.push({ path: ['limits', 'messageBytes'], message });
  }
  return broken;
}

/** A password is of no use to the file of this node. */
export function passwordOfDatabase({ titanic }: Config): readonly Broken[] {
  if (titanic.storePasswordFile === null || isPostgres(titanic.store)) return [];
  const message = 'has no effect: titanic.store is not a database';
  return [{ path: ['titanic', 'storePasswordFile'], message }];
}
