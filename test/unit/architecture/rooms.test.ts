import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/**
 * The architecture rules are a program too. This writes a small tree in which each room imports from each in every way,
 * runs the same check as `npm run check:rooms` on it, and compares what it refuses with the tables.
 */
const CONFIG = join(process.cwd(), '.dependency-cruiser.cjs');
const CRUISER = join(process.cwd(), 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs');

type Rows = Readonly<Record<string, readonly [list: string, remedy: string]>>;
const { ROOMS, MACHINES, REPLAYED, PACKAGES } = createRequire(CONFIG)('./scripts/rooms.cjs') as {
  readonly ROOMS: Rows;
  readonly MACHINES: readonly string[];
  readonly REPLAYED: readonly string[];
  readonly PACKAGES: Rows;
};
const { forbidden } = createRequire(CONFIG)(CONFIG) as {
  readonly forbidden: readonly { readonly name: string; readonly comment: string }[];
};
const rooms = Object.keys(ROOMS);
const listed = (rows: Rows, name: string): string[] => (rows[name]?.[0] ?? '').match(/\S+/g) ?? [];

/** How a file can import, and the marks of a row that allow it. */
const WAYS = { value: [''], type: ['', 'type:', 'late:'], late: ['', 'late:'] };
type Way = keyof typeof WAYS;

function fileIn(room: string, name = 'file', extension = 'one'): string {
  return `src/${room.replace('*', extension)}${room.endsWith('.ts') ? '' : `/${name}.ts`}`;
}

/** A file in each room, those that rows name, and what another extension has. */
const named = rooms.flatMap((room) => listed(ROOMS, room)).map((each) => each.replace(/^\w+:/, ''));
const OTHERS = rooms.filter((room) => room.includes('*')).map((room) => fileIn(room, 'b', 'two'));
const FILES = [
  ...new Set([...rooms, ...named.filter((each) => each.endsWith('.ts')), 'core/clock.ts']),
].map((each) => fileIn(each));

/** The room of a file of `FILES`: that with the longest name. */
function roomOf(file: string): string {
  const path = file.replace(/^src\/(extensions\/one(?=\/))?/, (_, one) =>
    one ? 'extensions/*' : '',
  );
  const all = rooms.filter((room) => path === room || path.startsWith(`${room}/`));
  return all.reduce((longest, room) => (room.length > longest.length ? room : longest), '');
}

function isAllowed(room: string, file: string, way: Way): boolean {
  if (OTHERS.includes(file)) return room === 'extensions';
  const names = [roomOf(file), file.replace('src/', '')];
  const allowing = WAYS[way].flatMap((mark) => names.map((name) => mark + name));
  return names.includes(room) || listed(ROOMS, room).some((each) => allowing.includes(each));
}

interface Violation {
  readonly from: string;
  readonly to: string;
  readonly rule: { readonly name: string };
}

let tree = '';

function put(path: string, text: string): void {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  writeFileSync(join(tree, path), text);
}

function imports(from: string, all: readonly string[], way: Way): void {
  const ups = '../'.repeat(from.split('/').length - 1);
  const lines = all.map((what, index) => {
    const name = what.startsWith('src/') ? `${ups}${what.replace(/ts$/, 'js')}` : what;
    if (way === 'type') return `export type { T as T${index} } from '${name}';\n`;
    if (way === 'late') return `export const x${index} = await import('${name}');\n`;
    return `export * as x${index} from '${name}';\n`;
  });
  put(from, lines.join(''));
}

function cruise(outputType: string, config: string): string {
  const args = [CRUISER, '--config', config, '--output-type', outputType, 'src'];
  const options = { cwd: tree, encoding: 'utf8', maxBuffer: 2 ** 28 } as const;
  const { stdout, stderr } = spawnSync(process.execPath, args, options);
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

afterAll(() => {
  rmSync(tree, { recursive: true, force: true });
});

describe('a room of src/ imports', () => {
  let found: readonly Violation[];
  const outside = [...Object.keys(PACKAGES), 'node:fs/promises', 'node:crypto'];
  const isFolder = (room: string): boolean => !room.endsWith('.ts');
  const refused = (file: string, rule: RegExp): string[] => {
    const all = found.filter(({ from, rule: { name } }) => from === file && rule.test(name));
    return [...new Set(all.map(({ to }) => to))].sort();
  };
  const ofRooms = new RegExp(`^(${rooms.join('|').replaceAll('*', '\\*')})(:\\w+)?$`);
  const otherFiles = (room: string): string[] =>
    [...FILES, ...OTHERS].filter((file) => file !== fileIn(room, 'value'));

  beforeAll(() => {
    for (const file of [...FILES, ...OTHERS]) put(file, 'export {};\n');
    for (const room of rooms) {
      imports(fileIn(room, 'value'), [...otherFiles(room), ...outside], 'value');
      if (!isFolder(room)) continue;
      for (const way of ['type', 'late'] as const) {
        imports(fileIn(room, way), otherFiles(room), way);
      }
    }
    for (const name of Object.keys(PACKAGES)) {
      for (const each of listed(PACKAGES, name)) {
        if (!rooms.includes(each)) imports(fileIn(each), [name], 'value');
      }
    }
    // (This tree is full of circles.)
    put(
      'one-way.cjs',
      `const all = require(${JSON.stringify(CONFIG)});
       const forbidden = all.forbidden.filter(({ to }) => !to.circular);
       module.exports = { ...all, forbidden };`,
    );
    const report = JSON.parse(cruise('json', 'one-way.cjs')) as {
      readonly summary: { readonly violations: readonly Violation[] };
    };
    found = report.summary.violations;
  });

  describe.each(Object.keys(WAYS) as Way[])('by "%s"', (way) => {
    it.each(rooms.filter((room) => isFolder(room) || way === 'value'))('%s: its row', (room) => {
      const expected = otherFiles(room).filter((file) => !isAllowed(room, file, way));
      expect(expected).not.toEqual([]);
      const all = refused(fileIn(room, way), ofRooms);
      expect(all.filter((file) => file.startsWith('src/'))).toEqual(expected.sort());
    });
  });

  it.each(Object.keys(PACKAGES))('%s: where its row says', (name) => {
    const places = found.filter(({ rule }) => rule.name === `package-${name}`);
    const others = rooms.filter((room) => !listed(PACKAGES, name).includes(room));
    const expected = others.map((room) => fileIn(room, 'value'));
    expect(new Set(places.map(({ from }) => from))).toEqual(new Set(expected));
  });

  it.each(rooms)('%s: disks, clocks and randomness, unless it is a machine', (room) => {
    const file = fileIn(room, 'value');
    expect(refused(file, /^machine-is-pure$/)).toEqual(
      MACHINES.includes(room) ? ['fs/promises'] : [],
    );
    const chance = REPLAYED.includes(room) ? ['crypto', 'src/core/clock.ts'] : [];
    expect(refused(file, /^machine-is-deterministic$/)).toEqual(chance);
  });

  it('main.ts: nothing of Node', () => {
    const all = refused('src/main.ts', /^main\.ts$/);
    expect(all).toEqual(expect.arrayContaining(['crypto', 'fs/promises']));
  });

  it('each with a remedy', () => {
    const broken = new Set(found.map(({ rule }) => rule.name));
    for (const { name, comment } of forbidden) {
      if (ofRooms.test(name) || name.startsWith('package-')) expect(broken).toContain(name);
      expect(comment.length).toBeGreaterThan(40);
    }
  });
});

/** File, what it imports, how, and the rules that it breaks. */
const CASES: readonly (readonly [string, string, Way, ...string[]])[] = [
  ['src/parlour/a.ts', 'src/core/a.ts', 'value', 'known-room'],
  ['src/titanic/a.ts', 'src/core/a.ts', 'value', 'known-room'],
  ['src/admin/b.ts', 'left', 'value', 'known-package', 'no-dev-dependencies'],
  ['src/page/b.ts', 'preact', 'value'],
  ['src/wire/b.ts', './nowhere.js', 'value', 'resolvable'],
  ['src/wire/b2.ts', 'node:net', 'value', 'machine-is-pure'],
  ['src/wire/b3.ts', 'node:crypto', 'value', 'machine-is-deterministic'],
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

describe('beside the tables', () => {
  let printed = '';
  const rulesOf = (file: string): string[] =>
    [...printed.matchAll(/ error ([\w-]+): (\S+)/g)].flatMap(([, rule, from]) =>
      from === file && rule !== undefined ? [rule] : [],
    );

  beforeAll(() => {
    rmSync(join(tree, 'src'), { recursive: true, force: true });
    for (const [file, what, way] of CASES) imports(file, [what], way);
    put('src/core/a.ts', 'export {};\n');
    put('src/wire/alone.ts', 'export {};\n');
    printed = cruise('err-long', CONFIG).replace(/\s+/g, ' ');
  });

  it.each(CASES)('%s, which imports %s by "%s"', (file, _what, _way, ...rules) => {
    expect(rulesOf(file).sort()).toEqual(rules);
  });

  it('a file that nothing imports, and two folders that import each other', () => {
    expect(rulesOf('src/wire/alone.ts')).toEqual(['no-orphan']);
    expect(rulesOf('src/wire/f')).toEqual(['no-folder-circle']);
  });

  it('every other rule is broken here, and its remedy printed', () => {
    const others = forbidden.filter(
      ({ name }) =>
        !(name.replace(/:\w+$/, '') in ROOMS || name.replace('package-', '') in PACKAGES),
    );
    for (const { comment } of others) expect(printed).toContain(comment);
  });
});
