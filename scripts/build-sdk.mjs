/**
 * Builds packages/sdk/dist, which is the package majordomo-sdk and what `majordomo-broker/client` and
 * `/worker` export, from what the compiler put into compiled/. Each export of packages/sdk/package.json is
 * an entry: `./client` is built from compiled/sdk/client.js, `.` from compiled/sdk/index.js.
 *
 * The code is CommonJS, in one file, because loading many files is slow. ES modules re-export it, so
 * that a program which loads the package both ways has one copy of it.
 *
 *     node scripts/build-sdk.mjs [--pack]
 *
 * `--pack` makes the code smaller, which takes longer than all the rest.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, isAbsolute, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const COMPILED = join(ROOT, 'compiled');
const PACKAGE = join(ROOT, 'packages/sdk');
const TARGET = join(PACKAGE, 'dist');
const isToPack = process.argv.includes('--pack');
/** Of a declaration, with its line. */
const COMMENT = /^ *\/\*\*[^]*?\*\/\n/gm;
const IMPORTED = /((?:from |import\()')(\.[^']+)\.js'/g;

const { exports } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'));
const entries = Object.keys(exports)
  .filter((path) => path !== './package.json')
  .map((path) => (path === '.' ? 'index' : path.slice(2)));

/** In compiled/: a test broker is no part of the SDK's own room. */
const sourceOf = (name) => (name === 'testing' ? 'testing/testing' : `sdk/${name}`);
const compiledEntry = (name) => join(COMPILED, `${sourceOf(name)}.js`);

/**
 * Programs of threads, which the SDK starts by their path beside its own code: ES modules as they were
 * compiled, and the file that each imports.
 */
const THREADS = { 'shard-thread': 'shard' };
const THREADS_IN = 'sdk/stream';

/** Packages that become part of the code: the SDK depends on as few as possible. */
const PARTS = ['croner'];

/** What users load of the entries; a module that is loaded later has a file of its own. */
async function writeCode() {
  const bundle = await rolldown({
    input: {
      ...Object.fromEntries(entries.map((name) => [name, compiledEntry(name)])),
      ...Object.fromEntries(
        Object.values(THREADS).map((name) => [name, join(COMPILED, THREADS_IN, `${name}.js`)]),
      ),
    },
    platform: 'node',
    external: (id) => !id.startsWith('.') && !isAbsolute(id) && !PARTS.includes(id),
    onwarn: (warning) => {
      throw new Error(warning.message);
    },
  });
  const { output } = await bundle.write({
    dir: TARGET,
    format: 'cjs',
    entryFileNames: '[name].cjs',
    chunkFileNames: '[name].cjs',
    strict: true,
    codeSplitting: {
      groups: [{ name: 'sdk', test: (id) => id === compiledEntry('index') }],
    },
  });
  await bundle.close();
  if (!isToPack) return;
  for (const { fileName, code } of output) writeFileSync(join(TARGET, fileName), compact(code));
}

/**
 * Without comments, which the declarations have, too, and with no more space than the code needs. Each
 * statement still has a line of its own, and all names stay: stacks can be read.
 */
function compact(code) {
  const { ESNext: target } = ts.ScriptTarget;
  const { CommonJS: module } = ts.ModuleKind;
  const compilerOptions = { removeComments: true, target, module };
  const { outputText } = ts.transpileModule(code, { compilerOptions });
  const tokens = tokensOf(outputText);
  const compacted = tokens
    .map(({ text, gap }, at) => between(tokens[at - 1]?.text ?? '', gap, text) + text)
    .join('');
  const read = tokensOf(compacted);
  if (read.length !== tokens.length || read.some(({ text }, at) => text !== tokens[at].text)) {
    throw new Error('the code without its spaces is not the same code');
  }
  return `${compacted}\n`;
}

/** Each token, with the space and comments before it. */
function tokensOf(code) {
  const source = ts.createSourceFile('code.cjs', code, ts.ScriptTarget.ESNext, true);
  const tokens = [];
  let end = 0;
  const visit = (node) => {
    const children = node.getChildren(source);
    if (children.length > 0) {
      children.forEach(visit);
      return;
    }
    const start = node.getStart(source);
    // What a list of nothing leaves.
    if (node.end === start) return;
    tokens.push({ text: code.slice(start, node.end), gap: code.slice(end, start) });
    end = node.end;
  };
  visit(source);
  return tokens;
}

/** What must stand between two tokens. */
function between(before, gap, text) {
  if (gap === '' || /^[)\]}]/.test(text)) return '';
  if (gap.includes('\n')) return '\n';
  // Two words or numbers; and signs that together would be another one, or a comment.
  const isOne = /[\w$][\w$#]|[-+/<!>][-+/<!>]/.test(before.slice(-1) + text[0]);
  return isOne ? ' ' : '';
}

function writeModules() {
  const require = createRequire(import.meta.url);
  for (const name of entries) {
    const names = Object.keys(require(join(TARGET, `${name}.cjs`)));
    writeFileSync(
      join(TARGET, `${name}.js`),
      `export { ${names.join(', ')} } from './${name}.cjs';\n`,
    );
    writeFileSync(join(TARGET, `${name}.d.ts`), `export * from './${name}.cjs';\n`);
  }
}

function writeThreads() {
  for (const [name, imported] of Object.entries(THREADS)) {
    const text = readFileSync(join(COMPILED, THREADS_IN, `${name}.js`), 'utf8')
      .replace(`./${imported}.js`, `./${imported}.cjs`)
      .replace(/\n\/\/# sourceMappingURL=.*/, '');
    writeFileSync(join(TARGET, `${name}.js`), text);
  }
}

/** What users see of the SDK; the rest is what its types are made of. */
function isRead(file) {
  return /^(sdk|testing)[/\\]/.test(relative(COMPILED, file));
}

/** The declarations of the entries, and those that they need, in the folders of src/. */
function writeTypes() {
  const needed = new Set(entries.map((name) => join(COMPILED, `${sourceOf(name)}.d.ts`)));
  // A Set visits what is added to it meanwhile.
  for (const file of needed) {
    const text = readFileSync(file, 'utf8').replace(IMPORTED, (_, before, path) => {
      needed.add(join(dirname(file), `${path}.d.ts`));
      return `${before}${path}.cjs'`;
    });
    const target = join(TARGET, 'types', relative(COMPILED, file).replace(/\.d\.ts$/, '.d.cts'));
    mkdirSync(dirname(target), { recursive: true });
    const shown = text.replace(/\n\/\/# sourceMappingURL=.*/, '');
    writeFileSync(target, isRead(file) ? shown : shown.replace(COMMENT, ''));
  }
  for (const name of entries) {
    writeFileSync(
      join(TARGET, `${name}.d.cts`),
      `export * from './types/${sourceOf(name)}.cjs';\n`,
    );
  }
}

rmSync(TARGET, { recursive: true, force: true });
await writeCode();
writeModules();
writeThreads();
writeTypes();
for (const name of PARTS) {
  const licence = readFileSync(join(ROOT, 'node_modules', name, 'LICENSE'));
  writeFileSync(join(TARGET, `LICENSE.${name}`), licence);
}
