import { join } from 'node:path';

import { Context, Router } from 'zeromq';

import type { Link } from '../../../src/zmtp/link-port.js';
import type { RouterLimits } from '../../../src/zmtp/port.js';
import { dialZmtp } from '../../../src/zmtp/link.js';
import { killPrograms, Program } from '../../interop/support/program.js';
import { itWithTool, PYTHON } from '../../support/tools.js';
import { FACTORY, LIMITS, LinkRecord, Server, writeAll } from '../../support/transport-fixture.js';
import { DealerPeer, requestPeer } from '../../support/transport-peers.js';
import { until } from '../../support/until.js';

const PROGRAMS = join(process.cwd(), 'test', 'process', 'zmtp', 'programs');
const MIB = 1 << 20;
const TYPES = ['REQ', 'DEALER', 'ROUTER'] as const;
const BIG = { messageBytesMax: 64 * MIB, outputBytesMax: 128 * MIB };

const context = new Context({ blocky: false });
const open: (() => unknown)[] = [];

/** A ROUTER of ours that sends everything back. */
async function echo(
  limits: Partial<RouterLimits> = {},
  endpoint = 'tcp://127.0.0.1:0',
): Promise<Server> {
  const server = await Server.open(FACTORY, [endpoint], { limits });
  open.push(() => server.transport.close(0));
  server.answer = (peer, frames) => {
    server.send(peer, ...frames.copyFrom(0));
    server.transport.flush();
  };
  return server;
}

function python(...args: readonly (string | number)[]): Program {
  return new Program('peer.py', PYTHON, [join(PROGRAMS, 'peer.py'), ...args.map(String)]);
}

function dial(endpoint: string, record: LinkRecord, limits: Partial<RouterLimits> = {}): Link {
  const link = dialZmtp({ limits: { ...LIMITS, ...limits } })(endpoint, record);
  open.push(() => link.close(0));
  return link;
}

function send(link: Link, ...frames: readonly (string | Buffer)[]): void {
  writeAll((bytes, start, end, more) => link.write(bytes, start, end, more), frames);
}

afterEach(async () => {
  for (const close of open.splice(0)) await close();
  await killPrograms();
});

describe('a ROUTER of ours and libzmq', () => {
  it.each([16, 50])('carry a message of %d MiB each way, with frames of all sizes', async (mib) => {
    const server = await echo(BIG);
    const dealer = new DealerPeer(server.endpoint).read();
    open.push(() => dealer.close());
    const big = Buffer.alloc(mib * MIB - 4096, 'pattern');
    await dealer.send('', big, '', Buffer.alloc(255, 1), Buffer.alloc(256, 2), 'end');
    await until(() => dealer.received.length === 1, 'an echo');
    const [received] = dealer.received;
    expect(received?.map((frame) => frame.length)).toEqual([0, big.length, 0, 255, 256, 3]);
    expect(received?.[1]?.equals(big)).toBe(true);
  });

  it.each(['REQ', 'ROUTER'])(
    'find each other again: a %s of zeromq.js while ours restarts',
    async (type) => {
      const first = await echo();
      const socket =
        type === 'REQ' ? requestPeer(first.endpoint) : new Router({ context, linger: 0 });
      open.push(() => socket.close());
      if (socket instanceof Router) {
        socket.receiveTimeout = 60_000;
        socket.connect(first.endpoint, { routingId: 'broker' });
      }
      const ask = async (text: string): Promise<void> => {
        await socket.send(socket instanceof Router ? ['broker', text] : [text]);
        expect(String((await socket.receive()).at(-1))).toBe(text);
      };
      await ask('before');
      await first.transport.close(0);
      const second = await echo({}, first.endpoint);
      await until(() => second.count('connected') >= 1, 'the peer to come back');
      await ask('after');
    },
  );

  for (const type of TYPES) {
    itWithTool('python3-zmq', `carry messages of a ${type}, its heartbeats on`, async () => {
      const server = await echo();
      const program = python('client', type, server.endpoint, 200, 3000);
      expect(await program.waitFor('done')).toMatchObject({ ends: 0 });
      expect(program.said('broken')).toEqual([]);
      expect(server.messages).toHaveLength(200);
      expect(server.rejections).toEqual([]);
    });
  }

  itWithTool('python3-zmq', 'carry messages between whose frames libzmq sends a PING', async () => {
    const server = await echo({ outputBytesMax: 512 * MIB });
    const program = python('trickle', server.endpoint, 6, 20_000);
    expect(await program.waitFor('done')).toMatchObject({ ends: 0 });
    expect(program.said('broken')).toEqual([]);
    expect(server.rejections).toEqual([]);
  });
});

describe('a link of ours and libzmq', () => {
  it('carry messages with a ROUTER of zeromq.js, also of 50 MiB', async () => {
    const router = new Router({ context, linger: 0 });
    open.push(() => router.close());
    await router.bind('tcp://127.0.0.1:*');
    const lengths: number[] = [];
    const record = new LinkRecord();
    record.message = (frames): void => {
      lengths.push(frames.size(frames.count - 1));
    };
    const link = dial(router.lastEndpoint ?? '', record, BIG);
    const sizes = [0, 1, 255, 256, 70_000, 16 * MIB, 50 * MIB];
    for (const size of sizes) send(link, '', Buffer.alloc(size, 5));
    for (const size of sizes) {
      const [id, empty, body] = await router.receive();
      expect([empty?.length, body?.length]).toEqual([0, size]);
      await router.send([id ?? '', empty ?? '', body ?? '']);
    }
    await until(() => lengths.length === sizes.length, 'all echoes');
    expect(lengths).toEqual(sizes);
    expect(record.told).toEqual(['connected']);
  });

  itWithTool('python3-zmq', 'find each other again: ours while a ROUTER restarts', async () => {
    const first = python('server', 'tcp://127.0.0.1:*');
    const { endpoint } = await first.waitFor('bound');
    const record = new LinkRecord();
    const link = dial(String(endpoint), record);
    send(link, '', 'first', '');
    await record.untilTold('message |first|');
    await first.kill();
    await record.untilTold('disconnected');
    send(link, '', 'second', '');
    const second = python('server', String(endpoint));
    await second.waitFor('bound');
    await record.untilTold('message |second|');
    // Longer than libzmq's patience with a peer that answers no PING.
    const asked = performance.now();
    await until(() => performance.now() - asked > 2500, 'the patience of libzmq');
    send(link, 'third');
    await record.untilTold('message third');
    expect(record.told.filter((line) => line === 'connected')).toHaveLength(2);
  });
});
