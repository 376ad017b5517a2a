import { once } from 'node:events';
import { chmodSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

import { run } from '../../support/child.js';
import { openDataDir } from '../../../src/node/io/data-dir.js';
import { codeOf } from '../../../src/core/errors.js';
import { exitStatusOf } from '../../../src/core/exit.js';
import {
  type Daemon,
  removeDaemons,
  startDaemon,
  temporaryDirectory,
} from '../../support/daemon.js';
import { ask, httpOf } from '../../support/http.js';
import { MetricsPage } from '../../support/metrics.js';

/** Takes the lock, and releases it a moment after it is asked to. */
const HOLDER = `
const { parentPort, workerData } = require('node:worker_threads');
const Database = require('better-sqlite3');
const lock = new Database(workerData);
lock.exec('BEGIN EXCLUSIVE');
parentPort.once('message', () => setTimeout(() => lock.close(), 20));
parentPort.postMessage('held');
`;

/** Makes directories in the same new parents as its twins, at the same moments. */
const MAKER = `
const { parentPort, workerData } = require('node:worker_threads');
const { program, base, shared, name, makers, rounds } = workerData;
import(program).then(({ openDataDir }) => {
  const arrived = new Int32Array(shared);
  for (let round = 1; round <= rounds; round++) {
    if (Atomics.add(arrived, 0, 1) + 1 === round * makers) Atomics.notify(arrived, 0);
    let now = Atomics.load(arrived, 0);
    for (; now < round * makers; now = Atomics.load(arrived, 0)) Atomics.wait(arrived, 0, now);
    openDataDir([base, round, name].join('/')).release(true);
  }
  parentPort.postMessage('made');
});
`;

/** Why it cannot be used; `undefined` if it can. */
function codeOfOpening(directory: string): string | undefined {
  try {
    openDataDir(directory).release(true);
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
}

describe('a data directory', () => {
  afterEach(removeDaemons);

  it('tells whether the process before shut down', async () => {
    const sets = ['http.listen=127.0.0.1:0'];
    const first = await startDaemon({ sets });
    const again = { endpoint: first.endpoint, dataDir: first.dataDir, sets };
    const told = async (daemon: Daemon): Promise<number | undefined> => {
      const { text } = await ask(`${httpOf(daemon)}/metrics`);
      return new MetricsPage(text).value('started_after_crash');
    };
    expect(await told(first)).toBe(0);
    await first.kill();
    // Neither whoever only looks nor a node that cannot start has told anybody.
    const config = ['--set', `node.dataDir=${first.dataDir}`];
    expect((await run(['doctor', ...config])).stdout).toContain(first.dataDir);
    const busy = await run(['serve', ...config, '--set', 'broker.listen=tcp://198.51.100.7:1']);
    expect(busy.status).not.toBe(0);
    const second = await startDaemon(again);
    expect(await told(second)).toBe(1);
    await second.stop();
    expect(await told(await startDaemon(again))).toBe(0);
  });

  it('that another process locks for a moment, as doctor does, is waited for', async () => {
    const directory = temporaryDirectory();
    openDataDir(directory).release(true);
    // On a busy machine the thread may release it too late, but not five times in a row.
    let refusals = 1;
    for (let tries = 0; refusals > 0 && tries < 5; tries++) {
      const holder = new Worker(HOLDER, { eval: true, workerData: join(directory, 'lock') });
      await once(holder, 'message');
      const exited = once(holder, 'exit');
      holder.postMessage('let it go');
      refusals = codeOfOpening(directory) === undefined ? 0 : 1;
      await exited;
    }
    expect(refusals).toBe(0);
  });

  it('is made beside that of another node which makes the same parents at that moment', async () => {
    const program = new URL('../../../src/node/io/data-dir.js', import.meta.url).href;
    const shared = new SharedArrayBuffer(4);
    const data = { program, base: temporaryDirectory(), shared, makers: 2, rounds: 300 };
    const makers = ['primary', 'backup'].map(
      (name) => new Worker(MAKER, { eval: true, workerData: { ...data, name } }),
    );
    try {
      const said = await Promise.all(makers.map((maker) => once(maker, 'message')));
      expect(said).toEqual([['made'], ['made']]);
    } finally {
      // One whose twin has failed waits for it.
      await Promise.all(makers.map((maker) => maker.terminate()));
    }
  });

  it('in use is refused', () => {
    const directory = temporaryDirectory();
    const first = openDataDir(directory);
    expect(codeOfOpening(directory)).toBe('ERR_DATA_DIR_IN_USE');
    const since = '20[0-9TZ:.-]+';
    expect(() => openDataDir(directory)).toThrow(
      new RegExp(
        `^${directory} is in use by process ${process.pid} on ${hostname()} since ${since}; stop it, or .*--set node.dataDir=PATH$`,
      ),
    );
    first.release(true);
    expect(readdirSync(directory)).toEqual(['lock']);
  });

  const since = '2026-11-27T13:37:25.826Z\n';
  it.each([
    ['nothing', null, 'another process; find it with: fuser -v '],
    ['a process that ended', `4194305 ${hostname()} ${since}`, 'another process; find it'],
    [
      'a process elsewhere',
      `4194305 elsewhere ${since}`,
      'process 4194305 on elsewhere since 2026',
    ],
    ['no process', `1 \u001b[2J ${since}`, 'another process; find it'],
  ])('in use, whose holder wrote %s, says what is known', (_, written, says) => {
    const directory = temporaryDirectory();
    const first = openDataDir(directory);
    const file = join(directory, 'lock.holder');
    if (written === null) rmSync(file);
    else writeFileSync(file, written);
    expect(() => openDataDir(directory)).toThrow(`${directory} is in use by ${says}`);
    first.release(true);
  });
  it.each([0o770, 0o702, 0o1777])(
    'that others can write (%o) is refused, with the command to fix it',
    (mode) => {
      const directory = temporaryDirectory();
      chmodSync(directory, mode);
      expect(codeOfOpening(directory)).toBe('ERR_DATA_DIR_OPEN');
      expect(() => openDataDir(directory)).toThrow(`: chmod go-w ${directory}`);
      expect(exitStatusOf({ code: 'ERR_DATA_DIR_OPEN' })).toBe(78);
      chmodSync(directory, mode & 0o755);
      expect(codeOfOpening(directory)).toBeUndefined();
    },
  );
});
