/**
 * What a data directory remembers about its store: that it had one, and which. So a missing or
 * replaced store is not silently begun anew.
 *
 * A store's id has two halves. A backup keeps the first: it is the same store at an earlier time.
 * The second half is new in each copy, because each copy numbers its own transactions (D20).
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import type Database from 'better-sqlite3';

import { codeOf, MajordomoError, messageOf } from '../../../core/errors.js';
import { strange, strangersIn } from './connection.js';
import { otherThanFile, PRIVATE_MODE, syncPath, timestamp } from './files.js';
import { developmentStore } from './formats.js';
import { BESIDE, hasLog, type StoreCondition } from './header.js';
import { SHARED_ID_BYTES } from './schema.js';

/** In `node.dataDir`. */
const MEMORY_FILE = 'store.json';

const SHARED_ID_DIGITS = 2 * SHARED_ID_BYTES;
const ID_FORM = /^[0-9a-f]{32}$/;

interface Memory {
  /** The name of the store in the directory. */
  readonly file: string;
  /** `null`: an operator ordered a new store, and that has not completed. */
  readonly id: string | null;
  /** The last start had `--new-store`, which takes effect once. */
  readonly newStoreGiven: boolean;
}

/** What opening the store showed about it. */
export interface StoreNews {
  /**
   * `made`: the first store of its directory. `found`: it was there, but nothing had remembered it.
   * `anew`: it replaces another one, by order. `kept`: the order was not needed.
   */
  readonly how: 'made' | 'found' | 'anew' | 'kept';
  readonly id: string;
  /** Where the previous store is now; `null`: nothing was moved. */
  readonly aside: string | null;
}

/**
 * `majordomo serve --new-store` takes effect at most once: only after a start without it does it
 * count again.
 */
export class KnownStore {
  readonly #path: string;
  readonly #isNewStoreGiven: boolean;
  readonly #news: (news: StoreNews) => void;
  #memory: Memory | null;
  /** Whether a new store was ordered: now, or at an earlier start that was interrupted. */
  #isAnew = false;
  #isMade = false;
  #isRemembered = false;
  #aside: string | null = null;

  /**
   * @param isNewStoreGiven the operator orders the use of another store, or of a new one, instead
   * of the remembered one
   * @param news called once
   * @throws ERR_TITANIC_LOST if the remembered data is damaged
   */
  constructor(path: string, isNewStoreGiven: boolean, news: (news: StoreNews) => void) {
    this.#path = path;
    this.#isNewStoreGiven = isNewStoreGiven;
    this.#news = news;
    this.#memory = read(path);
    this.#isAnew = this.#memory?.id === null;
  }

  get #isOrdered(): boolean {
    return this.#isNewStoreGiven && this.#memory?.newStoreGiven !== true;
  }

  get #mayBeginAnew(): boolean {
    return this.#isAnew || this.#isOrdered;
  }

  /**
   * No store can be opened there: makes way for a new one, or refuses to.
   * @throws ERR_TITANIC_LOST, ERR_TITANIC_FILE, ERR_TITANIC_VERSION
   */
  makeWay(condition: Exclude<StoreCondition, { kind: 'store' }>): void {
    this.#isMade = true;
    if (this.#memory === null) {
      if (condition.kind === 'missing' && !hasLog(this.#path)) return;
      if (condition.kind === 'foreign') throw notAStore(this.#path, condition.why);
    }
    if (!this.#mayBeginAnew) throw this.#refusal(condition);
    // From here on, a crash leaves the order in place, and the next start completes it.
    if (!this.#isAnew) this.#write(this.#present(null));
    this.#isAnew = true;
    this.#aside = setAside(this.#path) ?? this.#aside;
  }

  /**
   * Compares the store that was opened with the remembered one.
   * @returns why it cannot be read, if another one may replace it; `null`: use it
   * @throws ERR_TITANIC_LOST if it is another one, or cannot be read; ERR_TITANIC_FILE if it has what no store has
   */
  recognize(db: Database.Database): string | null {
    let id: string;
    try {
      const why = strangersIn(db);
      if (why !== null && this.#mayBeginAnew) return why;
      if (why !== null) throw strange(this.#path, why);
      id = idOf(db);
    } catch (error) {
      if (!isDamage(error)) throw error;
      const why = `its first pages are damaged: ${messageOf(error)}`;
      if (this.#mayBeginAnew) return why;
      throw this.#lost(why);
    }
    const known = this.#memory?.id ?? null;
    if (known === null || isCopyOf(id, known)) return null;
    if (!this.#isOrdered) throw this.#lost(`it is another store, with the id ${id}`, true);
    this.#isAnew = true;
    return null;
  }

  /** Records which store it is, on disk when this returns. Later calls do nothing. */
  remember(storeId: Buffer): void {
    if (this.#isRemembered) return;
    const id = storeId.toString('hex');
    const before = this.#memory;
    const next = this.#present(id);
    if (JSON.stringify(next) !== JSON.stringify(before)) this.#write(next);
    this.#isRemembered = true;
    const how = this.#howSince(before);
    if (how !== null) this.#news({ how, id, aside: this.#aside });
  }

  #howSince(before: Memory | null): StoreNews['how'] | null {
    if (this.#isAnew) return 'anew';
    if (before === null) return this.#isMade ? 'made' : 'found';
    return this.#isNewStoreGiven ? 'kept' : null;
  }

  #present(id: string | null): Memory {
    return { file: basename(this.#path), id, newStoreGiven: this.#isNewStoreGiven };
  }

  #write(memory: Memory): void {
    write(this.#path, memory);
    this.#memory = memory;
  }

  #refusal(condition: Exclude<StoreCondition, { kind: 'store' }>): MajordomoError {
    if (condition.kind !== 'development') return this.#lost(condition.why);
    const once = this.#isUsedUp() ? ONCE : '';
    return developmentStore(this.#path, condition.format, once);
  }

  /** @param isOther there is a store, but not that of this node */
  #lost(why: string, isOther = false): MajordomoError {
    return lost(this.#path, this.#memory, why, { isUsedUp: this.#isUsedUp(), isOther });
  }

  /** Whether the order was given, but does not count. After a refusal without it, it counts again. */
  #isUsedUp(): boolean {
    const memory = this.#memory;
    if (memory?.newStoreGiven !== true) return false;
    if (!this.#isNewStoreGiven) this.#write({ ...memory, newStoreGiven: false });
    return this.#isNewStoreGiven;
  }
}

/**
 * Checks, for readers, whether the store at `path` is the one that its directory remembers.
 * @param condition what was found there
 * @param db opens it
 * @throws ERR_TITANIC_LOST if it is not
 */
export function checkKnown(
  path: string,
  condition: StoreCondition,
  db: () => Database.Database,
): void {
  const memory = read(path);
  const known = memory?.id ?? null;
  if (known === null) return;
  if (condition.kind === 'development') throw developmentStore(path, condition.format);
  if (condition.kind !== 'store') throw lost(path, memory, condition.why);
  let opened: Database.Database | null = null;
  try {
    opened = db();
    const id = idOf(opened);
    if (isCopyOf(id, known)) return;
    throw lost(path, memory, `it is another store, with the id ${id}`, { isOther: true });
  } catch (error) {
    if (!isDamage(error)) throw error;
    throw lost(path, memory, `its first pages are damaged: ${messageOf(error)}`);
  } finally {
    opened?.close();
  }
}

const ONCE =
  ' (--new-store applies once, and the last start used it: start once without it, which fails ' +
  'again, and then with it)';

/** The error of a file that is not a store, where nothing shows that there was one. */
export function notAStore(path: string, why: string): MajordomoError {
  return new MajordomoError(
    'ERR_TITANIC_FILE',
    `${path} is not a Majordomo store: ${why}. It was not changed. If it replaced the store of this node, ` +
      'restore a backup; otherwise set another titanic.file',
  );
}

function lost(
  path: string,
  memory: Memory | null,
  why: string,
  {
    isUsedUp = false,
    isOther = false,
  }: { readonly isUsedUp?: boolean; readonly isOther?: boolean } = {},
): MajordomoError {
  const name = basename(path);
  const known = memory?.id ?? null;
  const was = known === null ? '' : `; the store of this node is ${known}`;
  const moved =
    memory === null || memory.file === name ? '' : `set titanic.file back to ${memory.file}, `;
  const once = isUsedUp ? ONCE : '';
  const anew = '`majordomo serve --new-store`';
  const instead = isOther ? ` To use the store that is there instead: ${anew}.` : '';
  const first = isOther ? 'first move that store away (with its -wal and -shm), then ' : '';
  const remedy =
    `${moved === '' ? '' : `${moved}or `}put the store back, or restore a backup of it ` +
    `(from \`majordomo backup\`).${instead} To start with an empty store, or if the peer is serving ` +
    `and has all requests: ${first}${anew}${once}. See docs/operating.md, A lost store`;
  return new MajordomoError(
    'ERR_TITANIC_LOST',
    `store ${path}: ${why}${was}. Nothing was changed. To continue: ${remedy}`,
    { details: { why: `${path}: ${why}${was}`, remedy } },
  );
}

/** Empty: it has none. */
function idOf(db: Database.Database): string {
  const id: unknown = db.prepare('SELECT store_id FROM ledger WHERE id = 1').pluck().get();
  return Buffer.isBuffer(id) ? id.toString('hex') : '';
}

function isCopyOf(a: string, b: string): boolean {
  return a.length === b.length && a.slice(0, SHARED_ID_DIGITS) === b.slice(0, SHARED_ID_DIGITS);
}

function isDamage(error: unknown): boolean {
  return /^SQLITE_(CORRUPT|NOTADB|ERROR)/.test(codeOf(error) ?? '');
}

/** Moves the file at `path` and its log to an unused name. Nothing is deleted. */
function setAside(path: string): string | null {
  const aside = `${path}.lost-${timestamp()}`;
  let isMoved = false;
  // The log first: a log left without its file is refused, and beside another file it would be
  // applied to that one.
  for (const suffix of [...BESIDE, '']) {
    if (!existsSync(`${path}${suffix}`)) continue;
    renameSync(`${path}${suffix}`, `${aside}${suffix}`);
    isMoved = true;
  }
  if (isMoved) syncPath(dirname(path));
  return isMoved ? aside : null;
}

function memoryFileOf(path: string): string {
  return join(dirname(path), MEMORY_FILE);
}

function read(path: string): Memory | null {
  const file = memoryFileOf(path);
  let text: string;
  try {
    text = otherThanFile(file) === null ? readFileSync(file, 'utf8') : '';
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
  const memory = parsed(text);
  if (memory !== null) return memory;
  throw new MajordomoError(
    'ERR_TITANIC_LOST',
    `${file}: damaged: it does not name the store of this node. If \`majordomo verify ${path}\` ` +
      'finds no damage in the store of this node, remove that file and start again',
    { details: { why: `${file} is damaged`, remedy: `remove it if ${path} is this node's store` } },
  );
}

function parsed(text: string): Memory | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { file, id, newStoreGiven } = value as Partial<Record<keyof Memory, unknown>>;
  if (typeof file !== 'string' || typeof newStoreGiven !== 'boolean') return null;
  if (id === null) return { file, id, newStoreGiven };
  return typeof id === 'string' && ID_FORM.test(id) ? { file, id, newStoreGiven } : null;
}

/** Written completely and synced, or not at all: first under another name. */
function write(path: string, memory: Memory): void {
  const file = memoryFileOf(path);
  const making = `${file}.new`;
  try {
    writeFileSync(making, `${JSON.stringify(memory)}\n`, { mode: PRIVATE_MODE });
    syncPath(making);
    renameSync(making, file);
  } catch (error) {
    // On a full disk, it would take room from others.
    rmSync(making, { force: true });
    throw error;
  }
  syncPath(dirname(file));
}
