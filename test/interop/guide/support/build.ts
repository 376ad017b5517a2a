/** The Guide's C programs, compiled as they are, outside of this repository. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const CZMQ2 = join(process.cwd(), 'test', 'interop', 'guide', 'support', 'czmq2.h');
const LIBRARIES = ['-lczmq', '-lzmq', '-luuid', '-lpthread'];

const built = new Map<string, string>();
let directory: string | null = null;

/** @returns the path of a program, which is compiled when it is first asked for */
export function builtProgram(name: string): string {
  const before = built.get(name);
  if (before !== undefined) return before;
  directory ??= mkdtempSync(join(tmpdir(), 'mdp-guide-'));
  const output = join(directory, name);
  const source = join(resolve(process.env['GUIDE_C'] ?? ''), `${name}.c`);
  const args = ['-O1', '-w', '-include', CZMQ2, '-o', output, source, ...LIBRARIES];
  const { status, stderr } = spawnSync('gcc', args, { encoding: 'utf8' });
  if (status !== 0) {
    throw new Error(`gcc (it needs libczmq-dev 4 and uuid-dev) ${name}.c: ${stderr}`);
  }
  built.set(name, output);
  return output;
}

/** For `afterAll`. */
export function removeBuilt(): void {
  if (directory !== null) rmSync(directory, { recursive: true, force: true });
  directory = null;
  built.clear();
}
