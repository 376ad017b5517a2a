/**
 * The memory of what waits: programs whose request has no reply yet, and readers of a stream. Each is a connection to
 * a server of its own, whose resident memory is read before and after, without garbage.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { Worker } from '../../src/sdk/worker.js';
import { clientRequest } from '../../src/wire/client-side.js';
import { TITANIC_SUBMIT, TITANIC_WAIT } from '../../src/wire/tsp.js';
import type { Link } from '../../src/zmtp/link-port.js';
import { dialZmtp } from '../../src/zmtp/link.js';
import { freePorts } from '../../test/support/free-ports.js';
import { HOST } from '../ports.js';
import type { Held } from './report.js';
import { type Serving, startBare, startOurs, TOKENS } from './servers.js';

type Waiting = 'polls' | 'streams';
type Of = 'bare' | 'http' | 'zmtp';

/** They load what is loaded with the first use, and grow what grows once. */
const WARM_UP = 32;
/** A server is idle if it sleeps at each of so many looks, within this time. */
const ASLEEP_LOOKS = 20;
const ASLEEP_MS = 500;
const KIB = 1024;
const WAIT_MS = '60000';
/** Nobody executes its requests. */
const UNSERVED = 'unserved';
const STREAMED = 'streamed';
const LIMITS = { messageBytesMax: 1e6, framesMax: 16, outputBytesMax: 1e6 };

/** What waits, and how many of it: 64 streams alone would cost too little to be told from the noise. */
const KINDS = [
  { title: 'long poll for a result', waiting: 'polls', count: 1000 },
  { title: 'stream of a reply', waiting: 'streams', count: 512 },
] as const;
const OFS = ['bare', 'http', 'zmtp'] as const;

export async function measureMemory(
  rounds: number,
  progress: (text: string) => void,
): Promise<Held[]> {
  const all = KINDS.map((kind) => ({ ...kind, bytes: nothing() }));
  for (let round = 0; round < rounds; round++) {
    for (const { title, waiting, count, bytes } of all) {
      progress(`memory of each ${title}, round ${round + 1}`);
      for (const of of OFS) bytes[of].push(await memoryOf(of, waiting, count));
    }
  }
  return all;
}

function nothing(): Record<Of, number[]> {
  return { bare: [], http: [], zmtp: [] };
}

async function memoryOf(of: Of, waiting: Waiting, count: number): Promise<number> {
  const [inspector = 0] = await freePorts(1);
  const node = [`--inspect=${HOST}:${inspector}`];
  const serving = of === 'bare' ? await startBare(node) : await startOurs(node);
  const worker = serving.endpoint === undefined ? null : streamer(serving.endpoint, 2 * count);
  try {
    const begin = await beginner(of, waiting, serving);
    const first = await Promise.all(Array.from({ length: WARM_UP }, (_, index) => begin(index)));
    await untilAsleep(serving);
    await Promise.all(first.map((end) => end()));
    const before = await residentBytes(serving, inspector);
    const ends = await Promise.all(Array.from({ length: count }, (_, index) => begin(index)));
    const after = await residentBytes(serving, inspector);
    await Promise.all(ends.map((end) => end()));
    return (after - before) / count;
  } finally {
    await worker?.close({ graceMs: 0 });
    await serving.stop();
  }
}

/** A worker that sends a part of each reply, and no more. */
function streamer(endpoint: string, concurrency: number): Worker {
  const worker = new Worker(
    { endpoints: [endpoint], service: STREAMED, concurrency },
    async function* (_request, { signal }) {
      yield 'part';
      await once(signal, 'abort');
      return '';
    },
  );
  void worker.run();
  return worker;
}

type End = () => Promise<void>;

/** What makes one more wait. */
async function beginner(
  of: Of,
  waiting: Waiting,
  serving: Serving,
): Promise<(index: number) => Promise<End>> {
  if (of === 'zmtp') {
    if (waiting === 'streams') return () => peer(serving, [STREAMED, 'x'], true);
    const [uuid = ''] = await asked(serving, [TITANIC_SUBMIT, '', UNSERVED, 'x']);
    return () => peer(serving, [TITANIC_WAIT, uuid, WAIT_MS], false);
  }
  if (waiting === 'streams') {
    const head = `POST /api/v1/services/${STREAMED}/requests?timeoutMs=600000`;
    return (index) => program(serving, index, head, 'accept: text/event-stream', true);
  }
  const stored = await Promise.all(TOKENS.map((token) => storedBy(of, serving, token)));
  return (index) => {
    const path = `${stored[index % TOKENS.length] ?? ''}?waitMs=${WAIT_MS}`;
    return program(serving, index, `GET ${path}`, 'accept: */*', false);
  };
}

/** The path of the result of a request that nobody executes. */
async function storedBy(of: Of, { port }: Serving, token: string): Promise<string> {
  if (of === 'bare') return '/waits';
  const url = `http://${HOST}:${port}/api/v1/services/${UNSERVED}/requests?durable=true`;
  const headers = { authorization: `Bearer ${token}` };
  const { headers: given } = await fetch(url, { method: 'POST', headers, body: 'x' });
  return given.get('location') ?? '';
}

async function program(
  { port }: Serving,
  index: number,
  line: string,
  more: string,
  isStreamed: boolean,
): Promise<End> {
  const socket = connect(port, HOST);
  await once(socket, 'connect');
  const token = TOKENS[index % TOKENS.length] ?? '';
  const lines = [`host: ${HOST}`, `authorization: Bearer ${token}`, more];
  const size = line.startsWith('POST') ? ['content-length: 1', '', 'x'] : ['', ''];
  socket.write([`${line} HTTP/1.1`, ...lines, ...size].join('\r\n'));
  if (isStreamed) await streaming(socket);
  return async () => {
    socket.destroy();
    await once(socket, 'close');
  };
}

async function streaming(socket: Socket): Promise<void> {
  let text = '';
  while (!text.includes('data:')) text += String(await once(socket, 'data'));
  if (!text.startsWith('HTTP/1.1 200')) throw new Error(text);
}

async function peer(
  { endpoint = '' }: Serving,
  [service = '', ...body]: readonly string[],
  isStreamed: boolean,
): Promise<End> {
  let link: Link | null = null;
  await new Promise<void>((resolve) => {
    link = dialZmtp({ limits: LIMITS })(endpoint, {
      connected: () => {
        write(link, service, body);
        if (!isStreamed) resolve();
      },
      message: () => resolve(),
      disconnected: () => undefined,
    });
  });
  return () => link?.close(0) ?? Promise.resolve();
}

/** The frames of the answer behind its status. */
function asked(
  { endpoint = '' }: Serving,
  [service = '', ...body]: readonly string[],
): Promise<string[]> {
  return new Promise((resolve) => {
    const link: Link = dialZmtp({ limits: LIMITS })(endpoint, {
      connected: () => write(link, service, body),
      message: (frames) => {
        const all = frames.copyFrom(0).map(String);
        void link.close(0);
        resolve(all.slice(all.indexOf('200') + 1));
      },
      disconnected: () => undefined,
    });
  });
}

function write(link: Link | null, service: string, body: readonly string[]): void {
  const frames = clientRequest(
    2,
    null,
    Buffer.from(service),
    body.map((text) => Buffer.from(text)),
  );
  for (const [index, frame] of frames.entries()) {
    link?.write(frame, 0, frame.length, index < frames.length - 1);
  }
}

/** Waits until the server has done what came: nobody answers what waits, and a busy machine is late for it. */
async function untilAsleep({ pids: [pid = 0] }: Serving): Promise<void> {
  for (let looks = 0; looks < ASLEEP_LOOKS; looks++) {
    await sleep(ASLEEP_MS / ASLEEP_LOOKS);
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    if (stat.slice(stat.lastIndexOf(')') + 2, -1).startsWith('R')) looks = 0;
  }
}

/** Of the server, after it has collected its garbage. */
async function residentBytes(serving: Serving, inspector: number): Promise<number> {
  const [pid = 0] = serving.pids;
  await untilAsleep(serving);
  const list = (await (await fetch(`http://${HOST}:${inspector}/json`)).json()) as readonly {
    readonly webSocketDebuggerUrl: string;
  }[];
  const socket = new WebSocket(list[0]?.webSocketDebuggerUrl ?? '');
  await once(socket, 'open');
  for (let id = 0; id < 3; id++) {
    socket.send(JSON.stringify({ id, method: 'HeapProfiler.collectGarbage' }));
    await once(socket, 'message');
  }
  socket.close();
  await untilAsleep(serving);
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * KIB;
}
