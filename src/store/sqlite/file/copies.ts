/** Copies of a store: each is a store of its own, in one file. */
import { closeSync, linkSync, openSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';

import Database from 'better-sqlite3';

import { PRIVATE_MODE, syncPath } from './files.js';
import { unmarkMoved } from './moved.js';
import { ORIGIN_BYTES } from './schema.js';

/** Makes an empty file (mode 0600) for the pages of a copy. */
export function beginCopy(making: string): void {
  for (const suffix of ['', '-journal']) rmSync(`${making}${suffix}`, { force: true });
  closeSync(openSync(making, 'wx', PRIVATE_MODE));
}

/** Makes the copied pages a store of their own, on disk. */
export function completeCopy(making: string): void {
  const copied = new Database(making, { fileMustExist: true });
  // It gets its own id half, because its later changes are not those of the original; the common
  // half still shows where it comes from.
  copied.exec(
    `UPDATE ledger SET store_id = CAST(
      substr(store_id, 1, ${ORIGIN_BYTES}) || randomblob(${ORIGIN_BYTES}) AS BLOB)`,
  );
  unmarkMoved(copied);
  // Readable even where nothing can be written.
  copied.pragma('journal_mode = DELETE');
  copied.close();
  syncPath(making);
}

/** @throws EEXIST if there is a file at `target` */
export function placeCopy(making: string, target: string): void {
  // Unlike a rename, it does not replace a file that was created meanwhile.
  linkSync(making, target);
  rmSync(making);
  syncPath(dirname(target));
}
