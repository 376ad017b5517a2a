import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** Below build/, where Jest looks for tests; the name decides which suite the file belongs to. */
const folders: string[] = [];
let list: string;

function makeFolder(): string {
  const folder = mkdtempSync(join('build', 'test', 'smoke', 'scripts-'));
  folders.push(folder);
  return folder;
}

beforeAll(() => {
  list = join(makeFolder(), 'flaky.txt');
});

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** Runs a file whose one case fails as often as said; `[exit status, how often it ran, the list]`. */
function ran(failures: number): readonly [number | null, number, string] {
  const folder = makeFolder();
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
  const environment = { ...process.env, MAJORDOMO_FLAKY: list, MAJORDOMO_REPEAT: '' };
  const { status } = spawnSync(process.execPath, args, { env: environment, stdio: 'ignore' });
  return [status, readFileSync(count, 'utf8').length, readFileSync(list, 'utf8')];
}

describe('a run of tests', () => {
  it('repeats a failed file of a suite that depends on real time, and lists it', () => {
    const [status, times, flaky] = ran(1);
    expect([status, times]).toEqual([0, 2]);
    expect(flaky).toMatch(/^flaky: test\/smoke\/scripts-\w+\/made\.test\.ts "comes and goes"\n$/);
  });

  it('fails if the file fails twice', () => {
    expect(ran(2)).toEqual([1, 2, '']);
  });
});
