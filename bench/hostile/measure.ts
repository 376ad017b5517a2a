/** One scene: a broker, well-behaved peers and the attacker; first at rest, then under attack. */
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';

import type { CurveOptions } from '../../src/sdk/client.js';
import { Attacker } from '../../test/support/attacker.js';
import { HOSTILE_RECEIVERS, HTTP_TOKEN } from '../../test/support/attacks.js';
import { type Daemon, startDaemon, temporaryDirectory } from '../../test/support/daemon.js';
import { Cluster } from '../../test/support/postgres-cluster.js';
import { WebhookReceiver } from '../../test/support/webhook-receiver.js';
import { makeKeys } from '../curve-keys.js';
import { Quiet, SERVICES, type Waits } from './quiet.js';
import type { Scene } from './scenes.js';

const MAIN = join(process.cwd(), 'build', 'program', 'main.js');
const WARM_UP_SECONDS = 2;
const SAMPLE_MS = 50;
const KIB = 1024;
const TOKENS = `http.tokens=[{name: attacker, role: request, token: ${HTTP_TOKEN}, client: ["*"]}]`;

export interface Options {
  readonly seconds: number;
  /** `limits.memoryBytes`. */
  readonly memoryBytes: number;
  /** The directory for a CPU profile of each broker; null: no profiles. */
  readonly profiles: string | null;
}

export interface Measured {
  readonly scene: Scene;
  readonly rest: Waits;
  readonly attacked: Waits;
  /** The attacker's messages or connections. */
  readonly sent: number;
  /** The largest increase of resident memory during the attack. */
  readonly grownBytes: number;
  readonly workersLost: number;
  /** Why the broker is gone: it ended, or another process could take its port. */
  readonly gone: string | null;
}

interface Place {
  readonly sets: readonly string[];
  readonly curve: CurveOptions | null;
  readonly serverKey: string;
}

export async function measure(scene: Scene, options: Options): Promise<Measured> {
  const { sets, curve, serverKey } = placeOf(scene);
  const { before } = scene;
  const profile = options.profiles;
  const database = scene.atDatabase === true ? await databaseWithStranger() : null;
  const receiver = scene.tells === true ? await WebhookReceiver.open() : null;
  const daemon = await startDaemon({
    sets: [
      `limits.memoryBytes=${options.memoryBytes}`,
      ...(scene.atEvents === true ? ['events.listen=tcp://127.0.0.1:0'] : []),
      ...(scene.atHttp === true ? ['http.listen=127.0.0.1:0', TOKENS] : []),
      ...(receiver?.sets(...HOSTILE_RECEIVERS) ?? []),
      ...(database === null ? [] : [`titanic.store=${database.url}`]),
      ...(scene.sets ?? []),
      ...sets,
    ],
    ...(before === undefined ? {} : { before }),
    ...(profile === null
      ? {}
      : { nodeOptions: ['--cpu-prof', `--cpu-prof-dir=${join(profile, scene.name)}`] }),
  });
  const { endpoint } = daemon;
  const quiet = await Quiet.begin({ endpoint, curve, stores: scene.stores === true, receiver });
  const { attack, count } = scene;
  const target =
    scene.atEvents === true
      ? addressOf(daemon, 'events')
      : scene.atHttp === true
        ? addressOf(daemon, 'http')
        : (database?.strangersUrl ?? endpoint);
  const attacker = await Attacker.prepare(attack, target, { count, serverKey, endpoint });
  try {
    await quiet.measure(Math.min(WARM_UP_SECONDS, options.seconds));
    const rest = await quiet.measure(options.seconds);
    const memory = new Memory(daemon.pid);
    await attacker.begin();
    const attacked = await quiet.measure(options.seconds);
    const gone = daemon.ended
      ? 'the broker ended'
      : (await isListening(endpoint))
        ? null
        : 'its port was free';
    const grownBytes = memory.grownBytes();
    const workersLost = lostBy(daemon);
    const sent = await attacker.end();
    return { scene, rest, attacked, sent, grownBytes, workersLost, gone };
  } finally {
    attacker.kill();
    await quiet.end();
    await receiver?.close();
    // Node writes a profile when the process exits.
    await (profile === null ? daemon.kill() : daemon.stop());
    await database?.server.remove();
  }
}

async function databaseWithStranger(): Promise<{
  readonly server: Cluster;
  readonly url: string;
  readonly strangersUrl: string;
}> {
  const server = await Cluster.make();
  await server.sql('CREATE ROLE stranger LOGIN');
  const name = await server.database();
  return { server, url: server.url(name), strangersUrl: server.url(name, 'stranger') };
}

function placeOf(scene: Scene): Place {
  if (scene.curve !== true) return { sets: [], curve: null, serverKey: '' };
  const keys = makeKeys(MAIN, temporaryDirectory());
  if (keys === null) throw new Error('keygen made no keys');
  const { serverKey, publicKey, secretKey, listener } = keys;
  return {
    sets: [`broker.listen=[{endpoint: "tcp://127.0.0.1:0", curve: ${listener}}]`],
    curve: {
      serverKey: Buffer.from(serverKey, 'hex'),
      publicKey: Buffer.from(publicKey, 'hex'),
      secretKey: Buffer.from(secretKey, 'hex'),
    },
    serverKey,
  };
}

function addressOf(daemon: Daemon, of: 'events' | 'http'): string {
  const [line] = daemon.logged('broker.ready');
  return String(line?.[of]);
}

function lostBy(daemon: Daemon): number {
  const honest = new Set<unknown>(SERVICES);
  return daemon
    .logged('worker.lost')
    .filter((line) => honest.has(line['service']))
    .reduce((sum, line) => sum + 1 + Number(line['leftOut'] ?? 0), 0);
}

/** Whether no other process can listen there. */
async function isListening(endpoint: string): Promise<boolean> {
  const { hostname, port } = new URL(endpoint.replace('tcp:', 'http:'));
  const server = createServer();
  server.listen(Number(port), hostname);
  try {
    await once(server, 'listening');
    server.close();
    return false;
  } catch {
    return true;
  }
}

/** Samples a process's resident memory continuously. */
class Memory {
  readonly #pid: number;
  readonly #before: number;
  readonly #timer: NodeJS.Timeout;
  #most = 0;

  constructor(pid: number) {
    this.#pid = pid;
    this.#before = this.#now();
    this.#timer = setInterval(() => {
      this.#most = Math.max(this.#most, this.#now());
    }, SAMPLE_MS);
  }

  grownBytes(): number {
    clearInterval(this.#timer);
    return Math.max(0, this.#most - this.#before);
  }

  /** 0 if the process has ended. */
  #now(): number {
    try {
      const status = readFileSync(`/proc/${this.#pid}/status`, 'latin1');
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * KIB;
    } catch {
      return 0;
    }
  }
}
