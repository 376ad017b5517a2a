/** Detects that the file of a store is no longer the one that was opened. */
import { readdirSync, readlinkSync, type Stats, statSync } from 'node:fs';

import { MajordomoError } from '../../../core/errors.js';

interface Identity {
  readonly device: number;
  readonly inode: number;
}

interface Watched {
  readonly path: string;
  readonly known: Identity | null;
  /** Where Linux reports the name of SQLite's open file; null on other systems. */
  descriptor: string | null;
  /** The name that it reported. */
  name: string | null;
}

/**
 * The links to open files, each to its current name; " (deleted)" is appended if the file was deleted.
 */
const DESCRIPTORS = '/proc/self/fd';

/**
 * SQLite continues to write into files that no longer have a name. So after each commit, this
 * checks whether the names still lead to what was written: the file, and the log that holds the
 * commit.
 *
 * Reading a file's times makes Linux store exact ones at its next write, which a sync then has to
 * write to disk: a quarter of the time of a commit (measured). So `stat` is used only in doubt.
 */
export class FileIdentity {
  readonly #files: readonly Watched[];

  /** The current ones, while the store is open. */
  constructor(path: string) {
    this.#files = [path, `${path}-wal`].map((each) => {
      const known = identityOf(each);
      return { path: each, known, ...openFileOf(known) };
    });
  }

  /** @throws ERR_TITANIC_DISK if one of them is missing or was replaced */
  check(): void {
    for (const file of this.#files) {
      if (file.descriptor !== null && nameOf(file.descriptor) === file.name) continue;
      compare(file);
      if (file.descriptor !== null) Object.assign(file, openFileOf(file.known));
    }
  }
}

function compare({ path, known }: Watched): void {
  const now = identityOf(path);
  if (isSame(now, known)) return;
  throw new MajordomoError(
    'ERR_TITANIC_DISK',
    `${path} was ${now === null ? 'removed' : 'replaced'} while the broker was using it`,
  );
}

/** SQLite's descriptor, not one of ours: closing ours would release SQLite's locks on the file. */
function openFileOf(known: Identity | null): Pick<Watched, 'descriptor' | 'name'> {
  for (const entry of descriptors()) {
    const descriptor = `${DESCRIPTORS}/${entry}`;
    if (isSame(identityOf(descriptor), known)) return { descriptor, name: nameOf(descriptor) };
  }
  return { descriptor: null, name: null };
}

function descriptors(): string[] {
  try {
    return readdirSync(DESCRIPTORS);
  } catch {
    return [];
  }
}

function nameOf(descriptor: string): string | null {
  try {
    return readlinkSync(descriptor);
  } catch {
    return null;
  }
}

function isSame(a: Identity | null, b: Identity | null): boolean {
  return a !== null && a.inode === b?.inode && a.device === b.device;
}

function identityOf(path: string): Identity | null {
  const stats: Stats | undefined = statSync(path, { throwIfNoEntry: false });
  return stats === undefined ? null : { device: stats.dev, inode: stats.ino };
}
