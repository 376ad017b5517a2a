/** Rows of a database that cannot be used: a broker sets them aside at its start, and reports them. */
import { FORMAT } from '../../src/extensions/postgres/schema.js';
import { run } from '../support/child.js';
import { clientOf, endAll } from '../support/daemon-users.js';
import { startDaemon, temporaryDirectory } from '../support/daemon.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';

const cluster = sharedCluster();

afterEach(endAll);

describeWithPostgres('a row of a database that cannot be used (D104)', () => {
  it('is set aside at a start with all of its request; verify, the log and readyz tell', async () => {
    const server = await cluster();
    const database = await server.database();
    const dataDir = temporaryDirectory();
    const sets = [`titanic.store=${server.url(database)}`];
    const first = await startDaemon({ sets, dataDir });
    await clientOf(first).submit('upper', 'bad', { idempotencyKey: 'k' });
    await clientOf(first).submit('upper', 'good');
    await first.stop();
    await server.sql(
      `UPDATE majordomo.request SET not_before = 9000000000000000 WHERE octet_length(key) = 1`,
      database,
    );
    const verify = async (): Promise<[number | null, string]> => {
      const config = [...sets, `node.dataDir=${dataDir}`].flatMap((each) => ['--set', each]);
      const { status, stdout, stderr } = await run(['verify', ...config]);
      return [status, `${stdout}${stderr}`];
    };
    expect(await verify()).toEqual([74, expect.stringContaining('values out of range: 1')]);
    for (const start of [1, 2]) {
      const daemon = await startDaemon({ sets, dataDir });
      const told = await daemon.waitFor('store.set_aside');
      expect(told).toMatchObject({
        text: expect.stringContaining(`1 in set_aside_request_${FORMAT}`),
      });
      expect(await daemon.waitFor('titanic.recovered')).toMatchObject({ dead: 0 });
      // Its key is free.
      await clientOf(daemon).submit('upper', `again ${start}`, { idempotencyKey: `k${start}` });
      await daemon.stop();
    }
    const [status, text] = await verify();
    expect([status, text]).toEqual([74, expect.stringContaining(`set_aside_body_${FORMAT}`)]);
    expect(text).not.toContain('values out of range');
  });
});
