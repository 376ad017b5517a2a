/** Inputs that are kept: seeds by target, and what was found, which stays a test. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const CORPUS = join(process.cwd(), 'test', 'fuzz', 'corpus');
const FOUND = join(CORPUS, 'found');

/** Recorded sessions and other inputs that a target begins with. */
export function seedsOf(target: string): Buffer[] {
  const directory = join(CORPUS, target);
  if (!existsSync(directory)) return [];
  return readdirSync(directory).map((name) => readFileSync(join(directory, name)));
}

export interface Kept {
  readonly file: string;
  readonly target: string;
}

/** A name begins with that of its target: `broker-1f2e3d4c`. */
export function found(): Kept[] {
  if (!existsSync(FOUND)) return [];
  return readdirSync(FOUND)
    .filter((name) => /^[a-z]+-[0-9a-f]+$/.test(name))
    .map((name) => ({ file: join(FOUND, name), target: name.slice(0, name.indexOf('-')) }));
}

/** Keeps what was found. Returns its path. */
export function keep(target: string, input: Buffer): string {
  mkdirSync(FOUND, { recursive: true });
  const name = createHash('sha256').update(input).digest('hex').slice(0, 8);
  const file = join(FOUND, `${target}-${name}`);
  writeFileSync(file, input);
  return file;
}
