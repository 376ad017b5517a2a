/** The TypeScript in the documents is right by the types of the SDK as it is. */
import { readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import ts from 'typescript';

import { blocksOf } from '../../support/blocks.js';
import { page } from './page.js';

/** Of whole programs. */
const PAGES = [
  'README.md',
  'docs/migrating.md',
  ...readdirSync('docs/recipes')
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/recipes/${name}`),
];
/** The manual of the SDK, whose snippets are not whole programs. */
const MANUAL = ['sdk.md', 'sdk-delivery.md', 'sdk-streams.md'];

/**
 * A manual leaves out what its text has just said: `Cannot find name`, in all its forms. Names of the SDK are
 * never left out here: `withImports` imports them. What it declares need not be used.
 */
const LEFT_OUT: ReadonlySet<number> = new Set([2304, 2552, 2593, 6133, 6198, 18004]);
const NONE: ReadonlySet<number> = new Set();

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

/** Where the compiler sees a file that does not exist, and its text. */
type Files = ReadonlyMap<string, string>;

/** The programs, as if each page were a folder of the repository. */
const programs: Files = new Map(
  PAGES.flatMap((path) =>
    blocksOf(path, 'ts').map(({ name, text }): [string, string] => [
      resolve('build/snippets', path.replace(/\.md$/, ''), name),
      text,
    ]),
  ),
);

function snippets(name: string): [path: string, text: string][] {
  const fences = page(name).matchAll(/^```ts\n([\s\S]*?)^```$/gm);
  return Array.from(fences, ([, code = ''], index) => [
    // A file that others import says its name.
    resolve('docs', /^\/\/ (\S+\.ts)\b/.exec(code)?.[1] ?? `${name}.${index}.ts`),
    // A module, also without imports: its names are its own, and it may await.
    `${code}\nexport {};\n`,
  ]);
}

/** What an entry of the SDK exports, from its reference; types with the word `type` before them. */
function namesOf(entry: string): string[] {
  const sections = page(`reference/${entry}.md`).split(/^## /m).slice(1);
  return sections.flatMap((section) => {
    const isType = /^(Interfaces|Type Aliases)/.test(section);
    const isLong = /^(Classes|Interfaces)/.test(section);
    const title = isLong ? /^### (\w+)/gm : /^- \*\*`(?:type |const )?(\w+)/gm;
    const names = new Set(Array.from(section.matchAll(title), ([, name = '']) => name));
    return Array.from(names, (name) => (isType ? `type ${name}` : name));
  });
}

const NAMES: Readonly<Record<string, readonly string[]>> = {
  'majordomo-sdk': [
    ...namesOf('client'),
    ...namesOf('worker'),
    ...namesOf('stream'),
    ...namesOf('map'),
  ],
  'majordomo-sdk/testing': namesOf('testing'),
  'majordomo-sdk/otel': namesOf('otel'),
};

/** A snippet with imports of the names of the SDK that it uses without saying so. */
function withImports(text: string): string {
  const imports = Object.entries(NAMES).map(([module, names]) => {
    const used = names.filter((name) => {
      const word = name.replace('type ', '');
      const isUsed = new RegExp(`(?<!['.\\w])${word}\\b(?!')`).test(text);
      const isDeclared = new RegExp(`\\b(import[^;]*|const|class|type|interface) ${word}\\b`);
      return isUsed && !isDeclared.test(text);
    });
    return used.length === 0 ? '' : `import { ${used.join(', ')} } from '${module}';\n`;
  });
  return imports.join('') + text;
}

const manual: Files = new Map(
  MANUAL.flatMap(snippets).map(([path, text]) => [path, withImports(text)]),
);

function compiled(files: Files): ts.Program {
  const host = ts.createCompilerHost(OPTIONS);
  const { fileExists, readFile, getSourceFile, directoryExists } = host;
  const folders = new Set([...files.keys()].map((path) => dirname(path)));
  host.fileExists = (path) => files.has(path) || fileExists(path);
  host.readFile = (path) => files.get(path) ?? readFile(path);
  host.directoryExists = (path) => folders.has(path) || directoryExists?.(path) === true;
  host.getSourceFile = (path, target, ...rest) => {
    const text = files.get(path);
    if (text === undefined) return getSourceFile(path, target, ...rest);
    return ts.createSourceFile(path, text, target);
  };
  return ts.createProgram([...files.keys()], OPTIONS, host);
}

/** `PAGE/NAME:LINE: what is wrong: its line`, of these files only. */
function faults(program: ts.Program, files: Files, allowed: ReadonlySet<number>): string[] {
  return [...files].flatMap(([path, text]) => {
    const source = program.getSourceFile(path);
    return ts
      .getPreEmitDiagnostics(program, source)
      .filter(({ file, code }) => file === source && !allowed.has(code))
      .map(({ messageText, code, start = 0 }) => {
        const line = source?.getLineAndCharacterOfPosition(start).line ?? 0;
        const said = ts.flattenDiagnosticMessageText(messageText, ' ');
        const name = path.slice(join(process.cwd(), '/').length);
        return `${name}:${line + 1}: ${code} ${said}: ${text.split('\n')[line] ?? ''}`;
      });
  });
}

describe('of the documents', () => {
  let program: ts.Program;

  beforeAll(() => {
    program = compiled(new Map([...programs, ...manual]));
  }, 60_000);

  it('the programs have no errors of types', () => {
    expect(programs.size).toBeGreaterThan(10);
    expect(faults(program, programs, NONE)).toEqual([]);
  });

  it('the snippets of the manual have none, but for names that the text explains', () => {
    expect(manual.size).toBeGreaterThan(25);
    expect(faults(program, manual, LEFT_OUT)).toEqual([]);
  });
});
