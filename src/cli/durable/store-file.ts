/** For `backup` and `verify`: which store it is, a file or one in a database, and whether it is the right one. */
import { join } from 'node:path';

import { codeOf, MajordomoError, messageOf } from '../../core/errors.js';
import { isPostgres } from '../../core/postgres-url.js';
import type { DatabaseTool } from '../../store/database-tools.js';
import { load } from '../common/load-config.js';
import { type ConfigOptions, usage } from '../common/options.js';
import type { Program } from '../program.js';

/**
 * The store at `path`, else that of the configuration.
 * @throws ERR_USAGE, ERR_CONFIG_INVALID, ERR_CONFIG_FILE
 */
export function storeFile(path: string | undefined, options: ConfigOptions): string {
  if (path === undefined) {
    const { config } = load(options);
    return join(config.node.dataDir, config.titanic.file);
  }
  if (options.config === undefined && options.set === undefined) return path;
  throw usage('give either the path of a store, or -c and --set');
}

/**
 * A store of the configuration must be the one that its data directory records; a store given by
 * its path cannot be checked.
 * @throws ERR_TITANIC_LOST, and as opening a store does
 */
export async function checkStore(path: string | undefined, file: string): Promise<void> {
  if (path !== undefined) return;
  const { checkOwnStore } = await import('../../store/sqlite/file/database.js');
  try {
    checkOwnStore(file);
  } catch (error) {
    const { openError } = await import('../../store/sqlite/file/sqlite-errors.js');
    throwDamage(openError(file, error));
  }
}

/** A file that is not a store is a configuration error at a start, and damage for other commands. */
export function throwDamage(error: unknown): never {
  if (codeOf(error) !== 'ERR_TITANIC_FILE') throw error;
  throw new MajordomoError('ERR_TITANIC_DISK', messageOf(error), { cause: error });
}

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
