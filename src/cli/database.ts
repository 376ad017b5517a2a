/** For `backup`, `verify` and `doctor`: the database of a configuration. */
import { isPostgres } from '../core/postgres-url.js';
import { load } from './config-options.js';
import type { ConfigOptions } from './options.js';

type Examined = Awaited<ReturnType<typeof import('../extensions/postgres/login.js').examinedOf>>;

/**
 * The database in which the configuration keeps durable requests, and the store that its data
 * directory remembers; `null`: a file.
 * @param path of a store, given instead of a configuration
 */
export async function databaseOf(
  path: string | undefined,
  options: ConfigOptions,
): Promise<Examined | null> {
  if (path !== undefined) return null;
  const { config } = load(options);
  if (!isPostgres(config.titanic.store)) return null;
  const { examinedOf } = await import('../extensions/postgres/login.js');
  return await examinedOf(config);
}
