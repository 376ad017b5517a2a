/** The program of docs/recipes/outbox.md, as it stands there, with a database of its own. */
import { Client } from 'pg';

import {
  type Page,
  type PageProgram,
  removePages,
  startPage,
} from '../interop/support/page-programs.js';
import { blocksOf } from '../support/blocks.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { until } from '../support/until.js';

const OUTBOX = 'docs/recipes/outbox.md';
const cluster = sharedCluster();
let page: Page;
let database: Client;

afterEach(async () => {
  await database.end();
  await removePages();
});

async function rows(): Promise<number> {
  const { rows: counted } = await database.query<{ n: number }>(
    'SELECT count(*)::int AS n FROM outbox',
  );
  return counted[0]?.n ?? -1;
}

describeWithPostgres('outbox.md', () => {
  it('passes on what was committed, once, also after it was killed between broker and database', async () => {
    const server = await cluster();
    const url = server.url(await server.database());
    page = await startPage(['http.listen=127.0.0.1:0']);
    database = new Client({ connectionString: url });
    await database.connect();
    const [table = '', order = ''] = blocksOf(OUTBOX, 'sql').map(({ text }) => text);
    await database.query(table);
    await database.query('CREATE TABLE orders (id int PRIMARY KEY, item text)');
    const [program] = blocksOf(OUTBOX, 'ts').map(({ name, text }) => page.saved(name, text));
    const start = (): PageProgram =>
      page.start(process.execPath, [program ?? ''], { DATABASE_URL: url });

    await database.query(order);
    await database.query(order.replaceAll('17', '18').replace('COMMIT', 'ROLLBACK'));
    // Nobody can delete rows: the program has enqueued, and waits.
    const holder = new Client({ connectionString: url });
    await holder.connect();
    await database.query(`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN OLD; END'`);
    await database.query(
      'CREATE TRIGGER wait BEFORE DELETE ON outbox FOR EACH ROW EXECUTE FUNCTION wait()',
    );
    await holder.query('SELECT pg_advisory_lock(1)');
    const first = start();
    await until(async () => (await stored()) === 1, 'the first one has enqueued it');
    expect(await rows()).toBe(1);
    await first.kill();
    await holder.end();

    const second = start();
    await until(async () => (await rows()) === 0, 'the second one has deleted it');
    expect(await stored()).toBe(1);
    page.majordomo('worker', 'ship', '--', 'cat');
    await until(async () => (await page.shell(LIST)).includes('replied'), 'it has run');
    expect(await second.stop()).toBe(0);
  });
});

const LIST = 'majordomo durable ls';

/** How many requests the broker has. */
async function stored(): Promise<number> {
  return (await page.shell(`${LIST} -o json`)).match(/"uuid"/g)?.length ?? 0;
}
