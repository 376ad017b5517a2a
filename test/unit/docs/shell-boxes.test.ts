/** Boxes of shell commands can be pasted into any shell: in an interactive zsh `#` begins no comment. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDERS = [
  '.',
  'docs',
  'docs/languages',
  'docs/coming-from',
  'docs/recipes',
  'deploy',
  'examples',
  'packages/sdk',
];
const PAGES = FOLDERS.flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);
const BOX = /^ *```sh\n([\s\S]*?)^ *```$/gm;

it('no box of shell commands in the documents has a comment', () => {
  const lines = PAGES.flatMap((page) =>
    Array.from(readFileSync(page, 'utf8').matchAll(BOX), ([, text = '']) =>
      text.split('\n').map((line) => ({ page, line: line.trim() })),
    ).flat(),
  );
  expect(lines.length).toBeGreaterThan(100);
  const quoted = /'[^']*'|"[^"]*"/g;
  expect(lines.filter(({ line }) => /(^|\s)#/.test(line.replace(quoted, '')))).toEqual([]);
});
