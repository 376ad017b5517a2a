/**
 * Writes docs/surface/: what programs may depend on, a file for each surface and a line `NAME: WHAT` for each fact.
 * With --check it writes nothing, and exits with 1 if a file is not what the code makes, or if something of the last
 * release is gone or has another type and CHANGELOG.md does not say so. With --freeze, a step of a release, the
 * present state is what later ones are compared with.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { z } from 'zod';

import { EVENT_TABLES } from './logs-tables.mjs';
import { schemaLines, schemaParts, routeLines } from './surface-schemas.mjs';
import { lockText, namedIn, readLock, unnamed } from './surface-lock.mjs';
import { sdkSurface } from './surface-sdk.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const read = (path) => readFileSync(join(ROOT, path), 'utf8');

/** Loads modules of `src` from their sources: the check also runs where nothing was built. */
async function modules(paths) {
  // As far below the root as the code, which reads package.json.
  const folder = join(ROOT, 'node_modules/.cache');
  const outfile = join(folder, `surface-${process.pid}.mjs`);
  const contents = paths.map((path, at) => `export * as m${at} from './src/${path}';`).join('');
  const stdin = { contents, resolveDir: ROOT };
  mkdirSync(folder, { recursive: true });
  const how = { bundle: true, format: 'esm', platform: 'node', packages: 'external' };
  await build({ ...how, stdin, outfile });
  try {
    const found = await import(pathToFileURL(outfile).href);
    return Object.fromEntries(paths.map((path, at) => [path, found[`m${at}`]]));
  } finally {
    rmSync(outfile);
  }
}

const words = (name, all) => all.map((word) => `${name}: ${JSON.stringify(word)}`);

function metrics({ METRICS, METRIC_PREFIX, PROCESS_METRICS }) {
  const all = Object.entries(METRICS).map(([name, metric]) => [METRIC_PREFIX + name, metric]);
  return [...all, ...Object.entries(PROCESS_METRICS)].flatMap(([name, { type, labels = {} }]) => [
    `${name}: ${type}`,
    ...Object.entries(labels).flatMap(([label, values]) =>
      values === null ? `${name}{${label}}: any` : words(`${name}{${label}}`, values),
    ),
  ]);
}

function events(tables) {
  return tables
    .flatMap(Object.entries)
    .flatMap(([event, { fields }]) => [
      `${event}: event`,
      ...Object.entries(fields).flatMap(([name, { type, words: known = {} }]) => [
        `${event} ${name}: ${type}`,
        ...words(`${event} ${name}`, Object.keys(known)),
      ]),
    ]);
}

/**
 * All commands that help shows, and the other name of `durable`. A command is told what there is, so one more asks.
 */
async function commands({ main, PROGRAM }) {
  let lines = [];
  const define = (command, _, { describe }) =>
    command.action(async () => {
      lines = (await describe()).flatMap((each) => commandLines(each, ''));
      lines.push(...(await describe('titanic')).map((each) => `${each.name()}: as durable`));
    });
  const asking = { surface: [null, '', async () => ({ define })] };
  await main(['surface'], { ...PROGRAM, commands: [...PROGRAM.commands, asking] });
  return lines;
}

function commandLines(command, above) {
  const name = above + command.name();
  const given = command.registeredArguments.map((each) => {
    const text = each.name() + (each.variadic ? '…' : '');
    return each.required ? ` ${text}` : ` [${text}]`;
  });
  const needed = command.options.filter((each) => each.mandatory).map((each) => ` ${each.long}`);
  const options = command.options.flatMap((each) => {
    const usual = each.defaultValue === undefined ? '' : ` = ${JSON.stringify(each.defaultValue)}`;
    const at = `${name} ${each.long}`;
    return [
      `${at}${each.mandatory ? '' : '?'}: ${each.flags}${usual}`,
      ...words(at, each.argChoices ?? []),
    ];
  });
  const below = command.commands.flatMap((each) => commandLines(each, `${name} `));
  return [`${name}: command${[...given, ...needed].join('')}`, ...options, ...below];
}

/** The names, numbers and options that peers send. */
function wire(src, all) {
  const constants = Object.entries(all['wire/mdp.ts']).filter(
    ([name, value]) => /^(CLIENT|WORKER)_/.test(name) || typeof value === 'number',
  );
  const services = Object.values(all['wire/mmi.ts']).filter((value) => typeof value === 'string');
  return [
    ...constants.map(([name, value]) => `${name}: ${value}`),
    ...[...services, ...src.TITANIC_SERVICES].map((name) => `${name}: service`),
    ...src.PROTOCOL_EXTENSIONS.map((name) => `extension ${name}: of the broker`),
    ...src.TITANIC_EXTENSIONS.map((name) => `extension ${name}: of Titanic`),
    ...src.JOB_ROWS.map(({ name, what, usual }) => `option ${name}?: ${what} = ${usual}`),
    ...['BrokerStatus', 'ServiceStatus', 'WorkerStatus'].flatMap((name) =>
      schemaLines(name, z.toJSONSchema(src[name])),
    ),
  ];
}

function errors({ SDK_ERRORS, HTTP_ERRORS, exitStatusOf }) {
  const exits = read('src/core/exit.ts').match(/(?<=')ERR_\w+(?=')/g);
  return [
    ...Object.keys(SDK_ERRORS).map((code) => `${code}: of the SDK`),
    ...Object.entries(HTTP_ERRORS).map(([code, [status]]) => `${code}: HTTP ${status}`),
    ...exits.map((code) => `${code}: exit ${exitStatusOf({ code })}`),
  ];
}

/** The entries of the package: the name of each, and its module. */
function entries() {
  const { exports } = JSON.parse(read('packages/sdk/package.json'));
  const names = Object.keys(exports).filter((path) => path !== './package.json');
  const moduleOf = (path) => {
    if (path === './testing') return 'src/testing/testing.ts';
    return `src/sdk/${path === '.' ? 'index' : path.slice(2)}.ts`;
  };
  return names.map((path) => [path, moduleOf(path)]);
}

const MODULES = [
  ...['admin/http/errors.ts', 'admin/http/openapi.ts', 'admin/metrics/metric-table.ts'],
  ...['cli/main.ts', 'config/kinds.ts', 'config/schema.ts', 'core/exit.ts', 'sdk/errors.ts'],
  ...['extensions/cli-commands.ts', 'mmi/protocol-extensions.ts', 'wire/mdp.ts', 'wire/mmi.ts'],
  ...['wire/mmi-answers.ts', 'wire/job-option-table.ts', 'wire/tsp.ts'],
];

function signaturesBy(python) {
  try {
    return execFileSync(python, [join(ROOT, 'scripts/surface.py')], { encoding: 'utf8' });
  } catch (error) {
    console.error(`${error.message}\nThe surface needs Python 3.9 or newer: set PYTHON.`);
    process.exit(1);
  }
}

/** Surface → what it is, and its lines. */
async function surfaces() {
  const tables = EVENT_TABLES.map(([path, name]) => [path.replace(/js$/, 'ts'), name]);
  const all = await modules([...new Set([...MODULES, ...tables.map(([path]) => path)])]);
  // All in one.
  const src = Object.assign({}, ...MODULES.map((path) => all[path]));
  const python = process.env.PYTHON ?? 'python3';
  const signatures = signaturesBy(python);
  const keys = schemaParts('', src.jsonSchemaOf(src.wholeSchema()), true);
  const exits = Object.entries(src.EXIT).map(([name, status]) => `exit ${status}: ${name}`);
  return {
    config: ['Keys of the configuration', keys.map((line) => line.replace(/^\./, ''))],
    cli: ['Commands, options and exit statuses', [...(await commands(src)), ...exits]],
    http: ['Routes and schemas of HTTP', routeLines(JSON.parse(src.openApiFile()))],
    metrics: ['Metrics and their labels', metrics(src)],
    events: ['Events and their fields', events(tables.map(([path, name]) => all[path][name]))],
    errors: ['Codes of errors', errors(src)],
    wire: ['Names, numbers and options on the wire', wire(src, all)],
    sdk: ['Declarations of the SDK', sdkSurface(ROOT, entries())],
    python: ['Signatures of the Python package', signatures.trim().split('\n')],
  };
}

const [isCheck, isFrozen] = ['--check', '--freeze'].map((each) => process.argv.includes(each));
const { version } = JSON.parse(read('package.json'));
const changelog = read('CHANGELOG.md');
const faults = [];
mkdirSync(join(ROOT, 'docs/surface'), { recursive: true });
for (const [name, [title, lines]] of Object.entries(await surfaces())) {
  const path = `docs/surface/${name}.txt`;
  const before = existsSync(join(ROOT, path)) ? read(path) : '';
  const lock = isFrozen ? { version, locked: lines, isWhole: true } : readLock(before);
  if (!lock.isWhole) {
    faults.push(`${path} was edited by hand, or lost its head: take it from the last commit`);
    continue;
  }
  const gone = unnamed(lock.locked, lines, namedIn(changelog, lock.version));
  faults.push(...gone.map((line) => `${path}: gone or changed: ${line}`));
  const text = lockText(title, lock, lines);
  if (!isCheck) writeFileSync(join(ROOT, path), text);
  else if (text !== before) faults.push(`${path} is not what the code makes: npm run surface`);
}
if (faults.length > 0) {
  console.error(faults.join('\n'));
  console.error(
    'What was released stays, or the changelog names it under Removed or Changed, as `NAME`.',
  );
  process.exitCode = 1;
}
