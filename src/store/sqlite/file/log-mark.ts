/**
 * What ties a store's log (`-wal`) to its file. SQLite applies a log to whatever file lies beside it: a backup
 * that was put there without removing the log would be undone, or get pages of another state.
 *
 * The first transaction after the log was begun anew writes a mark, which names the store and counts the
 * beginnings. So the file has the mark before that of its log or, once parts of the log are copied, a mark
 * that is in the log. A mark also has SQLite's schema cookie, because a copy that SQLite itself makes (`.backup`,
 * `VACUUM INTO`) has all rows of the store, but another cookie.
 */
import { closeSync, openSync, readSync } from 'node:fs';

import type Database from 'better-sqlite3';

import { MajordomoError } from '../../../core/errors.js';
import { hasLog } from './header.js';

const MAGIC = 'MJDBLOG';
/** A mark always has the same length, so that SQLite writes it to the same place. */
const MARK = new RegExp(
  `${MAGIC}(?<count>\\d{16})(?<isInService>[01])(?<cookie>\\d{10})(?<id>[0-9A-F]{32})`,
);
export const MAKE_MARK = `CREATE TABLE log_mark (id INTEGER PRIMARY KEY, mark TEXT NOT NULL) STRICT;
  INSERT INTO log_mark VALUES (1, '')`;

/** Writes the next mark: 1 while the store is in service, 0 when it is closed; and the cookie. */
export const NEXT_MARK = `UPDATE log_mark SET mark = printf('${MAGIC}%016d%d%010d%s',
    substr(mark, ${MAGIC.length + 1}, 16) + 1, ?, ?, hex((SELECT store_id FROM ledger WHERE id = 1)))
  WHERE id = 1`;
export const COOKIE = 'PRAGMA schema_version';
const HAS_TABLE = "SELECT count(*) FROM sqlite_schema WHERE name = 'log_mark'";

/** SQLite's formats: https://sqlite.org/fileformat2.html */
const LOG_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const PAGE_BYTES_AT = 8;
const SALTS_AT = 16;
const FRAME_SALTS_AT = 8;
const SALTS_BYTES = 8;
const COOKIE_AT = 40;
/** The cookie of a file that SQLite has just copied. */
const COPIED_COOKIE = 1;

/** Has the table of the mark made, and tells a copy that SQLite made from its later copies. */
export function makeMark(db: Database.Database, isExclusive = false): void {
  const isCopied = cookieOf(db) === COPIED_COOKIE;
  const hasTable = db.prepare(HAS_TABLE).pluck().get() === 1;
  if (hasTable && (!isCopied || isExclusive)) return;
  if (isExclusive) {
    // The disk is full: the next connection makes it.
    db.exec(MAKE_MARK.replace('TABLE', 'TEMP TABLE'));
    return;
  }
  db.transaction(() => {
    db.exec(hasTable ? `DROP TABLE log_mark; ${MAKE_MARK}` : MAKE_MARK);
  }).immediate();
}

/** Clears the mark of a copy, to which no log belongs. */
export function unmark(db: Database.Database): void {
  if (db.prepare(HAS_TABLE).pluck().get() === 1) db.exec("UPDATE log_mark SET mark = ''");
}

/** Whether the file was in service when it was copied, and has only what SQLite had taken from its log. */
export function lacksLog(db: Database.Database): boolean {
  if (db.prepare(HAS_TABLE).pluck().get() !== 1) return false;
  const mark = MARK.exec(String(db.prepare('SELECT mark FROM log_mark').pluck().get()))?.groups;
  return mark?.['isInService'] === '1' && Number(mark['cookie']) === cookieOf(db);
}

function cookieOf(db: Database.Database): number {
  return Number(db.pragma('schema_version', { simple: true }));
}

/**
 * Nothing is changed. Must not be called while this process has the file open (see `conditionAt`); another
 * one may be writing.
 * @throws ERR_TITANIC_LOST if the log beside the store belongs to another file
 */
export function refuseForeignLog(path: string): void {
  if (!hasLog(path)) return;
  const log = openSync(`${path}-wal`, 'r');
  const file = openSync(path, 'r');
  try {
    for (;;) {
      const before = bytesAt(log, 0, LOG_HEADER_BYTES);
      if (belongs(log, file)) return;
      // A broker began it anew while it was read.
      if (before.equals(bytesAt(log, 0, LOG_HEADER_BYTES))) break;
    }
  } finally {
    closeSync(log);
    closeSync(file);
  }
  throw foreignLog(path);
}

/** True, too, if nothing is known of the log, which has no mark. */
function belongs(log: number, file: number): boolean {
  const first = [...firstMarks(log)];
  return first.length === 0 || first.some((mark) => isOf(mark, log, file));
}

/** Whether this may be the mark with which the log of this file began. */
function isOf({ page, bytes, mark }: FirstMark, log: number, file: number): boolean {
  const filePage = bytesAt(file, (page - 1) * bytes, bytes);
  const fileMark = markIn(filePage);
  const cookie = bytesAt(file, COOKIE_AT, 4).readUInt32BE(0);
  let isMarked = isNext(fileMark, mark);
  let isCookie = cookie === Number(MARK.exec(mark)?.groups?.['cookie']);
  if (isMarked && isCookie) return true;
  // Parts of the log may be in the file already.
  for (const frame of framesOf(log)) {
    if (frame.page === page) isMarked ||= fileMark !== null && markIn(frame.read()) === fileMark;
    if (frame.page === 1) isCookie ||= frame.read().readUInt32BE(COOKIE_AT) === cookie;
    if (isMarked && isCookie) return true;
  }
  return false;
}

/** @param before `null`: the file has none yet, as a new one and a copy that was made by the broker */
function isNext(before: string | null, mark: string): boolean {
  const next = MARK.exec(mark)?.groups;
  if (before === null) return Number(next?.['count']) === 1;
  const last = MARK.exec(before)?.groups;
  return last?.['id'] === next?.['id'] && Number(last?.['count']) + 1 === Number(next?.['count']);
}

interface FirstMark {
  readonly page: number;
  readonly bytes: number;
  readonly mark: string;
}

/**
 * What looks like a mark in the first transaction of the log: one is, and others may be bytes that a client has
 * stored.
 */
function* firstMarks(log: number): Iterable<FirstMark> {
  for (const frame of framesOf(log)) {
    const mark = markIn(frame.read());
    if (mark !== null) yield { page: frame.page, bytes: frame.bytes, mark };
    if (frame.isCommit) return;
  }
}

interface Frame {
  readonly page: number;
  readonly bytes: number;
  readonly isCommit: boolean;
  read(): Buffer;
}

/** The frames since the log was last begun anew; what follows them is older. */
function* framesOf(log: number): Iterable<Frame> {
  const header = bytesAt(log, 0, LOG_HEADER_BYTES);
  if (header.length < LOG_HEADER_BYTES) return;
  const bytes = header.readUInt32BE(PAGE_BYTES_AT);
  const salts = header.subarray(SALTS_AT, SALTS_AT + SALTS_BYTES);
  for (let at = LOG_HEADER_BYTES; ; at += FRAME_HEADER_BYTES + bytes) {
    const head = bytesAt(log, at, FRAME_HEADER_BYTES);
    const isWhole = head.length === FRAME_HEADER_BYTES;
    if (!isWhole || !head.subarray(FRAME_SALTS_AT, FRAME_SALTS_AT + SALTS_BYTES).equals(salts)) {
      return;
    }
    const read = (): Buffer => bytesAt(log, at + FRAME_HEADER_BYTES, bytes);
    yield { page: head.readUInt32BE(0), bytes, isCommit: head.readUInt32BE(4) > 0, read };
  }
}

/** The only row of its page is at its end; what stands before may be left of what the page held earlier. */
function markIn(page: Buffer): string | null {
  const at = page.lastIndexOf(MAGIC);
  return at < 0 ? null : (MARK.exec(page.toString('latin1', at))?.[0] ?? null);
}

/** Fewer at the end of the file. */
function bytesAt(file: number, at: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  return bytes.subarray(0, readSync(file, bytes, 0, length, at));
}

function foreignLog(path: string): MajordomoError {
  const why = `its log ${path}-wal belongs to another file, which was in its place before`;
  const remedy =
    `to use the file that is there, as after a restore, move ${path}-wal and ${path}-shm away: what they hold ` +
    'was stored later, or elsewhere, and is gone then. To go on with what the log holds, put back the ' +
    'file that it belongs to. See docs/operating.md, Backup and restore';
  return new MajordomoError(
    'ERR_TITANIC_LOST',
    `store ${path}: ${why}: together they would be neither. Nothing was changed. To continue: ${remedy}`,
    { details: { why: `${path}: ${why}`, remedy } },
  );
}
