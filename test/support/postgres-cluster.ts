/**
 * PostgreSQL for tests: a cluster in a directory of its own, on a free loopback port. It does not
 * run as root: a root user starts it as the user that the package makes.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import { Client } from 'pg';

import { assert } from '../../src/core/assert.js';
import { codeOf } from '../../src/core/errors.js';
import type { Certificate } from './certificate.js';
import { freePorts } from './free-ports.js';
import { SCRATCH } from './scratch.js';
import { until } from './until.js';

const ROOT = '/usr/lib/postgresql';
/** Connections that `Cluster.sql` keeps: a file may use many databases. */
const KEPT_MAX = 4;
const USER = 'postgres';

/** The newest version that is installed; `null`: none. */
export function postgresBin(): string | null {
  if (!existsSync(ROOT)) return null;
  const versions = readdirSync(ROOT).map(Number).filter(Number.isInteger);
  const newest = Math.max(...versions);
  const bin = join(ROOT, String(newest), 'bin');
  return newest >= 15 && existsSync(join(bin, 'initdb')) ? bin : null;
}

const AS_USER =
  process.getuid?.() === 0
    ? ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--init-groups', '--']
    : [];

/** As the user of the servers. */
export function command(program: string, args: readonly string[]): [string, string[]] {
  const [first = program, ...rest] = [...AS_USER, program, ...args];
  return [first, rest];
}

/** A cluster with an empty database and a standby that its commits wait for. */
export async function clusterWithStandby(settings: readonly string[] = []): Promise<{
  readonly primary: Cluster;
  readonly standby: Cluster;
  readonly database: string;
}> {
  const primary = await Cluster.make(settings);
  const database = await primary.database();
  const standby = await primary.standby('second');
  await primary.configure({ synchronous_standby_names: 'second' });
  await primary.synchronous();
  return { primary, standby, database };
}

/** The processes that it has started. */
function childrenOf(parent: number): number[] {
  const pids = readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      // The name, in brackets, may contain anything; state and parent follow it.
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent;
    } catch {
      return false;
    }
  });
  return pids.map(Number);
}

/** One that has ended meanwhile is left out. */
function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (codeOf(error) !== 'ESRCH') throw error;
    }
  }
}

function ownedByServer(path: string): void {
  if (process.getuid?.() !== 0) return;
  const owned = spawnSync('chown', [`${USER}:${USER}`, path]);
  assert(owned.status === 0, 'it belongs to the server');
}

/**
 * A cluster that was just made, to be copied. It takes more than a second to make, so it is kept until the
 * next `npm ci`. All copies have one identifier, as a cluster and its standby.
 */
function initialised(bin: string): string {
  const name = `postgresql-${basename(dirname(bin))}-of-${process.getuid?.() ?? 0}`;
  const kept = resolve('node_modules/.cache/majordomo', name);
  if (existsSync(kept)) return kept;
  const directory = mkdtempSync(join(SCRATCH, 'majordomo-postgres-'));
  mkdirSync(dirname(kept), { recursive: true });
  const folder = mkdtempSync(join(dirname(kept), 'making-'));
  try {
    ownedByServer(directory);
    const data = join(directory, 'data');
    const options = ['-U', USER, '-A', 'trust', '--no-sync', '-E', 'UTF8', '--no-locale'];
    const [program, args] = command(join(bin, 'initdb'), ['-D', data, ...options]);
    const made = spawnSync(program, args, { encoding: 'utf8', cwd: '/' });
    assert(made.status === 0, `initdb: ${made.stderr}`);
    const copy = join(folder, 'data');
    const copied = spawnSync('cp', ['-a', data, copy], { encoding: 'utf8' });
    assert(copied.status === 0, `a copy of a cluster: ${copied.stderr}`);
    // Another worker may have made it meanwhile.
    if (!existsSync(kept)) renameSync(copy, kept);
  } catch (error) {
    if (!existsSync(kept)) throw error;
  } finally {
    for (const each of [directory, folder]) rmSync(each, { recursive: true, force: true });
  }
  return kept;
}

/** A server in its own directory. */
export class Cluster {
  readonly directory: string;
  readonly port: number;
  readonly #bin: string;
  #server: ChildProcess | null = null;
  #databases = 0;
  /** Of `sql`, by database, the one that was used last at the end; none of them is in use. */
  readonly #kept = new Map<string, Client>();

  static async make(settings: readonly string[] = []): Promise<Cluster> {
    const cluster = await Cluster.#place();
    cluster.#initialise(settings);
    await cluster.start();
    return cluster;
  }

  /**
   * A copy of this cluster that follows it.
   * @param name what `synchronous_standby_names` of this cluster calls it
   * @param slot a replication slot that is made for it
   */
  async standby(name: string, slot?: string): Promise<Cluster> {
    const cluster = await Cluster.#place();
    const from = `host=127.0.0.1 port=${this.port} user=${USER} application_name=${name}`;
    // Not at once: this process serves connections of the tests meanwhile.
    const made = spawn(
      ...command(join(this.#bin, 'pg_basebackup'), [
        ...['-D', cluster.data, '-d', from, '-R', '-c', 'fast', '--no-sync'],
        ...(slot === undefined ? [] : ['-C', '-S', slot]),
      ]),
      { stdio: 'ignore', cwd: '/' },
    );
    const status = await new Promise((resolve) => made.once('exit', resolve));
    assert(status === 0, 'pg_basebackup');
    await cluster.start();
    return cluster;
  }

  static async #place(): Promise<Cluster> {
    const bin = postgresBin();
    assert(bin !== null, 'PostgreSQL is installed');
    const directory = mkdtempSync(join(SCRATCH, 'majordomo-postgres-'));
    ownedByServer(directory);
    const [port = 0] = await freePorts(1);
    return new Cluster(bin, directory, port);
  }

  private constructor(bin: string, directory: string, port: number) {
    this.#bin = bin;
    this.directory = directory;
    this.port = port;
  }

  get data(): string {
    return join(this.directory, 'data');
  }

  #initialise(settings: readonly string[]): void {
    const copied = spawnSync('cp', ['-a', initialised(this.#bin), this.data], { encoding: 'utf8' });
    assert(copied.status === 0, `a copy of a cluster: ${copied.stderr}`);
    const lines = [
      ...["listen_addresses = '127.0.0.1'", "unix_socket_directories = ''", 'max_connections = 60'],
      // Else what is left of a server that is killed stays in memory.
      'dynamic_shared_memory_type = mmap',
      ...['shared_buffers = 64MB', 'log_min_messages = warning', ...settings],
    ];
    const file = join(this.data, 'postgresql.auto.conf');
    writeFileSync(file, `${lines.join('\n')}\n`);
    chmodSync(file, 0o644);
  }

  async start(): Promise<void> {
    const args = ['-D', this.data, '-p', String(this.port)];
    const [program, all] = command(join(this.#bin, 'postgres'), args);
    this.#server = spawn(program, all, { stdio: ['ignore', 'ignore', 'pipe'], cwd: '/' });
    let log = '';
    this.#server.stderr?.on('data', (bytes: Buffer) => {
      log = `${log}${bytes.toString()}`.slice(-4000);
    });
    await until(
      async () => (await this.#answers()) || this.#server?.exitCode !== null,
      'PostgreSQL answers',
    );
    assert(this.#server.exitCode === null, `the server runs: ${log}`);
  }

  async #answers(): Promise<boolean> {
    try {
      await this.#once('SELECT 1');
      return true;
    } catch {
      return false;
    }
  }

  /** @param how as `pg_ctl stop`: fast (SIGINT) or immediate (SIGQUIT) */
  async stop(how: 'fast' | 'immediate' = 'fast'): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    for (const database of [...this.#kept.keys()]) void this.#letGo(database);
    const ended = new Promise((resolve) => server.once('exit', resolve));
    server.kill(how === 'fast' ? 'SIGINT' : 'SIGQUIT');
    await ended;
  }

  /** To all its processes. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    const server = this.#server;
    if (server === null) return;
    // The server first: it starts no process that would not be listed.
    server.kill(signal);
    signalAll(childrenOf(this.pid), signal);
  }

  /** SIGKILL to all its processes. */
  async kill(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    const children = childrenOf(this.pid);
    this.#server = null;
    for (const database of [...this.#kept.keys()]) void this.#letGo(database);
    const ended = new Promise((resolve) => server.once('exit', resolve));
    server.kill('SIGKILL');
    signalAll(children, 'SIGKILL');
    await ended;
  }

  /** Resolves when commits wait for a standby. */
  async synchronous(): Promise<void> {
    await until(async () => {
      const [row] = await this.sql('SELECT sync_state FROM pg_stat_replication');
      return row?.['sync_state'] === 'sync';
    }, 'the standby is synchronous');
  }

  get pid(): number {
    return this.#server?.pid ?? 0;
  }

  async restart(how: 'fast' | 'immediate' = 'fast'): Promise<void> {
    await this.stop(how);
    await this.start();
  }

  async remove(): Promise<void> {
    await this.stop('immediate');
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Changes settings, as `ALTER SYSTEM`; those that need no restart are in effect afterwards. */
  async configure(settings: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, value] of Object.entries(settings)) {
      await this.sql(`ALTER SYSTEM SET ${name} = '${value}'`);
      await this.sql('SELECT pg_reload_conf()');
      await until(async () => {
        // Of a new connection: an old one reads the file between two statements.
        const [row] = await this.#once(`SELECT current_setting('${name}') = '${value}' AS is_set`);
        return row?.['is_set'] === true;
      }, `${name} = ${value}`);
    }
  }

  /** Lets in whom these lines of pg_hba.conf allow; the tests themselves as before. */
  async admit(lines: readonly string[]): Promise<void> {
    const all = ['local all all trust', ...lines, `host all ${USER} 127.0.0.1/32 trust`];
    const replication = `host replication ${USER} 127.0.0.1/32 trust`;
    writeFileSync(join(this.data, 'pg_hba.conf'), `${[...all, replication].join('\n')}\n`);
    const loadedAt = async (): Promise<unknown> => {
      const [row] = await this.#once('SELECT pg_conf_load_time()::text AS at');
      return row?.['at'];
    };
    const before = await loadedAt();
    await this.sql('SELECT pg_reload_conf()');
    await until(async () => (await loadedAt()) !== before, 'pg_hba.conf is read');
  }

  /** Serves TLS with this certificate. */
  async secure({ certFile, keyFile }: Certificate): Promise<void> {
    for (const [from, name] of [
      [certFile, 'server.crt'],
      [keyFile, 'server.key'],
    ] as const) {
      const path = join(this.data, name);
      copyFileSync(from, path);
      chmodSync(path, 0o600);
      ownedByServer(path);
    }
    appendFileSync(join(this.data, 'postgresql.auto.conf'), "ssl = 'on'\n");
    await this.restart();
  }

  /**
   * Runs statements as the owner of the cluster. What reads is often asked again and again: it goes over a
   * connection that is kept, because making one takes the processor as long as a hundred of them. (Calls of
   * the server's own functions do not: they may have an effect, and such a read is repeated if its connection
   * was ended.)
   */
  async sql(text: string, database = USER): Promise<Record<string, unknown>[]> {
    if (!/^\s*SELECT (?!pg_)/.test(text)) return await this.#once(text, database);
    const kept = this.#kept.get(database);
    this.#kept.delete(database);
    const client = kept ?? (await this.session(database));
    try {
      const { rows } = await client.query<Record<string, unknown>>(text);
      await this.#keep(client, database);
      return rows;
    } catch (error) {
      const isWhole = (error as { readonly severity?: unknown } | null)?.severity === 'ERROR';
      await (isWhole ? this.#keep(client, database) : client.end());
      if (isWhole || kept === undefined) throw error;
      // The server has ended it meanwhile.
      return await this.#once(text, database);
    }
  }

  /** Over a new connection. */
  async #once(text: string, database = USER): Promise<Record<string, unknown>[]> {
    const client = await this.session(database);
    try {
      return (await client.query<Record<string, unknown>>(text)).rows;
    } finally {
      await client.end();
    }
  }

  async #keep(client: Client, database: string): Promise<void> {
    // Another one may have been used at the same time.
    const other = this.#letGo(database);
    this.#kept.set(database, client);
    await other;
    const [oldest = database] = this.#kept.keys();
    if (this.#kept.size > KEPT_MAX) await this.#letGo(oldest);
  }

  async #letGo(database: string): Promise<void> {
    const client = this.#kept.get(database);
    this.#kept.delete(database);
    await client?.end();
  }

  /**
   * A connection of its own, for transactions that stay open. The caller ends it.
   * @param port of a pooler
   */
  async session(database: string, port = this.port): Promise<Client> {
    const client = new Client({ host: '127.0.0.1', port, user: USER, database });
    client.on('error', () => undefined);
    try {
      await client.connect();
    } catch (error) {
      await client.end();
      throw error;
    }
    return client;
  }

  /** A new database. @param from that it is a copy of. @returns its name */
  async database(from = 'template1'): Promise<string> {
    const name = `store_${++this.#databases}`;
    // Nobody may use what is copied.
    await this.#letGo(from);
    await this.#once(`CREATE DATABASE ${name} TEMPLATE ${from}`);
    return name;
  }

  url(database: string, user = USER): string {
    return `postgresql://${user}@127.0.0.1:${this.port}/${database}`;
  }
}
