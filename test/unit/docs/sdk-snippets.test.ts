/** Compiles the snippets of the manual of the SDK, which are not whole programs, against the SDK. */
import { resolve } from 'node:path';

import ts from 'typescript';

import { page } from './page.js';

/**
 * A manual leaves out what its text has just said: `Cannot find name`, in all its forms. Names of the SDK are
 * never left out here: `withImports` imports them.
 */
const LEFT_OUT: ReadonlySet<number> = new Set([2304, 2552, 2593, 18004]);
const NONE: ReadonlySet<number> = new Set();

interface Snippet {
  /** Where the compiler sees it: a file of docs/ that does not exist. */
  readonly path: string;
  readonly text: string;
}

function snippets(name: string, text = page(name)): Snippet[] {
  const fences = text.matchAll(/^```ts\n([\s\S]*?)^```$/gm);
  return Array.from(fences, ([, code = ''], index) => ({
    // A file that others import says its name.
    path: resolve('docs', /^\/\/ (\S+\.ts)\b/.exec(code)?.[1] ?? `${name}.${index}.ts`),
    // A module, also without imports: its names are its own, and it may await.
    text: `${code}\nexport {};\n`,
  }));
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
function withImports({ path, text }: Snippet): Snippet {
  const imports = Object.entries(NAMES).map(([module, names]) => {
    const used = names.filter((name) => {
      const word = name.replace('type ', '');
      const isUsed = new RegExp(`(?<!['.\\w])${word}\\b(?!')`).test(text);
      const isDeclared = new RegExp(`\\b(import[^;]*|const|class|type|interface) ${word}\\b`);
      return isUsed && !isDeclared.test(text);
    });
    return used.length === 0 ? '' : `import { ${used.join(', ')} } from '${module}';\n`;
  });
  return { path, text: imports.join('') + text };
}

/** The options of the tests, without what only matters for a whole program. */
function options(): ts.CompilerOptions {
  const parsed = ts.getParsedCommandLineOfConfigFile(
    'tsconfig.test.json',
    { noEmit: true, noUnusedLocals: false, noUnusedParameters: false, incremental: false },
    { ...ts.sys, onUnRecoverableConfigFileDiagnostic: () => undefined },
  );
  if (parsed === undefined) throw new Error('tsconfig.test.json cannot be read');
  const paths = {
    'majordomo-sdk': ['./src/sdk/index.ts'],
    'majordomo-sdk/testing': ['./src/testing/testing.ts'],
    'majordomo-sdk/otel': ['./src/sdk/otel.ts'],
  };
  return { ...parsed.options, paths };
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

const cases: [string, string, number, string][] = [
  [
    'an option of a wrong type',
    'import { connect } from "majordomo-sdk";\nconnect(1);',
    2345,
    'Endpoints',
  ],
  ['a name that the SDK does not have', 'import { conect } from "majordomo-sdk";', 2724, 'conect'],
];

describe('the snippets of the manual', () => {
  it('compile against the SDK, but for names that the text explains', () => {
    const pages = ['sdk.md', 'sdk-delivery.md', 'sdk-streams.md'];
    const all = pages.flatMap((name) => snippets(name)).map(withImports);
    expect(all.length).toBeGreaterThan(25);
    expect(errorsIn(all, LEFT_OUT)).toEqual([]);
  });

  it.each(cases)('would not compile with %s', (_, code, number, word) => {
    const [said = ''] = errorsIn(snippets('wrong.md', `\`\`\`ts\n${code}\n\`\`\`\n`), NONE);
    expect(said).toContain(String(number));
    expect(said).toContain(word);
  });
});
