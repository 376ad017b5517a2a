/** A process's wall clock that is wrong and changes while it runs. It needs a C compiler. */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const SOURCE = join(process.cwd(), 'test', 'support', 'wrong-clock.c');

/** A library to preload, made in `directory`. */
export function compileClock(directory: string): string {
  const library = join(directory, 'wrong-clock.so');
  const flags = ['-std=c11', '-D_GNU_SOURCE', '-O1', '-Wall', '-Wextra', '-Werror'];
  const args = [...flags, '-shared', '-fPIC', '-o', library, SOURCE, '-ldl'];
  const { status, stderr } = spawnSync('gcc', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`gcc wrong-clock.c: ${stderr}`);
  return library;
}

export class WrongClock {
  readonly environment: Readonly<Record<string, string>>;
  readonly #path: string;

  constructor(library: string, directory: string) {
    this.#path = join(directory, 'seconds');
    writeFileSync(this.#path, Buffer.alloc(8));
    this.environment = { LD_PRELOAD: library, CLOCK_FILE: this.#path };
  }

  /** Sets how many seconds the clock is ahead from now on. */
  set(seconds: number): void {
    const bytes = Buffer.alloc(8);
    new BigInt64Array(bytes.buffer, bytes.byteOffset, 1)[0] = BigInt(seconds);
    // Overwritten in place: the process has mapped the file.
    const file = openSync(this.#path, 'r+');
    writeSync(file, bytes, 0, bytes.length, 0);
    closeSync(file);
  }
}
