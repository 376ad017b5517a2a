/**
 * A pair of real daemons, with a network of the test's own between them: a relay on this machine, or
 * hosts of their own (`hosts.ts`). For `afterEach`: `removePairs`.
 *
 * ```ts
 * const pair = await startPairOfDaemons();
 * const active = await pair.inSync();
 * await pair.node(active).kill();
 * await pair.start(active);
 * ```
 */
import { join } from 'node:path';

import { present } from '../../src/core/assert.js';
import { messageOf } from '../../src/core/errors.js';
import { run } from './child.js';
import { Daemon, type LogLine, removeDaemons, temporaryDirectory } from './daemon.js';
import { freePorts } from './free-ports.js';
import { tokenOf } from './http.js';
import { type StoredPair, storedPair } from './pair-content.js';
import { pairKeys } from './pair-keys.js';
import { closeRelays, TcpRelay } from './tcp-relay.js';
import { Patience, PATIENCE_MS } from './patience.js';

export const ROLES = ['primary', 'backup'] as const;
export type PairRole = (typeof ROLES)[number];

export interface PairOptions {
  /** Default 2000: a busy machine rarely stalls a node for two of them. */
  readonly heartbeatIntervalMs?: number;
  /** No relay between them: the link cannot be cut and is not delayed. */
  readonly direct?: boolean;
  /** A configuration file for both nodes; the settings here take precedence. */
  readonly file?: string;
  /** Further `--set` options, `key=value`, for both nodes or one. */
  readonly sets?: readonly string[];
  readonly setsOf?: Partial<Record<PairRole, readonly string[]>>;
  readonly environmentOf?: Readonly<Record<PairRole, Readonly<Record<string, string>>>>;
}

/** The answer of `/api/v1/ha`, as far as tests need it. */
export interface HaSeen {
  readonly state: 'waiting' | 'passive' | 'joining' | 'active';
  readonly epoch: number;
  readonly inSync: boolean;
  readonly keysDiffer: boolean | null;
  readonly degraded: readonly { readonly code: string; readonly text: string }[];
  readonly peer: { readonly up: boolean } | null;
}

const LOOK_MS = 25;

export function otherOf(role: PairRole): PairRole {
  return role === 'primary' ? 'backup' : 'primary';
}

interface Place {
  readonly dataDir: string;
  readonly host: string;
  /** Its network namespace; `null`: this process's. */
  readonly netns: string | null;
  readonly broker: number;
  readonly peer: number;
  readonly http: number;
  /** Where it reaches the other node. */
  readonly finds: string;
}

/** The address of each node, and its namespace. */
export interface PairHosts {
  readonly addressOf: (role: PairRole) => string;
  readonly netnsOf: (role: PairRole) => string;
}

export class PairOfDaemons {
  readonly #link: TcpRelay | null;
  readonly heartbeatIntervalMs: number;
  readonly #places: Readonly<Record<PairRole, Place>>;
  readonly #options: PairOptions;
  /** main.js of another version, for the nodes that run it. */
  readonly programs = new Map<PairRole, string>();
  readonly #nodes = new Map<PairRole, Daemon>();
  /** All processes so far, for their logs. */
  readonly #lives: Daemon[] = [];

  constructor(
    places: Readonly<Record<PairRole, Place>>,
    link: TcpRelay | null,
    options: PairOptions,
  ) {
    this.#places = places;
    this.#options = options;
    this.#link = link;
    this.heartbeatIntervalMs = options.heartbeatIntervalMs ?? 2000;
  }

  /** Between the backup, which dials, and the primary. */
  get link(): TcpRelay {
    return present(this.#link, 'there is a relay between the nodes');
  }

  /** For clients and workers. */
  get endpoints(): string[] {
    return ROLES.map((role) => this.endpointOf(role));
  }

  endpointOf(role: PairRole): string {
    const { host, broker } = this.#places[role];
    return `tcp://${host}:${broker}`;
  }

  dataDirOf(role: PairRole): string {
    return this.#places[role].dataDir;
  }

  peerPortOf(role: PairRole): number {
    return this.#places[role].peer;
  }

  httpOf(role: PairRole): string {
    const { host, http } = this.#places[role];
    return `http://${host}:${http}`;
  }

  node(role: PairRole): Daemon {
    return present(this.#nodes.get(role), `the ${role} was started`);
  }

  runs(role: PairRole): boolean {
    return this.#nodes.get(role)?.ended === false;
  }

  /** Log lines of one event, from all processes of both nodes. */
  logged(event: string): LogLine[] {
    return this.#lives.flatMap((daemon) => daemon.logged(event));
  }

  /** Waits until one of them has logged it: HTTP may show a state before the log does. */
  /** The highest epoch of an active node that met another one; 0: none has. */
  get lastSplit(): number {
    const epochs = this.logged('ha.split').flatMap(({ epoch, peerEpoch }) => [epoch, peerEpoch]);
    return Math.max(0, ...epochs.map(Number));
  }

  async untilLogged(event: string): Promise<LogLine> {
    return await Promise.any(this.#lives.map((daemon) => daemon.waitFor(event)));
  }

  /** Starts a process without waiting for it. */
  launch(role: PairRole, sets: readonly string[] = [], newStore = false): Daemon {
    const { dataDir, host, netns, peer, http, finds } = this.#places[role];
    const program = this.programs.get(role);
    const daemon = new Daemon({
      dataDir,
      newStore,
      ...(program === undefined ? {} : { program }),
      endpoint: this.endpointOf(role),
      ...(netns === null ? {} : { netns }),
      environment: this.#options.environmentOf?.[role] ?? {},
      ...(this.#options.file === undefined ? {} : { file: this.#options.file }),
      sets: [
        `node.name=${role}`,
        // The namespaces contain no other processes, so the link needs no keys.
        ...(netns === null ? [] : [openListener(this.endpointOf(role))]),
        `http.listen=${host}:${http}`,
        `bstar.role=${role}`,
        `bstar.listen=tcp://${host}:${peer}`,
        `bstar.peer=${finds}`,
        `bstar.heartbeatIntervalMs=${this.heartbeatIntervalMs}`,
        ...(this.#options.sets ?? []),
        ...(this.#options.setsOf?.[role] ?? []),
        ...sets,
      ],
    });
    this.#nodes.set(role, daemon);
    this.#lives.push(daemon);
    return daemon;
  }

  /** Starts a process, and waits until it is ready. */
  async start(role: PairRole): Promise<Daemon> {
    const daemon = this.launch(role);
    await daemon.waitFor('broker.ready');
    return daemon;
  }

  /** A node's own status; `null` if it does not answer. */
  async look(role: PairRole, timeoutMs = 1000): Promise<HaSeen | null> {
    if (!this.runs(role)) return null;
    try {
      const signal = AbortSignal.timeout(timeoutMs);
      const headers = this.#rights(role);
      const answer = await fetch(`${this.httpOf(role)}/api/v1/ha`, { headers, signal });
      return (await answer.json()) as HaSeen;
    } catch {
      return null;
    }
  }

  /** Waits until a node reports the expected status. */
  async until(
    role: PairRole,
    what: string,
    is: (seen: HaSeen) => boolean,
    patience = new Patience(),
  ): Promise<HaSeen> {
    for (;;) {
      const seen = await this.look(role);
      if (seen !== null && is(seen)) return seen;
      await patience.pause(LOOK_MS);
      if (!patience.isOver) continue;
      throw new Error(`the ${role} is not ${what}, but ${JSON.stringify(seen)}\n${this.history()}`);
    }
  }

  /** Waits until one node is active with the other in sync; returns the active one. */
  async inSync(patience = new Patience()): Promise<PairRole> {
    while (!patience.isOver) {
      const seen = await Promise.all(ROLES.map((role) => this.look(role)));
      const at = seen.findIndex((each) => each?.state === 'active' && each.inSync);
      if (at >= 0 && seen[1 - at]?.state === 'passive') return present(ROLES[at], 'one of two');
      await patience.pause(LOOK_MS);
    }
    throw new Error(`the nodes do not come in sync\n${this.history()}`);
  }

  /** Runs this with the one node active, and again with the other. */
  async atBoth(check: () => Promise<void>): Promise<void> {
    const patience = new Patience(2 * PATIENCE_MS);
    for (const led = new Set<PairRole>(); ;) {
      const active = await this.inSync();
      await check();
      // A busy machine may have changed that meanwhile.
      if ((await this.inSync()) === active) led.add(active);
      if (led.size === ROLES.length) return;
      const why = led.has(active) ? await this.switchover(active) : 'it changed';
      if (patience.isOver) throw new Error(`${why}\n${this.history()}`);
    }
  }

  /** Makes the active node hand over; retries while it is out of sync or the peer is late. */
  async switchedOver(from: PairRole): Promise<void> {
    const patience = new Patience();
    for (;;) {
      const active = await this.inSync();
      const why = active === from ? await this.switchover(from) : `the ${from} is passive`;
      if (why === null) return;
      const isPassing = /the peer (is not in sync|did not take over)/.test(why);
      if (isPassing && !patience.isOver) continue;
      throw new Error(`${why}\n${this.history()}`);
    }
  }

  /** Sends a command to the active node. @returns the reason for a refusal, or `null` */
  async switchover(from: PairRole, timeoutMs = PATIENCE_MS): Promise<string | null> {
    try {
      const answer = await fetch(`${this.httpOf(from)}/api/v1/ha/switchover`, {
        method: 'POST',
        headers: this.#rights(from),
        signal: AbortSignal.timeout(timeoutMs),
      });
      return answer.ok ? null : await answer.text();
    } catch (error) {
      return messageOf(error);
    }
  }

  /** Stops both nodes, the passive one first, and compares their disks. */
  async rest(): Promise<StoredPair> {
    const active = await this.inSync();
    for (const role of [otherOf(active), active]) {
      const node = this.node(role);
      const { status } = await node.stop();
      if (status !== 0) throw new Error(`the ${role} ended with ${status}: ${node.stderr}`);
    }
    const [first, second] = ROLES.map((role) => join(this.dataDirOf(role), 'titanic.db'));
    const paths = [present(first, 'a file'), present(second, 'a file')] as const;
    for (const [n, path] of paths.entries()) {
      const program = this.programs.get(present(ROLES[n], 'a role'));
      const its = program === undefined ? {} : { program };
      const { status, stderr } = await run(['verify', path], its);
      if (status !== 0) throw new Error(`verify ${path}: ${stderr}`);
    }
    return storedPair(...paths);
  }

  #rights(role: PairRole): Record<string, string> {
    return { authorization: `Bearer ${tokenOf(this.node(role))}` };
  }

  /** The last log lines about the pair of all processes of both nodes, in order of time. */
  history(): string {
    return this.#lives
      .flatMap((daemon, life) =>
        daemon.log
          .filter(({ event }) => /^(ha|broker)[.]/.test(event ?? ''))
          .map((line): LogLine => ({ life, pid: daemon.pid, ...line })),
      )
      .sort((a, b) => String(a['time']).localeCompare(String(b['time'])))
      .slice(-80)
      .map((line) => JSON.stringify(line))
      .join('\n');
  }
}

/** Two nodes, not started yet. */
export async function pairOfDaemons(options: PairOptions = {}): Promise<PairOfDaemons> {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = await freePorts(6);
  const link = options.direct === true ? null : await new TcpRelay(b).listen();
  const [host, netns] = ['127.0.0.1', null];
  const found = (port: number): string => `tcp://${host}:${port}`;
  const primary = { host, netns, broker: a, peer: b, http: c, finds: found(e) };
  const backup = { host, netns, broker: d, peer: e, http: f, finds: found(link?.port ?? b) };
  return new PairOfDaemons(
    {
      primary: { ...primary, dataDir: temporaryDirectory() },
      backup: { ...backup, dataDir: temporaryDirectory() },
    },
    link,
    options,
  );
}

/** Each on its own host, not started yet. */
async function pairOnHosts(hosts: PairHosts, options: PairOptions = {}): Promise<PairOfDaemons> {
  const [broker, peer, http] = [5555, 5590, 5580];
  const place = (role: PairRole): Place => ({
    dataDir: temporaryDirectory(),
    host: hosts.addressOf(role),
    netns: hosts.netnsOf(role),
    broker,
    peer,
    http,
    finds: `tcp://${hosts.addressOf(otherOf(role))}:${peer}`,
  });
  return new PairOfDaemons({ primary: place('primary'), backup: place('backup') }, null, {
    ...options,
    // No other hosts are on the switch.
    sets: [...(options.sets ?? []), 'http.insecure=true'],
    setsOf: await pairKeys(),
  });
}

/** Two nodes that are running and in sync. */
export async function startPairOfDaemons(
  options: PairOptions = {},
  hosts: PairHosts | null = null,
): Promise<PairOfDaemons> {
  const pair = await (hosts === null ? pairOfDaemons(options) : pairOnHosts(hosts, options));
  await Promise.all(ROLES.map((role) => pair.start(role)));
  await pair.inSync();
  return pair;
}

export async function removePairs(): Promise<void> {
  closeRelays();
  await removeDaemons();
}

/** `--set` options for a network without keys. */
function openListener(endpoint: string): string {
  return `broker.listen=[{endpoint: "${endpoint}", insecure: true, mmi: full}]`;
}
