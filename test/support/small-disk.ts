/** A disk of the test's own, in memory, that can be filled. It needs root. For `afterEach`: `removeSmallDisks`. */
import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';

const mounted: string[] = [];

export class SmallDisk {
  readonly #ballast: string;

  /** @param path a directory that is empty */
  constructor(path: string, size: string) {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0700`, 'tmpfs', path]);
    mounted.push(path);
    this.#ballast = join(path, 'ballast');
  }

  fill(): void {
    // It ends with an error: that there is no room.
    spawnSync('dd', ['if=/dev/zero', `of=${this.#ballast}`, 'bs=4096']);
  }

  free(): void {
    rmSync(this.#ballast);
  }
}

/** After the processes that have files there are gone. */
export function removeSmallDisks(): void {
  for (const path of mounted.splice(0)) spawnSync('umount', ['-l', path]);
}
