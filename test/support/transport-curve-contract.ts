import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { Context, Router } from 'zeromq';

import { encodeZ85 } from '../../src/core/z85.js';
import type { CurveClientKeys } from '../../src/zmtp/curve/client.js';
import type { KeyPair } from '../../src/zmtp/curve/crypto.js';
import type { Verdict } from '../../src/zmtp/curve/server.js';
import { loadSodium } from '../../src/zmtp/curve/sodium.js';
import { itWithTool, PYTHON } from './tools.js';
import {
  LIMITS,
  LinkRecord,
  Server,
  type TransportFactory,
  writeAll,
} from './transport-fixture.js';
import { BytePeer, DealerPeer } from './transport-peers.js';
import { closeRelays, TcpRelay } from './tcp-relay.js';
import { until } from './until.js';

const context = new Context({ blocky: false });
/** By then a refused peer would have connected, if it had been allowed. */
const REFUSED_MS = 300;
const FIVE = 5;

const PYTHON_CLIENT = `
import sys, zmq
socket = zmq.Context().socket(zmq.REQ)
socket.linger = 0
socket.rcvtimeo = 60000
socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = [a.encode() for a in sys.argv[2:5]]
socket.connect(sys.argv[1])
for part in (b"small", b"x" * 100000):
    socket.send_multipart([part, b""])
    sys.stdout.write(str(socket.recv_multipart() == [b"re", b"", part, b""]) + "\\n")
`;

/** The promises of every transport about listeners and links with CURVE. */
export function describeCurve(factory: TransportFactory, knowsKeys: boolean): void {
  const closers: (() => unknown)[] = [];
  let server: KeyPair;
  let alice: KeyPair;
  let mallory: KeyPair;
  let verdict: (publicKey: Buffer) => Verdict;

  beforeAll(async () => {
    const crypto = await loadSodium();
    server = crypto.keyPair();
    alice = crypto.keyPair();
    mallory = crypto.keyPair();
    verdict = (publicKey) =>
      publicKey.equals(alice.publicKey) ? { kind: 'allowed', name: 'alice' } : { kind: 'refused' };
  });

  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  async function serve(authorise = verdict, endpoint?: string): Promise<Server> {
    const curve = { secretKeys: [server.secretKey], authorise };
    const endpoints = endpoint === undefined ? undefined : [endpoint];
    const opened = await Server.open(factory, endpoints, { curve });
    closers.push(() => opened.transport.close(0));
    opened.answer = (peer, frames) => {
      opened.send(peer, '', 're', ...frames.copyFrom(0));
      opened.transport.flush();
    };
    return opened;
  }

  function keysOf(pair: KeyPair): CurveClientKeys {
    return { serverKey: server.publicKey, ...pair };
  }

  function dial(endpoint: string, curve?: CurveClientKeys): [LinkRecord, (text: string) => void] {
    const events = new LinkRecord();
    const options = curve === undefined ? { limits: LIMITS } : { limits: LIMITS, curve };
    const link = factory.dial(options)(endpoint, events);
    closers.push(() => link.close(0));
    const send = (text: string): void => {
      writeAll((bytes, start, end, more) => link.write(bytes, start, end, more), [text]);
    };
    return [events, send];
  }

  function libzmqDealer(endpoint: string, pair: KeyPair, routingId?: string): DealerPeer {
    const peer = new DealerPeer(endpoint, routingId, {
      curveServerKey: encodeZ85(server.publicKey),
      curvePublicKey: encodeZ85(pair.publicKey),
      curveSecretKey: encodeZ85(pair.secretKey),
    });
    closers.push(() => peer.close());
    return peer.read();
  }

  async function untilRejected(at: Server, kind: string, reason: string): Promise<void> {
    const isSo = (one: Server['rejections'][number]): boolean =>
      one.kind === kind && one.reason === reason;
    await until(() => at.rejections.some(isSo), `${kind}: ${reason}`);
  }

  it('lets a key that is allowed in, and names it where it can', async () => {
    const listening = await serve();
    const [events, send] = dial(listening.endpoint, keysOf(alice));
    send('hello');
    await events.untilTold('message |re|hello');
    expect(listening.infos[0]?.key).toBe(knowsKeys ? 'alice' : null);
  });

  it('speaks with libzmq: DEALER, small and big messages, many at once', async () => {
    const listening = await serve();
    const peer = libzmqDealer(listening.endpoint, alice);
    const sent = Array.from({ length: 200 }, (_, index) => 'x'.repeat(index * 37) + String(index));
    for (const text of sent) await peer.send(text, '');
    await until(() => peer.received.length === sent.length, 'all answers');
    expect(peer.texts()).toEqual(sent.map((text) => ['', 're', text, '']));
  });

  itWithTool('python3-zmq', 'speaks with pyzmq: REQ', async () => {
    const listening = await serve();
    const keys = [server.publicKey, alice.publicKey, alice.secretKey].map(encodeZ85);
    const child = spawn(PYTHON, ['-c', PYTHON_CLIENT, listening.endpoint, ...keys]);
    let output = '';
    child.stdout.on('data', (bytes: Buffer) => (output += String(bytes)));
    const ended = new Promise((resolve) => child.once('close', resolve));
    listening.answer = (peer, frames) => {
      listening.send(peer, '', 're', '', ...frames.copyFrom(1));
      listening.transport.flush();
    };
    await ended;
    expect(output).toBe('True\nTrue\n');
  });

  it("links to libzmq's ROUTER with CURVE", async () => {
    const router = new Router({
      context,
      linger: 0,
      curveServer: true,
      curveSecretKey: encodeZ85(server.secretKey),
    });
    closers.push(() => router.close());
    await router.bind('tcp://127.0.0.1:*');
    const answering = (async () => {
      for (let count = 0; count < FIVE && !router.closed; count++) {
        const [id = Buffer.alloc(0), ...frames] = await router.receive();
        await router.send([id, 're', ...frames]);
      }
    })();
    const [events, send] = dial(router.lastEndpoint ?? '', keysOf(alice));
    for (let size = 1; size <= FIVE; size++) send('x'.repeat(10 ** size));
    await answering;
    await until(() => events.told.length === 1 + FIVE, 'five answers');
    expect(events.told.map((told) => told.length)).toEqual(
      ['connected', ...[1, 2, 3, 4, 5].map((size) => `message re|${'x'.repeat(10 ** size)}`)].map(
        (told) => told.length,
      ),
    );
  });

  it('lets no other key in', async () => {
    const listening = await serve();
    const [events, send] = dial(listening.endpoint, keysOf(mallory));
    send('let me in');
    const peer = libzmqDealer(listening.endpoint, mallory);
    await peer.send('me, too');
    const refused = (): unknown[] => listening.rejections.filter(({ kind }) => kind === 'key');
    await until(() => refused().length >= 2, 'two refusals');
    await delay(REFUSED_MS);
    expect(events.told).toEqual([]);
    expect(listening.told).toEqual([]);
    expect(refused()[0]).toMatchObject({ listener: 0 });
    expect(JSON.stringify(listening.rejections)).not.toContain(encodeZ85(mallory.publicKey));
  });

  it('lets nobody in while it cannot be known who may, and then the same socket', async () => {
    let isKnown = false;
    const listening = await serve((key) =>
      isKnown ? verdict(key) : { kind: 'unavailable', why: 'nobody knows' },
    );
    const peer = libzmqDealer(listening.endpoint, alice);
    await peer.send('patient');
    await until(() => listening.rejections.some(({ kind }) => kind === 'keys'), 'a silent close');
    expect(listening.told).toEqual([]);
    isKnown = true;
    await until(() => peer.received.length === 1, 'an answer, after it tried again');
  });

  it('lets nobody in without a key, nor one that plays the server of another', async () => {
    const listening = await serve();
    const [events, send] = dial(listening.endpoint);
    send('plain');
    const plain = new DealerPeer(listening.endpoint);
    closers.push(() => plain.close());
    await plain.send('plain, too');
    const bytes = new BytePeer(listening.endpoint);
    closers.push(() => bytes.socket.destroy());
    bytes.greet();
    bytes.ready();
    bytes.send('plain bytes');
    const [wrong] = dial(listening.endpoint, { ...keysOf(alice), serverKey: mallory.publicKey });
    if (knowsKeys) {
      await untilRejected(listening, 'mechanism', 'the peer uses NULL, this side CURVE');
      await untilRejected(listening, 'handshake', 'a HELLO that is not for a key of this server');
    }
    await delay(REFUSED_MS);
    expect([...listening.told, ...events.told, ...wrong.told]).toEqual([]);
  });

  it('with a key does not speak to a listener without', async () => {
    const plain = await Server.open(factory);
    closers.push(() => plain.transport.close(0));
    const [events, send] = dial(plain.endpoint, keysOf(alice));
    send('sealed');
    if (knowsKeys) await untilRejected(plain, 'mechanism', 'the peer uses CURVE, this side NULL');
    await delay(REFUSED_MS);
    expect([...plain.told, ...events.told]).toEqual([]);
  });

  it('comes back after the listener did', async () => {
    const first = await serve();
    const [events, send] = dial(first.endpoint, keysOf(alice));
    await events.untilTold('connected');
    await first.transport.close(0);
    await events.untilTold('disconnected');
    await serve(verdict, first.endpoint);
    send('again');
    await events.untilTold('message |re|again');
  });

  if (knowsKeys) describeHandOver(serve, libzmqDealer);

  function describeHandOver(open: typeof serve, peerOf: typeof libzmqDealer): void {
    describe('a routing id that is taken', () => {
      it('stays with a connection that lives, also where the key is the same (D102)', async () => {
        const listening = await open();
        const first = peerOf(listening.endpoint, alice, 'me');
        await first.send('first');
        const peer = await listening.peerOf('first');
        await peerOf(listening.endpoint, alice, 'me').send('second');
        await untilRejected(listening, 'identity', 'another peer has this routing id');
        await first.send('still here');
        expect(await listening.peerOf('still here')).toBe(peer);
        expect(listening.count('disconnected')).toBe(0);
      });

      it('passes to a new connection of the same key if the old one says nothing (D102)', async () => {
        const listening = await open();
        const relay = await new TcpRelay(Number(new URL(listening.endpoint).port)).listen();
        closers.push(closeRelays);
        const first = peerOf(`tcp://127.0.0.1:${relay.port}`, alice, 'me');
        await first.send('first');
        const before = await listening.peerOf('first');
        relay.set('frozen');
        await peerOf(listening.endpoint, alice, 'me').send('second');
        const after = await listening.peerOf('second');
        const told = listening.told.filter((event) => !event.startsWith('message'));
        expect(told.slice(0, 3)).toEqual([
          `connected ${before}`,
          `disconnected ${before}`,
          `connected ${after}`,
        ]);
        expect(String(listening.infos[after]?.routingId)).toBe('me');
      });

      it('is that of another peer where the key is another (D70)', async () => {
        const listening = await open((key) => ({
          kind: 'allowed',
          name: key.equals(alice.publicKey) ? 'alice' : 'mallory',
        }));
        const honest = peerOf(listening.endpoint, alice, 'me');
        await honest.send('honest');
        const peer = await listening.peerOf('honest');
        const thief = peerOf(listening.endpoint, mallory, 'me');
        await thief.send('thief');
        const other = await listening.peerOf('thief');
        expect(other).not.toBe(peer);
        await honest.send('still here');
        expect(await listening.peerOf('still here')).toBe(peer);
        const identities = [peer, other].map((each) => listening.infos[each]?.identity);
        expect(identities).toEqual(['key:alice', 'key:mallory']);
        expect(listening.count('disconnected')).toBe(0);
      });
    });
  }
}
