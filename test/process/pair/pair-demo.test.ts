/** `majordomo pair-demo`, and what is left of it when it ends. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Child, killAll, run } from '../../support/child.js';
import { removeDaemons, temporaryDirectory } from '../../support/daemon.js';
import { until } from '../../support/until.js';

afterEach(async () => {
  await killAll();
  await removeDaemons();
});

/** The processes whose command line has this text. */
function processesOf(text: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
    } catch {
      return false;
    }
  });
}

/** The process group: what Ctrl-C in a terminal reaches as one. */
function groupOf(pid: string): string | undefined {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[2];
}

it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  'ends its nodes and removes its directory at %s',
  async (signal) => {
    const folder = temporaryDirectory();
    const demo = new Child(['pair-demo', '--every', '600'], { environment: { TMPDIR: folder } });
    await demo.until(({ stderr }) => stderr.includes('answered'), 'traffic');
    expect(processesOf(folder)).toHaveLength(2);
    demo.signal(signal);
    expect(await demo.finished()).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^\d+ s: 0 kills; [1-9]\d* answered, 0 unanswered; .*\n$/),
    });
    expect(readdirSync(folder)).toEqual([]);
    await until(() => processesOf(folder).length === 0, 'the end of the nodes');
  },
);

it('keeps its nodes from Ctrl-C in its terminal: they answer what is outstanding', async () => {
  const folder = temporaryDirectory();
  const demo = new Child(['pair-demo', '--every', '600'], { environment: { TMPDIR: folder } });
  await until(() => processesOf(folder).length === 2, 'two nodes');
  const groups = [String(demo.pid), ...processesOf(folder)].map(groupOf);
  demo.signal('SIGTERM');
  demo.signal('SIGHUP');
  await demo.finished();
  expect(groups.slice(1)).not.toContain(groups[0]);
});

it('ends its nodes at a second signal before they are in sync', async () => {
  const folder = temporaryDirectory();
  const demo = new Child(['pair-demo'], { environment: { TMPDIR: folder } });
  await until(() => processesOf(folder).length === 2, 'two nodes');
  demo.signal('SIGTERM');
  demo.signal('SIGHUP');
  await demo.finished();
  expect(readdirSync(folder)).toEqual([]);
  await until(() => processesOf(folder).length === 0, 'the end of the nodes');
});

it('names TMPDIR if it cannot be written: 74', async () => {
  const missing = join(temporaryDirectory(), 'missing');
  const { status, stderr } = await run(['pair-demo'], { environment: { TMPDIR: missing } });
  expect(status).toBe(74);
  expect(stderr).toContain(missing);
  expect(stderr).toContain('set TMPDIR to one that you may write to');
  expect(stderr).not.toContain('a bug');
});
