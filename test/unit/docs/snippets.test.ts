/** The TypeScript programs in README.md, docs/migrating.md and docs/recipes are right by the types of the SDK as it is. */
import { readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import ts from 'typescript';

import { blocksOf } from '../../support/blocks.js';

const PAGES = [
  'README.md',
  'docs/migrating.md',
  ...readdirSync('docs/recipes')
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/recipes/${name}`),
];

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  lib: ['lib.es2023.d.ts'],
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  types: ['node'],
  strict: true,
  noUnusedLocals: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  noPropertyAccessFromIndexSignature: true,
  erasableSyntaxOnly: true,
  verbatimModuleSyntax: true,
  skipLibCheck: true,
  noEmit: true,
  paths: {
    'majordomo-sdk': ['./src/sdk/index.ts'],
    'majordomo-sdk/otel': ['./src/sdk/otel.ts'],
    'majordomo-sdk/testing': ['./src/testing/testing.ts'],
  },
};

/** The programs, as if each page were a folder of the repository. */
const programs = new Map(
  PAGES.flatMap((page) =>
    blocksOf(page, 'ts').map(({ name, text }): [string, string] => [
      resolve('build/snippets', page.replace(/\.md$/, ''), name),
      text,
    ]),
  ),
);

/** `PAGE/NAME:LINE: what is wrong`, of the programs only. */
function faults(): string[] {
  const host = ts.createCompilerHost(OPTIONS);
  const { fileExists, readFile, getSourceFile, directoryExists } = host;
  const folders = new Set([...programs.keys()].map((path) => dirname(path)));
  host.fileExists = (path) => programs.has(path) || fileExists(path);
  host.readFile = (path) => programs.get(path) ?? readFile(path);
  host.directoryExists = (path) => folders.has(path) || directoryExists?.(path) === true;
  host.getSourceFile = (path, target, ...rest) => {
    const text = programs.get(path);
    if (text === undefined) return getSourceFile(path, target, ...rest);
    return ts.createSourceFile(path, text, target);
  };
  const program = ts.createProgram([...programs.keys()], OPTIONS, host);
  const root = resolve('build/snippets');
  return [...programs.keys()].flatMap((path) => {
    const source = program.getSourceFile(path);
    return ts
      .getPreEmitDiagnostics(program, source)
      .filter(({ file }) => file === source)
      .map(({ messageText, start = 0 }) => {
        const line = (source?.getLineAndCharacterOfPosition(start).line ?? 0) + 1;
        const text = ts.flattenDiagnosticMessageText(messageText, ' ');
        return `${path.slice(join(root, '/').length)}:${line}: ${text}`;
      });
  });
}

describe('the programs of the documents', () => {
  let found: readonly string[] = [];

  beforeAll(() => {
    found = faults();
  }, 60_000);

  it('have no errors of types', () => {
    expect(programs.size).toBeGreaterThan(10);
    expect(found).toEqual([]);
  });
});
