/** What becomes of a batch that is split, because the server does not take one of its rows. */
import type { StoreReport } from '../../src/extensions/postgres/postgres-store.js';
import type { Change } from '../../src/store/store.js';
import { atEnd, endAll } from '../support/daemon-users.js';
import type { Cluster } from '../support/postgres-cluster.js';
import { openDatabaseStore } from '../support/postgres-place.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { accept } from '../support/store-changes.js';
import type { StoreUser } from '../support/store-user.js';

const cluster = sharedCluster();

afterEach(endAll);

/** What the server does with a request depends on its service. */
const TRIGGER = `CREATE FUNCTION public.fault() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      CASE NEW.service
        WHEN 'refused' THEN RAISE EXCEPTION 'made for a test' USING ERRCODE = '23514';
        WHEN 'denied' THEN RAISE EXCEPTION 'made for a test' USING ERRCODE = '42501';
        WHEN 'cut' THEN PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(1);
        WHEN 'late' THEN
          IF nextval('public.tries') = 1 THEN
            PERFORM pg_sleep(4);
            RAISE EXCEPTION 'again' USING ERRCODE = '40001';
          END IF;
          PERFORM pg_advisory_xact_lock(1);
        WHEN 'slow' THEN PERFORM pg_sleep(0.3); RAISE EXCEPTION 'slow' USING ERRCODE = '23514';
        ELSE NULL;
      END CASE;
      RETURN NEW;
    END $$;
  CREATE TRIGGER fault BEFORE INSERT ON majordomo.request FOR EACH ROW
    EXECUTE FUNCTION public.fault()`;

describeWithPostgres('a batch with a row that the server does not take', () => {
  async function begin(timeoutMs: number): Promise<{
    store: StoreUser;
    reports: readonly StoreReport[];
    server: Cluster;
    name: string;
  }> {
    const server = await cluster();
    const name = await server.database();
    const opened = await openDatabaseStore(server.url(name), timeoutMs);
    await server.sql(TRIGGER, name);
    return { ...opened, server, name };
  }

  function batch(...services: readonly string[]): Change[] {
    return services.map((service, n) => accept(n + 1, { service: Buffer.from(service) }));
  }

  it('what can certainly not be stored is told so; the rest is stored', async () => {
    const { store, reports, server, name } = await begin(60_000);
    const results = await store.commit(...batch('refused', 'good', 'good', 'denied'));
    expect(results.map(({ kind }) => kind)).toEqual(['refused', 'done', 'busy', 'busy']);
    const rows = await server.sql('SELECT service FROM majordomo.request', name);
    expect(rows.map(({ service }) => String(service))).toEqual(['good']);
    // Operators learn why, also of the rest.
    const texts = reports.flatMap((told) => (told.report === 'refused' ? [told.text] : []));
    expect(texts).toEqual(['made for a test (23514)', 'made for a test (42501)']);
    // What it holds is counted.
    expect(store.reported).toMatchObject({ states: { pending: 1 } });
  });

  it('a part whose outcome is unknown: so is that of the batch', async () => {
    const { store, server, name } = await begin(2000);
    const outcome = await store.tryCommit(batch('refused', 'good', 'cut'));
    expect(outcome).toMatchObject({
      failure: { kind: 'busy', message: expect.stringMatching(/^outcome unknown: /) },
    });
    const rows = await server.sql('SELECT service FROM majordomo.request', name);
    expect(rows.map(({ service }) => String(service))).toEqual(['good']);
  });

  it('however often it is split, it is answered within the time for one batch', async () => {
    const { store } = await begin(2000);
    const began = performance.now();
    // Each of them takes 0.3 s, alone and with others.
    await store.tryCommit(batch(...Array.from({ length: 32 }, () => 'slow')));
    expect(performance.now() - began).toBeLessThan(4000);
  });

  it('a wait for a lock that begins late ends before the time is over: its outcome is certain', async () => {
    const { store, server, name } = await begin(6000);
    await server.sql('CREATE SEQUENCE public.tries', name);
    const person = await server.session(name);
    atEnd(() => person.end());
    await person.query('SELECT pg_advisory_lock(1)');
    const outcome = await store.tryCommit(batch('late'));
    expect(outcome).toEqual({
      failure: expect.objectContaining({ message: 'the store is too busy' }),
    });
  });
});
