/**
 * Records what real peers say, as inputs of the target `zmtp`: sockets of libzmq talk through a relay,
 * and each direction becomes a file in test/fuzz/corpus/zmtp. `node build/test/fuzz/record.js`
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';

import { Dealer, Reply, Request, Router } from 'zeromq';

const DIRECTORY = join(process.cwd(), 'test', 'fuzz', 'corpus', 'zmtp');
/** What stands before the bytes: which side reads them, and in pieces of what size. */
const TO_ROUTER = Buffer.from([0, 3]);
const TO_DEALER = Buffer.from([1, 3]);

interface Tap {
  readonly endpoint: string;
  readonly said: Buffer[];
  readonly answered: Buffer[];
  close(): void;
}

async function tapOn(port: number): Promise<Tap> {
  const said: Buffer[] = [];
  const answered: Buffer[] = [];
  const sockets: Socket[] = [];
  const server = createServer((client) => {
    const behind = connect(port, '127.0.0.1');
    sockets.push(client, behind);
    const carry = (from: Socket, to: Socket, into: Buffer[]): void => {
      from.on('data', (chunk: Buffer) => {
        into.push(chunk);
        to.write(chunk);
      });
      from.on('error', () => undefined);
    };
    carry(client, behind, said);
    carry(behind, client, answered);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: own } = server.address() as AddressInfo;
  return {
    endpoint: `tcp://127.0.0.1:${own}`,
    said,
    answered,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function portOf(endpoint: string | null): number {
  return Number(/\d+$/.exec(endpoint ?? '')?.[0]);
}

function keep(name: string, { said, answered, close }: Tap): void {
  mkdirSync(DIRECTORY, { recursive: true });
  writeFileSync(join(DIRECTORY, `${name}-client`), Buffer.concat([TO_ROUTER, ...said]));
  writeFileSync(join(DIRECTORY, `${name}-server`), Buffer.concat([TO_DEALER, ...answered]));
  close();
}

/** An MDP client and worker of 0.2 on one DEALER, with heartbeats of ZMTP. */
async function dealer(): Promise<void> {
  const router = new Router({ linger: 0 });
  await router.bind('tcp://127.0.0.1:0');
  const tap = await tapOn(portOf(router.lastEndpoint));
  const socket = new Dealer({ linger: 0, routingId: 'me', heartbeatInterval: 20 });
  socket.connect(tap.endpoint);
  for (const message of [
    ['MDPC02', '\x01', 'echo', 'hi'],
    ['id', '', 'MDPC02', '\x01', 'echo', '', 'x'.repeat(300)],
    ['MDPW02', '\x01', 'echo', '5'],
    ['MDPW02', '\x05'],
  ]) {
    await socket.send(message);
    const [id = Buffer.alloc(0)] = await router.receive();
    await router.send([id, 'MDPC02', '\x03', 'echo', 'y'.repeat(200)]);
    await socket.receive();
  }
  await new Promise((resolve) => setTimeout(resolve, 60));
  socket.close();
  router.close();
  keep('dealer', tap);
}

async function request(): Promise<void> {
  const reply = new Reply({ linger: 0 });
  await reply.bind('tcp://127.0.0.1:0');
  const tap = await tapOn(portOf(reply.lastEndpoint));
  const socket = new Request({ linger: 0, correlate: true });
  socket.connect(tap.endpoint);
  for (const body of ['', 'hello', 'z'.repeat(256)]) {
    await socket.send(['MDPC01', 'echo', body]);
    await reply.receive();
    await reply.send(['MDPC01', 'echo', body]);
    await socket.receive();
  }
  socket.close();
  reply.close();
  keep('request', tap);
}

await dealer();
await request();
