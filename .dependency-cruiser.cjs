/**
 * The rooms of src/ and what each may import (docs/ARCHITECTURE.md has the table and its reasons).
 * `npm run check:rooms` prints a broken rule with its comment, which names the remedy.
 */
const MACHINES = ['core', 'wire', 'broker', 'mmi', 'titanic', 'bstar', 'store', 'stream'];
const ROOMS = [
  ...MACHINES,
  'extensions',
  'zmtp',
  'config',
  'admin',
  'page',
  'node',
  'sdk',
  'testing',
  'cli',
];

/** Every package that src/ may import; `packages` below says where. */
const PACKAGES = [
  '@nats-io/transport-node',
  '@opentelemetry/api',
  '@preact/signals',
  '@cfworker/json-schema',
  'better-sqlite3',
  'commander',
  'json-p3',
  'libsodium-wrappers-sumo',
  'pg',
  'pino',
  'pino-pretty',
  'preact',
  'prom-client',
  'uplot',
  'yaml',
  'zeromq',
  'zod',
];

/** What scripts/bundle.mjs puts into the page. */
const IN_PAGE = ['@preact/signals', 'preact', 'uplot'];

const TYPES_ONLY = ['type-only', 'type-import'];

const room = (...names) => `^src/(${names.join('|')})/`;
const shell = (...names) => `^src/(${names.join('|')})/io/`;
/** The part of store/ that has threads and files. */
const STORE_SHELL = '^src/store/(sqlite|thread)/';
const EXTENSIONS = '^src/extensions/';
const LIBZMQ = '^src/(extensions|zmtp)/libzmq/';
/** The commands of an extension, and its part of `majordomo doctor`. */
const EXTENSION_CLI = '^src/extensions/[^/]+/cli/';
/** The machine of an extension. */
const EXTENSION_MACHINE = '^src/extensions/[^/]+/machine/';
/** The part of zmtp/ that has no sockets. */
const ZMTP_MACHINE = '^src/zmtp/(connection|curve)/';
/** All that drives sockets, disks and threads. */
const SHELLS = [
  '^src/[^/]+/io/',
  STORE_SHELL,
  '^src/extensions/[^/]+/(?!machine/)',
  '^src/zmtp/(?!connection/|curve/)',
];
const npmPackage = (...names) => `(^|/)node_modules/(@types/)?(${names.join('|')})/`;

/** A room outside its io/ imports, of ours, nothing but `allowed` (patterns of paths). */
function mayImport(name, allowed, comment) {
  return {
    name: `${name}-imports`,
    severity: 'error',
    comment,
    from: { path: room(name), pathNot: SHELLS },
    to: { path: '^src/', pathNot: [room(name), ...allowed] },
  };
}

/** As `mayImport`, and types of `alsoTypes`. */
function mayImportTypes(name, allowed, alsoTypes, comment) {
  return [
    mayImport(name, [...allowed, ...alsoTypes], comment),
    {
      name: `${name}-imports-types`,
      severity: 'error',
      comment,
      from: { path: room(name), pathNot: SHELLS },
      to: {
        path: alsoTypes,
        pathNot: [room(name), ...allowed],
        dependencyTypesNot: TYPES_ONLY,
      },
    },
  ];
}

const PAGE = '^src/page/';
/** The schemas of what the API answers. */
const ANSWERS = '^src/admin/api/(words|node-answers|stored-answers)\\.ts$';
/** How JSON Schemas are shown and services sorted, by the page and by commands; how events are kept, by the node and the page. */
const OF_BROWSERS = '^src/core/(schema-rows|service-needs|fair-history)\\.ts$';
const PORTS = '^src/broker/ports\\.ts$';
/** What is shown of a stored request, and asked of one, follows from them. */
const FIELD_TABLES = '^src/(store/(request|record-kind|attempt)|wire/submit-options)\\.ts$';
/** Folders of titanic. */
const TITANIC = (...names) => `^src/titanic/(${names.join('|')})/`;
const REPLICATION = '^src/bstar/replication/';
const FACTS = '^src/bstar/facts\\.ts$';
const LAZY = [room('node', 'zmtp'), STORE_SHELL];

const folder = (...names) => `^src/broker/(${names.join('|')})/`;
/** The files of broker/ itself that the folders inside share: interfaces, and what is counted. */
const BROKER_SHARED =
  '^src/broker/(counters|dialects|events|options|ports|quotas|request-counters|request-trace|rights|sink)\\.ts$';

/** A folder of broker/ imports, of the room, its own files, `allowed`, and what all folders share. */
function brokerFolder(name, allowed, comment) {
  return {
    name: `broker-${name}-imports`,
    severity: 'error',
    comment,
    from: { path: folder(name) },
    to: { path: '^src/broker/', pathNot: [folder(name, ...allowed), BROKER_SHARED] },
  };
}

const brokerFolders = [
  {
    name: 'broker-shared-imports',
    severity: 'error',
    comment:
      'The interfaces of broker/ (options, ports, sink, events, counters …) import no folder of it. Move the type into one of them, or the code into a folder.',
    from: { path: BROKER_SHARED },
    to: { path: '^src/broker/', pathNot: BROKER_SHARED },
  },
  brokerFolder(
    'state',
    [],
    'broker/state holds data and decides nothing. Move the decision to admission or lifecycle, which may read the state.',
  ),
  {
    name: 'broker-state-has-no-sink',
    severity: 'error',
    comment: 'broker/state sends nothing. Return what is due, and let lifecycle call the sink.',
    from: { path: folder('state') },
    to: { path: '^src/broker/(sink|events|counters|request-counters)\\.ts$' },
  },
  brokerFolder(
    'admission',
    ['state'],
    'broker/admission decides, and sends clients nothing; its only effect is a vote. Return the refusal, and let the caller in inputs or lifecycle send it.',
  ),
  brokerFolder(
    'lifecycle',
    ['state', 'admission'],
    'broker/lifecycle does not know where a call came from. Pass in what it needs as an argument from inputs.',
  ),
  {
    name: 'broker-inputs-imports',
    severity: 'error',
    comment:
      'broker/inputs is called by broker.ts and does not know it. Put what the class needs into lifecycle/broker-state.ts.',
    from: { path: folder('inputs') },
    to: { path: '^src/broker/broker\\.ts$' },
  },
  {
    name: 'broker-folders-are-private',
    severity: 'error',
    comment:
      'Other rooms import the files of broker/ itself and broker/io. Move the type to options.ts or ports.ts, or add a method to Broker.',
    from: { path: '^src/', pathNot: room('broker') },
    to: { path: folder('state', 'admission', 'lifecycle', 'inputs') },
  },
];

const rooms = [
  mayImport(
    'core',
    [],
    'core knows nothing of this project. Move what needs another room into that room, or pass it in as an argument.',
  ),
  mayImport(
    'wire',
    [room('core')],
    'wire imports core only: it turns frames into values. Return a value and let the caller act on it.',
  ),
  {
    name: 'zmtp-imports',
    severity: 'error',
    comment:
      'zmtp imports core only: it carries frames and does not read them. Report by a TransportEvents call; parsing belongs to wire.',
    from: { path: room('zmtp') },
    to: { path: '^src/', pathNot: room('zmtp', 'core') },
  },
  {
    name: 'zmtp-machine-imports',
    severity: 'error',
    comment:
      'zmtp/connection and zmtp/curve know bytes and frames, no sockets. Return what is to be written, and let zmtp/sockets write it.',
    from: { path: ZMTP_MACHINE },
    // curve/sodium.ts loads its library with the latter.
    to: { path: room('zmtp'), pathNot: [ZMTP_MACHINE, '^src/zmtp/installed\\.ts$'].flat() },
  },
  ...mayImportTypes(
    'mmi',
    [room('core', 'wire')],
    [PORTS],
    'mmi imports core, wire and the types of broker/ports.ts. Put what it must ask of the broker into broker/ports.ts and `import type` it; the node plugs the two together.',
  ),
  ...mayImportTypes(
    'titanic',
    [room('core', 'wire', 'store')],
    [PORTS],
    'titanic imports core, wire, store and the types of broker/ports.ts. Put what it must ask of the broker into broker/ports.ts and `import type` it; the node plugs the two together.',
  ),
  {
    name: 'titanic-machine-imports',
    severity: 'error',
    comment:
      'titanic/machine commits through the port of the store and does not know who lists or retries requests. Offer what operators need in machine/operator-host.ts.',
    from: { path: TITANIC('machine') },
    to: { path: room('titanic'), pathNot: TITANIC('machine') },
  },
  {
    name: 'titanic-subject',
    severity: 'error',
    comment:
      'This file is in no folder of titanic. Move it into machine or operator, by its subject; the store is a room of its own.',
    from: { path: room('titanic'), pathNot: TITANIC('machine', 'operator') },
    to: {},
  },
  {
    name: 'bstar-imports',
    severity: 'error',
    comment:
      'bstar imports core and wire only: it decides which node serves. What it asks of bstar/replication is in bstar/ports.ts; the node plugs the two together.',
    from: { path: room('bstar'), pathNot: [...SHELLS, REPLICATION] },
    to: { path: '^src/', pathNot: ['^src/bstar/(?!replication/)', room('core', 'wire')] },
  },
  {
    name: 'replication-imports',
    severity: 'error',
    comment:
      'bstar/replication imports core, wire, store and bstar/facts.ts. Which node serves belongs to bstar, what a change does to store.',
    from: { path: REPLICATION },
    to: {
      path: '^src/',
      pathNot: [REPLICATION, room('core', 'wire', 'store', 'titanic'), '^src/bstar/[^/]+$'],
    },
  },
  {
    name: 'replication-imports-types',
    severity: 'error',
    comment:
      'bstar/replication imports types of bstar and titanic, and no code. Use `import type`.',
    from: { path: REPLICATION },
    to: {
      path: room('titanic', 'bstar'),
      pathNot: [REPLICATION, FACTS],
      dependencyTypesNot: TYPES_ONLY,
    },
  },
  mayImport(
    'store',
    [room('core', 'wire')],
    'store imports core and wire only: it has the ports, the fields and the formats of what is stored. What a change means to clients belongs to titanic and map, which import store.',
  ),
  {
    name: 'store-shell-imports',
    severity: 'error',
    comment:
      'store/sqlite and store/thread carry out the ports of store and import core and wire beside it. Put what a machine needs into the port.',
    from: { path: STORE_SHELL },
    to: { path: '^src/', pathNot: room('store', 'core', 'wire') },
  },
  {
    name: 'store-shell-is-private',
    severity: 'error',
    comment:
      'store/sqlite and store/thread are opened by the node, by commands that work on a file, and by engines in extensions. Import the port (store/store.ts, store/map-store.ts) instead.',
    from: { path: '^src/', pathNot: [STORE_SHELL, room('node', 'cli', 'extensions')] },
    to: { path: STORE_SHELL },
  },
  {
    name: 'extensions-imports',
    severity: 'error',
    comment:
      'An extension imports its own folder, and of the node what it is attached to. Pass the other extension in as an interface.',
    from: { path: '^src/extensions/([^/]+)/', pathNot: [EXTENSION_MACHINE, EXTENSION_CLI] },
    to: {
      path: '^src/',
      pathNot: [
        room(
          ...ROOMS.filter(
            (name) => !['extensions', 'cli', 'sdk', 'testing', 'page'].includes(name),
          ),
        ),
        '^src/extensions/$1/',
      ],
    },
  },
  {
    name: 'extensions-are-private',
    severity: 'error',
    comment:
      'main.ts hands extensions/program.ts to the command line, and that hands the list of extensions to the node. Describe what is needed of an extension in node/extension.ts or cli/program.ts.',
    from: { path: '^src/', pathNot: [EXTENSIONS, '^src/main\\.ts$'] },
    to: { path: EXTENSIONS },
  },
  {
    name: 'extension-cli-imports',
    severity: 'error',
    comment:
      'A command of an extension imports cli, sdk, config, core and its own folder. Ask the broker through the SDK or HTTP instead.',
    from: { path: '^src/extensions/([^/]+)/cli/' },
    to: {
      path: '^src/',
      pathNot: ['^src/extensions/$1/', room('cli', 'sdk', 'config', 'core')],
    },
  },
  mayImport(
    'broker',
    [room('core', 'wire')],
    'broker imports core, wire and its own files only. Describe what it needs of others as an interface in broker/ports.ts; the node plugs it in.',
  ),
  mayImport(
    'stream',
    [room('core', 'wire')],
    'stream imports core and wire only: it copies messages to subscribers. What is published, and who may subscribe, is told to it by an extension or the SDK.',
  ),
  {
    name: 'extension-machine-imports',
    severity: 'error',
    comment:
      'The machine of an extension imports core, wire, store and types of broker/ports.ts. It knows no sockets, NATS or SQL: emit an effect on its sink.',
    from: { path: '^src/extensions/([^/]+)/machine/' },
    to: {
      path: '^src/',
      pathNot: ['^src/extensions/$1/machine/', room('core', 'wire', 'store'), PORTS],
    },
  },
  {
    name: 'extension-machine-imports-types',
    severity: 'error',
    comment: 'The machine of an extension imports types of broker/ports.ts. Use `import type`.',
    from: { path: EXTENSION_MACHINE },
    to: { path: PORTS, dependencyTypesNot: TYPES_ONLY },
  },
  ...mayImportTypes(
    'config',
    [room('core')],
    [room(...ROOMS.filter((name) => name !== 'config' && name !== 'core'))],
    'config imports core, and types of the others. Use `import type`, or move the value to core; reading files and environment belongs to config/io.',
  ),
  ...mayImportTypes(
    'admin',
    [room('core'), FIELD_TABLES],
    [room(...ROOMS.filter((other) => other !== 'admin' && other !== 'core'))],
    'admin imports core, types of the others, and the tables of the fields of stored requests, of their attempts and of their options. Use `import type` and let the node hand the object in.',
  ),
  mayImport(
    'sdk',
    [room('core', 'wire', 'zmtp', 'stream')],
    'sdk imports core, wire, zmtp and stream only: a user who imports it must load nothing of the daemon. Move what both need to core or wire.',
  ),
  {
    name: 'testing-is-not-imported',
    severity: 'error',
    comment:
      'testing is for tests of users and of this project: what runs in production does not import it. Move what both need to the room that it belongs to.',
    from: { path: '^src/', pathNot: room('testing') },
    to: { path: room('testing') },
  },
  {
    name: 'testing-without-native-modules',
    severity: 'error',
    comment: 'A test broker loads no native module. Use the memory store and the zmtp transport.',
    from: { path: room('testing') },
    to: {
      path: [STORE_SHELL, room('extensions', 'cli', 'config', 'admin', 'page')],
    },
  },
  mayImport(
    'cli',
    [room('sdk', 'config', 'core'), '^src/store/database-tools\\.ts$', ...LAZY],
    'cli imports sdk, config and core, and lazily node, the engine of the store and zmtp; extensions are handed to it (cli/program.ts). Ask the daemon through the SDK or HTTP instead.',
  ),
  {
    name: 'cli-imports-lazily',
    severity: 'error',
    comment:
      'A command loads node, the engine of the store and zmtp only when it runs, so that the others start fast. Use `await import(…)` inside its action.',
    from: { path: room('cli') },
    to: { path: LAZY, dependencyTypesNot: [...TYPES_ONLY, 'dynamic-import'] },
  },
  {
    name: 'main-imports',
    severity: 'error',
    comment:
      'main.ts only checks the version of Node.js and hands the program to cli/. Put the code there.',
    from: { path: '^src/main\\.ts$' },
    to: {
      pathNot: [room('cli'), '^src/core/(exit|version)\\.ts$', '^src/extensions/program\\.ts$'],
    },
  },
  {
    name: 'main-is-first',
    severity: 'error',
    comment:
      'Nothing imports main.ts: importing it runs the command. Move what is needed into its room.',
    from: {},
    to: { path: '^src/main\\.ts$' },
  },
  ...ROOMS.filter((name) => !['node', 'store', 'extensions', 'zmtp'].includes(name)).map(
    (name) => ({
      name: `${name}-io-imports`,
      severity: 'error',
      comment:
        'A shell (io/) imports its own room, core, wire and zmtp only. Pass the other thing in: the node composes the shells.',
      from: { path: shell(name) },
      to: { path: '^src/', pathNot: room(name, 'core', 'wire', 'zmtp') },
    }),
  ),
  {
    name: 'machine-without-io',
    severity: 'error',
    comment:
      "A room does not import its own io/: the shell drives the machine. Emit an effect on the machine's sink, or move this code into io/.",
    from: { path: '^src/([^/]+)/', pathNot: ['^src/[^/]+/io/', room('node')] },
    to: { path: '^src/$1/io/' },
  },
  {
    name: 'page-alone',
    severity: 'error',
    comment:
      'page runs in browsers, which are given its own files, core/schema-rows.ts, core/fair-history.ts, and no others. `import type` what admin/api says of answers, or ask the API.',
    from: { path: PAGE },
    to: { path: '^src/', pathNot: [PAGE, ANSWERS, OF_BROWSERS] },
  },
  {
    name: 'page-imports-types',
    severity: 'error',
    comment: 'page runs in browsers, which do not get the schemas of the API. Use `import type`.',
    from: { path: PAGE },
    to: { path: ANSWERS, dependencyTypesNot: TYPES_ONLY },
  },
  {
    name: 'page-is-not-imported',
    severity: 'error',
    comment: 'page is compiled for browsers and served as it is. Put what both need into admin.',
    from: { path: '^src/', pathNot: PAGE },
    to: { path: PAGE },
  },
  {
    name: 'known-room',
    severity: 'error',
    comment:
      'This file is in no room. Move it into one, or add a room here and to the table in docs/ARCHITECTURE.md.',
    from: { path: '^src/', pathNot: [room(...ROOMS), '^src/main\\.ts$'] },
    to: {},
  },
];

/** A package, where it may be imported, and what to do elsewhere. */
function packageOnlyIn(name, where, comment) {
  return {
    name: `package-${name}`,
    severity: 'error',
    comment,
    from: { path: '^src/', pathNot: where },
    to: { path: npmPackage(name) },
  };
}

const packages = [
  ...IN_PAGE.map((name) =>
    packageOnlyIn(
      name,
      [PAGE],
      `Only the page has ${name}: it is bundled for browsers, and not installed.`,
    ),
  ),
  packageOnlyIn(
    'zeromq',
    [LIBZMQ],
    'Only extensions/libzmq and zmtp/libzmq import zeromq. Use the port (zmtp/port.ts).',
  ),
  packageOnlyIn(
    'better-sqlite3',
    ['^src/store/sqlite/', '^src/node/io/data-dir\\.ts$', '^src/cli/serve/native\\.ts$'],
    'SQLite is a native library: only store/sqlite imports better-sqlite3, node/io/data-dir.ts for its lock, and cli/serve/native.ts to see that it loads. Put what you need into the port of the store.',
  ),
  packageOnlyIn(
    'pg',
    ['^src/extensions/postgres/'],
    'Only extensions/postgres talks to PostgreSQL. Put what you need into the port of the store.',
  ),
  packageOnlyIn(
    'libsodium-wrappers-sumo',
    ['^src/zmtp/curve/sodium\\.ts$'],
    'Only zmtp/curve/sodium.ts imports libsodium. Use CurveCrypto (zmtp/curve/crypto.ts), and load it only where CURVE is asked for.',
  ),
  packageOnlyIn(
    'pino',
    [room('admin', 'node')],
    'Only admin and node know the logger. Report an event; admin makes a log line of it.',
  ),
  packageOnlyIn(
    'pino-pretty',
    [room('admin', 'node')],
    'Only admin and node know the logger. Report an event; admin makes a log line of it.',
  ),
  packageOnlyIn(
    'prom-client',
    [room('admin', 'node')],
    'Only admin and node know the metrics library. Report an event; admin counts it.',
  ),
  packageOnlyIn(
    '@opentelemetry/api',
    ['^src/sdk/otel\\.ts$'],
    'Only majordomo-sdk/otel traces: others get interceptors.',
  ),
  packageOnlyIn(
    'zod',
    [room('config', 'admin')],
    'Only config and admin import zod: for the schema of the configuration, and that of the API. Import the type that is made from it.',
  ),
  packageOnlyIn(
    'yaml',
    ['^src/config/io/'],
    'Only config/io reads YAML. Let it hand over the value.',
  ),
  packageOnlyIn(
    'commander',
    [room('cli'), EXTENSION_CLI],
    'Only commands parse arguments. Take what you need as an option of a function.',
  ),
  packageOnlyIn(
    '@cfworker/json-schema',
    ['^src/cli/requests/contract-check\\.ts$'],
    'Only majordomo request checks bodies against schemas of strangers: cli/requests/contract-check.ts, with a limit of the time.',
  ),
  packageOnlyIn(
    'json-p3',
    ['^src/cli/common/json-path\\.ts$'],
    'Only -o jsonpath reads JSONPath: cli/common/json-path.ts.',
  ),
  {
    name: 'package-without-room',
    severity: 'error',
    comment:
      'No room is named for this package. Write it with node: built-ins, or name the one room that may import it in .dependency-cruiser.cjs.',
    from: { path: '^src/' },
    to: {
      path: 'node_modules/',
      pathNot: [npmPackage(...PACKAGES), npmPackage('node')],
    },
  },
  {
    name: 'no-dev-dependencies',
    severity: 'error',
    comment:
      'What is installed has no devDependencies: this import would fail there. Move the package to dependencies, or the code to test/.',
    from: { path: '^src/' },
    to: {
      dependencyTypes: ['npm-dev'],
      dependencyTypesNot: TYPES_ONLY,
      pathNot: [
        '(^|/)node_modules/@types/',
        // Who imports `majordomo-sdk/otel` has the API.
        npmPackage('@opentelemetry/api'),
        npmPackage(...IN_PAGE),
      ],
    },
  },
  {
    name: 'resolvable',
    severity: 'error',
    comment:
      'This import leads nowhere. Correct the path (it ends in .js), or add the package to package.json.',
    from: { path: '^src/' },
    to: { couldNotResolve: true },
  },
];

const IO_BUILT_INS = [
  'child_process',
  'cluster',
  'dgram',
  'dns',
  'fs',
  'http',
  'http2',
  'https',
  'net',
  'os',
  'process',
  'readline',
  'stream',
  'timers',
  'tls',
  'worker_threads',
];
const CLOCK_AND_RANDOM = ['^src/core/(clock|random)\\.ts$'];
const DIGEST = '^src/core/digest\\.ts$';

const builtIn = (...names) => `^(node:)?(${names.join('|')})(/|$)`;

const machines = [
  {
    name: 'machine-is-pure',
    severity: 'error',
    comment:
      'A machine touches no socket, disk, timer or thread. Emit an effect on its sink and let the io/ folder carry it out.',
    from: {
      path: [room(...MACHINES), EXTENSION_MACHINE, ZMTP_MACHINE],
      pathNot: [...SHELLS, ...CLOCK_AND_RANDOM],
    },
    to: { path: builtIn(...IO_BUILT_INS), dependencyTypes: ['core'] },
  },
  {
    name: 'machine-is-deterministic',
    severity: 'error',
    comment:
      'A machine gets time and randomness as arguments (`now`, `RandomFill` of core/random.ts), so that a seed replays it.',
    from: {
      path: [room(...MACHINES), EXTENSION_MACHINE],
      pathNot: [...SHELLS, ...CLOCK_AND_RANDOM, DIGEST],
    },
    to: {
      path: [builtIn('crypto', 'perf_hooks'), '^src/core/(clock|random)\\.ts$'],
      dependencyTypesNot: TYPES_ONLY,
    },
  },
];

const graph = [
  {
    name: 'no-circle',
    severity: 'error',
    comment:
      'These files import each other. Move what both need into a third file, or pass it in as an argument (a circle of types alone is allowed).',
    from: {},
    to: { circular: true, viaOnly: { dependencyTypesNot: TYPES_ONLY } },
  },
  {
    name: 'no-folder-circle',
    severity: 'error',
    scope: 'folder',
    comment:
      'These folders import each other, if only types. Move what both need into the one that is below, or into a third.',
    from: { path: '^src/', pathNot: room('sdk', 'admin').replace(/\/$/, '(/|$)') },
    to: { circular: true },
  },
  {
    name: 'no-orphan',
    severity: 'error',
    comment: 'Nothing imports this file and it imports nothing. Delete it, or use it.',
    from: { orphan: true, path: '^src/', pathNot: '\\.d\\.ts$' },
    to: {},
  },
];

module.exports = {
  forbidden: [...rooms, ...brokerFolders, ...packages, ...machines, ...graph],
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
