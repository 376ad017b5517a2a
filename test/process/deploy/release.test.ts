import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { removeDaemons, temporaryDirectory } from '../../support/daemon.js';
import { itWithTool } from '../../support/tools.js';

const PYTHON = 'packages/python/pyproject.toml';
const FILES = [
  ...['package.json', 'packages/sdk/package.json', PYTHON],
  ...['scripts/release.mjs', 'scripts/release-texts.mjs', 'CHANGELOG.md'],
];
const IMAGE_FILES = ['Dockerfile', '.dockerignore'];
const { version: VERSION } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  version: string;
};
const SECTION = `## [${VERSION}] - 2026-11-22\n`;

afterEach(removeDaemons);

function git(cwd: string, ...args: string[]): void {
  const who = ['-c', 'user.name=test', '-c', 'user.email=test@localhost'];
  const { status, stderr } = spawnSync('git', [...who, ...args], { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`);
}

type Changes = Readonly<Record<string, string>>;

/** A repository with what a release checks before it builds anything. */
function repository(changes: Changes = {}): string {
  const directory = temporaryDirectory();
  for (const path of [...FILES, ...IMAGE_FILES]) cpSync(path, join(directory, path));
  for (const [path, text] of Object.entries(changes)) writeFileSync(join(directory, path), text);
  git(directory, 'init', '--quiet');
  git(directory, 'add', '.');
  git(directory, 'commit', '--quiet', '--message', 'all');
  return directory;
}

/** What `npm run release` says when it refuses. */
function refusal(directory: string, steps: readonly string[] = []): string {
  const args = ['scripts/release.mjs', ...steps];
  const run = spawnSync(process.execPath, args, { cwd: directory, encoding: 'utf8' });
  expect([run.status, run.stdout]).toEqual([1, '']);
  expect(existsSync(join(directory, 'release'))).toBe(false);
  return run.stderr;
}

/** A file in which all of the one text is the other; it must have it. */
function changed(path: string, from: string, to: string): Changes {
  const text = readFileSync(path, 'utf8');
  expect(text).toContain(from);
  return { [path]: text.replaceAll(from, to) };
}

const CASES: readonly (readonly [
  title: string,
  changes: () => Changes,
  steps: readonly string[],
  says: string,
])[] = [
  [
    'if the changelog has no section of the version',
    () => changed('CHANGELOG.md', `## [${VERSION}]`, '## [9.9.9]'),
    [],
    `CHANGELOG.md has no section "## [${VERSION}]"`,
  ],
  [
    'if that section is empty',
    () => ({ 'CHANGELOG.md': SECTION }),
    [],
    `"${SECTION.trim()}" is empty`,
  ],
  [
    'if the packages have different versions',
    () => changed('packages/sdk/package.json', `"${VERSION}"`, '"9.9.9"'),
    [],
    'Give both the same version',
  ],
  [
    'if the Python package has another version',
    () => changed(PYTHON, `"${VERSION}"`, '"9.9.9"'),
    [],
    'pyproject.toml has version 9.9.9',
  ],
  ['if it has no step of that name', () => ({}), ['make', 'publish'], 'There is no step publish'],
  ['to make the files again if none were made', () => ({}), ['again'], 'take the step make first'],
  [
    'if the image copies what its build context leaves out',
    () => changed('.dockerignore', '!scripts\n', ''),
    [],
    'The Dockerfile copies scripts/',
  ],
];

describe('npm run release refuses, and says why', () => {
  for (const [title, changes, steps, says] of CASES) {
    itWithTool('git', title, () => expect(refusal(repository(changes()), steps)).toContain(says));
  }

  itWithTool('git', 'if the working tree has changes', () => {
    const directory = repository();
    writeFileSync(join(directory, 'new.txt'), '');
    const said = refusal(directory);
    expect(said).toContain('The working tree has changes. Commit or remove them');
    expect(said).toContain('?? new.txt');
  });
});
