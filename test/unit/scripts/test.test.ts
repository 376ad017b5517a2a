import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';

import { until } from '../../support/until.js';

/** Below build/, where Jest looks for tests; the name decides which suite the file belongs to. */
const folders: string[] = [];
let list: string;

beforeAll(() => {
  const folder = mkdtempSync(join('build', 'test', 'smoke', 'scripts-'));
  folders.push(folder);
  list = join(folder, 'flaky.txt');
});

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** Runs a file whose one case fails as often as said; `[exit status, how often it ran, the list]`. */
function ran(
  suite: string,
  failures: number,
  environment: Readonly<Record<string, string>> = {},
): readonly [number | null, number, string] {
  const folder = mkdtempSync(join('build', 'test', suite, 'scripts-'));
  folders.push(folder);
  const [file, count] = [join(folder, 'made.test.js'), join(folder, 'count')];
  writeFileSync(count, '');
  writeFileSync(list, '');
  writeFileSync(
    file,
    `import { appendFileSync, readFileSync } from 'node:fs';
     it('comes and goes', () => {
       appendFileSync(${JSON.stringify(count)}, '.');
       if (readFileSync(${JSON.stringify(count)}, 'utf8').length <= ${failures}) throw new Error('no');
     });`,
  );
  const args = ['scripts/test.mjs', '--config', 'jest.config.js', '--runTestsByPath', file];
  const env = { ...process.env, MAJORDOMO_FLAKY: list, MAJORDOMO_REPEAT: '', ...environment };
  const { status } = spawnSync(process.execPath, args, { env, stdio: 'ignore' });
  return [status, readFileSync(count, 'utf8').length, readFileSync(list, 'utf8')];
}

function isRunning(pid: number): boolean {
  try {
    // An ended process whose parent is gone may wait for process 1 to read its status.
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('a run of tests', () => {
  it('repeats a failed file of a suite that depends on real time, and lists it', () => {
    const [status, times, flaky] = ran('smoke', 1);
    expect([status, times]).toEqual([0, 2]);
    expect(flaky).toMatch(/^flaky: test\/smoke\/scripts-\w+\/made\.test\.ts "comes and goes"\n$/);
  });

  it('fails if the file fails twice', () => expect(ran('smoke', 2)).toEqual([1, 2, '']));

  it('repeats no file of another suite', () => expect(ran('machine', 1)).toEqual([1, 1, '']));

  it('that leaves the repetition to a last call passes, and that call fails if the file fails again', () => {
    const later = join(mkdtempSync(join('build', 'test', 'smoke', 'scripts-')), 'later.txt');
    folders.push(dirname(later));
    const env = { ...process.env, MAJORDOMO_FLAKY: list, MAJORDOMO_REPEAT: later };
    const repeat = (): number | null =>
      spawnSync(process.execPath, ['scripts/test.mjs', '--repeat'], { env, stdio: 'ignore' })
        .status;
    expect(ran('smoke', 1, { MAJORDOMO_REPEAT: later })).toEqual([0, 1, '']);
    expect(repeat()).toBe(0);
    expect(readFileSync(list, 'utf8')).toContain('comes and goes');
    writeFileSync(later, '');
    expect(ran('smoke', 2, { MAJORDOMO_REPEAT: later })).toEqual([0, 1, '']);
    expect(repeat()).toBe(1);
  });

  it('ends with all its processes when it is told to', async () => {
    const folder = mkdtempSync(join('build', 'test', 'smoke', 'scripts-'));
    folders.push(folder);
    const [file, pids] = [join(folder, 'made.test.js'), join(folder, 'pids')];
    writeFileSync(pids, '');
    writeFileSync(
      file,
      `import { spawn } from 'node:child_process';
       import { writeFileSync } from 'node:fs';
       it('never ends', async () => {
         const { pid } = spawn('sh', ['-c', 'trap "" TERM; while :; do sleep 1; done']);
         writeFileSync(${JSON.stringify(pids)}, process.pid + ' ' + pid + '\\n');
         await new Promise(() => {});
       });`,
    );
    const args = ['scripts/test.mjs', '--config', 'jest.config.js', '--runTestsByPath', file];
    const child = spawn(process.execPath, args, { stdio: 'ignore' });
    try {
      await until(() => readFileSync(pids, 'utf8').endsWith('\n'), 'the case runs');
    } finally {
      child.kill('SIGTERM');
    }
    expect(await once(child, 'close')).toEqual([143, null]);
    for (const pid of readFileSync(pids, 'utf8').split(' ').map(Number)) {
      await until(() => !isRunning(pid), 'its processes have ended');
    }
  });

  it('says what a wrong number is', () => {
    const args = ['scripts/test.mjs', '--times', '0'];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(stderr).toBe('test: --times takes a whole number, at least 1, not 0\n');
    expect(status).toBe(64);
  });
});
