/** The two nodes of the demonstration: starts them, asks them over HTTP, and kills them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';

type Role = 'primary' | 'backup';

/** Ports that are free on this machine now. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer();
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** The part of `/api/v1/ha` that the demonstration uses. */
interface Seen {
  readonly state: string;
  readonly inSync: boolean;
}

export class Node {
  readonly endpoint: string;
  readonly role: Role;
  readonly #program: string;
  readonly #http: string;
  readonly #sets: readonly string[];
  #process: ChildProcess | null = null;

  constructor(program: string, directory: string, role: Role, own: Ports, peer: Ports) {
    this.role = role;
    this.endpoint = `tcp://127.0.0.1:${own.broker}`;
    this.#program = program;
    this.#http = `127.0.0.1:${own.http}`;
    this.#sets = [
      `node.name=${role}`,
      `node.dataDir=${join(directory, role)}`,
      `broker.listen=${this.endpoint}`,
      `bstar.role=${role}`,
      'bstar.pair=demo',
      `bstar.listen=tcp://127.0.0.1:${own.peer}`,
      `bstar.peer=tcp://127.0.0.1:${peer.peer}`,
      `http.listen=${this.#http}`,
      'log.level=fatal',
    ];
  }

  start(): void {
    const args = this.#sets.flatMap((set) => ['--set', set]);
    this.#process = spawn(process.execPath, [this.#program, 'serve', ...args], {
      // In a process group of its own: Ctrl-C reaches the demonstration only, which still needs both nodes.
      detached: true,
      // The fatal lines of its log.
      stdio: ['ignore', 'inherit', 'ignore'],
    });
  }

  kill(): void {
    this.#process?.kill('SIGKILL');
    this.#process = null;
  }

  /** `null`: it does not answer. */
  async look(): Promise<Seen | null> {
    if (this.#process === null) return null;
    try {
      const signal = AbortSignal.timeout(500);
      const answer = await fetch(`http://${this.#http}/api/v1/ha`, { signal });
      return (await answer.json()) as Seen;
    } catch {
      return null;
    }
  }
}

interface Ports {
  readonly broker: number;
  readonly peer: number;
  readonly http: number;
}

export async function twoNodes(program: string, directory: string): Promise<readonly Node[]> {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = await freePorts(6);
  const primary = { broker: a, peer: b, http: c };
  const backup = { broker: d, peer: e, http: f };
  return [
    new Node(program, directory, 'primary', primary, backup),
    new Node(program, directory, 'backup', backup, primary),
  ];
}
