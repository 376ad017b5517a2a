/** What an error means that ended the move of a store file into a database. */
import { codeOf, MajordomoError, messageOf } from '../../../core/errors.js';
import { EXIT, exitStatusOf } from '../../../core/exit.js';
import { openError } from '../file/sqlite-errors.js';
import { verifyStore } from '../file/verify.js';
import { commandError, isOfRow, storeText, textOf } from './failures.js';

const DAMAGED = /^SQLITE_(CORRUPT|NOTADB)/;

interface Order {
  readonly file: string;
  /** The database, for people. */
  readonly name: string;
}

/** @param isConnected the connection did not break */
export function moveError({ name, file }: Order, isConnected: boolean, error: unknown): unknown {
  if (isOfFile(error)) return sourceError(file, error);
  const known = commandError(error, isConnected);
  // Pages have no checksums: a damaged row may only show when it is read or sent.
  if (isOfRow(error)) return rowError({ name, file }, error);
  if (exitStatusOf(known) === EXIT.internal) return damageIn(file, error) ?? known;
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

function causeOf(error: unknown): unknown {
  return (error as { readonly cause?: unknown } | null)?.cause;
}

/** The database does not take a row. */
function rowError({ name, file }: Order, error: unknown): MajordomoError {
  const text = `the database ${name} does not take a row of ${file}: ${textOf(error)}; it was not moved`;
  return damageIn(file, error) ?? new MajordomoError('ERR_TITANIC_DISK', text, { cause: error });
}

/** @returns `null`: the file is whole */
function damageIn(file: string, error: unknown): MajordomoError | null {
  try {
    const [problem] = verifyStore(file, () => undefined).problems;
    return problem === undefined ? null : damaged(file, problem, error);
  } catch (damage) {
    return damaged(file, messageOf(damage), error);
  }
}

function damaged(file: string, what: string, cause: unknown): MajordomoError {
  const text =
    `store ${file} is damaged: ${what}; it was not moved: look with \`majordomo verify\`, then ` +
    'migrate a backup of it, into an empty database';
  return new MajordomoError('ERR_TITANIC_DISK', text, { cause });
}
