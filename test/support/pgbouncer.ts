/** PgBouncer for tests, between a broker and a cluster, on a free loopback port. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';

import { assert } from '../../src/core/assert.js';
import { freePorts } from './free-ports.js';
import { command, type Cluster } from './postgres-cluster.js';
import { until } from './until.js';

/** What it is told besides the defaults. */
export interface PoolerOptions {
  /** Databases of the pooler: where each is, in the form of pgbouncer.ini. */
  readonly databases: Readonly<Record<string, string>>;
  /** Lines of the section `pgbouncer`. */
  readonly settings?: readonly string[];
  /** Users and their passwords; without them it lets everybody in. */
  readonly users?: Readonly<Record<string, string>>;
}

async function accepts(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

export class PgBouncer {
  readonly port: number;
  readonly #process: ChildProcess;

  static async start(cluster: Cluster, options: PoolerOptions): Promise<PgBouncer> {
    const [port = 0] = await freePorts(1);
    const { databases, settings = [], users } = options;
    const file = join(cluster.directory, `pgbouncer-${port}.ini`);
    const usersFile = `${file}.users`;
    const lines = [
      ...['[databases]', ...Object.entries(databases).map(([name, at]) => `${name} = ${at}`)],
      ...['[pgbouncer]', 'listen_addr = 127.0.0.1', `listen_port = ${port}`, 'unix_socket_dir ='],
      ...[`auth_type = ${users === undefined ? 'trust' : 'scram-sha-256'}`],
      ...[`auth_file = ${usersFile}`, 'admin_users = postgres', ...settings],
    ];
    const known = Object.entries({ postgres: '', ...users });
    for (const [path, content] of [
      [file, lines],
      [usersFile, known.map(([user, password]) => `"${user}" "${password}"`)],
    ] as const) {
      writeFileSync(path, `${content.join('\n')}\n`);
      chmodSync(path, 0o644);
    }
    const child = spawn(...command('/usr/sbin/pgbouncer', [file]), { stdio: 'ignore', cwd: '/' });
    await until(async () => child.exitCode !== null || (await accepts(port)), 'PgBouncer listens');
    assert(child.exitCode === null, 'PgBouncer runs');
    return new PgBouncer(port, child);
  }

  private constructor(port: number, process: ChildProcess) {
    this.port = port;
    this.#process = process;
  }

  url(database: string, user = 'postgres'): string {
    return `postgresql://${user}@127.0.0.1:${this.port}/${database}`;
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGKILL');
    await ended;
  }
}
