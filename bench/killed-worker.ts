/**
 * How soon the request of a killed worker reaches another one (D15): a worker process gets a
 * request and is killed with -9; measured from the kill to the REQUEST at the other worker.
 *
 *     npm run bench:killed-worker
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';

import { Client } from '../src/sdk/client.js';
import { Worker } from '../src/sdk/worker.js';

const KILLS = 100;
const SERVICE = 'work';
const MAIN = fileURLToPath(new URL('../program/main.js', import.meta.url));
const SELF = fileURLToPath(import.meta.url);

/** Runs in the process that is killed: takes a request, reports it, and never answers it. */
async function victim(endpoint: string): Promise<void> {
  const worker = new Worker({ endpoints: [endpoint], service: SERVICE }, () => {
    process.send?.('taken');
    return new Promise<never>(() => undefined);
  });
  await worker.run();
}

interface Broker {
  readonly endpoint: string;
  stop(): Promise<void>;
}

async function startBroker(transport: string): Promise<Broker> {
  const directory = mkdtempSync(join(tmpdir(), 'killed-worker-'));
  const sets = [
    `broker.listen=[{endpoint: "tcp://127.0.0.1:0", transport: ${transport}}]`,
    `node.dataDir=${directory}`,
    'titanic.enabled=false',
  ];
  const child = spawn(process.execPath, [MAIN, 'serve', ...sets.flatMap((set) => ['--set', set])], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let text = '';
  let endpoint: string | undefined;
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (chunk: string) => {
    text += chunk;
    endpoint ??= /"endpoints":\["([^"]+)"/.exec(text)?.[1];
  });
  while (endpoint === undefined) await once(child.stdout, 'data');
  return {
    endpoint,
    stop: async () => {
      child.kill();
      await once(child, 'exit');
      rmSync(directory, { recursive: true });
    },
  };
}

/** Milliseconds from the kill to the arrival of the request at this process's worker. */
async function killOne(endpoint: string): Promise<number> {
  const child: ChildProcess = fork(SELF, ['victim', endpoint]);
  const client = new Client({ endpoints: [endpoint], timeoutMs: 30_000 });
  const reply = client.request(SERVICE, 'x');
  await once(child, 'message');
  let arrivedAt = 0;
  const survivor = new Worker({ endpoints: [endpoint], service: SERVICE }, (request) => {
    arrivedAt = performance.now();
    return request.frames;
  });
  const run = survivor.run();
  await registered(client, 2);
  const killedAt = performance.now();
  child.kill('SIGKILL');
  await reply;
  await survivor.close({ graceMs: 1000 });
  await run;
  await client.close();
  return arrivedAt - killedAt;
}

async function registered(client: Client, count: number): Promise<void> {
  for (;;) {
    const [, list] = (await client.request('mmi.workers', SERVICE)).frames;
    const found: unknown = JSON.parse(list?.toString() ?? '[]');
    if (Array.isArray(found) && found.length === count) return;
  }
}

function percentile(sorted: readonly number[], share: number): string {
  return (sorted[Math.ceil(sorted.length * share) - 1] ?? NaN).toFixed(1);
}

async function measure(transport: string): Promise<void> {
  const broker = await startBroker(transport);
  const times: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) times.push(await killOne(broker.endpoint));
  await broker.stop();
  times.sort((a, b) => a - b);
  process.stdout.write(
    `transport ${transport}: ${KILLS} kills; ms until the request is at another worker: ` +
      `p50 ${percentile(times, 0.5)}, p99 ${percentile(times, 0.99)} (bound 50), ` +
      `max ${percentile(times, 1)}\n`,
  );
}

const [, , role, endpoint] = process.argv;
if (role === 'victim' && endpoint !== undefined) {
  await victim(endpoint);
} else {
  for (const transport of ['zmtp', 'libzmq']) await measure(transport);
}
