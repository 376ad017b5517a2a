/** Whether the data directory can be used; does not create it. */
import { accessSync, constants, existsSync, statfsSync, statSync, type Stats } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

import { codeOf, detailsOf, type MajordomoError, messageOf } from '../../../core/errors.js';
import { mayOthersUse, mayOthersWrite } from '../../../core/private-file.js';
import { type Finding, ok, problem, warning } from '../../../core/finding.js';
import { approximately } from './machine.js';

const DATA_DIRECTORY = 'data directory';
const LOCK_FILE = 'lock';

/** @param served whether a Majordomo answers at this configuration's endpoints */
export async function dataDirectory(directory: string, served: boolean): Promise<Finding> {
  const path = resolve(directory);
  let stats: Stats;
  try {
    stats = statSync(path);
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? absent(path) : unusable(path, messageOf(error));
  }
  if (!stats.isDirectory()) return unusable(path, 'it is not a directory');
  const denied = deniedAt(path);
  if (denied !== null) return unusable(path, denied);
  if (mayOthersWrite(stats.mode)) {
    const text = `${path} is writable by other users, who could change durable requests`;
    return problem(DATA_DIRECTORY, text, `chmod go-w ${path}`);
  }
  const error = await lockError(path);
  if (error !== null) return locked(path, error, served);
  if (mayOthersUse(stats)) {
    return warning(DATA_DIRECTORY, `${path} is open to other users`, `chmod 700 ${path}`);
  }
  return ok(DATA_DIRECTORY, `${path} is usable and not in use`);
}

function absent(path: string): Finding {
  const above = existingAbove(path);
  const denied = deniedAt(above);
  if (denied !== null) return unusable(path, `it does not exist, and ${above}: ${denied}`);
  return ok(DATA_DIRECTORY, `${path} will be created`);
}

function unusable(path: string, why: string): Finding {
  const remedy = 'give node.dataDir a directory that this user can write';
  return problem(DATA_DIRECTORY, `${path} cannot be used: ${why}`, remedy);
}

function deniedAt(path: string): string | null {
  try {
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

/** Whether a running broker uses it. */
export async function isInUse(directory: string): Promise<boolean> {
  return codeOf(await lockError(resolve(directory))) === 'ERR_DATA_DIR_IN_USE';
}

/** Null if it is free. Takes the lock for a moment, because that is the only way to find out. */
async function lockError(path: string): Promise<unknown> {
  if (!existsSync(join(path, LOCK_FILE))) return null;
  const { openDataDir } = await import('../../../node/io/data-dir.js');
  try {
    openDataDir(path).release(false);
    return null;
  } catch (error) {
    return error;
  }
}

function locked(path: string, error: unknown, served: boolean): Finding {
  if (codeOf(error) !== 'ERR_DATA_DIR_IN_USE') return unusable(path, messageOf(error));
  const { holder } = detailsOf(error);
  const who = typeof holder === 'string' ? ` (${holder})` : '';
  const text = `${path} is in use by a running broker${who}`;
  if (served) return ok(DATA_DIRECTORY, text);
  const remedy =
    'it does not listen on broker.listen of this configuration, so it is another broker: give this one another node.dataDir';
  return warning(DATA_DIRECTORY, text, remedy);
}

const SET_ASIDE_REMEDY = 'see docs/operating.md, If rows were set aside';

/** Whether the store is the one that the data directory records. */
export async function store(path: string): Promise<Finding> {
  const { checkOwnStore } = await import('../../../store/sqlite/file/database.js');
  const { refuseMovedFile } = await import('../../../store/sqlite/file/left-behind.js');
  const { setAsideAt } = await import('../../../store/sqlite/file/set-aside.js');
  try {
    checkOwnStore(path);
    refuseMovedFile(path);
    const aside = existsSync(path) ? setAsideAt(path) : null;
    if (aside !== null) return warning('store', `${path}: ${aside}`, SET_ASIDE_REMEDY);
  } catch (error) {
    if (codeOf(error) === 'ERR_TITANIC_LOST') {
      const { why, remedy } = (error as MajordomoError).details;
      return problem('store', String(why), String(remedy));
    }
    // A running broker may have locked it.
    if ((codeOf(error) ?? '').startsWith('SQLITE_BUSY')) return ok('store', `${path} is in use`);
    if (codeOf(error) === 'ERR_TITANIC_MOVED') {
      return problem('store', messageOf(error), 'set titanic.store, or another node.dataDir');
    }
    return problem('store', `${path}: ${messageOf(error)}`, 'run majordomo verify for details');
  }
  return existsSync(path)
    ? ok('store', `${path} is the expected store`)
    : ok('store', `${path} will be created`);
}

function existingAbove(path: string): string {
  let above = path;
  while (!existsSync(above) && dirname(above) !== above) above = dirname(above);
  return above;
}

const MIB = 1024 * 1024;
const SPACE_MIN_BYTES = 64 * MIB;
const SPACE_LOW_BYTES = 1024 * MIB;

export function freeSpace(directory: string): Finding {
  const name = 'free space';
  const path = existingAbove(resolve(directory));
  let bytes: number;
  try {
    const { bavail, bsize } = statfsSync(path);
    bytes = bavail * bsize;
  } catch (error) {
    return problem(name, messageOf(error), 'check the file system of node.dataDir');
  }
  const text = `${approximately(bytes)} at ${path}`;
  const remedy = 'free some space, or move node.dataDir';
  if (bytes < SPACE_MIN_BYTES) return problem(name, text, remedy);
  return bytes < SPACE_LOW_BYTES ? warning(name, text, remedy) : ok(name, text);
}
