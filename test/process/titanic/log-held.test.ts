/** A program that reads the store file keeps its log from being emptied. */
import { copyFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import Database from 'better-sqlite3';

import { run } from '../../support/child.js';
import { clientOf, endAll } from '../../support/daemon-users.js';
import { startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { ask } from '../../support/http.js';

const BODY = Buffer.alloc(4 * 1024 * 1024, 'x');
/** More than a log that is emptied in time ever has. */
const BODIES = 6;

afterEach(endAll);

it('the log, /readyz and the metric say that the log grows, and which process reads; and that it is over', async () => {
  const daemon = await startDaemon({ sets: ['http.listen=127.0.0.1:0'] });
  const { http } = await daemon.waitFor('broker.ready');
  const page = async (path: string): Promise<string> =>
    (await fetch(`${String(http)}${path}`)).text();
  const logBytes = async (): Promise<number> => {
    const line = /^majordomo_titanic_wal_bytes (\d+)$/m.exec(await page('/metrics'));
    return Number(line?.[1]);
  };
  const degraded = async (): Promise<unknown> =>
    (JSON.parse(await page('/readyz')) as { degraded: unknown }).degraded;
  const client = clientOf(daemon);
  const fill = async (): Promise<void> => {
    for (let n = 0; n < BODIES; n++) await client.submit('echo', BODY);
  };
  await fill();
  expect(await degraded()).toEqual([]);
  expect(daemon.logged('store.log_held')).toEqual([]);
  const before = await logBytes();

  const reader = new Database(join(daemon.dataDir, 'titanic.db'), { readonly: true });
  reader.exec('BEGIN');
  reader.prepare('SELECT count(*) FROM requests').get();
  await fill();
  const held = await daemon.waitFor('store.log_held');
  const by = expect.stringMatching(new RegExp(`^process ${process.pid} \\(.+\\)$`));
  expect(held).toMatchObject({ level: 'warn', by, bytes: expect.any(Number) });
  expect(await degraded()).toEqual([
    { code: 'store_log_held', text: expect.stringContaining(`: process ${process.pid} (`) },
  ]);
  // Who may not read the node is told what it is, but not which process.
  for (const headers of [{ host: 'evil.example' }, { authorization: 'Bearer wrong' }]) {
    const { json } = await ask(`${String(http)}/readyz`, { headers });
    expect(json).toEqual({
      ...{ ready: true, reason: null },
      degraded: [{ code: 'store_log_held', text: null }],
    });
  }
  expect(await page('/metrics')).toContain('majordomo_degraded{reason="store_log_held"} 1');
  expect(held['bytes']).toBeGreaterThan(before);
  expect(await logBytes()).toBeGreaterThanOrEqual(Number(held['bytes']));

  reader.close();
  // Nothing is stored meanwhile.
  await daemon.waitFor('store.log_freed');
  expect(await degraded()).toEqual([]);
  expect(await logBytes()).toBe(0);
  expect(statSync(join(daemon.dataDir, 'titanic.db-wal')).size).toBe(0);

  // Without its log, the file has everything, and says so.
  const copy = join(temporaryDirectory(), 'copy.db');
  copyFileSync(join(daemon.dataDir, 'titanic.db'), copy);
  const verified = await run(['verify', copy], { isEnding: true });
  expect(verified).toMatchObject({ status: 0, stdout: expect.not.stringContaining('missing') });
});
