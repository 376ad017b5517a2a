import { connect } from 'node:net';

import { dialPeer } from '../../../src/bstar/io/peer-dialler.js';
import { LIMITS, type PeerLink, type PeerLinkEvents } from '../../../src/bstar/io/peer-link.js';
import { listenForPeer } from '../../../src/bstar/io/peer-listener.js';
import { present } from '../../../src/core/assert.js';
import type { ListenerCurve } from '../../../src/zmtp/listener-curve.js';
import { dialZmtp } from '../../../src/zmtp/link.js';
import { type PairHello, PEER_VERSION, type PeerMessage } from '../../../src/wire/pair.js';
import { loadSodium } from '../../../src/zmtp/curve/sodium.js';
import { freePorts } from '../../support/free-ports.js';
import { RawPeer, type RawPeerOptions } from '../../support/raw-peer.js';
import { until } from '../../support/until.js';
import { BACKUP, HEARTBEAT_MS, PRIMARY, Told } from './link-ends.js';

const HELLO: PairHello = { kind: 'hello', ...BACKUP, nonce: Buffer.alloc(16, 7), resumes: null };

function status(epoch = 0): PeerMessage {
  return {
    kind: 'status',
    state: 'waiting',
    epoch,
    offers: false,
    holds: null,
    keys: null,
    listenerKeys: null,
  };
}

const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

async function listening(
  events: PeerLinkEvents,
  curve?: ListenerCurve,
  version: number = PEER_VERSION,
): Promise<{ readonly endpoint: string; readonly link: PeerLink }> {
  const [port] = await freePorts(1);
  const endpoint = `tcp://127.0.0.1:${port}`;
  const link = await listenForPeer(endpoint, curve, {
    introduction: () => PRIMARY,
    incarnation: 1000,
    heartbeatIntervalMs: HEARTBEAT_MS,
    version,
    events,
  });
  closing.push(() => link.close());
  return { endpoint, link };
}

function peer(endpoint: string, hello: PairHello = HELLO, options: RawPeerOptions = {}): RawPeer {
  const made = new RawPeer(endpoint, hello, options);
  closing.push(() => made.close());
  return made;
}

/** Sends heartbeats, as a peer does. */
function talks(made: RawPeer): void {
  const timer = setInterval(() => {
    if (made.heard.some(({ kind }) => kind === 'proof')) made.say(status());
  }, HEARTBEAT_MS / 4);
  closing.push(() => {
    clearInterval(timer);
    return Promise.resolve();
  });
}

describe('who takes the place of a peer that is connected, without keys', () => {
  it('nobody, as long as the peer answers: one that sends the same greeting is refused', async () => {
    const told = new Told();
    const { endpoint } = await listening(told);
    const first = peer(endpoint);
    await told.until('connected b');
    talks(first);
    const stranger = peer(endpoint, HELLO, { incarnation: 2 ** 40 });
    await told.until('refused taken');
    await until(() => stranger.heard.some(({ kind }) => kind === 'refuse'), 'told');
    expect(told.words.filter((word) => word.includes('connected'))).toEqual([
      'connected b by version 1',
    ]);
    expect(stranger.heard.map(({ kind }) => kind)).not.toContain('proof');
    expect(first.ended).toBe(0);
  });

  it('a restarted peer, once the old connection is silent (D22)', async () => {
    const told = new Told();
    const { endpoint } = await listening(told);
    peer(endpoint);
    await told.until('connected b');
    peer(endpoint, { ...HELLO, node: 'c' }, { incarnation: 4000 });
    await told.until('connected c');
    expect(told.words).toEqual([
      'connected b by version 1',
      'disconnected',
      'connected c by version 1',
    ]);
  });

  it('a restarted peer, at once when the old connection ends', async () => {
    const told = new Told();
    const { endpoint } = await listening(told);
    const first = peer(endpoint);
    await told.until('connected b');
    peer(endpoint, { ...HELLO, node: 'c' }, { incarnation: 4000 });
    await first.close();
    await told.until('connected c');
  });

  it('the same process, at once, though the old connection is alive: it knows what was sent there', async () => {
    const told = new Told();
    const { endpoint } = await listening(told);
    const first = peer(endpoint);
    await told.until('connected b');
    talks(first);
    const hello = present(first.heard.find(({ kind }) => kind === 'hello') as PairHello, 'heard');
    peer(endpoint, { ...HELLO, node: 'c', resumes: hello.nonce });
    await told.until('connected c');
    expect(told.words).not.toContain('refused taken');
  });

  it('silent connections do not keep the peer out', async () => {
    const told = new Told();
    const { endpoint } = await listening(told);
    const dial = dialZmtp({ limits: LIMITS });
    for (let each = 0; each < 40; each++) {
      const idler = dial(endpoint, {
        connected: () => undefined,
        message: () => undefined,
        disconnected: () => undefined,
      });
      closing.push(() => idler.close(0));
    }
    peer(endpoint);
    await told.until('connected b');
  });

  it('nobody with an epoch that no peer can have: it is refused before its peer is checked (D79)', async () => {
    const told = new Told();
    const { endpoint } = await listening(told);
    const stranger = peer(endpoint, { ...HELLO, epoch: 2 ** 53 - 2 });
    await told.until('refused epoch');
    await until(() => stranger.heard.some(({ kind }) => kind === 'refuse'), 'told');
    expect(told.words.filter((word) => word.startsWith('connected'))).toEqual([]);
    expect(stranger.heard.map(({ kind }) => kind)).not.toContain('proof');
  });
});

describe('who takes the place of a peer that is connected, with keys', () => {
  async function sealed(): Promise<{
    readonly told: Told;
    readonly endpoint: string;
    readonly link: PeerLink;
    readonly withKey: RawPeerOptions;
    readonly withOther: RawPeerOptions;
  }> {
    const sodium = await loadSodium();
    const [server, own, other] = [sodium.keyPair(), sodium.keyPair(), sodium.keyPair()];
    const told = new Told();
    const { endpoint, link } = await listening(told, {
      secretKeys: [server.secretKey],
      authorise: (key) =>
        key.equals(own.publicKey) ? { kind: 'allowed', name: 'backup' } : { kind: 'refused' },
    });
    const options = (keys: typeof own): RawPeerOptions => ({
      curve: { serverKey: server.publicKey, ...keys },
    });
    return { told, endpoint, link, withKey: options(own), withOther: options(other) };
  }

  it('nobody without the right key: nothing of such a node is read', async () => {
    const { told, endpoint, withKey, withOther } = await sealed();
    const first = peer(endpoint, HELLO, withKey);
    await told.until('connected b');
    const strangers = [peer(endpoint, HELLO, withOther), peer(endpoint)];
    // They keep dialling; meanwhile the peer's messages arrive.
    for (let words = 1; words <= 5; words++) {
      first.say(status());
      await until(() => told.words.length > words, 'heard');
    }
    expect(strangers.flatMap(({ heard }) => heard)).toEqual([]);
    const heard = told.words.slice(1).filter((word) => !word.startsWith('rejected'));
    expect(new Set(heard)).toEqual(new Set(['status']));
    expect(first.ended).toBe(0);
  });

  it('a node whose key is refused hears by that that its peer is alive (D13)', async () => {
    const { endpoint, withOther } = await sealed();
    const backup = new Told();
    const link = dialPeer(endpoint, withOther.curve, {
      introduction: () => BACKUP,
      incarnation: 1000,
      heartbeatIntervalMs: HEARTBEAT_MS,
      version: PEER_VERSION,
      events: backup,
    });
    closing.push(() => link.close());
    await backup.until('alive: again after', 3);
  });

  it('connections that send nothing, or nonsense, do not keep the peer out', async () => {
    const { told, endpoint, withKey } = await sealed();
    const { port } = new URL(endpoint);
    // As often as they are closed, from the peer's own address.
    const besiege = (said: string): void => {
      const socket = connect({ host: '127.0.0.1', port: Number(port) });
      socket.on('error', () => undefined).resume();
      socket.write(said);
      const again = setTimeout(() => {
        socket.destroy();
        if (!isOver) besiege(said);
      }, 200);
      closing.push(() => {
        isOver = true;
        clearTimeout(again);
        socket.destroy();
        return Promise.resolve();
      });
    };
    let isOver = false;
    for (let each = 0; each < 40; each++) besiege(each % 2 === 0 ? '' : 'GET / HTTP/1.1\r\n\r\n');
    await told.until('rejected greeting from 127.0.0.1');
    peer(endpoint, HELLO, withKey);
    await told.until('connected b');
    expect(told.words.filter((word) => word.startsWith('connected'))).toHaveLength(1);
  });

  it('a node without the right key is reported, with its address', async () => {
    const { told, endpoint, withOther } = await sealed();
    peer(endpoint, HELLO, withOther);
    await told.until('rejected key from 127.0.0.1: its key is not in the keys file');
    peer(endpoint);
    await told.until('rejected mechanism from 127.0.0.1');
  });

  it('a newer process of the peer, at once, though the old connection is alive', async () => {
    const { told, endpoint, withKey } = await sealed();
    talks(peer(endpoint, HELLO, { ...withKey, incarnation: 3000 }));
    await told.until('connected b');
    peer(endpoint, { ...HELLO, node: 'c' }, { ...withKey, incarnation: 3001 });
    await told.until('connected c');
    expect(told.words).not.toContain('refused taken');
  });

  it('no older process of the peer (D18)', async () => {
    const { told, endpoint, withKey } = await sealed();
    talks(peer(endpoint, HELLO, { ...withKey, incarnation: 3000 }));
    await told.until('connected b');
    peer(endpoint, { ...HELLO, node: 'c' }, { ...withKey, incarnation: 2999 });
    await told.until('refused taken');
    expect(told.words).not.toContain('disconnected');
  });

  it('a key that is withdrawn closes its link (D73)', async () => {
    const { told, endpoint, link, withKey } = await sealed();
    const first = peer(endpoint, HELLO, withKey);
    await told.until('connected b');
    link.revoke('another');
    expect(told.words).toEqual(['connected b by version 1']);
    link.revoke('backup');
    expect(told.words.slice(1)).toEqual(['refused key', 'disconnected']);
    await until(() => first.ended > 0, 'ended');
  });
});

describe('versions of the link', () => {
  const LATER = PEER_VERSION + 1;

  it.each([
    ['the node that dials', LATER, PEER_VERSION, PEER_VERSION],
    ['the node that listens', PEER_VERSION, LATER, PEER_VERSION],
    ['both nodes', LATER, LATER, LATER],
  ])('of %s may be later: both use the lower one', async (_, dials, listens, used) => {
    const [primary, backup] = [new Told(), new Told()];
    const { endpoint, link } = await listening(primary, undefined, listens);
    const dialler = dialPeer(endpoint, undefined, {
      introduction: () => BACKUP,
      incarnation: 2000,
      heartbeatIntervalMs: HEARTBEAT_MS,
      version: dials,
      events: backup,
    });
    closing.push(() => dialler.close());
    await backup.until(`connected p by version ${used}`);
    await primary.until(`connected b by version ${used}`);
    dialler.send(status(3));
    await primary.until('status');
    link.send(status(2));
    link.flush();
    await backup.until('status');
    // A node that begins with a version that the other does not know is refused once.
    const isRefused = dials > listens;
    expect(primary.words.includes('refused version')).toBe(isRefused);
    expect(backup.words).toEqual([`connected p by version ${used}`, 'status']);
  });

  it('a version that no node may speak is refused: the reason goes out in this one', async () => {
    const told = new Told();
    const { endpoint } = await listening(told);
    const stranger = peer(endpoint, HELLO, { version: 0 });
    await told.until('refused version');
    await until(() => stranger.heard.length > 0, 'told');
    const reason = `it speaks version 0 of the peer protocol, this node up to version ${PEER_VERSION}: upgrade the older program`;
    expect(stranger.heard).toEqual([{ kind: 'refuse', reason }]);
  });
});
