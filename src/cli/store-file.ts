/** For `backup` and `verify`: which file is the store, and whether it is the right one. */
import { join } from 'node:path';

import { codeOf, MajordomoError, messageOf } from '../core/errors.js';
import { load } from './config-options.js';
import type { ConfigOptions } from './options.js';

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
  throw new MajordomoError('ERR_USAGE', 'give either the path of a store, or -c and --set');
}

/**
 * A store of the configuration must be the one that its data directory records; a store given by
 * its path cannot be checked.
 * @throws ERR_TITANIC_LOST, and as opening a store does
 */
export async function checkStore(path: string | undefined, file: string): Promise<void> {
  if (path !== undefined) return;
  const { checkOwnStore } = await import('../store/sqlite/file/database.js');
  try {
    checkOwnStore(file);
  } catch (error) {
    const { openError } = await import('../store/sqlite/file/sqlite-errors.js');
    throw openError(file, error);
  }
}

/** A file that is not a store is a configuration error at a start, and damage for other commands. */
export function damage(error: unknown): unknown {
  if (codeOf(error) !== 'ERR_TITANIC_FILE') return error;
  return new MajordomoError('ERR_TITANIC_DISK', messageOf(error), { cause: error });
}

/** A size for people: `12.3 MiB`. */
export function shownSize(bytes: number): string {
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let size = bytes;
  let unit = 'bytes';
  while (size >= 1024 && units.length > 0) {
    size /= 1024;
    unit = units.shift() ?? unit;
  }
  return `${unit === 'bytes' ? size : size.toFixed(1)} ${unit}`;
}
