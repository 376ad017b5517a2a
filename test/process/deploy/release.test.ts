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

/** A repository with what a release checks before it builds anything. */
function repository(changes: (text: string) => Readonly<Record<string, string>>): string {
  const directory = temporaryDirectory();
  for (const path of [...FILES, ...IMAGE_FILES]) cpSync(path, join(directory, path));
  const changed = changes(readFileSync('CHANGELOG.md', 'utf8'));
  for (const [path, text] of Object.entries(changed)) writeFileSync(join(directory, path), text);
  git(directory, 'init', '--quiet');
  git(directory, 'add', '.');
  git(directory, 'commit', '--quiet', '--message', 'all');
  return directory;
}

/** What `npm run release` says when it refuses. */
function refusal(directory: string, ...steps: readonly string[]): string {
  const args = ['scripts/release.mjs', ...steps];
  const run = spawnSync(process.execPath, args, { cwd: directory, encoding: 'utf8' });
  expect([run.status, run.stdout]).toEqual([1, '']);
  expect(existsSync(join(directory, 'release'))).toBe(false);
  return run.stderr;
}

describe('npm run release refuses, and says why', () => {
  itWithTool('git', 'if the changelog has no section of the version', () => {
    const directory = repository((text) => ({
      'CHANGELOG.md': text.replaceAll(`## [${VERSION}]`, '## [9.9.9]'),
    }));
    expect(refusal(directory)).toContain(`CHANGELOG.md has no section "## [${VERSION}]"`);
  });

  itWithTool('git', 'if that section is empty', () => {
    const directory = repository(() => ({ 'CHANGELOG.md': SECTION }));
    expect(refusal(directory)).toContain(`"${SECTION.trim()}" is empty`);
  });

  itWithTool('git', 'if the working tree has changes', () => {
    const directory = repository(() => ({}));
    writeFileSync(join(directory, 'new.txt'), '');
    expect(refusal(directory)).toContain('The working tree has changes. Commit or remove them');
    expect(refusal(directory)).toContain('?? new.txt');
  });

  itWithTool('git', 'if the packages have different versions', () => {
    const manifest = readFileSync('packages/sdk/package.json', 'utf8');
    const directory = repository(() => ({
      'packages/sdk/package.json': manifest.replace(`"${VERSION}"`, '"9.9.9"'),
    }));
    expect(refusal(directory)).toContain('Give both the same version');
  });

  itWithTool('git', 'if the Python package has another version', () => {
    const project = readFileSync(PYTHON, 'utf8').replace(`"${VERSION}"`, '"9.9.9"');
    const directory = repository(() => ({ [PYTHON]: project }));
    expect(refusal(directory)).toContain('pyproject.toml has version 9.9.9');
  });

  itWithTool('git', 'if it has no step of that name', () => {
    expect(
      refusal(
        repository(() => ({})),
        'make',
        'publish',
      ),
    ).toContain('There is no step publish');
  });

  itWithTool('git', 'to make the files again if none were made', () => {
    const directory = repository(() => ({}));
    expect(refusal(directory, 'again')).toContain('take the step make first');
  });

  itWithTool('git', 'if the image copies what its build context leaves out', () => {
    const ignored = readFileSync('.dockerignore', 'utf8').replace('!scripts\n', '');
    const directory = repository(() => ({ '.dockerignore': ignored }));
    expect(refusal(directory)).toContain('The Dockerfile copies scripts/');
  });
});
