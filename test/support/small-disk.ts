/**
 * A disk in memory for one test, which can be filled. It needs root. For `afterEach`:
 * `removeSmallDisks`.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';

const mounted: string[] = [];

export class SmallDisk {
  readonly #ballast: string;

  /** @param path an empty directory */
  constructor(path: string, size: string) {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0700`, 'tmpfs', path]);
    mounted.push(path);
    this.#ballast = join(path, 'ballast');
  }

  /** @param exceptBytes what stays free */
  fill(exceptBytes = 0): void {
    // It ends with an error: no space left.
    spawnSync('dd', ['if=/dev/zero', `of=${this.#ballast}`, 'bs=4096']);
    if (exceptBytes === 0) return;
    truncateSync(this.#ballast, statSync(this.#ballast).size - exceptBytes);
  }

  free(): void {
    rmSync(this.#ballast);
  }
}

/** Call this after the processes with files there have ended. */
export function removeSmallDisks(): void {
  for (const path of mounted.splice(0)) spawnSync('umount', ['-l', path]);
}
