import { spawnSync } from 'node:child_process';

import { beforeAll, describe, expect, it } from '@jest/globals';

import { run } from '../../support/child.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
const scripts = new Map<string, string>();

beforeAll(async () => {
  for (const shell of SHELLS) {
    const { status, stdout } = await run(['completion', shell]);
    expect(status).toBe(0);
    scripts.set(shell, stdout);
  }
});

/** What bash offers at the end of a line; its last word may be empty. */
function offered(...line: readonly string[]): string[] {
  const ask = `COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=(); _majordomo; echo "\${COMPREPLY[*]}"`;
  const { stdout, stderr } = spawnSync(
    'bash',
    ['-c', `${scripts.get('bash') ?? ''}\n${ask}`, '-', ...line],
    {
      encoding: 'utf8',
    },
  );
  expect(stderr).toBe('');
  return stdout.trim().split(/\s+/);
}

describe('majordomo completion', () => {
  it('offers commands, their actions, options and values', () => {
    expect(offered('majordomo', 's')).toEqual(['serve', 'status', 'services']);
    expect(offered('majordomo', 'he')).toEqual(['help']);
    expect(offered('majordomo', '--')).toEqual(['--help', '--version']);
    expect(offered('majordomo', 'ha', '')).toEqual(['status', 'switchover', 'promote', '--help']);
    expect(offered('majordomo', 'ha', 'status', '--adm')).toEqual(['--admin', '--admin-ca']);
    expect(offered('majordomo', 'status', '-o', '')).toEqual(['text', 'json']);
    expect(offered('majordomo', 'status', '-o', 'json', '--token')).toEqual([
      '--token',
      '--token-file',
    ]);
    expect(offered('majordomo', 'bench', 'd')).toEqual(['durable']);
    expect(offered('majordomo', 'verify', '-c', 'package.j')).toEqual(['package.json']);
  });

  it.each(SHELLS)('knows every command in %s', async (shell) => {
    const { stdout } = await run(['help']);
    const section = /^Commands:\n([^]*?)\n\n/m.exec(stdout)?.[1] ?? '';
    const names = Array.from(section.matchAll(/^ {2}([\w-]+)/gm), ([, name = '']) => name);
    const known = names.filter((name) => name !== 'help');
    expect(known).toContain('completion');
    for (const name of known) expect(scripts.get(shell)).toContain(`'${name}'`);
  });

  it('ends with 64 for an unknown shell', async () => {
    expect(await run(['completion', 'tcsh'])).toMatchObject({ status: 64, stdout: '' });
  });
});
