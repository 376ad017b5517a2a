/**
 * What a broker finds at its start: it ends with the status for what is wrong, and says what helps.
 */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { present } from '../../src/core/assert.js';
import { databaseAddressOf } from '../../src/core/postgres-url.js';
import { connect } from '../../src/extensions/postgres/connect.js';
import { FORMAT } from '../../src/extensions/postgres/schema.js';
import { makeCertificate } from '../support/certificate.js';
import { run } from '../support/child.js';
import {
  type Daemon,
  removeDaemons,
  startDaemon,
  temporaryDirectory,
  unstarted,
} from '../support/daemon.js';
import { Cluster } from '../support/postgres-cluster.js';
import { opens } from '../support/postgres-place.js';
import { describeWithPostgres } from '../support/postgres.js';

/** A broker that does not start: its status and what it says. */
async function refused(url: string, sets: readonly string[] = []): Promise<[unknown, string]> {
  const { status, stderr } = await unstarted({ sets: [`titanic.store=${url}`, ...sets] });
  return [status, stderr];
}

async function starts(url: string, sets: readonly string[] = []): Promise<Daemon> {
  return await startDaemon({ sets: [`titanic.store=${url}`, ...sets] });
}

function passwordFile(password: string, mode = 0o600): string {
  const file = join(temporaryDirectory(), 'database.password');
  writeFileSync(file, `${password}\n`);
  chmodSync(file, mode);
  return `titanic.storePasswordFile=${file}`;
}

/** The problems that doctor finds. */
async function doctorSays(config: readonly string[]): Promise<string[]> {
  const directory = ['--set', `node.dataDir=${temporaryDirectory()}`];
  const { stdout } = await run(['doctor', '-o', 'json', ...config, ...directory]);
  const { checks } = JSON.parse(stdout) as { checks: { state: string; text: string }[] };
  return checks.filter(({ state }) => state === 'problem').map(({ text }) => text);
}

/** The statements that a message recommends, which begin with this word. */
function recommended(text: string, word: string): string {
  return present(new RegExp(`[:;] (${word} .*)`).exec(text)?.[1], text);
}

describeWithPostgres('a database that is not as it must be', () => {
  let server: Cluster;
  const clusters: Cluster[] = [];

  beforeAll(async () => {
    server = await Cluster.make();
    clusters.push(server);
    await server.sql(`CREATE ROLE secret LOGIN PASSWORD 'right one'; CREATE ROLE stranger LOGIN;
      CREATE ROLE other LOGIN; CREATE ROLE poor LOGIN; CREATE ROLE shut LOGIN`);
    await server.admit([
      'host all secret 127.0.0.1/32 scram-sha-256',
      'host all stranger 127.0.0.1/32 reject',
      'host all other,poor,shut 127.0.0.1/32 trust',
    ]);
  });

  afterEach(removeDaemons);

  afterAll(async () => {
    await Promise.all(clusters.map((each) => each.remove()));
  });

  it('wrong, missing and public passwords: exit 78; the right one is let in', async () => {
    const name = await server.database();
    await server.sql(`ALTER DATABASE ${name} OWNER TO secret`);
    const url = server.url(name, 'secret');
    expect(await refused(url, [passwordFile('wrong')])).toEqual([
      78,
      expect.stringMatching(/password authentication failed.*check titanic.storePasswordFile/),
    ]);
    const [, wanted] = await refused(url);
    expect(wanted).toContain('wants a password');
    expect(wanted).not.toContain('SASL');
    expect(await refused(url, [passwordFile('')])).toEqual([
      78,
      expect.stringMatching(/database\.password is empty/),
    ]);
    const [status, text] = await refused(url, [passwordFile('right one', 0o644)]);
    expect([status, text]).toEqual([78, expect.stringMatching(/chmod 6[04]0 /)]);
    expect(text).not.toContain('right one');
    expect(await refused(url, ['titanic.storePasswordFile=/absent'])).toEqual([
      78,
      expect.stringContaining('titanic.storePasswordFile: /absent does not exist'),
    ]);
    await (await starts(url, [passwordFile('right one')])).stop();
  });

  it('pg_hba.conf lets this user not in, or not into this database: exit 78, with what helps', async () => {
    const name = await server.database();
    expect(await refused(server.url(name, 'stranger'))).toEqual([
      78,
      expect.stringContaining('pg_hba.conf'),
    ]);
    await server.sql(`REVOKE CONNECT ON DATABASE ${name} FROM PUBLIC`);
    const [status, text] = await refused(server.url(name, 'shut'));
    expect(status).toBe(78);
    await server.sql(`${recommended(text, 'GRANT')}; GRANT CREATE ON DATABASE ${name} TO shut`);
    await opens(server.url(name, 'shut'));
  });

  it('each missing right: exit 78, and the GRANT that is recommended is enough', async () => {
    const name = await server.database();
    const url = server.url(name, 'poor');
    const mends = async (): Promise<string> => {
      const [status, text] = await refused(url);
      expect([status, text]).toEqual([78, expect.stringContaining('permission denied')]);
      const grant = recommended(text, 'GRANT');
      const config = ['--set', `titanic.store=${url}`];
      expect(await doctorSays(config)).toEqual([expect.stringContaining(grant)]);
      await server.sql(grant, name);
      expect(await doctorSays(config)).toEqual([]);
      await opens(url);
      return grant;
    };
    expect(await mends()).toBe(`GRANT CREATE ON DATABASE "${name}" TO "poor"`);
    // From here on the schema and the tables belong to another role.
    await server.sql(
      `REASSIGN OWNED BY poor TO postgres; REVOKE ALL ON ALL TABLES IN SCHEMA majordomo FROM poor`,
      name,
    );
    const verified = await run(['verify', '--set', `titanic.store=${url}`]);
    expect([verified.status, verified.stderr]).toEqual([
      78,
      expect.stringMatching(/permission denied .*: GRANT USAGE ON SCHEMA majordomo TO "poor"; /),
    ]);
    expect(await mends()).toContain('GRANT USAGE ON SCHEMA majordomo');
    await server.sql('REVOKE DELETE ON majordomo.key FROM poor', name);
    expect(await mends()).toContain('ON ALL TABLES');
    // They are of an older format, and only their owner can change them.
    await server.sql(`UPDATE majordomo.meta SET format = ${FORMAT - 1}`, name);
    const owners =
      /: GRANT CREATE ON SCHEMA majordomo TO "poor"; or start this version once as the/;
    expect(await refused(url)).toEqual([78, expect.stringMatching(owners)]);
    expect(await doctorSays(['--set', `titanic.store=${url}`])).toEqual([
      expect.stringMatching(owners),
    ]);
    await server.sql('DROP SCHEMA majordomo CASCADE; CREATE SCHEMA majordomo', name);
    expect(await mends()).toContain('GRANT USAGE, CREATE ON SCHEMA');
  });

  it('tables of the next format are used, those of the one after it are refused: exit 78', async () => {
    const name = await server.database();
    const url = server.url(name);
    await opens(url);
    await server.sql(`UPDATE majordomo.meta SET format = ${FORMAT + 1}`, name);
    await opens(url);
    await server.sql(`UPDATE majordomo.meta SET format = ${FORMAT + 2}`, name);
    expect(await refused(url)).toEqual([78, expect.stringContaining('use a newer program')]);
    const [row] = await server.sql('SELECT format FROM majordomo.meta', name);
    expect(row).toEqual({ format: FORMAT + 2 });
  });

  it('tables of a development version: exit 78, and the two ways on, the second of which works', async () => {
    const name = await server.database();
    const url = server.url(name);
    await opens(url);
    // They stated their format in another column.
    await server.sql(
      `ALTER TABLE majordomo.meta RENAME COLUMN format TO version;
        UPDATE majordomo.meta SET version = 3`,
      name,
    );
    const refusal = expect.stringMatching(
      /tables of format 3 of a development version, .*: go on with the version that wrote them, or/,
    );
    const dataDir = temporaryDirectory();
    const config = ['--set', `titanic.store=${url}`, '--set', `node.dataDir=${dataDir}`];
    expect(await refused(url)).toEqual([78, refusal]);
    const backup = join(temporaryDirectory(), 'b.db');
    for (const words of [['verify'], ['backup', backup]]) {
      expect(await run([...words, ...config])).toMatchObject({ status: 78, stderr: refusal });
    }
    expect(await doctorSays(['--set', `titanic.store=${url}`])).toEqual([refusal]);
    const ordered = await unstarted({ dataDir, newStore: true, sets: [`titanic.store=${url}`] });
    expect([ordered.status, ordered.stderr]).toEqual([78, refusal]);
    const [, rename = ''] = /`(ALTER SCHEMA [^`]*)`/.exec(ordered.stderr) ?? [];
    await server.sql(rename, name);
    const sets = [`titanic.store=${url}`];
    await (await startDaemon({ dataDir, sets, newStore: true })).stop();
    const [row] = await server.sql('SELECT version FROM majordomo_3.meta', name);
    expect(row).toEqual({ version: 3 });
  });

  it('unlogged tables: exit 78, and the statements that are recommended are enough', async () => {
    const name = await server.database();
    const url = server.url(name);
    await opens(url);
    await server.sql('ALTER TABLE majordomo.body SET UNLOGGED', name);
    const [status, text] = await refused(url);
    expect(status).toBe(78);
    await server.sql(recommended(text, 'ALTER TABLE'), name);
    await opens(url);
  });

  it.each(['fsync', 'full_page_writes'])(
    '%s is off: exit 78, and says what to set',
    async (name) => {
      await server.configure({ [name]: 'off' });
      expect(await refused(server.url(await server.database()))).toEqual([
        78,
        expect.stringContaining(`set ${name} = on`),
      ]);
      await server.configure({ [name]: 'on' });
    },
  );

  it('read-only transactions: exit 78; only a standby: exit 69', async () => {
    const name = await server.database();
    await server.sql(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
    expect(await refused(server.url(name))).toEqual([
      78,
      expect.stringContaining('set default_transaction_read_only = off'),
    ]);
    const standby = await server.standby('behind');
    clusters.push(standby);
    expect(await refused(standby.url('postgres'), ['titanic.storeTimeoutMs=3000'])).toEqual([
      69,
      expect.stringContaining('it is in recovery (a standby): name the primary too, or promote it'),
    ]);
  });

  it('defaults of a role that would change what is read, or cancel a commit, do not count', async () => {
    const name = await server.database();
    await server.sql(`ALTER ROLE other SET bytea_output = 'escape';
      ALTER ROLE other SET statement_timeout = '1s'; ALTER ROLE other SET lock_timeout = '1s';
      ALTER ROLE other SET default_transaction_isolation = 'serializable';
      ALTER ROLE other SET synchronous_commit = 'off'; ALTER ROLE other SET search_path = 'x, y';
      ALTER ROLE other SET idle_in_transaction_session_timeout = '1s'`);
    const address = databaseAddressOf(server.url(name, 'other'));
    if (typeof address === 'string') throw new Error(address);
    const { connection } = await connect(
      { address, passwordFile: null, isLoopback: true },
      { hostIndex: 0 },
      10_000,
    );
    const [row] = await connection.ask(`SELECT current_setting('bytea_output'),
      current_setting('statement_timeout'), current_setting('lock_timeout'),
      current_setting('default_transaction_isolation'), current_setting('synchronous_commit'),
      current_setting('search_path'), current_setting('idle_in_transaction_session_timeout')`);
    await connection.close();
    expect(row).toEqual(['hex', '0', '0', 'read committed', 'on', 'pg_catalog', '10s']);
  });
});

describeWithPostgres('a database behind TLS', () => {
  let server: Cluster;
  let directory: string;
  let right: string;
  const password = (): string => passwordFile('p');

  beforeAll(async () => {
    server = await Cluster.make();
    await server.sql("CREATE ROLE sealed SUPERUSER LOGIN PASSWORD 'p'");
    await server.admit(['hostssl all sealed 127.0.0.1/32 scram-sha-256']);
    directory = temporaryDirectory();
    const certificate = makeCertificate(directory, 'db.example');
    right = certificate.certFile;
    await server.secure(certificate);
  });

  afterAll(async () => {
    await removeDaemons();
    await server.remove();
  });

  it('the right authority and host: served; the default off loopback is the same', async () => {
    const name = await server.database();
    const url = `${server.url(name, 'sealed')}?sslmode=verify-full&sslrootcert=${right}`;
    const daemon = await starts(url, [password()]);
    const [row] = await server.sql(
      `SELECT count(*)::int AS sealed FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE usename = 'sealed' AND ssl`,
    );
    expect(Number(row?.['sealed'])).toBeGreaterThan(0);
    await daemon.stop();
    const address = databaseAddressOf(`${server.url(name, 'sealed')}?sslrootcert=${right}`);
    if (typeof address === 'string') throw new Error(address);
    const login = { address, passwordFile: password().split('=')[1] ?? '', isLoopback: false };
    const { connection } = await connect(login, { hostIndex: 0 }, 10_000);
    const [told] = await connection.ask('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
    expect(told).toEqual([true]);
    await connection.close();
  });

  it('an unknown authority, another host, no TLS: exit 78, and says what to check', async () => {
    const url = server.url(await server.database(), 'sealed');
    const mode = `${url}?sslmode=verify-full`;
    const stranger = makeCertificate(temporaryDirectory(), 'stranger').certFile;
    const [status, text] = await refused(mode, [password()]);
    expect([status, text]).toEqual([78, expect.stringContaining('check the certificate')]);
    expect(await refused(`${mode}&sslrootcert=${stranger}`, [password()])).toEqual([
      78,
      expect.stringContaining('check the certificate'),
    ]);
    // The certificate is for 127.0.0.1 and db.example.
    const named = mode.replace('127.0.0.1', 'localhost');
    expect(await refused(`${named}&sslrootcert=${right}`, [password()])).toEqual([
      78,
      expect.stringMatching(/localhost.*check the certificate/),
    ]);
    expect(await refused(`${mode}&sslrootcert=/absent`, [password()])).toEqual([
      78,
      expect.stringContaining('sslrootcert'),
    ]);
    expect(await refused(url, [password()])).toEqual([78, expect.stringContaining('pg_hba.conf')]);
  });
});

it('off loopback a database without credentials is refused before anything is sent: exit 78', async () => {
  // TEST-NET-1: nobody has it.
  expect(await refused('postgresql://u@192.0.2.1/x')).toEqual([
    78,
    expect.stringContaining('titanic.storePasswordFile'),
  ]);
  await removeDaemons();
});
