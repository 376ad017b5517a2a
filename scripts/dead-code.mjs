/**
 * Finds unused code: exports of src/ that nothing in src/ imports (an import in a test does not
 * count), exports of test/, bench/ and examples/ that nothing imports, and dependencies of
 * package.json that no file of src/ imports. Exits with 1 and says what to do about each.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { analyzeTsConfig } from 'ts-unused-exports';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Files whose exports are for users of this package. */
const ENTRY_POINTS = new Set([
  'src/sdk/client.ts',
  'src/sdk/index.ts',
  'src/sdk/worker.ts',
  'src/sdk/stream.ts',
  'src/sdk/otel.ts',
  'src/testing/testing.ts',
  // The subscriber's threads load it.
  'bench/streams/handler.ts',
  'examples/black-box.ts',
]);

/** Exports that are kept although nothing in src/ imports them: `FILE: NAME` → why. */
const KEPT_EXPORTS = new Map([
  ['src/config/document.ts: referencePage', 'scripts/generate-docs.mjs'],
  ['src/config/document.ts: jsonSchema', 'scripts/generate-docs.mjs'],
  ['src/config/document.ts: exampleFile', 'scripts/generate-docs.mjs'],
  ['src/admin/http/openapi.ts: openApiFile', 'scripts/generate-docs.mjs'],
  ['src/admin/metrics/metrics-page.ts: metricsPage', 'scripts/generate-docs.mjs'],
  ['src/bstar/facts.ts: PROGRESS', 'the search of all states packs them'],
  ['src/bstar/facts.ts: HANDOVERS', 'the search of all states packs them'],
  ['src/bstar/facts.ts: GOALS', 'the search of all states packs them'],
  ['src/bstar/fsm.ts: RULES', 'the search takes them out in turn'],
  ['src/extensions/programs/sse.ts: eventText', 'the text of one event, apart from connections'],
  ['src/node/node.ts: linesOf', 'documents and names of events are compared with it'],
  ['src/titanic/machine/fsm.ts: TRANSITIONS', 'the search takes them out in turn'],
  ['src/titanic/machine/fsm.ts: tableOf', 'the search takes them out in turn'],
  ['src/titanic/machine/fsm.ts: STATES', 'the search names them'],
  ['src/titanic/machine/fsm.ts: EVENTS', 'the search names them'],
  ['src/core/z85.ts: decodeZ85', "the RFC's vectors are no keys"],
  ['src/store/sqlite/tables/ranked-rows.ts: prepareRankedStatements', 'the test of query plans'],
  ['src/store/ranked-codec.ts: RANKED_FIELDS', 'scripts/generate-docs.mjs'],
  ['src/extensions/map/storage.ts: BODY_FIELDS', 'scripts/generate-docs.mjs'],
  ['src/extensions/map/storage.ts: rankedOf', 'tests keep records of the map without a node'],
  ['src/extensions/map/storage.ts: recordIn', 'tests and the fuzzer read bodies'],
  ['src/extensions/postgres/session.ts: FREE', 'the test of query plans'],
  ['src/extensions/postgres/session.ts: NEW_FENCING_TOKEN', 'the test of query plans'],
  ['src/extensions/postgres/looks.ts: UNCLAIMED', 'the test of query plans'],
  [
    'src/extensions/postgres/session.ts: fenceValue',
    'the test of query plans, and the benchmark of counts',
  ],
  ['src/extensions/postgres/recount.ts: pauseAfter', 'the benchmark of counts'],
  ['src/extensions/postgres/lease.ts: Watch', 'a clock that a script moves'],
  ['src/extensions/fleet/checkup.ts: answering', 'servers that no test can have off loopback'],
  ['src/wire/chp-client.ts: NUMBER', 'the simulator reads and breaks numbers'],
  ['src/core/shapes.ts: shown', 'documents are compared with it'],
  ['src/wire/chp-client.ts: readNumber', 'the simulator reads and breaks numbers'],
  ['src/wire/worker-side.ts: workerPartial', 'the scripts write it; the SDK packs its head'],
]);

/** Dependencies that are kept although nothing in src/ imports them yet: name → why. */
const KEPT_DEPENDENCIES = new Map([
  [
    '@nats-io/transport-node',
    'src/extensions/fleet/io/library.ts imports it by a name that is no literal',
  ],
  [
    'libsodium-wrappers-sumo',
    'src/zmtp/curve/sodium.ts loads it by a name that bundlers do not follow',
  ],
]);

const REMEDY =
  'A dead export: delete it, or drop `export` if its own file needs it. What must stay goes into ' +
  'KEPT_EXPORTS or KEPT_DEPENDENCIES of scripts/dead-code.mjs, with its reason.';

const pathOf = (file) => relative(ROOT, file).replaceAll('\\', '/');

function typeScriptFiles(folder) {
  if (!existsSync(join(ROOT, folder))) return [];
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Whether `name` is a type that the file itself also uses elsewhere. */
function isTypeNamedInItsFile(file, name) {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest);
  let isType = false;
  let namings = 0;
  const visit = (node) => {
    if (ts.isIdentifier(node) && node.text === name) namings++;
    if (
      (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) &&
      node.name.text === name
    ) {
      isType = true;
      namings--;
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return isType && namings > 0;
}

/** The names that an `import(…)` uses of its module, or `*` if that cannot be determined. */
function namesTaken(call) {
  let node = call.parent;
  while (ts.isAwaitExpression(node) || ts.isParenthesizedExpression(node)) node = node.parent;
  if (ts.isPropertyAccessExpression(node)) return [node.name.text];
  if (ts.isVariableDeclaration(node) && ts.isObjectBindingPattern(node.name)) {
    return node.name.elements.map((element) =>
      element.dotDotDotToken ? '*' : (element.propertyName ?? element.name).getText(),
    );
  }
  return ['*'];
}

/**
 * `FILE: NAME` of everything imported with `import(…)`, which ts-unused-exports does not follow.
 */
function lazilyImported(folders) {
  const taken = new Set();
  for (const file of folders.flatMap(typeScriptFiles)) {
    const text = readFileSync(file, 'utf8');
    if (!text.includes('import(')) continue;
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
    const visit = (node) => {
      if (
        ts.isCallExpression(node) &&
        node.expression.kind === ts.SyntaxKind.ImportKeyword &&
        ts.isStringLiteralLike(node.arguments[0])
      ) {
        const target = resolve(dirname(file), node.arguments[0].text.replace(/\.js$/, '.ts'));
        for (const name of namesTaken(node)) taken.add(`${pathOf(target)}: ${name}`);
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return taken;
}

/**
 * A value is dead if no other file imports it; a type only if its own file does not use it either,
 * because it may be part of the signature of something in use.
 * @returns a map from `FILE: NAME` (FILE relative to the root) to the place of the declaration
 */
function deadExports(project, folders) {
  const dead = new Map();
  const lazily = lazilyImported(folders);
  const { unusedExports } = analyzeTsConfig(join(ROOT, project));
  for (const [file, names] of Object.entries(unusedExports)) {
    const path = pathOf(file);
    if (lazily.has(`${path}: *`)) continue;
    for (const { exportName: name, location } of names) {
      const key = `${path}: ${name}`;
      if (lazily.has(key) || isTypeNamedInItsFile(file, name)) continue;
      dead.set(key, { path, name, line: location?.line ?? 1 });
    }
  }
  return dead;
}

/** The files of the program, relative to the root, with those that they import. */
function programFiles(project) {
  const config = ts.getParsedCommandLineOfConfigFile(join(ROOT, project), {}, ts.sys);
  const program = ts.createProgram(config.fileNames, config.options);
  return program.getSourceFiles().map(({ fileName }) => pathOf(fileName));
}

function checkExports(problems) {
  const page = deadExports('tsconfig.page.json', ['src/page']);
  const inPage = new Set(programFiles('tsconfig.page.json'));
  // The page also uses types of http/api: they are dead if both programs do not use them.
  const rest = [...deadExports('tsconfig.json', ['src'])].filter(
    ([key, { path }]) => !inPage.has(path) || page.has(key),
  );
  const inSrc = new Map([
    ...rest,
    ...[...page].filter(([, { path }]) => path.startsWith('src/page/')),
  ]);
  const anywhere = deadExports('tsconfig.test.json', ['src', 'test', 'bench', 'examples']);
  for (const [key, { path, name, line }] of inSrc) {
    if (ENTRY_POINTS.has(path) || KEPT_EXPORTS.has(key)) continue;
    const who = anywhere.has(key) ? 'no other file uses it' : 'only tests or examples use it';
    problems.push(`${path}:${line}: export ${name}: ${who}`);
  }
  for (const [, { path, name, line }] of anywhere) {
    if (path.startsWith('src/') || ENTRY_POINTS.has(path)) continue;
    problems.push(`${path}:${line}: export ${name}: no other file uses it`);
  }
  for (const key of KEPT_EXPORTS.keys()) {
    if (!inSrc.has(key)) {
      problems.push(
        `scripts/dead-code.mjs: KEPT_EXPORTS names "${key}", which is used now or gone. ` +
          'Delete the entry.',
      );
    }
  }
}

/** The packages that the TypeScript files below `folder` import in any way. */
function importedPackages(folder) {
  const packages = new Set();
  for (const file of typeScriptFiles(folder)) {
    const text = readFileSync(file, 'utf8');
    for (const { fileName } of ts.preProcessFile(text, true, true).importedFiles) {
      if (/^(\.|node:)/.test(fileName)) continue;
      const parts = fileName.split('/');
      packages.add(fileName.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0]);
    }
  }
  return packages;
}

function checkDependencies(problems) {
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const imported = importedPackages('src');
  for (const name of Object.keys(dependencies)) {
    if (imported.has(name) || KEPT_DEPENDENCIES.has(name)) continue;
    problems.push(
      `package.json: dependency ${name}: no file of src/ imports it; npm uninstall ${name}`,
    );
  }
  for (const name of KEPT_DEPENDENCIES.keys()) {
    if (!(name in dependencies) || imported.has(name)) {
      const why = imported.has(name) ? 'src/ imports it now' : 'package.json does not have it';
      problems.push(
        `scripts/dead-code.mjs: KEPT_DEPENDENCIES names ${name}, but ${why}. Delete the entry.`,
      );
    }
  }
}

const problems = [];
checkExports(problems);
checkDependencies(problems);
for (const problem of problems) console.error(problem);
if (problems.length > 0) {
  console.error(`\n${problems.length} dead. ${REMEDY}`);
  process.exitCode = 1;
}
