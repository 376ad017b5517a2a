/** A pair of brokers with configuration files of their own: A is ended again and again, B lives through the run. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { MAIN } from '../../test/support/child.js';
import type { LogLine } from '../../test/support/daemon.js';
import { freePorts, freePortsInARow } from '../../test/support/free-ports.js';
import { MetricsPage } from '../../test/support/metrics.js';
import type { HaSeen } from '../../test/support/pair-daemons.js';
import { newSecret } from '../../test/support/webhook-receiver.js';
import { ASKED_OPTIONS, liveOf } from './live.js';

const LOOK_MS = 50;
const ASK_MS = 5000;
const PATIENCE_MS = 120_000;
/** After SIGTERM: `shutdown.graceMs`, and what a busy machine takes. */
const END_MS = 30_000;
const PORTS_OF_MAP = 3;
const READ_BYTES = 65_536;
/** What nobody closes, keys and marks of what was closed are forgotten after that: the store stops growing. */
const KEPT_MS = 120_000;
export const TOKEN = 'soak-soak-soak-soak-soak';

export class Node {
  readonly name: string;
  readonly endpoint: string;
  readonly map: string;
  readonly http: string;
  readonly #directory: string;
  #child: ChildProcess | null = null;
  #read = 0;
  #rest = '';

  /** @param config as in a file, which it becomes; a file in JSON is one in YAML */
  constructor(
    directory: string,
    config: object,
    places: Pick<Node, 'name' | 'endpoint' | 'map' | 'http'>,
  ) {
    this.#directory = directory;
    this.name = places.name;
    this.endpoint = places.endpoint;
    this.map = places.map;
    this.http = places.http;
    mkdirSync(directory);
    writeFileSync(this.config, JSON.stringify(config, null, 2));
  }

  get store(): string {
    return join(this.#directory, 'data', 'titanic.db');
  }

  get config(): string {
    return join(this.#directory, 'majordomo.yaml');
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get runs(): boolean {
    return this.#child !== null;
  }

  /** Starts it, and waits until it answers. */
  async start(): Promise<void> {
    const log = openSync(join(this.#directory, 'log'), 'a');
    const child = spawn(process.execPath, [...ASKED_OPTIONS, MAIN, 'serve', '-c', this.config], {
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    const end = (): void => void child.kill('SIGKILL');
    process.once('exit', end);
    child.once('exit', () => {
      process.off('exit', end);
      this.#child = null;
    });
    this.#child = child;
    await until(async () => {
      if (!this.runs) throw new Error(`${this.name} ended at once, with ${child.exitCode}`);
      return (await this.look()) !== null;
    }, `${this.name} answers`);
  }

  /** @returns what is wrong with how it ended; `null`: nothing is */
  async end(signal: NodeJS.Signals): Promise<string | null> {
    const child = this.#child;
    if (child === null) return null;
    const began = performance.now();
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
    const tookMs = performance.now() - began;
    const how = `${this.name} ended with ${child.exitCode} after ${signal} and ${Math.round(tookMs)} ms`;
    if (signal === 'SIGTERM' && (child.exitCode !== 0 || tookMs > END_MS)) return how;
    return null;
  }

  /** Its state; `null`: it does not answer. */
  async look(): Promise<HaSeen | null> {
    const text = await this.#get('/api/v1/ha');
    return text === null ? null : (JSON.parse(text) as HaSeen);
  }

  /** See `live.ts`; `null`: it does not answer. */
  async live(): Promise<number | null> {
    return this.#child === null ? null : await liveOf(this.#child);
  }

  async metrics(): Promise<MetricsPage | null> {
    const text = await this.#get('/metrics');
    return text === null ? null : new MetricsPage(text);
  }

  async #get(path: string): Promise<string | null> {
    if (!this.runs) return null;
    try {
      const answer = await fetch(this.http + path, { signal: AbortSignal.timeout(ASK_MS) });
      const text = await answer.text();
      return answer.ok ? text : null;
    } catch {
      return null;
    }
  }

  /** The lines that its log has got since the last call. */
  news(): LogLine[] {
    const file = openSync(join(this.#directory, 'log'), 'r');
    const chunk = Buffer.alloc(READ_BYTES);
    const lines: LogLine[] = [];
    for (;;) {
      const length = readSync(file, chunk, 0, READ_BYTES, this.#read);
      if (length === 0) break;
      this.#read += length;
      const parts = (this.#rest + chunk.toString('latin1', 0, length)).split('\n');
      this.#rest = parts.pop() ?? '';
      for (const line of parts) lines.push(lineOf(line));
    }
    closeSync(file);
    return lines;
  }
}

function lineOf(text: string): LogLine {
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    // What is no line of the log is something that should not be said at all.
    return { event: `said: ${text.slice(0, 80)}`, level: 'error' };
  }
}

export class Pair {
  readonly a: Node;
  readonly b: Node;

  static async make(directory: string, hooks: string): Promise<Pair> {
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = await freePorts(6);
    const maps = [await freePortsInARow(PORTS_OF_MAP), await freePortsInARow(PORTS_OF_MAP)];
    const secret = join(directory, 'webhook.secret');
    writeFileSync(secret, `${newSecret()}\n`, { mode: 0o600 });
    const at = (port = 0): string => `tcp://127.0.0.1:${port}`;
    const node = (name: string, role: string, ports: readonly number[], peer: number): Node => {
      const [broker, http = 0, link, map] = ports;
      const own = join(directory, name);
      const config = {
        node: { name, dataDir: join(own, 'data') },
        broker: { listen: at(broker) },
        bstar: { role, listen: at(link), peer: at(peer) },
        http: {
          listen: `127.0.0.1:${http}`,
          tokens: [
            { name: 'soak', role: 'request', token: TOKEN, client: ['echo', 'jobs', 'parts'] },
          ],
          webhookHosts: hooks,
          webhookSecretFile: secret,
        },
        titanic: { replyTtlMs: KEPT_MS, keyTtlMs: KEPT_MS },
        map: { listen: at(map) },
        log: { format: 'json' },
      };
      const places = { name, endpoint: at(broker), map: at(map), http: `http://127.0.0.1:${http}` };
      return new Node(own, config, places);
    };
    const [first = 0, second = 0] = maps;
    return new Pair(
      node('A', 'primary', [a, b, c, first], f),
      node('B', 'backup', [d, e, f, second], c),
    );
  }

  private constructor(a: Node, b: Node) {
    this.a = a;
    this.b = b;
  }

  get nodes(): readonly Node[] {
    return [this.a, this.b];
  }

  /** Waits until one of them is active and the other one in sync; returns the active one. */
  async inSync(): Promise<Node> {
    let active = this.a;
    await until(async () => {
      const [a, b] = await Promise.all(this.nodes.map((node) => node.look()));
      active = a?.state === 'active' ? this.a : this.b;
      const [one, other] = active === this.a ? [a, b] : [b, a];
      return one?.state === 'active' && one.inSync && other?.state === 'passive';
    }, 'the pair is in sync');
    return active;
  }

  /** Makes A active, as an operator does. */
  async handOver(): Promise<void> {
    await until(async () => {
      if ((await this.inSync()) === this.a) return true;
      const command = [MAIN, 'ha', 'switchover', '-c', this.b.config];
      const child = spawn(process.execPath, command, { stdio: 'ignore' });
      await once(child, 'exit');
      return false;
    }, 'A is active');
  }

  /** The logs, to be shown where something is wrong. */
  told(bytes: number): string {
    return this.nodes
      .map(({ name, config }) => {
        const log = readFileSync(config.replace('majordomo.yaml', 'log'), 'utf8');
        return `${name}, the end of its log:\n${log.slice(-bytes)}`;
      })
      .join('\n');
  }
}

export async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  const began = performance.now();
  while (!(await holds())) {
    if (performance.now() - began > PATIENCE_MS) throw new Error(`not within 2 minutes: ${what}`);
    await pause(LOOK_MS);
  }
}
