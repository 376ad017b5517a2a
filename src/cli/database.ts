/** For `backup`, `verify` and `migrate`: stores in databases. */
import { MajordomoError } from '../core/errors.js';
import { isPostgres } from '../core/postgres-url.js';
import type { DatabaseTool, DatabaseTools } from '../store/database-tools.js';
import { load } from './config-options.js';
import type { ConfigOptions } from './options.js';

/** @throws ERR_CONFIG_INVALID if this program has no extension for them */
export async function databaseTools(): Promise<DatabaseTools> {
  const { extensions } = await import('../extensions/list.js');
  const [tools] = extensions().flatMap(({ database }) => database ?? []);
  if (tools === undefined) {
    throw new MajordomoError('ERR_CONFIG_INVALID', 'this program has no stores in databases');
  }
  return await tools();
}

/**
 * The database in which the configuration keeps durable requests, and the store that its data
 * directory remembers; `null`: a file.
 * @param path of a store, given instead of a configuration
 */
export async function databaseOf(
  path: string | undefined,
  options: ConfigOptions,
): Promise<DatabaseTool | null> {
  if (path !== undefined) return null;
  const { config } = load(options);
  if (!isPostgres(config.titanic.store)) return null;
  return await (await databaseTools()).open(config);
}
