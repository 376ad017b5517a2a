/**
 * Builds packages/sdk/dist, which is the package majordomo-sdk and what `majordomo-broker/client` and
 * `/worker` export, from what the compiler put into compiled/. Each export of packages/sdk/package.json is
 * an entry: `./client` is built from compiled/sdk/client.js, `.` from compiled/sdk/index.js.
 *
 * The code is in one file, because loading many is slow: sdk.js for programs and bundlers, sdk.cjs for
 * those that know no ES modules, such as Jest. Node requires the first, too (`module-sync`), so that a
 * program which loads the package both ways has one copy of it. A test broker is CommonJS alone. The code is
 * made small, but names of classes stay: stacks can be read.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import ts from 'typescript';

import * as timers from './sdk-timers.mjs';
import { writeDeclarations } from './declarations.mjs';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const COMPILED = join(ROOT, 'compiled');
const PACKAGE = join(ROOT, 'packages/sdk');
const TARGET = join(PACKAGE, 'dist');
/** The characters after which a line ends where the code has a new one. */
const LINE_CHARACTERS = 3000;
const KEPT = { class: true, function: false };

const { exports } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'));
const entries = Object.keys(exports)
  .filter((path) => path !== './package.json')
  .map((path) => (path === '.' ? 'index' : path.slice(2)));

/** The source in compiled/: a test broker is no part of the SDK's own room. */
const sourceOf = (name) => (name === 'testing' ? 'testing/testing' : `sdk/${name}`);
const compiledEntry = (name) =>
  join(COMPILED, `${name === basename(THREAD) ? THREAD : sourceOf(name)}.js`);

/** The program of a thread, which the SDK starts by its path beside its own code. */
const THREAD = 'sdk/stream/shard-thread';
/** The entry that is only CommonJS: it is large, and for tests alone. */
const TESTING = 'testing';

const PURE = ['Buffer.from', 'Buffer.alloc', 'Array.from', 'Object.entries', 'Object.fromEntries'];

const TIMERS = fileURLToPath(new URL('sdk-timers.mjs', import.meta.url));
const REAL = {
  ...Object.fromEntries(Object.keys(timers).map((name) => [name, [TIMERS, name]])),
  'Date.now': [TIMERS, 'now'],
};

/** @param format `esm` or `cjs` */
async function writeCode(format, names) {
  const extension = format === 'esm' ? 'js' : 'cjs';
  const bundle = await rolldown({
    input: Object.fromEntries(names.map((name) => [name, compiledEntry(name)])),
    platform: 'node',
    transform: { inject: REAL },
    external: (id) => !id.startsWith('.') && !isAbsolute(id),
    // What they make at the top of a module is of no use if nothing reads it.
    treeshake: { manualPureFunctions: PURE },
    onwarn: (warning) => {
      throw new Error(warning.message);
    },
  });
  const { output } = await bundle.write({
    dir: TARGET,
    format,
    entryFileNames: `[name].${extension}`,
    chunkFileNames: `[name].${extension}`,
    strict: true,
    comments: false,
    minify: {
      compress: true,
      mangle: { toplevel: true, keepNames: KEPT },
      codegen: false,
    },
    codeSplitting: { groups: [{ name: 'sdk', test: (id) => id === compiledEntry('index') }] },
  });
  await bundle.close();
  for (const { fileName, code, isEntry } of output) {
    writeFileSync(join(TARGET, fileName), compact(withPlainExports(code, isEntry)));
  }
}

/**
 * Nothing that the code exports changes after it was made, so no getter is needed. What only the package itself
 * requires needs no names that Node finds without running it.
 */
function withPlainExports(code, isEntry) {
  const GETTER =
    /Object\.defineProperty\(exports,\s*"([\w$]+)",\s*\{\s*enumerable:\s*(?:true|!0),\s*get:\s*function\(\)\s*\{\s*return\s+([^;{}]+);\s*\}\s*\}\)/g;
  // Functions of modules do not care which object they are called on.
  const CALL = /\(0,\s*([\w$]+\.[\w$]+)\)\(/g;
  const plain = code.replace(GETTER, 'exports.$1=$2').replace(CALL, '$1(');
  if (isEntry) return plain;
  return plain.replace(/(exports\.[\w$]+=[^,;]+(,\s*)?)+;?\s*$/, (all) => {
    const members = all.replace(/exports\.([\w$]+)=/g, '$1:').replace(/;?\s*$/, '');
    return `Object.assign(exports,{${members}});`;
  });
}

/**
 * Writes code with no more space than it needs, in lines that are not long: Node prints the whole line of an
 * error that nobody catches.
 */
function compact(code) {
  const tokens = tokensOf(code);
  const lines = [''];
  for (const [at, { text, gap }] of tokens.entries()) {
    const line = lines.at(-1);
    if (gap.includes('\n') && line.length > LINE_CHARACTERS) lines.push(text);
    else lines[lines.length - 1] = line + between(tokens[at - 1]?.text ?? '', gap, text) + text;
  }
  const compacted = lines.join('\n');
  const read = tokensOf(compacted);
  if (read.length !== tokens.length || read.some(({ text }, at) => text !== tokens[at].text)) {
    throw new Error('the code without its spaces is not the same code');
  }
  return `${compacted}\n`;
}

/** Lists the tokens, each with the space and comments before it. */
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
    const text = code.slice(start, node.end);
    if (text === '}' && isEnd(tokens.at(-1))) tokens.pop();
    const isEmpty = node.parent.kind === ts.SyntaxKind.EmptyStatement;
    tokens.push({ text, gap: code.slice(end, start), isEmpty });
    end = node.end;
  };
  visit(source);
  return tokens;
}

/** A semicolon that only ends what the `}` after it ends, too; not one that is a statement. */
function isEnd(token) {
  return token?.text === ';' && !token.isEmpty;
}

/** What must stand between two tokens. */
function between(before, gap, text) {
  if (gap === '' || /^[)\]}]/.test(text)) return '';
  // Two words or numbers; and signs that together would be another one, or a comment.
  const isOne = /[\w$][\w$#]|[-+/<!>][-+/<!>]/.test(before.slice(-1) + text[0]);
  return isOne ? ' ' : '';
}

function writeTesting() {
  const require = createRequire(import.meta.url);
  const names = Object.keys(require(join(TARGET, `${TESTING}.cjs`)));
  const text = `export { ${names.join(', ')} } from './${TESTING}.cjs';\n`;
  writeFileSync(join(TARGET, `${TESTING}.js`), text);
}

rmSync(TARGET, { recursive: true, force: true });
await writeCode('esm', [...entries.filter((name) => name !== TESTING), basename(THREAD)]);
await writeCode('cjs', entries);
writeTesting();
writeDeclarations({
  compiled: COMPILED,
  target: TARGET,
  sources: new Map(entries.map((name) => [name, sourceOf(name)])),
});
