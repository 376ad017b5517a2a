import { connect } from 'node:net';

import type { Introduction } from '../../../src/bstar/io/handshake.js';
import { dialPeer } from '../../../src/bstar/io/peer-dialler.js';
import type { PeerLink } from '../../../src/bstar/io/peer-link.js';
import { listenForPeer } from '../../../src/bstar/io/peer-listener.js';
import { dialZmtp } from '../../../src/zmtp/link.js';
import type { Link } from '../../../src/zmtp/link-port.js';
import { PEER_VERSION } from '../../../src/wire/pair.js';
import { writePeer } from '../../../src/wire/pair-codec.js';
import { freePorts } from '../../support/free-ports.js';
import { destroySockets, RawSocket } from '../../support/raw-socket.js';
import { BACKUP, HEARTBEAT_MS, PRIMARY, Told } from './link-ends.js';

const MIB = 1024 * 1024;
const PIECE = Buffer.alloc(MIB / 4);

let open: PeerLink[] = [];

afterEach(async () => {
  await Promise.all(open.map((link) => link.close()));
  open = [];
  destroySockets();
});

async function listening(events: Told, introduction = PRIMARY): Promise<string> {
  const [port = 0] = await freePorts(1);
  const endpoint = `tcp://127.0.0.1:${port}`;
  const options = {
    introduction: () => introduction,
    incarnation: 1000,
    heartbeatIntervalMs: HEARTBEAT_MS,
    version: PEER_VERSION,
    events,
  };
  open.push(await listenForPeer(endpoint, undefined, options));
  return endpoint;
}

function dialling(
  endpoint: string,
  events: Told,
  introduction = BACKUP,
  incarnation = 2000,
): PeerLink {
  const options = {
    introduction: () => introduction,
    incarnation,
    heartbeatIntervalMs: HEARTBEAT_MS,
    version: PEER_VERSION,
    events,
  };
  const link = dialPeer(endpoint, undefined, options);
  open.push(link);
  return link;
}

describe('the link of a pair (docs/peer-protocol.md)', () => {
  it('is connected once both have proved that they are alive; messages go both ways', async () => {
    const [primary, backup] = [new Told(), new Told()];
    const endpoint = await listening(primary);
    const link = dialling(endpoint, backup);
    await Promise.all([primary.until('connected b'), backup.until('connected p')]);
    link.send({ kind: 'probe', epoch: 1, number: 1 });
    await primary.until('probe');
    open[0]?.send({ kind: 'probed', epoch: 1, number: 1 });
    open[0]?.flush();
    await backup.until('probed');
  });

  it('is opened again after each end, from either side (D20)', async () => {
    const [primary, backup] = [new Told(), new Told()];
    const endpoint = await listening(primary);
    const link = dialling(endpoint, backup);
    await Promise.all([primary.until('connected'), backup.until('connected')]);
    link.disconnect();
    await primary.until('connected', 2);
    expect(primary.count('disconnected')).toBe(1);
    await backup.until('connected', 2);
    open[0]?.disconnect();
    await backup.until('connected', 3);
    expect(backup.count('disconnected')).toBe(1);
  });

  it.each<[string, Partial<Introduction>, RegExp]>([
    ['pair', { pair: 'other' }, /to the pair "other"/],
    ['role', { role: 'primary' }, /both nodes are configured as primary/],
    ['replication', { replication: 'async' }, /titanic.replication is async/],
    ['heartbeat', { heartbeatIntervalMs: 300 }, /heartbeatIntervalMs is 300/],
    ['store', { storeId: PRIMARY.storeId }, /copy of the other/],
  ])(
    'refuses another %s, says why on both sides, and believes nothing',
    async (code, change, why) => {
      const [primary, backup] = [new Told(), new Told()];
      const endpoint = await listening(primary);
      dialling(endpoint, backup, { ...BACKUP, ...change });
      await Promise.all([primary.until(`refused ${code}`), backup.until('by peer')]);
      expect(backup.words[0]).toMatch(why);
      expect(primary.count('connected')).toBe(0);
      // Refused or not, it is alive: it comes again after a heartbeat of its own.
      const againMs = Math.max(HEARTBEAT_MS, change.heartbeatIntervalMs ?? 0);
      await primary.until(`alive: again after ${againMs}, epoch 0`, 2);
      await backup.until('alive: again after', 2);
    },
  );

  it('refuses a node that connects to itself', async () => {
    const told = new Told();
    const endpoint = await listening(told);
    const self = new Told();
    dialling(endpoint, self, PRIMARY, 1000);
    await told.until('refused self');
    expect(told.count('alive')).toBe(0);
  });

  it('connects two nodes that were started within one millisecond', async () => {
    const [primary, backup] = [new Told(), new Told()];
    const endpoint = await listening(primary);
    dialling(endpoint, backup, BACKUP, 1000);
    await Promise.all([primary.until('connected'), backup.until('connected')]);
  });

  it('ignores strangers, garbage and replayed messages (D18)', async () => {
    const [primary, backup] = [new Told(), new Told()];
    const endpoint = await listening(primary);
    dialling(endpoint, backup);
    await primary.until('connected');
    const port = Number(endpoint.split(':').at(-1));
    const socket = connect(port, '127.0.0.1');
    socket.resume();
    socket.end('GET / HTTP/1.0\r\n\r\n');
    await new Promise((resolve) => socket.once('close', resolve));
    // A HELLO and a status of a process that has ended, byte for byte.
    let ended = 0;
    const link = dialZmtp({
      limits: { messageBytesMax: 1e6, framesMax: 10, outputBytesMax: 1e6 },
    })(endpoint, {
      connected: () => {
        const hello = { kind: 'hello' as const, ...BACKUP, nonce: Buffer.alloc(16), resumes: null };
        const proof = { kind: 'proof' as const, nonce: Buffer.alloc(16) };
        const status = { kind: 'probe' as const, epoch: 9, number: 9 };
        for (const [index, message] of [hello, proof, status].entries()) {
          const frames = writePeer(message, { incarnation: 1, sequence: index + 1 });
          for (const frame of frames) link.write(frame, 0, frame.length, false);
        }
      },
      message: () => undefined,
      disconnected: () => {
        ended++;
      },
    });
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        if (ended === 0) return;
        clearInterval(timer);
        resolve();
      }, 5);
    });
    await link.close(0);
    const heard = primary.words.filter((word) => !word.startsWith('rejected'));
    expect(heard).toEqual(['connected b by version 1']);
    expect(backup.words).toEqual(['connected p by version 1']);
  });

  it('takes no notice of the empty message of ZMQ_PROBE_ROUTER (D113)', async () => {
    const primary = new Told();
    const limits = { messageBytesMax: 1e6, framesMax: 10, outputBytesMax: 1e6 };
    const nonce = Buffer.alloc(16);
    const hello = { kind: 'hello' as const, ...BACKUP, nonce, resumes: null };
    const endpoint = await listening(primary);
    let link: Link | null = null;
    await new Promise<void>((resolve) => {
      link = dialZmtp({ limits })(endpoint, {
        connected: () => {
          link?.write(nonce, 0, 0, false);
          for (const frame of writePeer(hello, { incarnation: 1, sequence: 1 })) {
            link?.write(frame, 0, frame.length, false);
          }
        },
        message: () => resolve(),
        disconnected: () => undefined,
      });
    });
    await (link as Link | null)?.close(0);
    expect(primary.words).toEqual([]);
  });

  it('reads no long message before the proof, so that a stranger cannot take memory', async () => {
    const primary = new Told();
    const endpoint = await listening(primary);
    const stranger = await new RawSocket(endpoint).shakeHands();
    const head = Buffer.alloc(9);
    head[0] = 2;
    head.writeBigUInt64BE(2n ** 30n, 1);
    stranger.write(head);
    // More than the kernel buffers between two sockets.
    const most = 64 * MIB;
    let taken = 0;
    for (let isTaken = true; isTaken && taken < most; taken += PIECE.length) {
      isTaken = await new Promise<boolean>((resolve) => {
        stranger.socket.write(PIECE, (error) => resolve(error === null || error === undefined));
      });
    }
    expect(taken).toBeLessThan(most);
    expect(primary.words).toEqual([]);
  });

  it.each(['primary', 'backup'] as const)(
    'ends for an epoch that no peer can have, at the %s, and says so at both ends (D79)',
    async (at) => {
      const told = { primary: new Told(), backup: new Told() };
      const endpoint = await listening(told.primary);
      const dialler = dialling(endpoint, told.backup);
      await Promise.all([told.primary.until('connected'), told.backup.until('connected')]);
      const claim = {
        state: 'active' as const,
        epoch: 2 ** 53 - 2,
        offers: false,
        holds: null,
        keys: null,
        listenerKeys: null,
      };
      const sender = at === 'primary' ? dialler : open[0];
      sender?.send({ kind: 'status', ...claim });
      sender?.flush();
      await told[at].until('disconnected');
      expect(told[at].words.slice(0, 3)).toEqual([
        expect.stringMatching(/^connected/),
        'refused epoch',
        'disconnected',
      ]);
      await told[at].until('connected', 2);
    },
  );

  it('does not connect while it is held off', async () => {
    const [primary, backup] = [new Told(), new Told()];
    const endpoint = await listening(primary);
    const link = dialling(endpoint, backup);
    await Promise.all([primary.until('connected'), backup.until('connected')]);
    const heldAt = process.hrtime.bigint();
    link.holdOff(300);
    link.disconnect();
    await primary.until('connected', 2);
    // Only the lower bound is tested.
    expect(Number(process.hrtime.bigint() - heldAt) / 1e6).toBeGreaterThan(290);
  });
});
