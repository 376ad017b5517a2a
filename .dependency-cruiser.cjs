/**
 * The rules of `npm run check:rooms`, most of them made from the tables of scripts/rooms.cjs. A broken rule is printed
 * with its comment, which names the remedy.
 */
const { ROOMS, MACHINES, REPLAYED, PACKAGES, PAGE_ONLY } = require('./scripts/rooms.cjs');

const TYPES_ONLY = ['type-only', 'type-import'];
const ANY_EXTENSION = '[^/]+';

const inSource = (path) => path.replaceAll('.', '\\.') + (path.endsWith('.ts') ? '$' : '/');

/** The files of a room, without those of rooms inside it, as a pattern; or one file. */
function filesOf(room, extension = ANY_EXTENSION) {
  const inside = Object.keys(ROOMS)
    .filter((other) => other.startsWith(`${room}/`))
    .map((other) => inSource(other.slice(room.length + 1)).replace('*', ANY_EXTENSION));
  const rest = inside.length > 0 ? `(?!${inside.join('|')})` : '';
  return `^src/${inSource(room).replace('*', extension)}${rest}`;
}

const rule = (name, comment, from, to) => ({ name, severity: 'error', comment, from, to });

/** A room imports what its row lists, and in the way that is written there. */
function roomRules([room, [list, remedy]]) {
  const ways = { value: [], type: [], late: [] };
  for (const each of list.split(' ').filter(Boolean)) {
    const [, way = 'value', what] = /^(?:(type|late):)?(.*)$/.exec(each);
    // (The group of the room's own pattern.)
    ways[way].push(filesOf(what, room.includes('*') ? '$1' : ANY_EXTENSION));
  }
  const from = { path: filesOf(room, `(${ANY_EXTENSION})`) };
  const own = filesOf(room, '$1');
  const comment = `scripts/rooms.cjs lists what ${room} may import. ${remedy}`;
  const made = (name, to) => rule(`${room}${name}`, comment, from, to);
  // main.ts has nothing of Node either.
  const whole = room === 'main.ts' ? {} : { path: '^src/' };
  const listed = [own, ...ways.value];
  return [
    made('', { ...whole, pathNot: [...listed, ...ways.type, ...ways.late] }),
    ...[
      ['type', TYPES_ONLY],
      ['late', [...TYPES_ONLY, 'dynamic-import']],
    ].flatMap(([way, dependencyTypesNot]) =>
      ways[way].length === 0
        ? []
        : made(`:${way}`, { path: ways[way], pathNot: listed, dependencyTypesNot }),
    ),
  ];
}

const npmPackage = (...names) => `(^|/)node_modules/(@types/)?(${names.join('|')})/`;

const packages = Object.entries(PACKAGES).map(([name, [where, remedy]]) =>
  rule(
    `package-${name}`,
    `Only ${where.replaceAll(' ', ', ')} may import ${name} (scripts/rooms.cjs). ${remedy}`,
    { path: '^src/', pathNot: where.split(' ').map((each) => filesOf(each)) },
    { path: npmPackage(name) },
  ),
);

const IO_BUILT_INS =
  'child_process|cluster|dgram|dns|fs|http|http2|https|net|os|process|readline|stream|timers|tls|worker_threads';
const builtIn = (names) => `^(node:)?(${names})(/|$)`;
const CLOCK_AND_RANDOM = '^src/core/(clock|random)\\.ts$';

module.exports = {
  forbidden: [
    ...Object.entries(ROOMS).flatMap(roomRules),
    rule(
      'known-room',
      'This file is in no room. Move it into one, or add a row to scripts/rooms.cjs and to the table in docs/ARCHITECTURE.md.',
      { path: '^src/', pathNot: Object.keys(ROOMS).map((room) => filesOf(room)) },
      {},
    ),
    ...packages,
    rule(
      'known-package',
      'No room is named for this package. Write it with node: built-ins, or name the one room that may import it in scripts/rooms.cjs.',
      { path: '^src/' },
      { path: 'node_modules/', pathNot: npmPackage(...Object.keys(PACKAGES), 'node') },
    ),
    rule(
      'no-dev-dependencies',
      'What is installed has no devDependencies: this import would fail there. Move the package to dependencies, or the code to test/.',
      { path: '^src/' },
      {
        dependencyTypes: ['npm-dev'],
        dependencyTypesNot: TYPES_ONLY,
        pathNot: [
          '(^|/)node_modules/@types/',
          // Who imports `majordomo-sdk/otel` has the API.
          npmPackage('@opentelemetry/api'),
          npmPackage(...Object.keys(PACKAGES).filter((name) => PACKAGES[name] === PAGE_ONLY)),
        ],
      },
    ),
    rule(
      'resolvable',
      'This import leads nowhere. Correct the path (it ends in .js), or add the package to package.json.',
      { path: '^src/' },
      { couldNotResolve: true },
    ),
    rule(
      'machine-is-pure',
      'A machine touches no socket, disk, timer or thread. Emit an effect on its sink and let the io/ folder carry it out.',
      { path: MACHINES.map((room) => filesOf(room)), pathNot: CLOCK_AND_RANDOM },
      { path: builtIn(IO_BUILT_INS), dependencyTypes: ['core'] },
    ),
    rule(
      'machine-is-deterministic',
      'A machine gets time and randomness as arguments (`now`, `RandomFill` of core/random.ts), so that a seed replays it.',
      {
        path: REPLAYED.map((room) => filesOf(room)),
        pathNot: [CLOCK_AND_RANDOM, '^src/core/(curve-file|digest)\\.ts$'],
      },
      { path: [builtIn('crypto|perf_hooks'), CLOCK_AND_RANDOM], dependencyTypesNot: TYPES_ONLY },
    ),
    rule(
      'no-circle',
      'These files import each other, if only types. Move what both need into a third file, or pass it in as an argument.',
      {},
      { circular: true },
    ),
    {
      ...rule(
        'no-folder-circle',
        'These folders import each other, if only types. Move what both need into the one that is below, or into a third.',
        { path: '^src/', pathNot: '^src/(sdk|admin)(/|$)' },
        { circular: true },
      ),
      scope: 'folder',
    },
    rule(
      'no-orphan',
      'Nothing imports this file and it imports nothing. Delete it, or use it.',
      { orphan: true, path: '^src/', pathNot: '\\.d\\.ts$' },
      {},
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'default'],
      mainFields: ['main', 'types', 'typings'],
    },
    skipAnalysisNotInRules: true,
  },
};
