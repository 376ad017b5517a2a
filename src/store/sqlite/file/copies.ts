/** Copies of a store: each is a store of its own, in one file. */
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, linkSync, openSync, readdirSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { codeOf, MajordomoError } from '../../../core/errors.js';
import { connect } from './connection.js';
import { PRIVATE_MODE, syncPath } from './files.js';
import { BESIDE } from './header.js';
import { unmark } from './log-mark.js';
import { unmarkMoved } from './moved.js';
import { SHARED_ID_BYTES } from './schema.js';

/** Paths of the copies that this process is making. */
const drafts = new Set<string>();
const DRAFT = /^(.+)\.(\d+)-[0-9a-f]{8}\.partial$/;
/** A draft with another name may be of another machine, which writes to it all the time. */
const ABANDONED_MS = 6 * 3_600_000;

/**
 * Has a store made under another name, and puts it at `target`, where no file may be. A copy that failed
 * leaves nothing behind; what interrupted ones left in that directory, the next one removes.
 * @param make makes the file at the path that it is given, and closes it
 * @param check whether the copy is whole
 * @throws ERR_TITANIC_TARGET if `target` exists, else what these throw
 */
export async function makeCopy(
  target: string,
  make: (making: string) => Promise<void>,
  check: (making: string) => void = () => undefined,
): Promise<void> {
  if (existsSync(target)) throw occupied(target);
  const making = `${target}.${process.pid}-${randomBytes(4).toString('hex')}.partial`;
  drafts.add(making);
  try {
    removeInterrupted(target);
    await make(making);
    completeCopy(making);
    check(making);
    placeCopy(making, target);
  } catch (error) {
    removeDraft(making);
    throw codeOf(error) === 'EEXIST' ? occupied(target) : error;
  } finally {
    drafts.delete(making);
  }
}

/** Removes what this process has not completed, before a signal ends it. */
export function removeDrafts(): void {
  for (const draft of drafts) removeDraft(draft);
}

function removeInterrupted(target: string): void {
  for (const name of readdirSync(dirname(target))) {
    const [, of, pid] = DRAFT.exec(name) ?? [];
    const draft = join(dirname(target), name);
    if (pid === undefined || isMaking(Number(pid), draft)) continue;
    if (of === basename(target) || isAbandoned(draft)) removeDraft(draft);
  }
}

function isAbandoned(draft: string): boolean {
  const stats = statSync(draft, { throwIfNoEntry: false });
  return stats !== undefined && Date.now() - stats.mtimeMs > ABANDONED_MS;
}

function isMaking(pid: number, draft: string): boolean {
  if (pid === process.pid) return drafts.has(draft);
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Of another user.
    return codeOf(error) === 'EPERM';
  }
}

function occupied(target: string): MajordomoError {
  const text = `${target} exists already: a backup overwrites no file`;
  return new MajordomoError('ERR_TITANIC_TARGET', text);
}

/** Removes a file that was not completed, with what SQLite made beside it. */
export function removeDraft(making: string): void {
  for (const suffix of ['', ...BESIDE]) {
    rmSync(`${making}${suffix}`, { force: true });
  }
}

/** Makes an empty file (mode 0600) for the pages of a copy. */
export function beginCopy(making: string): void {
  removeDraft(making);
  closeSync(openSync(making, 'wx', PRIVATE_MODE));
}

/** Makes the copied pages a store of their own, on disk. */
export function completeCopy(making: string): void {
  const copied = connect(making, { fileMustExist: true });
  // The copy gets its own id half, because its later changes are not those of the original; the common
  // half still shows where it comes from.
  copied.exec(
    `UPDATE ledger SET store_id = CAST(
      substr(store_id, 1, ${SHARED_ID_BYTES}) || randomblob(${SHARED_ID_BYTES}) AS BLOB)`,
  );
  unmarkMoved(copied);
  unmark(copied);
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
