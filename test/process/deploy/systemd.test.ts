import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, describe, expect, it } from '@jest/globals';

import { loadConfig } from '../../../src/config/io/load.js';
import { SCHEMA } from '../../../src/config/schema.js';
import { EXIT } from '../../../src/core/exit.js';
import { itWithTool } from '../../support/tools.js';

const FILE = 'deploy/systemd/majordomo.service';
const UNIT = readFileSync(FILE, 'utf8');

const directories: string[] = [];

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

function setting(name: string): string {
  return new RegExp(`^${name}=(.*)$`, 'm').exec(UNIT)?.[1] ?? '';
}

/** The unit, with a command that every machine has. */
function runnableUnit(): string {
  const directory = mkdtempSync(join(tmpdir(), 'mdp-'));
  directories.push(directory);
  const file = join(directory, 'majordomo.service');
  writeFileSync(file, UNIT.replace('/usr/local/bin/majordomo', '/bin/true'));
  return file;
}

describe('the systemd unit', () => {
  itWithTool('systemd-analyze', 'passes systemd-analyze verify without a warning', () => {
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', runnableUnit()], {
      encoding: 'utf8',
    });
    expect({ status, said: stdout + stderr }).toEqual({ status: 0, said: '' });
  });

  itWithTool('systemd-analyze', 'has an exposure below 3.0 in systemd-analyze security', () => {
    const { status, stdout } = spawnSync(
      'systemd-analyze',
      ['security', '--offline=true', '--threshold=29', runnableUnit()],
      { encoding: 'utf8' },
    );
    expect([status, stdout.split('\n').at(-2)]).toEqual([0, expect.stringContaining('OK')]);
  });

  it('starts with a configuration whose data is in its state directory', () => {
    const { config, warnings } = loadConfig({ file: 'deploy/systemd/majordomo.yaml' });
    expect(warnings).toEqual([]);
    expect(config.node.dataDir).toBe(`/var/lib/${setting('StateDirectory')}`);
  });

  it('does not restart the daemon after errors that would recur (contract §2)', () => {
    expect(setting('RestartPreventExitStatus')).toBe(`${EXIT.usage} ${EXIT.config}`);
  });

  it('gets longer to stop than shutdown.graceMs', () => {
    const seconds = Number(/^(\d+)s$/.exec(setting('TimeoutStopSec'))?.[1]);
    expect(seconds * 1000).toBeGreaterThan(2 * SCHEMA.shutdown.keys.graceMs.default);
  });

  it('allows more open files than one listener takes connections', () => {
    const { connections } = SCHEMA.limits.keys;
    expect(Number(setting('LimitNOFILE'))).toBeGreaterThan(2 * connections.default);
  });

  it('lets the notification helper send, and run until the broker has ended', () => {
    expect([setting('Type'), setting('NotifyAccess'), setting('KillMode')]).toEqual([
      'notify',
      'all',
      'mixed',
    ]);
  });
});
