/** Tells when the file of a store is not the one that was opened. */
import { readdirSync, readlinkSync, type Stats, statSync } from 'node:fs';

import { MajordomoError } from '../../core/errors.js';

interface Identity {
  readonly device: number;
  readonly inode: number;
}

interface Watched {
  readonly path: string;
  readonly known: Identity | null;
  /** Where Linux tells the name of SQLite's open file; null where it does not. */
  descriptor: string | null;
  /** What it told. */
  name: string | null;
}

/** One link for each open file, to its name as it is now; " (deleted)" follows one that is gone. */
const DESCRIPTORS = '/proc/self/fd';

/**
 * SQLite goes on writing into files that have no name any more. So after each commit one has to look
 * whether the names still lead to what was written: the file, and the log that holds the commit.
 *
 * Asking for a file's times makes Linux store exact ones at its next write, which a sync then has to
 * bring to the disk: a quarter of what a commit takes (measured). So `stat` is for doubt only.
 */
export class FileIdentity {
  readonly #files: readonly Watched[];

  /** As they are now, while the store is open. */
  constructor(path: string) {
    this.#files = [path, `${path}-wal`].map((each) => {
      const known = identityOf(each);
      return { path: each, known, ...openFileOf(known) };
    });
  }

  /** @throws ERR_TITANIC_DISK if one of them is gone or another */
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

/** SQLite's, not one of ours: closing ours would give up SQLite's locks on the file. */
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
