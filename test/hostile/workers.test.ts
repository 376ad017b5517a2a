import { RawPeer } from '../interop/support/raw-peer.js';
import { itWithTool } from '../support/tools.js';
import { Siege } from './siege.js';
import {
  cleanUp,
  isInUse,
  occurrences,
  rawWorker,
  type ServiceSeen,
  tokenOf,
  type WorkerSeen,
} from '../process/broker/support.js';

const TOOL = 'python3-zmq';
const KIB = 1024;

describe('a worker', () => {
  afterEach(cleanUp);

  itWithTool(TOOL, 'that replies to a request of another worker reaches nobody (D7)', async () => {
    const siege = await Siege.begin();
    const { endpoint } = siege;
    const client = new RawPeer(endpoint);
    const honest = await rawWorker(endpoint, 'work');
    const asked = client.ask('id', 'work', 'x');
    const token = tokenOf(await honest.receiveCommand());
    const mallory = await rawWorker(endpoint, 'other');
    const flipped = Array.from(token, (_, at) => {
      const bytes = Buffer.from(token, 'latin1');
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      return bytes.toString('latin1');
    });
    // Even with a leaked token of another worker.
    const forged = ['', 'id', token, ...flipped, token.slice(1), `${token}x`, 'x'.repeat(5000)];
    for (const guess of forged) {
      for (const command of ['\x03', '\x04']) {
        await mallory.send('MDPW02', '\x01', 'other');
        await mallory.send('MDPW02', command, guess, '', 'forged');
      }
    }
    const answers = await mallory.settle();
    expect(answers.every(([header, command]) => header === 'MDPW02' && command === '\x06')).toBe(
      true,
    );
    expect(answers.length).toBeGreaterThanOrEqual(forged.length * 2);
    await honest.send('MDPW02', '\x04', token, '', 'honest');
    expect((await asked).at(-1)).toBe('honest');
    expect(await client.settle()).toEqual([]);
    await siege.end();
  });

  itWithTool(TOOL, 'that replies twice: the second reply is ignored', async () => {
    const siege = await Siege.begin();
    const client = new RawPeer(siege.endpoint);
    const worker = await rawWorker(siege.endpoint, 'work');
    for (let turn = 0; turn < 50; turn++) {
      const asked = client.ask('id', 'work', String(turn));
      const token = tokenOf(await worker.receiveCommand());
      for (const command of ['\x04', '\x04', '\x03', '\x03', '\x04']) {
        await worker.send('MDPW02', command, token, '', `reply ${turn}`);
      }
      expect((await asked).at(-1)).toBe(`reply ${turn}`);
      // The first is its reply; the others arrive while it has no request.
      const away = ['MDPW02', '\x06'];
      expect(await worker.settle()).toEqual([away, away, away, away]);
      await worker.send('MDPW02', '\x01', 'work');
      await worker.settle();
      expect(await client.settle()).toEqual([]);
    }
    await siege.end();
  });

  itWithTool(TOOL, 'that registers and leaves again and again', async () => {
    const siege = await Siege.begin();
    const peer = new RawPeer(siege.endpoint);
    const round = async (): Promise<void> => {
      for (let turn = 0; turn < 1000; turn++) {
        await peer.send('MDPW02', '\x01', `service-${turn % 30}`);
        await peer.send('MDPW02', '\x06');
      }
      expect(await peer.settle()).toEqual([]);
    };
    await round();
    const before = await siege.heldBytes();
    for (let rounds = 0; rounds < 4; rounds++) await round();
    await siege.bounded(before);
    const rest = await peer.untilMmi<ServiceSeen[]>('mmi.services', () => true);
    expect(rest.filter(isInUse)).toHaveLength(1);
    await siege.end();
    expect(occurrences(siege.daemon, 'worker.lost', { reason: 'disconnected' })).toBe(5000);
  });

  itWithTool(
    TOOL,
    'that sends endless PARTIALs to a 0.1 client: the request is given up (D10)',
    async () => {
      const siege = await Siege.begin('limits.messageBytes=256KiB');
      const client = new RawPeer(siege.endpoint);
      await client.hello();
      const worker = await rawWorker(siege.endpoint, 'work');
      await client.send('id', '', 'MDPC01', 'work', 'x');
      const token = tokenOf(await worker.receiveCommand());
      const part = Buffer.alloc(64 * KIB);
      const round = async (): Promise<void> => {
        for (let sent = 0; sent < 200; sent++) await worker.send('MDPW02', '\x03', token, '', part);
        await worker.settle();
      };
      await round();
      expect((await client.receive()).slice(3, 5)).toEqual(['mmi.refused', '502']);
      const before = await siege.heldBytes();
      for (let rounds = 0; rounds < 3; rounds++) await round();
      await siege.bounded(before);
      await worker.send('MDPW02', '\x04', token, '', 'end');
      await worker.settle();
      expect(await client.settle()).toEqual([]);
      expect(await client.untilMmi<WorkerSeen[]>('mmi.workers', () => true)).toHaveLength(2);
      await siege.end();
    },
  );
});
