/** A broker whose database is behind PgBouncer. */
import { chmodSync, copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Client } from 'pg';

import { makeCertificate } from '../support/certificate.js';
import { run } from '../support/child.js';
import { ask, atEnd, clientOf, endAll, serve, upper } from '../support/daemon-users.js';
import { startDaemon, temporaryDirectory, unstarted } from '../support/daemon.js';
import { PgBouncer, type PoolerOptions } from '../support/pgbouncer.js';
import { Cluster } from '../support/postgres-cluster.js';
import { describeWithPostgres } from '../support/postgres.js';
import { itWithTool } from '../support/tools.js';
import { until } from '../support/until.js';

const TOOL = 'pgbouncer';
const NEEDED = 'each broker needs 6 connections at the same time, and now and then 2 more';

interface Ended {
  readonly status: unknown;
  readonly stderr: string;
}

async function refused(url: string, sets: readonly string[] = []): Promise<Ended> {
  return await unstarted({ sets: [`titanic.store=${url}`, ...sets] });
}

async function command(name: string, url: string): Promise<Ended & { readonly stdout: string }> {
  const directory = ['--set', `node.dataDir=${temporaryDirectory()}`];
  return await run([name, '--set', `titanic.store=${url}`, ...directory], { isEnding: true });
}

function passwordFile(password: string): string {
  const file = join(temporaryDirectory(), 'database.password');
  writeFileSync(file, `${password}\n`);
  chmodSync(file, 0o600);
  return `titanic.storePasswordFile=${file}`;
}

describeWithPostgres('a database behind PgBouncer', () => {
  let server: Cluster;

  beforeAll(async () => {
    server = await Cluster.make();
  });

  afterEach(endAll);

  afterAll(async () => {
    await server.remove();
  });

  /** @param options the database `store` is a new one of the cluster */
  async function pooler(
    options: Partial<PoolerOptions> & { readonly store?: string } = {},
  ): Promise<{ pooler: PgBouncer; url: string; database: string }> {
    const database = await server.database();
    const at = `host=127.0.0.1 port=${server.port} dbname=${database} ${options.store ?? ''}`;
    const databases = { store: at, ...options.databases };
    const started = await PgBouncer.start(server, { ...options, databases });
    atEnd(() => started.stop());
    return { pooler: started, url: started.url('store'), database };
  }

  /** What `serve`, `doctor` and `verify` say of a pooler in this mode. */
  async function refusedInMode(url: string): Promise<void> {
    const refusal = expect.stringMatching(
      new RegExp(`pooler in transaction or statement mode.*pool_mode = session.*${NEEDED}`),
    );
    expect(await refused(url)).toEqual({ status: 78, stderr: refusal });
    const doctor = await command('doctor', url);
    expect([doctor.status, doctor.stdout]).toEqual([1, refusal]);
    expect(await command('verify', url)).toMatchObject({ status: 78, stderr: refusal });
  }

  for (const mode of ['transaction', 'transaction pool_size=1', 'statement']) {
    itWithTool(TOOL, `in ${mode} mode: exit 78, also of verify; doctor says it`, async () => {
      const { url } = await pooler({ store: `pool_mode=${mode}` });
      await refusedInMode(url);
    });
  }

  itWithTool(
    TOOL,
    'one that gives its connections in turn is found out, however many it has',
    async () => {
      for (const size of [2, 3]) {
        const { pooler: bouncer, url } = await pooler({
          store: `pool_mode=transaction pool_size=${size}`,
          settings: ['server_round_robin = 1'],
        });
        const users = Array.from({ length: size }, () => server.session('store', bouncer.port));
        const open = await Promise.all(users);
        await Promise.all(open.map((each) => each.query('BEGIN')));
        await Promise.all(open.map((each) => each.query('COMMIT')));
        expect((await refused(url)).status).toBe(78);
        await Promise.all(open.map((each) => each.end()));
      }
    },
  );

  itWithTool(
    TOOL,
    'a refused broker leaves no setting in the sessions of other programs',
    async () => {
      const { pooler: bouncer, url } = await pooler({ store: 'pool_mode=transaction pool_size=1' });
      const SETTINGS = 'SELECT name, setting FROM pg_settings ORDER BY name';
      const other = await server.session('store', bouncer.port);
      const before = await other.query(SETTINGS);
      expect((await refused(url)).status).toBe(78);
      const { rows } = await other.query(SETTINGS);
      const isKept = (row: unknown): boolean =>
        (row as { readonly name: string }).name !== 'application_name';
      expect(rows.filter(isKept)).toEqual(before.rows.filter(isKept));
      await other.end();
    },
  );

  itWithTool(TOOL, 'in session mode durable requests are served', async () => {
    const { url } = await pooler({ store: 'pool_mode=session pool_size=8' });
    const daemon = await startDaemon({ sets: [`titanic.store=${url}`] });
    serve(daemon, 'upper', upper);
    const client = clientOf(daemon);
    const stored = await client.submit('upper', 'x');
    expect((await stored.result()).text()).toBe('X');
    expect(await ask(client, 'upper', 'plain')).toEqual(['PLAIN']);
    expect(await command('doctor', url)).toMatchObject({ status: 0 });
  });

  itWithTool(
    TOOL,
    'a pool that is too small: exit 69, and says how many connections a broker needs',
    async () => {
      for (const size of [1, 5]) {
        const { url } = await pooler({ store: `pool_mode=session pool_size=${size}` });
        expect(await refused(url)).toEqual({ status: 69, stderr: expect.stringContaining(NEEDED) });
      }
    },
  );

  itWithTool(TOOL, 'all connections that a pooler takes are in use: the same', async () => {
    const { url, pooler: bouncer } = await pooler({ settings: ['max_client_conn = 1'] });
    const held: Client[] = [];
    await until(async () => {
      const other = await server.session('store', bouncer.port).catch(() => null);
      if (other !== null) held.push(other);
      return held.length > 0;
    }, 'the connection');
    expect(await refused(url)).toEqual({
      status: 69,
      stderr: expect.stringMatching(new RegExp(`no more connections allowed.*${NEEDED}`)),
    });
    await held[0]?.end();
  });

  itWithTool(
    TOOL,
    'a wrong password, user, database or right: exit 78, with the remedy',
    async () => {
      await server.sql("CREATE ROLE secret LOGIN PASSWORD 'right'; CREATE ROLE poor LOGIN");
      await server.admit([
        'host all secret 127.0.0.1/32 scram-sha-256',
        'host all all 127.0.0.1/32 trust',
      ]);
      const shut = await server.database();
      await server.sql(`REVOKE CONNECT ON DATABASE ${shut} FROM PUBLIC`);
      const at = `host=127.0.0.1 port=${server.port}`;
      const { pooler: bouncer } = await pooler({
        users: { postgres: 'p', secret: 'wrong', poor: 'p', ghost: 'p' },
        databases: { shut: `${at} dbname=${shut}`, absent: `${at} dbname=absent` },
      });
      const said = async (user: string, database: string, password = 'p'): Promise<Ended> =>
        await refused(bouncer.url(database, user), [passwordFile(password)]);
      const config = (words: RegExp): unknown => ({
        status: 78,
        stderr: expect.stringMatching(words),
      });
      const passwords = /authentication failed.*check titanic\.storePasswordFile and the user/;
      expect(await said('postgres', 'store', 'wrong')).toEqual(config(passwords));
      expect(await said('nobody', 'store')).toEqual(config(passwords));
      // The pooler knows another password than the server.
      expect(await said('secret', 'store', 'wrong')).toEqual(config(passwords));
      expect(await said('ghost', 'store')).toEqual(config(/does not exist.*check the user/));
      expect(await said('postgres', 'missing')).toEqual(
        config(/no such database.*create the database/),
      );
      expect(await said('postgres', 'absent')).toEqual(
        config(/does not exist.*create the database/),
      );
      expect(await said('poor', 'shut')).toEqual(
        config(/GRANT CONNECT ON DATABASE "shut" TO "poor"/),
      );
    },
  );

  itWithTool(
    TOOL,
    'a pooler that wants TLS: exit 78, and with it durable requests are served',
    async () => {
      const { certFile, keyFile } = makeCertificate(temporaryDirectory(), 'pooler.example');
      const [cert, key] = ['pooler.crt', 'pooler.key'].map((name) => join(server.directory, name));
      for (const [from, to] of [
        [certFile, cert],
        [keyFile, key],
      ] as const) {
        copyFileSync(from, String(to));
        chmodSync(String(to), 0o644);
      }
      const { url } = await pooler({
        settings: [
          'client_tls_sslmode = require',
          `client_tls_cert_file = ${cert}`,
          `client_tls_key_file = ${key}`,
        ],
      });
      expect(await refused(url)).toEqual({
        status: 78,
        stderr: expect.stringMatching(/SSL required.*sslmode=/),
      });
      const sealed = `${url}?sslmode=verify-full&sslrootcert=${certFile}`;
      const daemon = await startDaemon({ sets: [`titanic.store=${sealed}`] });
      expect((await ask(clientOf(daemon), 'titanic.request', 'nobody', 'x'))[0]).toBe('200');
    },
  );
});
