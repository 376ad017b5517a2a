/** An operator has dropped something of the tables: commands and brokers name it, and what mends it. */
import { present } from '../../src/core/assert.js';
import { databaseAddressOf } from '../../src/core/postgres-url.js';
import { lacksOf } from '../../src/extensions/postgres/catalog.js';
import type { Connection } from '../../src/extensions/postgres/connection.js';
import { connect } from '../../src/extensions/postgres/connect.js';
import { migrate } from '../../src/extensions/postgres/migrate.js';
import { run } from '../support/child.js';
import { endAll } from '../support/daemon-users.js';
import { type Daemon, startDaemon, temporaryDirectory, unstarted } from '../support/daemon.js';
import { PATIENCE_MS } from '../support/patience.js';
import { openDatabaseStore, opens } from '../support/postgres-place.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { accept } from '../support/store-changes.js';

const cluster = sharedCluster();

afterEach(endAll);

interface Finding {
  readonly name: string;
  readonly state: string;
  readonly text: string;
  readonly remedy: string | null;
}

let made: Promise<string> | null = null;

/** A database with a store, to be copied. */
function whole(): Promise<string> {
  return (made ??= (async () => {
    const server = await cluster();
    const database = await server.database();
    const { store } = await openDatabaseStore(server.url(database), PATIENCE_MS);
    await store.commit(accept(1, { key: 'k' }));
    await store.close();
    return database;
  })());
}

/** A store with one request, and what people do with it while no broker runs. */
class Store {
  static async make(user = 'postgres'): Promise<Store> {
    const server = await cluster();
    const database = await server.database(await whole());
    return new Store(database, server.url(database, user), temporaryDirectory());
  }

  readonly #database: string;
  readonly #url: string;
  readonly #dataDir: string;

  private constructor(database: string, url: string, dataDir: string) {
    this.#database = database;
    this.#url = url;
    this.#dataDir = dataDir;
  }

  get #options(): { readonly sets: readonly string[]; readonly dataDir: string } {
    return { sets: [`titanic.store=${this.#url}`], dataDir: this.#dataDir };
  }

  async sql(text: string): Promise<void> {
    await (await cluster()).sql(text, this.#database);
  }

  async starts(): Promise<Daemon> {
    return await startDaemon(this.#options);
  }

  async opens(): Promise<void> {
    await opens(this.#url);
  }

  /** Of a broker that does not start. */
  async serve(): Promise<[number | null, string]> {
    const { status, stderr } = await unstarted(this.#options);
    return [status, stderr];
  }

  async command(...words: readonly string[]): Promise<[number | null, string]> {
    const config = [`titanic.store=${this.#url}`, `node.dataDir=${this.#dataDir}`];
    const { status, stderr } = await run([...words, ...config.flatMap((each) => ['--set', each])]);
    return [status, stderr];
  }

  /** What doctor says of the store. */
  async doctor(): Promise<Finding> {
    const config = [`titanic.store=${this.#url}`, `node.dataDir=${this.#dataDir}`];
    const sets = config.flatMap((each) => ['--set', each]);
    const { stdout } = await run(['doctor', '-o', 'json', ...sets]);
    const { checks } = JSON.parse(stdout) as { checks: Finding[] };
    return present(
      checks.find(({ name }) => name === 'store'),
      stdout,
    );
  }
}

describeWithPostgres('the catalog of a store', () => {
  it('lacks nothing when it is fresh, and whatever is dropped of it is named', async () => {
    const server = await cluster();
    const name = await server.database();
    const address = databaseAddressOf(server.url(name));
    if (typeof address === 'string') throw new Error(address);
    const login = { address, passwordFile: null, isLoopback: true };
    const { connection } = await connect(login, { hostIndex: 0 }, 10_000);
    const named = async (change: string): Promise<string> => {
      await connection.ask('BEGIN');
      await connection.ask(change);
      const { parts, indexes } = await lacksOf(connection);
      await connection.ask('ROLLBACK');
      return [...parts, ...indexes].map(({ text }) => text).join('\n');
    };
    expect(await named('SELECT 1')).toBe('');
    await migrate(connection, { user: address.user, database: name });
    expect(await named('SELECT 1')).toBe('');
    for (const [change, what] of await partsOf(connection)) {
      expect(`${change}\n${await named(change)}`).toContain(`\n${what}`);
    }
    await connection.close();
  });
});

/** Statements that drop a part of the store, or change it, and what is then said. */
async function partsOf(connection: Connection): Promise<[string, string][]> {
  const parts: [string, string][] = [];
  const columns = await connection.ask(`SELECT table_name::text, column_name::text
    FROM information_schema.columns WHERE table_schema = 'majordomo'`);
  for (const [table, column] of columns.map((row) => row.map(String))) {
    const of = `ALTER TABLE majordomo.${table}`;
    const name = `the column majordomo.${table}.${column}`;
    parts.push([`${of} DROP COLUMN ${column} CASCADE`, `${name} is missing`]);
    parts.push([
      `${of} DROP COLUMN ${column} CASCADE; ${of} ADD COLUMN ${column} numeric`,
      `${name} has the type numeric instead of`,
    ]);
  }
  const indexes = await connection.ask(`SELECT i.relname::text, c.relname::text, x.indisprimary
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
    WHERE c.relnamespace = 'majordomo'::regnamespace`);
  for (const [index, table, isPrimary] of indexes) {
    const name = `majordomo.${String(index)}`;
    const invalid = `UPDATE pg_index SET indisvalid = false WHERE indexrelid = '${name}'::regclass`;
    if (isPrimary === true) {
      const said = `the table majordomo.${String(table)} has no primary key (`;
      parts.push([`ALTER TABLE majordomo.${String(table)} DROP CONSTRAINT ${String(index)}`, said]);
      parts.push([invalid, said]);
    } else {
      parts.push([`DROP INDEX ${name}`, `the index ${name} is missing`]);
      parts.push([invalid, `the index ${name} is invalid`]);
    }
  }
  const tables = new Set(columns.map(([table]) => String(table)));
  for (const table of tables) {
    parts.push([`DROP TABLE majordomo.${table}`, `the table majordomo.${table} is missing`]);
  }
  expect([tables.size, parts.length]).toEqual([7, expect.any(Number)]);
  return parts;
}

describeWithPostgres('a store of which something was dropped', () => {
  it.each([
    [
      'a primary key',
      'ALTER TABLE majordomo.body DROP CONSTRAINT body_pkey',
      'the table majordomo.body has no primary key (id, kind): ',
      'ALTER TABLE majordomo.body ADD PRIMARY KEY (id, kind)',
    ],
    [
      'a column that may be empty',
      'ALTER TABLE majordomo.key DROP COLUMN extra',
      'the column majordomo.key.extra is missing: restore the database from a backup, or go on without what was there: ',
      'ALTER TABLE majordomo.key ADD COLUMN extra bytea',
    ],
    [
      'a column, and with it its indexes',
      'ALTER TABLE majordomo.request DROP COLUMN delayed',
      'the column majordomo.request.delayed is missing, the index majordomo.request_claimable is missing, the index majordomo.request_delayed is missing, the index majordomo.request_turns is missing: restore the database from a backup, or go on without what was there: ',
      'ALTER TABLE majordomo.request ADD COLUMN delayed boolean NOT NULL DEFAULT false; CREATE INDEX request_claimable ON majordomo.request (service, priority DESC, seq) WHERE state = 1 AND session IS NULL AND NOT delayed AND kind IN (0, 3, 1); CREATE INDEX request_delayed ON majordomo.request (not_before) WHERE state = 1 AND session IS NULL AND delayed; CREATE INDEX request_turns ON majordomo.request (service, least(length(own), 1), priority DESC, own, seq) WHERE state = 1 AND session IS NULL AND NOT delayed AND kind = 0',
    ],
    [
      'the type of a column',
      'ALTER TABLE majordomo.attempt ALTER COLUMN n TYPE integer',
      'the column majordomo.attempt.n has the type integer instead of bigint: ',
      'ALTER TABLE majordomo.attempt ALTER COLUMN n TYPE bigint USING n::bigint',
    ],
  ])(
    '%s: serve and verify end with 74, doctor has a problem, and what they recommend mends it',
    async (_what, change, text, sql) => {
      const store = await Store.make();
      await store.sql(change);
      const words: unknown = expect.stringContaining(`schema majordomo is damaged: ${text}${sql}`);
      expect(await store.serve()).toEqual([74, words]);
      expect(await store.command('verify')).toEqual([74, words]);
      expect(await store.doctor()).toMatchObject({ state: 'problem', text: words });
      await store.sql(sql);
      await store.opens();
    },
  );

  it.each([
    ['table majordomo.attempt', 'DROP TABLE majordomo.attempt'],
    ['table majordomo.meta', 'DROP TABLE majordomo.meta'],
  ])('the %s cannot be made again: 74, also of a backup', async (what, change) => {
    const store = await Store.make();
    await store.sql(change);
    const said = `damaged: the ${what} is missing: restore the database from a backup\n`;
    const words: unknown = expect.stringContaining(said);
    expect(await store.serve()).toEqual([74, words]);
    expect(await store.command('verify')).toEqual([74, words]);
    expect(await store.command('backup', `${temporaryDirectory()}/b.db`)).toEqual([74, words]);
    const { state, text } = await store.doctor();
    expect([state, `${text}\n`]).toEqual(['problem', words]);
  });

  it('without an index the broker starts: doctor warns, verify ends with 74; what others made is left alone', async () => {
    const store = await Store.make();
    await store.sql(`CREATE TABLE majordomo.notes (line text);
      CREATE INDEX by_owner ON majordomo.request (owner)`);
    expect(await store.doctor()).toMatchObject({ state: 'ok' });
    expect(await store.command('verify')).toEqual([0, '']);
    const sql = 'CREATE INDEX key_remembered ON majordomo.key (until) WHERE until IS NOT NULL';
    for (const [change, is, remedy] of [
      ['DROP INDEX majordomo.key_remembered', 'missing', sql],
      [
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'majordomo.key_remembered'::regclass",
        'invalid',
        `DROP INDEX majordomo.key_remembered; ${sql}`,
      ],
    ] as const) {
      await store.sql(change);
      const text = `the index majordomo.key_remembered is ${is}`;
      expect(await store.doctor()).toMatchObject({
        ...{ state: 'warning', text: expect.stringContaining(text), remedy },
      });
      expect(await store.command('verify')).toEqual([
        74,
        expect.stringContaining(`: ${text}: ${remedy}\n`),
      ]);
      await store.opens();
      await store.sql(remedy);
      expect(await store.doctor()).toMatchObject({ state: 'ok' });
    }
  });

  it('the whole schema: serve ends with 74, and doctor says the same', async () => {
    const store = await Store.make();
    await (await store.starts()).stop();
    await store.sql('DROP SCHEMA majordomo CASCADE');
    const words: unknown = expect.stringContaining('is empty: the data directory remembers');
    expect(await store.serve()).toEqual([74, words]);
    expect(await store.doctor()).toMatchObject({ state: 'problem', text: words });
  });

  it('a catalog that the broker may not read keeps no broker from starting', async () => {
    await (await cluster()).sql('CREATE ROLE poor LOGIN');
    const store = await Store.make('poor');
    await store.sql(`GRANT ALL ON SCHEMA majordomo TO poor;
      GRANT ALL ON ALL TABLES IN SCHEMA majordomo TO poor;
      REVOKE SELECT ON pg_catalog.pg_index FROM PUBLIC`);
    await store.opens();
    expect(await store.doctor()).toMatchObject({ state: 'ok' });
    expect(await store.command('verify')).toEqual([0, '']);
  });
});
