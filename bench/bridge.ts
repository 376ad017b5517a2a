/**
 * What `majordomo worker --to` costs, at one request outstanding: the same REQ client asks a REP server in C itself, a
 * worker of the SDK, and the REP server behind `worker --to`. Two processes of Node.js that pass on bytes, and do nothing
 * else, in the places of broker and worker show what of that no program can save.
 *
 *     npm run bench:bridge
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';

import { Request } from 'zeromq';

/** The best of them counts, each by its median. */
const ROUNDS = 7;
const WARMUP = 2000;
const REQUESTS = 5000;
const BODY = Buffer.alloc(16, 'x');
const MAIN = fileURLToPath(new URL('../program/main.js', import.meta.url));
const SDK_WORKER = fileURLToPath(new URL('sdk/worker.js', import.meta.url));
const RELAY = fileURLToPath(new URL('relay.js', import.meta.url));
const SOURCE = join(process.cwd(), 'test/interop/programs/rep_server.c');

const directory = mkdtempSync(join(tmpdir(), 'bench-bridge-'));
const file = (name: string): string => `${directory}/${name}`;
const at = (name: string): string => `ipc://${file(name)}`;
const ended: (() => void)[] = [];

/** Starts a program, and waits until it has printed a text. */
async function start(text: string, command: string, ...args: readonly string[]): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  ended.push(() => void child.kill('SIGKILL'));
  let said = '';
  for (const output of [child.stdout, child.stderr]) {
    output.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-10_000)));
  }
  const ready = (): boolean => said.includes(text);
  while (!ready()) await Promise.race([once(child.stdout, 'data'), once(child.stderr, 'data')]);
}

/** Microseconds of each request, sorted. */
async function measure(endpoint: string): Promise<readonly number[]> {
  const socket = new Request({ linger: 0 });
  socket.connect(endpoint);
  const times: number[] = [];
  for (let number = 0; number < WARMUP + REQUESTS; number++) {
    const began = performance.now();
    await socket.send(BODY);
    await socket.receive();
    if (number >= WARMUP) times.push((performance.now() - began) * 1000);
  }
  socket.close();
  return times.sort((a, b) => a - b);
}

const PATHS = {
  bare: 'REQ, REP',
  relayed: 'REQ, bytes passed on twice, REP',
  echo: 'REQ, broker, worker of the SDK',
  bridge: 'REQ, broker, worker --to, REP',
} as const;

try {
  const server = join(directory, 'rep_server');
  execFileSync('gcc', ['-O2', '-D_GNU_SOURCE', '-o', server, SOURCE, '-lzmq']);
  const listen = ['echo', 'bridge'].map((service) => ({
    endpoint: at(service),
    service,
    allow: ['client'],
  }));
  const sets = [
    `broker.listen=${JSON.stringify([{ endpoint: at('mdp') }, ...listen])}`,
    `node.dataDir=${directory}`,
    'http.listen=off',
    'titanic.enabled=false',
  ].flatMap((set) => ['--set', set]);
  await start('broker.ready', process.execPath, MAIN, 'serve', ...sets);
  for (const name of ['bare', 'behind']) await start('listening', server, at(name));
  await start('listening', process.execPath, RELAY, file('relay'), file('bare'));
  await start('listening', process.execPath, RELAY, file('relayed'), file('relay'));
  await start('ready', process.execPath, SDK_WORKER, at('mdp'), 'zmtp', '1');
  const line = [MAIN, 'worker', 'bridge', '--endpoint', at('mdp'), '--to', at('behind')];
  await start('registered', process.execPath, ...line);
  const medians = new Map<string, number[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const path of Object.keys(PATHS)) {
      const times = await measure(at(path));
      medians.set(path, [...(medians.get(path) ?? []), times[times.length >> 1] ?? NaN]);
    }
  }
  // Whatever else runs on the machine only makes it slower.
  const best = (path: string): number => Math.min(...(medians.get(path) ?? []));
  for (const [path, title] of Object.entries(PATHS)) {
    const ratios = ['echo', 'bare'].map((other) => (best(path) / best(other)).toFixed(2));
    process.stdout.write(
      `${title}: ${best(path).toFixed(0)} µs, ${ratios[0]} × the SDK, ${ratios[1]} × bare\n`,
    );
  }
} finally {
  for (const end of ended) end();
  rmSync(directory, { recursive: true });
}
