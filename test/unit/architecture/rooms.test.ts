import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/**
 * The architecture rules are a program too. This writes a small tree with an import of each kind, runs the same check as
 * `npm run check:rooms` on it, and compares the rules that it finds broken.
 */
const CONFIG = join(process.cwd(), '.dependency-cruiser.cjs');
const CRUISER = join(process.cwd(), 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs');

const { ROOMS, PACKAGES } = createRequire(CONFIG)('./scripts/rooms.cjs') as {
  readonly ROOMS: object;
  readonly PACKAGES: object;
};
const { forbidden } = createRequire(CONFIG)(CONFIG) as {
  readonly forbidden: readonly { readonly name: string; readonly comment: string }[];
};

/** How a file can import. */
type Way = 'value' | 'type' | 'late';

let tree = '';

function put(path: string, text: string): void {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  writeFileSync(join(tree, path), text);
}

function imports(from: string, what: string, way: Way): void {
  const ups = '../'.repeat(from.split('/').length - 1);
  const name = what.startsWith('src/') ? `${ups}${what.replace(/ts$/, 'js')}` : what;
  const lines = {
    value: `export * as x from '${name}';\n`,
    type: `export type { T } from '${name}';\n`,
    late: `export const x = await import('${name}');\n`,
  };
  put(from, lines[way]);
}

function cruise(): string {
  const args = [CRUISER, '--config', CONFIG, '--output-type', 'err-long', 'src'];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: tree, encoding: 'utf8' });
  if (stderr !== '') throw new Error(stderr);
  return stdout;
}

beforeAll(() => {
  tree = mkdtempSync(join(tmpdir(), 'majordomo-rooms-'));
  const names = Object.keys(PACKAGES);
  const dependencies = Object.fromEntries(names.map((name) => [name, '1.0.0']));
  const described = { type: 'module', dependencies, devDependencies: { left: '1.0.0' } };
  put('package.json', JSON.stringify(described));
  put('tsconfig.json', readFileSync('tsconfig.json', 'utf8'));
  for (const name of [...names, 'left']) {
    put(`node_modules/${name}/package.json`, JSON.stringify({ name, main: 'index.js' }));
    put(`node_modules/${name}/index.js`, 'exports.x = 1;\n');
  }
});

afterAll(() => rmSync(tree, { recursive: true, force: true }));

/** File, what it imports, how, and the rules that it breaks. */
const CASES: readonly (readonly [string, string, Way, ...string[]])[] = [
  ['src/node/a.ts', 'src/extensions/one/a.ts', 'value', 'node'],
  ['src/extensions/two/a.ts', 'src/extensions/one/a.ts', 'value', 'extensions/*'],
  ['src/extensions/list.ts', 'src/extensions/one/a.ts', 'value'],
  ['src/extensions/one/b.ts', 'src/extensions/one/machine/a.ts', 'value'],
  ['src/wire/a1.ts', 'src/zmtp/a.ts', 'value', 'wire'],
  ['src/wire/a2.ts', 'src/zmtp/a.ts', 'type', 'wire'],
  ['src/wire/a3.ts', 'src/zmtp/a.ts', 'late', 'wire'],
  ['src/wire/a4.ts', 'pino', 'value', 'package-pino'],
  // What rows allow as types, or late.
  ['src/mmi/a1.ts', 'src/broker/ports.ts', 'type'],
  ['src/mmi/a2.ts', 'src/broker/ports.ts', 'late', 'mmi:type'],
  ['src/mmi/a3.ts', 'src/broker/b.ts', 'type', 'mmi'],
  ['src/cli/a1.ts', 'src/node/a.ts', 'late'],
  ['src/cli/a2.ts', 'src/node/a.ts', 'value', 'cli:late'],
  ['src/main.ts', 'node:path', 'value', 'main.ts'],
  ['src/parlour/a.ts', 'src/core/a.ts', 'value', 'known-room'],
  ['src/titanic/a.ts', 'src/core/a.ts', 'value', 'known-room'],
  ['src/admin/b.ts', 'left', 'value', 'known-package', 'no-dev-dependencies'],
  ['src/page/b.ts', 'preact', 'value'],
  ['src/wire/b.ts', './nowhere.js', 'value', 'resolvable'],
  ['src/wire/b2.ts', 'node:net', 'value', 'machine-is-pure'],
  ['src/wire/b3.ts', 'node:crypto', 'value', 'machine-is-deterministic'],
  ['src/wire/b4.ts', 'src/core/random.ts', 'value', 'machine-is-deterministic'],
  ['src/broker/io/b.ts', 'node:net', 'value'],
  ['src/wire/c1.ts', 'src/wire/c2.ts', 'value', 'no-circle'],
  ['src/wire/c3.ts', 'src/wire/c4.ts', 'type', 'no-circle'],
  // The other half: a circle is reported once.
  ['src/wire/c2.ts', 'src/wire/c1.ts', 'value'],
  ['src/wire/c4.ts', 'src/wire/c3.ts', 'type'],
  ['src/wire/f/f.ts', 'src/wire/g/g.ts', 'type'],
  ['src/wire/g/h.ts', 'src/wire/f/h.ts', 'type'],
  ['src/wire/g/g.ts', 'src/core/digest.ts', 'value'],
  ['src/wire/f/h.ts', 'src/core/digest.ts', 'value'],
  ['src/core/digest.ts', 'node:crypto', 'value'],
  ['src/core/random.ts', 'node:crypto', 'value'],
  ['src/broker/b.ts', 'src/core/random.ts', 'type'],
];

describe('the rules of rooms', () => {
  let printed = '';
  const rulesOf = (file: string): string[] =>
    [...printed.matchAll(/ error (\S+): (\S+)/g)].flatMap(([, rule, from]) =>
      from === file && rule !== undefined ? [rule] : [],
    );

  beforeAll(() => {
    const imported = CASES.map(([, what]) => what).filter((what) => what.startsWith('src/'));
    for (const file of [...imported, 'src/wire/alone.ts']) put(file, 'export {};\n');
    for (const [file, what, way] of CASES) imports(file, what, way);
    printed = cruise().replace(/\s+/g, ' ');
  });

  it.each(CASES)('%s, which imports %s by "%s"', (file, _what, _way, ...rules) => {
    expect(rulesOf(file).sort()).toEqual(rules);
  });

  it('a file that nothing imports, and two folders that import each other', () => {
    expect(rulesOf('src/wire/alone.ts')).toEqual(['no-orphan']);
    expect(rulesOf('src/wire/f')).toEqual(['no-folder-circle']);
  });

  it('each that is not of one room or package is broken here, and its remedy printed', () => {
    const others = forbidden.filter(
      ({ name }) =>
        !(name.replace(/:\w+$/, '') in ROOMS || name.replace('package-', '') in PACKAGES),
    );
    for (const { comment } of others) expect(printed).toContain(comment);
  });
});
