/** Databases and store files that released versions wrote, opened by today's program. */
import { join } from 'node:path';

import { run } from '../support/child.js';
import { clientOf, endAll, serve } from '../support/daemon-users.js';
import { startDaemon } from '../support/daemon.js';
import { Fixtures, VERSIONS } from '../support/fixtures.js';
import { restored } from '../support/postgres-dump.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { type StoredView, VIEWED, viewOnceFree } from '../support/stored-view.js';

interface Recorded {
  /** What was at a worker of another broker. */
  readonly claimed: readonly { readonly uuid: string }[];
  readonly verified: object;
}

/** What the store file has, which was moved into the database; a database has no map. */
function recordsOf(fixtures: Fixtures): Omit<StoredView, 'map'> {
  const { view } = fixtures.json('store.json') as { readonly view: StoredView };
  const { map: _map, ...others } = view;
  return others;
}

const cluster = sharedCluster();

afterEach(endAll);

describeWithPostgres('the store of a released version in a database', () => {
  it.each(VERSIONS)(
    'restored from a dump of %s, has every record; what another broker had runs again',
    async (version) => {
      const fixtures = new Fixtures(version);
      const { claimed, verified } = fixtures.json('database.json') as Recorded;
      const dump = fixtures.unpacked('database.sql').toString();
      const store = `titanic.store=${await restored(await cluster(), dump)}`;
      const looked = await run(['verify', '--set', store, '-o', 'json']);
      expect([looked.status, JSON.parse(looked.stdout)]).toMatchObject([0, verified]);
      const daemon = await startDaemon({ sets: [...VIEWED, store, 'fleet.leaseMs=1000'] });
      const uuids = claimed.map(({ uuid }) => uuid);
      expect(uuids.length).toBeGreaterThan(0);
      expect(await viewOnceFree(daemon, uuids)).toMatchObject(recordsOf(fixtures));
      serve(daemon, 'later', (text) => `${text}!`);
      for (const uuid of uuids) {
        const reply = await clientOf(daemon).job(uuid).result();
        expect(reply.text()).toMatch(/!$/);
      }
    },
  );

  it.each(VERSIONS)('moved from a store file of %s, has every record', async (version) => {
    const fixtures = new Fixtures(version);
    const server = await cluster();
    const url = server.url(await server.database());
    const file = join(fixtures.copy('store'), 'titanic.db');
    const moved = await run(['migrate', '--from', file, '--to', url, '--without-map']);
    expect(moved.status).toBe(0);
    const daemon = await startDaemon({ sets: [...VIEWED, `titanic.store=${url}`] });
    expect(await viewOnceFree(daemon, [])).toMatchObject(recordsOf(fixtures));
  });
});
