/** Servers behind `majordomo worker --to` that answer with what nobody asked for. */
import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';

import { Client } from '../../src/sdk/client.js';
import { Child, killAll } from '../support/child.js';
import { type Daemon, removeDaemons, startDaemon } from '../support/daemon.js';
import { listening } from '../support/free-ports.js';

const MIB = 1024 * 1024;
/** A worker takes about 80 MiB, its answers are at most 1 MiB. */
const MEMORY_BYTES_MAX = 256 * MIB;
const GREETING = Buffer.alloc(64);
GREETING.set([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1]);
GREETING.write('NULL', 12);
/** READY of a REP. */
const READY = Buffer.from('\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03REP', 'latin1');

let daemon: Daemon;
let client: Client;
let worker: Child;
const ends: (() => void)[] = [];

beforeEach(async () => {
  daemon = await startDaemon({ sets: ['limits.messageBytes=1MiB', 'broker.maxDeliveries=1'] });
  client = new Client({ endpoints: [daemon.endpoint], timeoutMs: 60_000 });
});

afterEach(async () => {
  await client.close();
  for (const end of ends.splice(0)) end();
  await killAll();
  await removeDaemons();
});

/** A server whose connections belong to `act`, and the worker in front of it. */
async function behind(
  scheme: 'tcp' | 'http',
  act: (socket: Socket) => void,
  ...options: readonly string[]
): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    act(socket);
  });
  ends.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const url = `${scheme}://127.0.0.1:${await listening(server)}`;
  const line = ['--endpoint', daemon.endpoint, '--to', url, ...options];
  worker = new Child(['worker', 'work', ...line]);
}

/** Writes the same bytes again and again. */
function flood(socket: Socket, bytes: Buffer | string): void {
  if (socket.destroyed) return;
  if (socket.write(bytes)) setImmediate(() => flood(socket, bytes));
  else socket.once('drain', () => flood(socket, bytes));
}

/** The peak of its memory. */
function expectBounded(): void {
  const status = readFileSync(`/proc/${worker.pid}/status`, 'utf8');
  expect(Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024).toBeLessThan(MEMORY_BYTES_MAX);
}

/** The worker is there, and ends as it should. */
async function endsWell(): Promise<void> {
  expectBounded();
  worker.signal('SIGTERM');
  expect(await worker.finished()).toMatchObject({ status: 0 });
}

describe('a REP server', () => {
  /** @param act with each request, by its number */
  const rep = (act: (socket: Socket, request: number) => void): Promise<void> => {
    let requests = 0;
    return behind('tcp', (socket) => {
      socket.write(Buffer.concat([GREETING, READY]));
      let heard = Buffer.alloc(0);
      socket.on('data', (bytes) => {
        heard = Buffer.concat([heard, bytes]);
        // The empty frame, then one of a letter.
        const at = heard.indexOf(Buffer.from([1, 0, 0, 1]));
        if (at < 0) return;
        heard = heard.subarray(at + 5);
        act(socket, ++requests);
      });
    });
  };
  const reply = (text: string): Buffer =>
    Buffer.from(`\x01\0\0${String.fromCharCode(text.length)}${text}`, 'latin1');

  it("that answers twice: the second answer is nobody's", async () => {
    await rep((socket, request) => {
      socket.write(Buffer.concat([reply(`${request}`), reply('twice'), reply('thrice')]));
    });
    for (const request of ['1', '2', '3']) {
      expect((await client.request('work', 'x')).text()).toBe(request);
    }
    await endsWell();
  });

  it('that sends what is no ZMTP loses its request, and is left', async () => {
    await rep((socket) => void socket.write(Buffer.alloc(1000, 0xff)));
    await expect(client.request('work', 'x')).rejects.toBeDefined();
    await worker.until(({ stderr }) => stderr.includes('waiting for it'), 'it is left');
    await endsWell();
  });

  it.each([
    ['one frame without end', Buffer.from([1, 0, 2, 0, 0, 0, 0, 0x30, 0, 0, 0])],
    ['frames without end', Buffer.alloc(0)],
  ])('that answers with %s: the request fails', async (title, head) => {
    const more = title.startsWith('one')
      ? Buffer.alloc(MIB)
      : Buffer.alloc(MIB, Buffer.from([1, 1, 7]));
    await rep((socket) => {
      socket.write(head);
      flood(socket, more);
    });
    await expect(client.request('work', 'x')).rejects.toBeDefined();
    await endsWell();
  });

  it('that answers with more parts than the broker takes: the request fails, and the next one is answered', async () => {
    await rep((socket, request) => {
      const parts = Buffer.alloc(3 * 5000, Buffer.from([1, 1, 7]));
      socket.write(
        request === 1
          ? Buffer.concat([Buffer.from([1, 0]), parts, Buffer.from([0, 0])])
          : reply('x'),
      );
    });
    await expect(client.request('work', 'x')).rejects.toMatchObject({
      serviceCode: 'mdp.too-large',
    });
    expect((await client.request('work', 'x')).text()).toBe('x');
    await endsWell();
  });

  it('that sends without being asked is not listened to', async () => {
    await behind('tcp', (socket) => {
      socket.write(Buffer.concat([GREETING, READY]));
      flood(socket, reply('x'));
    });
    await worker.until(({ stderr }) => stderr.includes('registered'), 'it is registered');
    await client.request('work', 'x').catch(() => undefined);
    await endsWell();
  });
});

describe('a web server', () => {
  const web = (act: (socket: Socket) => void, ...options: readonly string[]): Promise<void> =>
    behind('http', (socket) => void socket.once('data', () => act(socket)), ...options);

  it.each([
    ['of large chunks', `10000\r\n${'x'.repeat(65_536)}\r\n`],
    ['of chunks of a byte', '1\r\nx\r\n'.repeat(10_000)],
  ])('that streams without end, %s: the request fails', async (_title, chunk) => {
    await web((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      flood(socket, chunk);
    });
    await expect(client.request('work', 'x')).rejects.toMatchObject({ serviceCode: 'too-large' });
    await endsWell();
  });

  it('whose headers do not end: the request fails', async () => {
    await web((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      flood(socket, `X-More: ${'x'.repeat(1000)}\r\n`);
    });
    await expect(client.request('work', 'x')).rejects.toMatchObject({ serviceCode: 'bad-answer' });
    await endsWell();
  });

  it.each([
    ['1xx for ever', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(100)],
    ['nothing more than a status', ''],
  ])('that answers with %s counts as silent', async (_title, line) => {
    await web(
      (socket) => {
        if (line === '') socket.write('HTTP/1.1 200 OK\r\n');
        else flood(socket, line);
      },
      '--timeout-ms',
      '500',
    );
    await expect(client.request('work', 'x')).rejects.toBeDefined();
    await worker.until(({ stderr }) => stderr.includes('no answer within 500 ms'), 'it is left');
    await endsWell();
  });

  it('that switches protocols: the request fails', async () => {
    await web((socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n');
    });
    await expect(client.request('work', 'x')).rejects.toMatchObject({ serviceCode: 'bad-answer' });
    await endsWell();
  });

  it('whose Content-Length is wrong has not answered, and leaves nothing for the next request', async () => {
    const lengths = [9, 2, 4];
    await behind('http', (socket) => {
      socket.on('data', () => {
        const length = lengths.shift();
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\nokay`);
        if (length === 9) socket.end();
      });
    });
    await expect(client.request('work', 'x', { once: true })).rejects.toMatchObject({
      code: 'ERR_MDP_OUTCOME_UNKNOWN',
    });
    await expect(client.request('work', 'x')).rejects.toMatchObject({ serviceCode: 'bad-answer' });
    expect((await client.request('work', 'x')).text()).toBe('okay');
    await endsWell();
  });
});
