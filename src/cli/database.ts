/** For `backup` and `verify`: the store in a database. */
import { MajordomoError } from '../core/errors.js';
import { isPostgres } from '../core/postgres-url.js';
import type { DatabaseTool } from '../store/database-tools.js';
import { load } from './config-options.js';
import type { ConfigOptions } from './options.js';
import type { Program } from './program.js';

/**
 * The database in which the configuration keeps durable requests, and the store that its data
 * directory remembers; `null`: a file.
 * @param path of a store, given instead of a configuration
 * @throws ERR_CONFIG_INVALID, also if this program has no extension for databases; ERR_CONFIG_FILE
 */
export async function databaseOf(
  path: string | undefined,
  options: ConfigOptions,
  program: Program,
): Promise<DatabaseTool | null> {
  if (path !== undefined) return null;
  const { config } = load(options);
  if (!isPostgres(config.titanic.store)) return null;
  const [open] = (await program.extensions()).flatMap(({ database }) => database ?? []);
  if (open === undefined) {
    throw new MajordomoError('ERR_CONFIG_INVALID', 'this program has no stores in databases');
  }
  return await open(config);
}
