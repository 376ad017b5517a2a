/** Tells when the file of a store is not the one that was opened. */
import { type Stats, statSync } from 'node:fs';

import { MajordomoError } from '../../core/errors.js';

interface Identity {
  readonly device: number;
  readonly inode: number;
}

/**
 * SQLite goes on writing into files that have no name any more. So after each commit one has to look
 * whether the names still lead to what was written: the file, and the log that holds the commit.
 */
export class FileIdentity {
  readonly #paths: readonly string[];
  readonly #known: (Identity | null)[];

  /** As they are now, while the store is open. */
  constructor(path: string) {
    this.#paths = [path, `${path}-wal`];
    this.#known = this.#paths.map(identityOf);
  }

  /** @throws ERR_TITANIC_DISK if one of them is gone or another */
  check(): void {
    for (const [place, path] of this.#paths.entries()) {
      const known = this.#known[place];
      const now = identityOf(path);
      if (now !== null && now.inode === known?.inode && now.device === known.device) continue;
      throw new MajordomoError(
        'ERR_TITANIC_DISK',
        `${path} was ${now === null ? 'removed' : 'replaced'} while the broker used it`,
      );
    }
  }
}

function identityOf(path: string): Identity | null {
  const stats: Stats | undefined = statSync(path, { throwIfNoEntry: false });
  return stats === undefined ? null : { device: stats.dev, inode: stats.ino };
}
