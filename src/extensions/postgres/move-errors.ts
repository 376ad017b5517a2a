/** What an error means that ended the move of a store file into a database. */
import { causeOf, codeOf, MajordomoError, messageOf } from '../../core/errors.js';
import { openError } from '../../store/sqlite/file/sqlite-errors.js';
import { verifyStore } from '../../store/sqlite/records/verify.js';
import { commandError, isOfRow, storeText, textOf } from './failures.js';

const DAMAGED = /^SQLITE_(CORRUPT|NOTADB)/;

interface Order {
  readonly file: string;
  /** The database, for people. */
  readonly name: string;
}

/**
 * A damaged file may look whole to who copies it: pages have no checksums, and a damaged index leaves
 * out requests, or has other ids for them.
 * @throws ERR_TITANIC_DISK
 */
export function mustBeWhole(
  file: string,
  onProgress: (what: string, done: number, all: number) => void,
): void {
  const [problem] = verifyStore(file, onProgress).problems;
  if (problem !== undefined) throw damaged(file, problem);
}

/** @param isConnected the connection did not break */
export function moveError({ name, file }: Order, isConnected: boolean, error: unknown): unknown {
  if (isOfFile(error)) return sourceError(file, error);
  const known = commandError(error, isConnected);
  if (isOfRow(error)) return rowError({ name, file }, error);
  const code = codeOf(known) ?? '';
  if (code === 'ERR_TITANIC_STORE' || code === 'ERR_TITANIC_BUSY') {
    return new MajordomoError(code, storeText(name, known), { cause: error });
  }
  if (code !== 'ERR_TITANIC_STORE_AWAY') return known;
  const text = `${storeText(name, known)}; run the same command again: it continues where it stopped`;
  return new MajordomoError(code, text, { cause: error });
}

/** The same, for an error of opening the file. */
export function sourceError(file: string, error: unknown): MajordomoError {
  const found = [error, causeOf(error)].find((each) => DAMAGED.test(codeOf(each) ?? ''));
  if (found !== undefined) return damaged(file, messageOf(found), error);
  const known = openError(file, error);
  // What is a configuration error at a start is damage here, as for `verify`: its first page is wrong.
  if (known.code !== 'ERR_TITANIC_FILE') return known;
  return new MajordomoError('ERR_TITANIC_DISK', known.message, { cause: error });
}

function isOfFile(error: unknown): boolean {
  const code = codeOf(error) ?? '';
  return (
    code.startsWith('SQLITE_') ||
    codeOf(causeOf(error))?.startsWith('SQLITE_') === true ||
    code === 'ERR_TITANIC_FILE'
  );
}

/** The database does not take a row. */
function rowError({ name, file }: Order, error: unknown): MajordomoError {
  const text = `the database ${name} does not take a row of ${file}: ${textOf(error)}; it was not moved`;
  return new MajordomoError('ERR_TITANIC_DISK', text, { cause: error });
}

function damaged(file: string, what: string, cause?: unknown): MajordomoError {
  // SQLite reports a damaged page in several lines.
  const where = what.replaceAll(/\s+/g, ' ');
  const text = `store ${file} is damaged: ${where}; it was not moved: look with \`majordomo verify\`, then migrate a backup from before the damage`;
  return new MajordomoError('ERR_TITANIC_DISK', text, { cause });
}
