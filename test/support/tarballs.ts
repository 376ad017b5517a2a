/** Both packages as `npm pack` makes them, for tests of what a program that installs them gets. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { LONG_TEST_MS } from './patience.js';

const SOURCES = [
  ...['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.page.json', 'src', 'scripts', 'packages'],
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
 * Packs both packages from a copy of the sources in `folder`. If MAJORDOMO_TARBALLS names a folder, as
 * in `npm run release`, its archives are used instead.
 */
export function tarballs(folder: string): Tarballs {
  let made = process.env['MAJORDOMO_TARBALLS'];
  if (made === undefined) {
    made = folder;
    const clone = join(folder, 'clone');
    mkdirSync(clone);
    for (const path of SOURCES) cpSync(path, join(clone, path), { recursive: true });
    symlinkSync(resolve('node_modules'), join(clone, 'node_modules'));
    // The sources are checked elsewhere; without that the build takes seconds.
    const config = JSON.parse(readFileSync('tsconfig.json', 'utf8')) as { compilerOptions: object };
    const compilerOptions = { ...config.compilerOptions, noCheck: true };
    writeFileSync(join(clone, 'tsconfig.json'), JSON.stringify({ ...config, compilerOptions }));
    for (const path of ['.', 'packages/sdk']) {
      run('npm', ['pack', '--silent', '--pack-destination', folder], join(clone, path));
    }
  }
  return { broker: found(made, 'majordomo-broker'), sdk: found(made, 'majordomo-sdk') };
}
