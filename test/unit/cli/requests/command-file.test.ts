/** The command of `majordomo worker`, where the system is Windows: what it runs, and how that ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

import { commandFile, endProcesses } from '../../../../src/cli/requests/command-file.js';
import { until } from '../../../support/until.js';

/** Says what is run where these files exist. */
function windows(env: NodeJS.ProcessEnv, ...files: readonly string[]): (program: string) => string {
  const system = {
    platform: 'win32',
    env,
    isRunnable: (path: string) => files.includes(path.toLowerCase()),
  };
  return (program) => commandFile(program, system);
}

const PATH = String.raw`C:\one;;D:\two`;

describe('the command of a worker on Windows', () => {
  it('is a program in a folder of PATH, with the endings of PATHEXT', () => {
    const find = windows({ PATH, PATHEXT: '.EXE;.CMD;' }, String.raw`d:\two\resize.exe`);
    expect(find('resize')).toBe(String.raw`D:\two\resize.exe`);
    expect(find('resize.exe')).toBe(String.raw`D:\two\resize.exe`);
    expect(find('RESIZE.EXE')).toBe(String.raw`D:\two\RESIZE.EXE`);
    expect(windows({ PATH }, 'here.com')('here')).toBe('here.com');
  });

  it.each([String.raw`bin\tool`, 'bin/tool', 'bin/tool.exe'])(
    'is the file of the path %s',
    (path) => {
      const find = windows({ PATH: String.raw`C:\one` }, String.raw`bin\tool.exe`);
      expect(find(path)).toBe(String.raw`bin\tool.exe`);
    },
  );

  it('is none that only another program can run', () => {
    const find = windows({ PATH }, String.raw`c:\one\npm.cmd`, String.raw`c:\one\a.py`);
    expect(() => find('npm')).toThrow(
      String.raw`C:\one\npm.cmd is no program, but is run by one: write what runs it first, such as cmd /c npm`,
    );
    expect(() => find('a.py')).toThrow('is no program');
  });

  it.each(['tool', '', 'a\0b', String.raw`C:\one`])(
    'is none if there is no such file: %j',
    (program) => expect(() => windows({})(program)).toThrow('no such command'),
  );
});

describe('the processes of a command on Windows', () => {
  const before = process.env['PATH'];
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'majordomo-command-'));
  });

  afterEach(() => {
    process.env['PATH'] = before;
    rmSync(folder, { recursive: true });
  });

  it('are ended by taskkill, with what they have started', async () => {
    const [program, said] = [join(folder, 'taskkill'), join(folder, 'said')];
    writeFileSync(program, `#!/bin/sh\necho "$@" > ${said}.part && mv ${said}.part ${said}\n`, {
      mode: 0o755,
    });
    process.env['PATH'] = `${folder}${delimiter}${before ?? ''}`;
    endProcesses(4711, 'SIGTERM', 'win32');
    await until(() => existsSync(said), 'taskkill was run');
    expect(readFileSync(said, 'utf8')).toBe('/PID 4711 /T /F\n');
  });

  it.each([null, '#!/bin/sh\nexit 1\n'])(
    'end at least themselves if taskkill is %j',
    async (taskkill) => {
      const child = spawn('sleep', ['1000']);
      const ended = once(child, 'exit');
      await once(child, 'spawn');
      if (taskkill !== null) writeFileSync(join(folder, 'taskkill'), taskkill, { mode: 0o755 });
      process.env['PATH'] = folder;
      endProcesses(child.pid ?? 0, 'SIGTERM', 'win32');
      expect(await ended).toEqual([null, 'SIGKILL']);
    },
  );
});
