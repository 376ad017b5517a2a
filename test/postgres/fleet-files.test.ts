/** The examples of config/ with a database, made as their heads describe. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Child, run } from '../support/child.js';
import { atEnd, endAll, serve, upper } from '../support/daemon-users.js';
import { type Daemon, startDaemon, temporaryDirectory } from '../support/daemon.js';
import { NatsServer } from '../support/nats-server.js';
import { Cluster } from '../support/postgres-cluster.js';
import { describeWithPostgres } from '../support/postgres.js';
import { itWithTool } from '../support/tools.js';
import { until } from '../support/until.js';
import { LONG_TEST_MS } from '../support/patience.js';

const NAMES = ['a', 'b', 'c'] as const;

afterEach(endAll);

/** Makes the database with the statements of the file, and lets its role in with the password of the file. */
async function databaseOf(file: string): Promise<readonly string[]> {
  const head = readFileSync(file, 'utf8');
  const server = await Cluster.make();
  atEnd(() => server.remove());
  const statements = [...head.matchAll(/ -c (["'])(.*?)\1/g)].map(
    ([, , statement = '']) => statement,
  );
  expect(statements).not.toEqual([]);
  for (const statement of statements) await server.sql(statement);
  await server.admit(['host all majordomo 127.0.0.1/32 scram-sha-256']);
  const passwordFile = join(temporaryDirectory(), 'password');
  const [, password = ''] = /echo (\S+) > data\/\w+\.password/.exec(head) ?? [];
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  const url = server.url('majordomo', 'majordomo');
  return [`titanic.store=${url}`, `titanic.storePasswordFile=${passwordFile}`];
}

/** The brokers of the files; only what is particular to this machine differs. */
async function fleetOfFiles(): Promise<[Daemon, Daemon, Daemon]> {
  const store = await databaseOf('config/fleet-a.yaml');
  const nats = await NatsServer.start();
  const started = NAMES.map((name) =>
    startDaemon({
      file: `config/fleet-${name}.yaml`,
      sets: [...store, `fleet.nats=${nats.url}`, 'fleet.leaseMs=3000', 'http.listen=127.0.0.1:0'],
    }),
  );
  const all = (await Promise.all(started)) as [Daemon, Daemon, Daemon];
  await Promise.all(all.map((each) => each.waitFor('fleet.peer_joined', NAMES.length - 1)));
  return all;
}

/** `majordomo worker upper … -- tr a-z A-Z` of the file. */
async function commandWorker({ endpoint }: Daemon): Promise<void> {
  const worker = new Child(['worker', 'upper', '--endpoint', endpoint, '--', 'tr', 'a-z', 'A-Z']);
  const registered = `registered at ${endpoint}`;
  await worker.until(({ stderr }) => stderr.includes(registered), registered);
}

async function printed(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await run(args);
  expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: expect.any(String) });
  return stdout.trim();
}

describeWithPostgres('config/fleet-*.yaml', () => {
  itWithTool(
    'nats-server',
    'three brokers: a worker at one serves clients of the others, and a receipt outlives its broker (kill -9)',
    async () => {
      const [a, b, c] = await fleetOfFiles();
      const request = (at: Daemon, ...args: readonly string[]): Promise<string> =>
        printed('request', ...args, '--endpoint', at.endpoint);
      const shown = await printed('fleet', 'status', '--endpoint', c.endpoint);
      for (const name of NAMES) expect(shown).toMatch(new RegExp(`^${name} `, 'm'));
      await commandWorker(a);
      expect(await request(b, 'upper', 'from b')).toBe('FROM B');
      expect(await request(c, 'upper', 'from c')).toBe('FROM C');
      await commandWorker(b);

      const held = serve(a, 'held', () => new Promise<string>(() => undefined));
      const store = (service: string): Promise<string> =>
        request(a, service, 'hello', '--durable', '--no-wait');
      const uuids = [await store('upper'), await store('later'), await store('held')];
      await until(() => held.length === 1, 'a worker of the first broker has it');
      await a.kill();
      serve(b, 'held', upper);
      serve(c, 'later', upper);
      for (const uuid of uuids) {
        expect(uuid).toMatch(/^[0-9A-F]{32}$/);
        expect(await request(c, '--result', uuid, '--timeout-ms', '50000')).toBe('HELLO');
      }
    },
    LONG_TEST_MS,
  );
});

describeWithPostgres('a database that is made as the head of the file says', () => {
  it.each(['config/fleet-a.yaml', 'config/postgres.yaml'])(
    '%s: doctor warns only that receipts live on one machine',
    async (file) => {
      const sets = [...(await databaseOf(file)), `node.dataDir=${temporaryDirectory()}`];
      const options = sets.flatMap((each) => ['--set', each]);
      const { stdout } = await run(['doctor', '-o', 'json', '-c', file, ...options]);
      const { checks } = JSON.parse(stdout) as {
        checks: { name: string; state: string; text: string }[];
      };
      const ofDatabase = checks.filter(({ name }) => /^(store|database|oldest)/.test(name));
      expect(ofDatabase.map(({ name, state }) => [name, state])).toEqual([
        ['store', 'ok'],
        ['database', 'warning'],
        ['oldest snapshot', 'ok'],
      ]);
      expect(ofDatabase[1]?.text).toContain('receipts live on one machine');
    },
  );
});
