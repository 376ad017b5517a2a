/** Compares the command lines in the documents with the existing commands. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

import { EXIT } from '../../../src/core/exit.js';
import { run } from '../../support/child.js';
import { removeDaemons, temporaryDirectory } from '../../support/daemon.js';

afterAll(removeDaemons);

const PAGES = [
  'README.md',
  'deploy/README.md',
  ...['docs', 'docs/coming-from', 'docs/languages', 'docs/recipes'].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`),
  ),
];

interface Block {
  readonly page: string;
  readonly language: string;
  readonly text: string;
}

const BLOCKS: readonly Block[] = PAGES.flatMap((page) => {
  const fences = readFileSync(page, 'utf8').matchAll(/^ *```(\w*)\n([\s\S]*?)^ *```$/gm);
  return Array.from(fences, ([, language = '', text = '']) => ({ page, language, text }));
});

/** Commands with subcommands. */
const GROUPS = ['ha', 'durable', 'services'];

interface Typed {
  /** `ha status`. */
  readonly command: string;
  readonly options: readonly string[];
  readonly from: string;
}

/** The command in a line of shell and its options, without those of what a worker runs. */
function typed(page: string, line: string, commands: readonly string[]): Typed | null {
  const called = new RegExp(
    `(?:majordomo(?:-broker)?|node dist/main\\.js) ((?:${commands.join('|')})\\b(?: .*)?)$`,
  ).exec(line);
  const [own = ''] = (called?.[1] ?? '').split(/ -- | # | [|>&<]/);
  const [name = '', ...words] = own.trim().split(/ +/);
  if (name === '') return null;
  const [sub = ''] = words;
  const command = GROUPS.includes(name) && /^[a-z]/.test(sub) ? `${name} ${sub}` : name;
  const options = words.filter((word) => /^--?[a-z]/.test(word));
  return { command, options, from: `${page}: ${line.trim()}` };
}

async function helpOf(command: string): Promise<string> {
  return (await run([...command.split(' '), '--help'])).stdout;
}

describe('the documents', () => {
  it('name only existing commands and options', async () => {
    const { stdout } = await run(['--help']);
    const commands = Array.from(stdout.matchAll(/^ {2}([a-z][a-z-]+) {2,}/gm), ([, name]) => name);
    const lines = BLOCKS.filter(({ language }) => language === 'sh' || language === '').flatMap(
      ({ page, text }) =>
        text
          .replaceAll('\\\n', ' ')
          .split('\n')
          .flatMap(
            (line) =>
              typed(
                page,
                line,
                commands.filter((name) => name !== undefined),
              ) ?? [],
          ),
    );
    expect(lines.length).toBeGreaterThan(30);
    const unknown: string[] = [];
    for (const command of new Set(lines.map((each) => each.command))) {
      const help = await helpOf(command);
      const usage = `Usage: majordomo ${command} `;
      for (const { from, options } of lines.filter((each) => each.command === command)) {
        const missing = options.filter((option) => !new RegExp(`[ ,]${option}[ ,]`).test(help));
        const isRight = help.startsWith(usage) && missing.length === 0;
        if (!isRight) unknown.push(`${from}: ${missing.join()}`);
      }
    }
    expect(unknown).toEqual([]);
  });

  it('show only valid configurations', async () => {
    // The recipes show files of Compose and Kubernetes, which have a `kind` or `services`.
    const shown = BLOCKS.filter(({ language }) => language === 'yaml');
    const configurations = shown.filter(({ text }) => {
      const content = parse(text) as object;
      return !Array.isArray(content) && !('kind' in content) && !('services' in content);
    });
    expect(configurations.length).toBeGreaterThanOrEqual(3);
    const file = join(temporaryDirectory(), 'majordomo.yaml');
    for (const { page, text } of configurations) {
      writeFileSync(file, text);
      const { status, stderr } = await run(['check', '-c', file]);
      // The files that a page names do not exist here.
      const lines = stderr.split('\n');
      const said = lines.filter((line) => !/: no such file(; `majordomo .*)?$/.test(line));
      const right = said.length === lines.length ? EXIT.done : EXIT.config;
      expect({ page, status, said }).toEqual({ page, status: right, said: [''] });
    }
  });
});
