/** Rules about where durable requests are kept. */
import { isPostgres, databaseAddressOf } from '../core/postgres-url.js';
import type { Config } from './config.js';
import { rule, type Rule } from './rule.js';
import { formatSize } from './size.js';

const SQLITE = 'sqlite';

/**
 * The largest `limits.messageBytes` with a database: larger messages would take seconds to store and to read. One that is
 * in the database already is read all the same, in parts.
 */
const DATABASE_MESSAGE_BYTES_MAX = 200 * 1024 * 1024;

function isInDatabase({ titanic }: Config): boolean {
  return isPostgres(titanic.store);
}

export const STORE_RULES: readonly Rule[] = [
  // `sqlite`, or a URL that can be read.
  rule(['titanic.store'], ({ titanic: { store } }) => {
    if (store === SQLITE) return null;
    if (!isPostgres(store)) return 'expected sqlite, or postgresql://…';
    const place = databaseAddressOf(store);
    return typeof place === 'string' ? place : null;
  }),
  // What a database replaces, or cannot keep.
  rule(['titanic.store', 'bstar.role'], (config) =>
    isInDatabase(config) && config.bstar.role !== 'standalone'
      ? `${config.bstar.role} contradicts titanic.store: with a database, the database is replicated, not the broker; set bstar.role: standalone`
      : null,
  ),
  rule(['titanic.store', 'map.listen'], (config) =>
    isInDatabase(config) && config.map.listen !== null
      ? 'contradicts titanic.store: the records of the map are kept in the file of a node or a pair, not in a database; set map.listen: off'
      : null,
  ),
  rule(['titanic.store', 'limits.messageBytes'], (config) => {
    const { messageBytes } = config.limits;
    const most = formatSize(DATABASE_MESSAGE_BYTES_MAX);
    return isInDatabase(config) && messageBytes > DATABASE_MESSAGE_BYTES_MAX
      ? `${formatSize(messageBytes)} is too much for titanic.store: in a database, requests and replies have at most ${most}; set limits.messageBytes: ${most}`
      : null;
  }),
  rule(['titanic.store', 'titanic.storePasswordFile'], (config) =>
    config.titanic.storePasswordFile !== null && !isInDatabase(config)
      ? 'has no effect: titanic.store is not a database'
      : null,
  ),
];
