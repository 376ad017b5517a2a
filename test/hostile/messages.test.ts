import { RawPeer } from '../interop/support/raw-peer.js';
import { TRANSPORTS } from '../interop/support/transports.js';
import { itWithTool } from '../support/tools.js';
import { MALFORMED, type Message } from './malformed.js';
import { Siege } from './siege.js';
import {
  cleanUp,
  isInUse,
  occurrences,
  rawWorker,
  type ServiceSeen,
  tokenOf,
  untilLogged,
  type WorkerSeen,
} from '../process/broker/support.js';

const TOOL = 'python3-zmq';

const DISCONNECT: Readonly<Record<string, Message>> = {
  '0.1': ['', 'MDPW01', '\x05'],
  '0.2': ['MDPW02', '\x06'],
};

const READY: Readonly<Record<string, Message>> = {
  '0.1': ['', 'MDPW01', '\x01', 'work'],
  '0.2': ['MDPW02', '\x01', 'work'],
};

/** Numbers from 0 to below `bound`, the same ones in every run. */
function numbersFrom(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (state >>> 8) % bound;
  };
}

const INTERESTING: readonly string[] = [
  ...['', '', '', 'MDPC01', 'MDPC02', 'MDPW01', 'MDPW02', 'MDPC02', 'MDPW02', 'x', 'work', 'mmi.x'],
  ...['\x00', '\x01', '\x01', '\x02', '\x03', '\x04', '\x05', '\x06', '\x07', '\xff', '7', '10000'],
  ...[
    'mmi.service',
    'mmi.workers',
    'mmi.hello',
    '{}',
    '\xc3\x28',
    'y'.repeat(255),
    'z'.repeat(256),
  ],
];

describe('a well-behaved client is served while another sends', () => {
  afterEach(cleanUp);

  itWithTool(TOOL, 'every malformed message: dropped, counted, no answer', async () => {
    const siege = await Siege.begin();
    const { daemon, endpoint } = siege;
    const peer = new RawPeer(endpoint);
    for (const message of MALFORMED) await peer.send(...message);
    expect(await peer.settle()).toEqual([]);
    const before = await siege.heldBytes();
    for (let round = 0; round < 8; round++) {
      for (const message of MALFORMED) await peer.send(...message);
    }
    expect(await peer.settle()).toEqual([]);
    await siege.bounded(before);
    await siege.end();
    expect(occurrences(daemon, 'message.malformed')).toBe(MALFORMED.length * 9);
  });

  itWithTool(
    TOOL,
    'every malformed message from a registered worker: DISCONNECT each time',
    async () => {
      const siege = await Siege.begin();
      for (const version of ['0.1', '0.2']) {
        const peer = new RawPeer(siege.endpoint);
        for (const message of MALFORMED) {
          await peer.send(...(READY[version] ?? []));
          await peer.send(...message);
        }
        const answers = await peer.settle();
        expect(answers).toEqual(MALFORMED.map(() => DISCONNECT[version]));
      }
      await siege.end();
      expect(
        occurrences(siege.daemon, 'worker.lost', { service: 'work', reason: 'protocol' }),
      ).toBe(MALFORMED.length * 2);
    },
  );

  itWithTool(TOOL, 'a valid message at the wrong time: DISCONNECT (protocols §3)', async () => {
    const siege = await Siege.begin();
    for (const version of ['0.1', '0.2']) {
      const prefix = version === '0.1' ? ['', 'MDPW01'] : ['MDPW02'];
      const replies = version === '0.1' ? ['\x03'] : ['\x03', '\x04'];
      const heartbeat = version === '0.1' ? '\x04' : '\x05';
      const peer = new RawPeer(siege.endpoint);
      const unexpected: Message[] = [
        [heartbeat],
        ...replies.map((reply) => [reply, 'token', '', 'body']),
        ...replies.map((reply) => [reply, '', '', 'body']),
        ['\x07', 'token', ''],
      ];
      for (const frames of unexpected) await peer.send(...prefix, ...frames);
      expect(await peer.settle()).toEqual(unexpected.map(() => DISCONNECT[version]));
      // DISCONNECT itself is never answered.
      await peer.send(...(DISCONNECT[version] ?? []));
      expect(await peer.settle()).toEqual([]);
      for (let twice = 0; twice < 2; twice++) await peer.send(...(READY[version] ?? []));
      expect(await peer.settle()).toEqual([DISCONNECT[version]]);
      for (const frames of unexpected.slice(1)) {
        await peer.send(...(READY[version] ?? []));
        await peer.send(...prefix, ...frames);
      }
      expect(await peer.settle()).toEqual(unexpected.slice(1).map(() => DISCONNECT[version]));
    }
    await siege.end();
  });

  itWithTool(
    TOOL,
    'names of any bytes, up to 255 of them, are compared and shown as bytes (D3)',
    async () => {
      const siege = await Siege.begin();
      const names = ['\xff\xfe\x00', '%', '\xc3\x28\n"\\', 'n'.repeat(255), ' ', '\x00', '%00'];
      const client = new RawPeer(siege.endpoint);
      for (const name of names) {
        const worker = await rawWorker(siege.endpoint, name);
        const asked = client.ask('id', name, 'x');
        const token = tokenOf(await worker.receiveCommand());
        await worker.send('MDPW02', '\x04', token, '', 'y');
        expect(await asked).toEqual(['id', '', 'MDPC02', '\x03', name, 'y']);
        expect((await client.ask('id', 'mmi.service', name)).at(-1)).toBe('200');
      }
      const shown = (await client.untilMmi<WorkerSeen[]>('mmi.workers', () => true)).map(
        ({ service }) => service,
      );
      const escaped = ['%FF%FE%00', '%25', '%C3(%0A"\\', 'n'.repeat(255), ' ', '%00', '%2500'];
      expect(shown.sort()).toEqual([...escaped, 'steady'].sort());
      await siege.end();
    },
  );

  itWithTool(TOOL, 'random combinations of meaningful frames', async () => {
    const siege = await Siege.begin('broker.requestTtlMs=500');
    const pick = numbersFrom(20_260_731);
    const peers = Array.from({ length: 4 }, () => new RawPeer(siege.endpoint));
    const throwTogether = async (count: number): Promise<void> => {
      for (let sent = 0; sent < count; sent++) {
        const frames = Array.from(
          { length: 1 + pick(8) },
          () => INTERESTING[pick(INTERESTING.length)] ?? '',
        );
        await peers[pick(4)]?.send(...frames);
      }
      for (const peer of peers) await peer.settle();
    };
    await throwTogether(3000);
    const before = await siege.heldBytes();
    await throwTogether(12_000);
    await siege.bounded(before);
    for (const peer of peers) peer.close();
    const watcher = new RawPeer(siege.endpoint);
    // Nothing of it stays.
    await watcher.untilMmi<ServiceSeen[]>('mmi.services', (services) => {
      return services.filter(isInUse).length === 1;
    });
    await siege.end();
  });
});

describe.each(TRANSPORTS)(
  'over %s, a well-behaved client is served while another sends',
  (transport) => {
    afterEach(cleanUp);

    itWithTool(TOOL, 'messages of 10,000 frames, with any header', async () => {
      const siege = await Siege.begin(`broker.transport=${transport}`);
      const many = Array.from({ length: 10_000 }, (_, number) => (number % 2 === 0 ? '' : 'x'));
      const begins: Message[] = [
        ['', 'MDPC01', 'steady'],
        ['MDPC02', '\x01', 'steady'],
        ['', 'MDPW01', '\x01'],
        ['MDPW02', '\x04', 'token', ''],
        [],
      ];
      const round = async (rounds: number): Promise<void> => {
        // It may cost them their connection: nothing more is asked over it.
        const peers = begins.map(() => new RawPeer(siege.endpoint));
        for (const [index, begin] of begins.entries()) await peers[index]?.send(...begin, ...many);
        // Two of them are requests.
        await untilLogged(siege.daemon, 'request.refused', { reason: 'too_large' }, 2 * rounds);
        await untilLogged(siege.daemon, 'message.malformed', { kind: 'too_large' }, 3 * rounds);
        for (const peer of peers) peer.close();
      };
      await round(1);
      const before = await siege.heldBytes();
      for (let rounds = 2; rounds <= 3; rounds++) await round(rounds);
      await siege.bounded(before);
      await siege.end();
      expect(occurrences(siege.daemon, 'request.refused', { reason: 'too_large' })).toBe(6);
      expect(occurrences(siege.daemon, 'message.malformed', { kind: 'too_large' })).toBe(9);
    });
  },
);
