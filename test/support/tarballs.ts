/** A clone, and both packages as `npm pack` makes them in it, for tests of what whoever installs them gets. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { LONG_TEST_MS } from './patience.js';

const SOURCES = [
  ...[
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'tsconfig.page.json',
    'src',
    'scripts',
    'packages',
  ],
  ...['config', 'deploy', 'docs', 'examples'],
  ...['README.md', 'LICENSE', 'SECURITY.md', 'CHANGELOG.md', 'Dockerfile'],
];

/** The archives of both packages. */
export interface Tarballs {
  readonly broker: string;
  readonly sdk: string;
}

/** Runs a program to its end, which it must reach in time, and returns what it printed; what it printed is in the error, too. */
export function run(program: string, args: readonly string[], cwd: string): string {
  try {
    const stdio = ['ignore', 'pipe', 'pipe'] as const;
    const timeout = LONG_TEST_MS;
    return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: [...stdio], timeout });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${program} ${args.join(' ')} failed:\n${stdout}${stderr}`, { cause: error });
  }
}

function found(folder: string, name: string): string {
  const pattern = new RegExp(`^${name}-\\d[^/]*\\.tgz$`);
  const file = readdirSync(folder).find((path) => pattern.test(path));
  if (file === undefined) throw new Error(`${folder} has no archive of ${name}`);
  return join(folder, file);
}

/**
 * A copy of the sources in `folder`, with the packages that are installed here, and with what was built here: times of
 * change are kept, so that `scripts/prepare.mjs` builds it anew if a source is newer.
 */
export function clone(folder: string): string {
  const made = join(folder, 'clone');
  mkdirSync(made);
  const built = existsSync('dist') ? ['dist'] : [];
  run('cp', ['-a', ...SOURCES, ...built, made], '.');
  // (npm looks into it itself, so it is no link.)
  mkdirSync(join(made, 'node_modules'));
  for (const name of readdirSync('node_modules')) {
    symlinkSync(resolve('node_modules', name), join(made, 'node_modules', name));
  }
  rmSync(join(made, 'node_modules/majordomo-sdk'));
  symlinkSync('../packages/sdk', join(made, 'node_modules/majordomo-sdk'));
  return made;
}

/**
 * Packs both packages from a copy of the sources in `folder`. If MAJORDOMO_TARBALLS names a folder, as
 * in `npm run release`, its archives are used instead.
 */
export function tarballs(folder: string): Tarballs {
  let made = process.env['MAJORDOMO_TARBALLS'];
  if (made === undefined) {
    made = folder;
    const copy = clone(folder);
    for (const path of ['.', 'packages/sdk']) {
      run('npm', ['pack', '--silent', '--pack-destination', folder], join(copy, path));
    }
  }
  return { broker: found(made, 'majordomo-broker'), sdk: found(made, 'majordomo-sdk') };
}
