/**
 * The program at an earlier commit of this repository, built from its history: it runs one node of
 * a pair while the other one is upgraded.
 */
import { execFileSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { temporaryDirectory } from './daemon.js';

const SOURCES = ['package.json', 'scripts', 'src', 'tsconfig.json'];

/** Compiles it without type checks. Removed by `removeDaemons`. @returns its main.js */
export function builtProgram(commit: string): string {
  const directory = temporaryDirectory();
  const archive = execFileSync('git', ['archive', commit, ...SOURCES], {
    maxBuffer: 256 * 1024 * 1024,
  });
  execFileSync('tar', ['-x', '-C', directory], { input: archive });
  symlinkSync(resolve('node_modules'), join(directory, 'node_modules'));
  const run = (...args: readonly string[]): void => {
    execFileSync(process.execPath, args, { cwd: directory });
  };
  run('scripts/copy-assets.mjs', 'dist');
  run(
    'node_modules/@typescript/native/bin/tsc',
    '-p',
    'tsconfig.json',
    '--noCheck',
    '--sourceMap',
    'false',
  );
  return join(directory, 'dist', 'main.js');
}
