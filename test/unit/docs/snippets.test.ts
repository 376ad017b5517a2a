/** Compiles the TypeScript of the documents against the SDK. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';

import { page } from './page.js';

/** Names that a manual's snippet may use without saying where they come from. */
const CANNOT_FIND_NAME = new Set([2304, 2552, 18004]);
/** Packages of which a snippet shows the use, and which are not installed here. */
const CANNOT_FIND_MODULE = 2307;

interface Snippet {
  /** Where the compiler sees it: a file of docs/ that does not exist. */
  readonly path: string;
  readonly text: string;
}

function snippets(name: string): Snippet[] {
  const fences = page(name).matchAll(/^```ts\n([\s\S]*?)^```$/gm);
  return Array.from(fences, ([, text = ''], index) => ({
    path: resolve('docs', `${name}.${index}.ts`),
    // A module, also without imports: its names are its own, and it may await.
    text: `${text}\nexport {};\n`,
  }));
}

/** The options of the tests, without what only matters for a whole program. */
function options(): ts.CompilerOptions {
  const parsed = ts.getParsedCommandLineOfConfigFile(
    'tsconfig.test.json',
    { noEmit: true, noUnusedLocals: false, noUnusedParameters: false, incremental: false },
    { ...ts.sys, onUnRecoverableConfigFileDiagnostic: () => undefined },
  );
  if (parsed === undefined) throw new Error('tsconfig.test.json cannot be read');
  return parsed.options;
}

/** What the compiler has to say about snippets, one line each. */
function errorsIn(all: readonly Snippet[], allowed: ReadonlySet<number>): string[] {
  const texts = new Map(all.map(({ path, text }) => [path, text]));
  const compilerOptions = options();
  const host = ts.createCompilerHost(compilerOptions);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (path) => texts.has(path) || fileExists(path);
  host.readFile = (path) => texts.get(path) ?? readFile(path);
  host.getSourceFile = (path, language, ...rest) => {
    const text = texts.get(path);
    return text === undefined
      ? getSourceFile(path, language, ...rest)
      : ts.createSourceFile(path, text, language);
  };
  const program = ts.createProgram([...texts.keys()], compilerOptions, host);
  return all.flatMap(({ path, text }) => {
    const file = program.getSourceFile(path);
    const found = [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file),
    ];
    return found
      .filter(({ code }) => !allowed.has(code))
      .map(({ messageText, code, start = 0 }) => {
        const said = ts.flattenDiagnosticMessageText(messageText, '\n');
        return `${path}: ${text.slice(start, start + 60).split('\n')[0] ?? ''}: ${code} ${said}`;
      });
  });
}

describe('the TypeScript in the documents compiles against the SDK', () => {
  it('migrating.md, where every snippet is a whole module', () => {
    const all = snippets('migrating.md');
    expect(all.length).toBeGreaterThan(10);
    expect(errorsIn(all, new Set())).toEqual([]);
  });

  it('migrating.md shows new code beside the old, in every language that it names', () => {
    const languages = new Set(
      Array.from(page('migrating.md').matchAll(/^```(\w+)$/gm), ([, language]) => language),
    );
    expect([...languages].sort()).toEqual(['c', 'js', 'python', 'sh', 'ts']);
  });
});

void [readFileSync, join, CANNOT_FIND_NAME, CANNOT_FIND_MODULE];
