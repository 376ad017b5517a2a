/** Rules about where durable requests are kept. */
import { isPostgres, databaseAddressOf } from '../core/postgres-url.js';
import type { Config } from './config.js';
import { broken, type Broken } from './problem.js';
import { formatSize } from './size.js';

const SQLITE = 'sqlite';

/** `sqlite`, or a URL that can be read. */
export function storeIsKnown({ titanic }: Config): readonly Broken[] {
  const { store } = titanic;
  if (store === SQLITE) return [];
  const place = isPostgres(store) ? databaseAddressOf(store) : 'expected sqlite, or postgresql://…';
  return typeof place === 'string' ? broken(true, 'titanic.store', place) : [];
}

/**
 * Larger ones would take seconds to store and to read. Those that are in the database already are read
 * all the same, in parts.
 */
const DATABASE_MESSAGE_BYTES_MAX = 200 * 1024 * 1024;

/** What a database replaces, or cannot keep. */
export function besideDatabase({ titanic, bstar, map, limits }: Config): readonly Broken[] {
  if (!isPostgres(titanic.store)) return [];
  const { role } = bstar;
  const size = formatSize(limits.messageBytes);
  const most = formatSize(DATABASE_MESSAGE_BYTES_MAX);
  return [
    ...broken(
      role !== 'standalone',
      'bstar.role',
      `${role} contradicts titanic.store: with a database, the database is replicated, not the broker; set bstar.role: standalone`,
    ),
    ...broken(
      map.listen !== null,
      'map.listen',
      'contradicts titanic.store: the records of the map are kept in the file of a node or a pair, not in a database; set map.listen: off',
    ),
    ...broken(
      limits.messageBytes > DATABASE_MESSAGE_BYTES_MAX,
      'limits.messageBytes',
      `${size} is too much for titanic.store: in a database, requests and replies have at most ${most}; set limits.messageBytes: ${most}`,
    ),
  ];
}

/** A password is of no use to the file of this node. */
export function passwordOfDatabase({ titanic }: Config): readonly Broken[] {
  return broken(
    titanic.storePasswordFile !== null && !isPostgres(titanic.store),
    'titanic.storePasswordFile',
    'has no effect: titanic.store is not a database',
  );
}
