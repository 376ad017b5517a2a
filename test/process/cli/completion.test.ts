import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Child, killAll, run } from '../../support/child.js';
import { type Daemon, removeDaemons, startDaemon } from '../../support/daemon.js';
import { freePorts } from '../../support/free-ports.js';
import { httpOf, tokenOf } from '../../support/http.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
const scripts = new Map<string, string>();
/** A directory with another `majordomo`. */
let programs: string | null = null;

beforeAll(async () => {
  for (const shell of SHELLS) {
    const { status, stdout } = await run(['completion', shell]);
    expect(status).toBe(0);
    scripts.set(shell, stdout);
  }
});

/** What bash offers at the end of a line; its last word may be empty. */
function offered(...line: readonly string[]): string[] {
  const path = `${programs ?? ''}:${process.env['PATH'] ?? ''}`;
  const ask = `COMP_LINE="$*" COMP_POINT=\${#COMP_LINE} COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=(); _majordomo; echo "\${COMPREPLY[*]}"`;
  const { stdout, stderr } = spawnSync(
    'bash',
    ['-c', `${scripts.get('bash') ?? ''}\n${ask}`, '-', ...line],
    { encoding: 'utf8', env: { ...process.env, PATH: path } },
  );
  expect(stderr).toBe('');
  return stdout.trim().split(/\s+/);
}

describe('majordomo complete', () => {
  let daemon: Daemon;

  beforeAll(async () => {
    daemon = await startDaemon({ sets: ['http.listen=127.0.0.1:0'] });
    const at = ['--endpoint', daemon.endpoint];
    new Child(['worker', 'upper', ...at, '--', 'cat']);
    await daemon.waitFor('worker.registered', 1);
    await run(['request', 'later', 'x', '--durable', '--no-wait', ...at]);
  });

  afterAll(async () => {
    await killAll();
    await removeDaemons();
  });

  const named = async (...words: readonly string[]): Promise<string> =>
    (await run(['complete', ...words])).stdout;

  it('names the services of the broker that the line names', async () => {
    const at = ['--endpoint', daemon.endpoint];
    expect(await named('request', ...at, '')).toBe('later\nupper\n');
    expect(await named('workers', '--admin', httpOf(daemon), 'u')).toBe('later\nupper\n');
    expect(await named('durable', 'ls', '--admin', httpOf(daemon), '--service', '')).toBe(
      'later\nupper\n',
    );
  });

  it('names the uuids of stored requests on which the command can act', async () => {
    const at = ['--admin', httpOf(daemon), '--token', tokenOf(daemon)];
    expect(await named('durable', 'show', ...at, '')).toMatch(/^[0-9A-F]{32}\n$/);
    expect(await named('durable', 'cancel', ...at, '')).toMatch(/^[0-9A-F]{32}\n$/);
    expect(await named('durable', 'retry', ...at, '')).toBe('');
  });

  it('is silent where nothing is named, and without a broker', async () => {
    const [port = 0] = await freePorts(1);
    const nobody = ['--endpoint', `tcp://127.0.0.1:${port}`];
    for (const words of [
      ['request', ...nobody, ''],
      ['request', 'upper', '--endpoint', daemon.endpoint, ''],
      ['workers', '--admin', ''],
      ['workers', '--no-such-option', ''],
      ['no-such-command', ''],
      [],
    ]) {
      const { status, stdout, stderr } = await run(['complete', ...words]);
      expect({ words, status, stdout, stderr }).toEqual({
        words,
        status: 0,
        stdout: '',
        stderr: '',
      });
    }
  });
});

describe('majordomo completion', () => {
  it('offers commands, their actions, options and values', () => {
    expect(offered('majordomo', 's')).toEqual(['serve', 'services', 'status']);
    expect(offered('majordomo', 'he')).toEqual(['help']);
    expect(offered('majordomo', '--')).toEqual(['--help', '--version']);
    expect(offered('majordomo', 'ha', '')).toEqual(['status', 'switchover', 'promote', '--help']);
    expect(offered('majordomo', 'ha', 'status', '--adm')).toEqual(['--admin', '--admin-ca']);
    expect(offered('majordomo', 'version', '-o', '')).toEqual(['text', 'json', 'jsonpath=']);
    expect(offered('majordomo', 'services', '-o', '')).toEqual([
      ...['text', 'json', 'wide', 'name', 'jsonpath='],
    ]);
    expect(offered('majordomo', 'status', '-o', 'json', '--token')).toEqual([
      '--token',
      '--token-file',
    ]);
    expect(offered('majordomo', 'bench', 'd')).toEqual(['durable']);
    expect(offered('majordomo', 'verify', '-c', 'package.j')).toEqual(['package.json']);
  });

  it.each(SHELLS)('knows every command in %s', async (shell) => {
    const { stdout } = await run(['help']);
    const section = /^Serve and check:\n([^]*?)^EXAMPLES/m.exec(stdout)?.[1] ?? '';
    const names = Array.from(section.matchAll(/^ {2}([\w-]+)/gm), ([, name = '']) => name);
    const known = names.filter((name) => name !== 'help');
    expect(known).toContain('completion');
    for (const name of known) expect(scripts.get(shell)).toContain(`'${name}'`);
  });

  it('asks the broker for services and uuids', () => {
    const bin = mkdtempSync(join(tmpdir(), 'majordomo-bin-'));
    const said = 'echo "$@" > "$0.line"; echo upper; echo lower';
    writeFileSync(join(bin, 'majordomo'), `#!/bin/sh\n${said}\n`, { mode: 0o755 });
    programs = bin;
    try {
      expect(offered('majordomo', 'workers', 'u')).toEqual(['upper']);
      expect(readFileSync(join(bin, 'majordomo.line'), 'utf8')).toBe('complete workers u\n');
      expect(offered('majordomo', 'durable', 'ls', '--service', '')).toEqual(['upper', 'lower']);
      expect(offered('majordomo', 'workers', '--wat')).toEqual(['--watch']);
    } finally {
      programs = null;
      rmSync(bin, { recursive: true });
    }
  });

  it('ends with 64 for an unknown shell', async () => {
    expect(await run(['completion', 'tcsh'])).toMatchObject({ status: 64, stdout: '' });
  });
});
