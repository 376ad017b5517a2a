/**
 * Watches the log of a store file (`-wal`). A program that reads the store for long keeps the log from
 * being written from its start again: it grows with each batch until that program has ended.
 */
import { readFileSync, statSync } from 'node:fs';

import { oneLine } from '../../../core/escape.js';

/** What is told of the log, when it has changed. */
export interface LogReport {
  readonly logBytes: number;
  /** Who keeps it from being emptied, in words; `null`: nobody does. */
  readonly heldBy: string | null;
}

/** How often it is looked at. */
export const LOOK_MS = 1000;
/** A log that is emptied in time is a small part of this. */
const HELD_BYTES = 16 * 1024 * 1024;
/** The locks of readers in SQLite's `-shm` file: one byte for each of five places in the log. */
const READ_LOCK_FIRST = 123;
const READ_LOCK_LAST = 127;
/** `1: POSIX  ADVISORY  READ 4711 08:01:131 124 124`: process, device and inode, first and last byte. */
const LOCK = /^\d+: POSIX +ADVISORY +READ +(\d+) [0-9a-f]+:[0-9a-f]+:(\d+) (\d+) (\d+)$/gm;
const UNKNOWN = 'a process that this system does not name';

export class LogWatch {
  readonly #path: string;
  readonly #report: (report: LogReport) => void;
  #last: LogReport | null = null;
  #lookAt = -Infinity;
  /** Whether the log was too long at the last look. */
  #wasLong = false;

  /** @param path of the store */
  constructor(path: string, report: (report: LogReport) => void) {
    this.#path = path;
    this.#report = report;
  }

  /** True if it was too long at the last look. */
  get isLong(): boolean {
    return this.#wasLong;
  }

  /**
   * Call it after the log was copied into the file as far as readers allow. @param now monotonic milliseconds
   * @param log how much is in it, in bytes @param copied how much of that is in the file
   */
  look(now: number, log: number, copied: number): void {
    if (now < this.#lookAt) return;
    this.#lookAt = now + LOOK_MS;
    const readers = log < HELD_BYTES ? [] : readersOf(this.#path);
    const isLong = log >= HELD_BYTES && (copied < log || readers.length > 0);
    // A reader that reads only for a moment is in nobody's way.
    const isHeld = isLong && this.#wasLong;
    this.#wasLong = isLong;
    const heldBy = isHeld ? (readers.length === 0 ? UNKNOWN : readers.join(', ')) : null;
    const logBytes = sizeOf(`${this.#path}-wal`);
    if (this.#last?.logBytes === logBytes && this.#last.heldBy === heldBy) return;
    this.#last = { logBytes, heldBy };
    this.#report(this.#last);
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** The processes that read the store at this moment, in words; none if the system does not tell. */
function readersOf(path: string): string[] {
  try {
    const inode = String(statSync(`${path}-shm`).ino);
    const pids = new Set<string>();
    for (const [, pid = '', of, first, last] of readFileSync('/proc/locks', 'latin1').matchAll(
      LOCK,
    )) {
      const isRead = Number(last) >= READ_LOCK_FIRST && Number(first) <= READ_LOCK_LAST;
      if (of === inode && isRead) pids.add(pid);
    }
    return [...pids].map((pid) => `process ${pid}${nameOf(pid)}`);
  } catch {
    return [];
  }
}

function nameOf(pid: string): string {
  if (Number(pid) === process.pid) return ' (this broker)';
  try {
    return ` (${oneLine(readFileSync(`/proc/${pid}/comm`, 'utf8').trim())})`;
  } catch {
    return '';
  }
}
