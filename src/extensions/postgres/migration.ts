/** `majordomo migrate`: takes a stopped node's store file to a database. */
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';

import { codeOf, detailsOf, MajordomoError } from '../../core/errors.js';
import { checkOwnStore } from '../../store/sqlite/file/database.js';
import { type MovedStore, type MoveOrder, moveStore, sourceError } from './move.js';
import { loginOf, shownDatabase } from './login.js';
import { openDataDir } from '../../node/io/data-dir.js';
import { correctDatabaseMemory, rememberedStore } from './memory.js';
import { completenessOf } from '../../node/store-completeness.js';

export interface MigrationOrder extends Pick<
  MoveOrder,
  'mayLeaveParts' | 'shownParts' | 'onProgress'
> {
  /** The path of the store file, in the data directory of its node. */
  readonly from: string;
  /** URL of the database. */
  readonly to: string;
  /** `null`: none. */
  readonly passwordFile: string | null;
  /** The node of a pair may lack what its peer has. */
  readonly isForced: boolean;
  /** Told what the operator should know, in words. */
  readonly say: (text: string) => void;
}

/** The outcome of a move, with the database, without user and password. */
export type Migration = MovedStore & { readonly database: string };

/**
 * Takes a stopped node's store file to a database.
 * @throws ERR_TITANIC_MIGRATE if the file is that of a node of a pair that was not in sync, or has
 * records of extensions; ERR_DATA_DIR_IN_USE if a broker runs; ERR_TITANIC_LOST, if the directory records
 * another store; ERR_TITANIC_MOVED, ERR_TITANIC_STORE, ERR_TITANIC_BUSY, ERR_TITANIC_DISK
 */
export async function migrateStore(order: MigrationOrder): Promise<Migration> {
  const { passwordFile, mayLeaveParts, shownParts, onProgress } = order;
  const from = resolve(order.from);
  if (!existsSync(from)) {
    throw new MajordomoError('ERR_TITANIC_DISK', `store ${from} does not exist`);
  }
  const login = await loginOf({ titanic: { store: order.to, storePasswordFile: passwordFile } });
  const database = shownDatabase(login);
  const directory = locked(dirname(from));
  try {
    await checkComplete(directory.path, from, order);
    checkOwn(from);
    const shownFile = `${hostname()}:${from}`;
    // What cannot be corrected is told before anything is moved.
    rememberedStore(directory.path);
    const moved = await moveStore({
      file: from,
      shownFile,
      login,
      name: database,
      mayLeaveParts,
      shownParts,
      onProgress,
      onCompared: (storeId) => correctDatabaseMemory(directory.path, storeId),
    });
    return { ...moved, database };
  } finally {
    directory.release(false);
  }
}

function locked(path: string): ReturnType<typeof openDataDir> {
  try {
    return openDataDir(path);
  } catch (error) {
    if (codeOf(error) !== 'ERR_DATA_DIR_IN_USE') throw error;
    const { holder } = detailsOf(error);
    const by = typeof holder === 'string' ? ` by ${holder}` : '';
    const text = `${path} is in use${by}: stop the broker first, then migrate`;
    throw new MajordomoError('ERR_DATA_DIR_IN_USE', text, { cause: error });
  }
}

async function checkComplete(
  dataDir: string,
  from: string,
  { isForced, say }: Pick<MigrationOrder, 'isForced' | 'say'>,
): Promise<void> {
  const completeness = await completenessOf(dataDir);
  if (completeness.kind === 'standalone') return;
  if (completeness.kind === 'whole') {
    say(
      `${from} is of a node of a pair, active in epoch ${completeness.epoch}; the other node must be stopped, and must not have been active since`,
    );
    return;
  }
  const remedy =
    'start both, wait until `majordomo ha status` says that they are in sync, make one active ' +
    '(`majordomo ha switchover`), stop the other one, then this one, and migrate its file';
  const text = `${from}: ${completeness.why} (epoch ${completeness.epoch}): ${remedy}`;
  if (!isForced) {
    throw new MajordomoError('ERR_TITANIC_MIGRATE', `${text}; or move what is here with --force`);
  }
  say(`--force: ${from}: ${completeness.why}; only what is in this file is moved`);
}

function checkOwn(path: string): void {
  try {
    checkOwnStore(path);
  } catch (error) {
    throw sourceError(path, error);
  }
}
