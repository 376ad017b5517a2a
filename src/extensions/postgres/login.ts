/** Which database a configuration names. */
import type { Config } from '../../config/config.js';
import { isLoopback } from '../../config/io/loopback.js';
import { MajordomoError } from '../../core/errors.js';
import { databaseAddressOf, shownHost } from '../../core/postgres-url.js';
import type { StoreConfig } from '../../store/database-tools.js';
import type { Examined } from './examine.js';
import { rememberedHistory, rememberedStore } from './memory.js';
import type { OpenPostgres } from './postgres-store.js';

/**
 * Where the store is, for its thread, and which history of it was used last.
 * @throws ERR_CONFIG_INVALID, if it was not checked before
 */
export async function loginOf({
  titanic,
  node,
}: {
  readonly titanic: Pick<Config['titanic'], 'store' | 'storePasswordFile'>;
  /** Absent: no history is remembered. */
  readonly node?: Pick<Config['node'], 'dataDir'>;
}): Promise<OpenPostgres['login']> {
  const address = databaseAddressOf(titanic.store);
  if (typeof address === 'string') throw new MajordomoError('ERR_CONFIG_INVALID', address);
  const areLocal = await Promise.all(
    address.hosts.map(async ({ host, port }) =>
      host.startsWith('/') ? true : isLoopback({ scheme: 'tcp', host, port }),
    ),
  );
  const isLocal = areLocal.every(Boolean);
  const history = node === undefined ? null : rememberedHistory(node.dataDir);
  return { address, passwordFile: titanic.storePasswordFile, isLoopback: isLocal, history };
}

/** A store in messages: without the user. */
export function shownDatabase({ address }: OpenPostgres['login']): string {
  return `${address.hosts.map(shownHost).join(',')}/${address.database}`;
}

/** The database of a configuration, for commands that look at it. @throws as `loginOf` */
export async function examinedOf(config: StoreConfig): Promise<Examined> {
  const login = await loginOf(config);
  const storeId = rememberedStore(config.node.dataDir);
  return { login, name: shownDatabase(login), storeId };
}
