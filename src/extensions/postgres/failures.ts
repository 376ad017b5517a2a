/** What PostgreSQL's errors mean for the store. */
import { codeOf, detailsOf, MajordomoError, messageOf } from '../../core/errors.js';
import { LATE } from '../../core/failure-words.js';
import type { RetryReason } from '../../store/retries.js';
import type { StoreFailure } from '../../store/store.js';
import type { Clock, Timer } from './clock.js';

/** The server did not answer within its time: the connection was closed. */
export class TimeOver extends Error {}

/**
 * Waits for `work`, at most so long.
 * @param what did not come: the text of the error before "within … ms"
 * @param over called after `work` was given up
 * @throws TimeOver
 */
export async function within<Result>(
  clock: Clock,
  ms: number,
  work: Promise<Result>,
  what: string,
  over: () => void = () => undefined,
): Promise<Result> {
  let timer: Timer = {};
  const late = new Promise<never>((_resolve, reject) => {
    timer = clock.later(ms, () => {
      reject(new TimeOver(`${what} within ${Math.round(ms)} ms`));
      over();
    });
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clock.cancel(timer);
  }
}

/** The session of this broker is not alive: nothing was changed. */
export class FenceDown extends Error {}

export const TOO_MANY_CONNECTIONS = '53300';

/** Another session has kept something locked for too long: nothing was changed. */
export const LOCK_TIMEOUT = '55P03';

const BY_CODE: ReadonlyMap<string, RetryReason> = new Map<string, RetryReason>([
  ['53100', 'full'],
  ['53200', 'other'],
  [TOO_MANY_CONNECTIONS, 'too_many_connections'],
  ['25006', 'read_only'],
  ['40001', 'serialization'],
  // Division by zero: `unchanged` in statements.ts lets a statement that another writer has overtaken fail so.
  ['22012', 'serialization'],
  ['40P01', 'deadlock'],
  // Limits of the server that end a session, which another one does not have.
  ['25P03', 'connection'],
  ['25P04', 'connection'],
  ['57014', 'other'],
  [LOCK_TIMEOUT, 'other'],
]);

/** The class of SQLSTATE of a full disk, of memory and of connections. */
const NO_RESOURCES = '53';

/** A row of that id is there. */
export const UNIQUE_VIOLATION = '23505';

const BUGS = [TypeError, RangeError, ReferenceError];

const SQL_STATE = /^[0-9A-Z]{5}$/;

/** The SQLSTATE of an error; '': it did not come from a server. */
export function stateOf(error: unknown): string {
  const code = codeOf(error) ?? '';
  return SQL_STATE.test(code) && !code.startsWith('E') ? code : '';
}

/** Why it may succeed if it is tried again; `null`: it will not. */
export function retryReason(error: unknown): RetryReason | null {
  if (error instanceof TimeOver) return 'timeout';
  // The last three are faults of this program.
  if (error instanceof FenceDown || BUGS.some((kind) => error instanceof kind)) return null;
  const state = stateOf(error);
  if (state === '') return 'connection';
  // Connection exceptions, and the server's own end (shutdown, crash, still starting).
  if (state.startsWith('08') || state.startsWith('57P')) return 'connection';
  return BY_CODE.get(state) ?? null;
}

/** Classes of SQLSTATE: data, constraints, limits of the program, exceptions of triggers. */
const OF_A_ROW = ['22', '23', '54', 'P0'];

/** True if the server does not take a row, whatever becomes of others. */
export function isOfRow(error: unknown): boolean {
  return retryReason(error) === null && OF_A_ROW.includes(stateOf(error).slice(0, 2));
}

/**
 * Like `retryReason`, for an error of connecting: also what a person must mend may be mended meanwhile,
 * so it is told, and tried again.
 */
export function connectReason(error: unknown): RetryReason | null {
  if (codeOf(error) === 'ERR_TITANIC_LOST') return null;
  const { reason } = detailsOf(error);
  if (reason === 'read_only' || reason === 'too_many_connections') return reason;
  const cause = (error as { readonly cause?: unknown } | null)?.cause;
  return retryReason(cause) ?? 'connection';
}

/**
 * True if the server answers and does not do it, and will not until somebody mends it: not what follows from a lost
 * connection or session, nor what another session's lock or change has prevented.
 */
export function isRefusal(error: unknown): boolean {
  if (codeOf(error)?.startsWith('ERR_') === true) {
    return connectReason(error) === 'too_many_connections';
  }
  const state = stateOf(error);
  return state.startsWith(NO_RESOURCES) || (state !== '' && retryReason(error) === null);
}

/** True if the connection cannot be used any more, or leads to the wrong server. */
export function endsConnection(error: unknown): boolean {
  const reason = retryReason(error);
  return reason === 'connection' || reason === 'timeout' || reason === 'read_only';
}

/** The text of an error, in one line. */
export function textOf(error: unknown): string {
  const state = stateOf(error);
  const text = messageOf(error).replaceAll(/\s+/g, ' ');
  return state === '' ? text : `${text} (${state})`;
}

/** Like `textOf`, after the name of the store, which errors of its connections begin with already. */
export function storeText(name: string, error: unknown): string {
  const text = textOf(error);
  return text.startsWith('store ') ? text : `store ${name}: ${text}`;
}

/** What clients are told: not the names of hosts and tables. */
const FOR_CLIENTS: Readonly<Record<RetryReason, string>> = {
  connection: 'the store cannot be reached',
  timeout: LATE,
  full: 'the store is full',
  too_many_connections: 'the store takes no more connections',
  read_only: 'the store is read-only',
  serialization: 'the store is too busy',
  deadlock: 'the store is too busy',
  other: 'the store is too busy',
};

export function failureOf(name: string, error: unknown): StoreFailure {
  const kind = stateOf(error) === '53100' ? 'full' : 'busy';
  return { kind, message: clientText(error), detail: storeText(name, error) };
}

function clientText(error: unknown): string {
  if (error instanceof FenceDown) return error.message;
  if (codeOf(error)?.startsWith('ERR_TITANIC_') === true) return FOR_CLIENTS.connection;
  const reason = retryReason(error);
  return reason === null ? 'the store refuses it' : FOR_CLIENTS[reason];
}

export const PERMISSION_DENIED = '42501';

const UNDEFINED_COLUMN = '42703';
const UNDEFINED_TABLE = '42P01';
const WRONG_TYPE = '42804';
const UNDEFINED_SCHEMA = '3F000';
const WITHOUT_TABLES = [UNDEFINED_TABLE, UNDEFINED_SCHEMA];
const WITH_OTHER_TABLES = [UNDEFINED_COLUMN, UNDEFINED_TABLE, WRONG_TYPE];

/** True if the tables are not those that a statement is for. */
export function isOfOtherTables(error: unknown): boolean {
  return WITH_OTHER_TABLES.includes(stateOf(error));
}

/**
 * What an error means for a command that works on a database by itself.
 * @param isConnected the connection did not break
 * @returns the error itself if it was thrown on purpose, or is a bug
 */
export function commandError(error: unknown, isConnected: boolean): unknown {
  if (codeOf(error)?.startsWith('ERR_') === true) return error;
  const state = stateOf(error);
  if (state === '' && isConnected) return error;
  if (state === PERMISSION_DENIED) {
    return new MajordomoError('ERR_TITANIC_STORE', textOf(error), { cause: error });
  }
  if (WITHOUT_TABLES.includes(state)) {
    const text = 'the database has no store: a broker makes it when it starts';
    return new MajordomoError('ERR_TITANIC_STORE', text, { cause: error });
  }
  return new MajordomoError('ERR_TITANIC_STORE_AWAY', textOf(error), { cause: error });
}
