import { python } from '../interop/support/program.js';
import { RawPeer } from '../interop/support/raw-peer.js';
import { TRANSPORTS } from '../interop/support/transports.js';
import { itWithTool } from '../support/tools.js';
import { Siege } from './siege.js';
import {
  cleanUp,
  closedDeaf,
  occurrences,
  rawWorker,
  tokenOf,
  untilLogged,
  type WorkerSeen,
} from '../process/broker/support.js';

const TOOL = 'python3-zmq';
const KIB = 1024;

describe.each(TRANSPORTS)('peers that do not read, over %s', (transport) => {
  afterEach(cleanUp);

  function begin(...sets: string[]): Promise<Siege> {
    const small = ['limits.messageBytes=512KiB', 'limits.outputBytes=1MiB'];
    return Siege.begin(`broker.transport=${transport}`, ...small, ...sets);
  }

  itWithTool(
    TOOL,
    'a client that does not read is closed, and its replies are dropped',
    async () => {
      const siege = await begin();
      python('worker', siege.endpoint, 'echo', '--credit', 10);
      await untilLogged(siege.daemon, 'worker.registered', { service: 'echo' });
      const body = Buffer.alloc(64 * KIB, 'x');
      const late = await rawWorker(siege.endpoint, 'late');
      const flood = async (): Promise<void> => {
        const deaf = new RawPeer(siege.endpoint, { reads: false });
        const before = closedDeaf(siege.daemon);
        const dropped = occurrences(siege.daemon, 'reply.dropped');
        await deaf.send('id', '', 'MDPC02', '\x01', 'late', 'x');
        const request = await late.receiveCommand();
        for (let sent = 0; sent < 300; sent++) {
          await deaf.send('id', '', 'MDPC02', '\x01', 'echo', body);
        }
        await siege.daemon.until(() => closedDeaf(siege.daemon) > before, 'a closed client');
        await late.send('MDPW02', '\x04', tokenOf(request), '', 'done');
        await untilLogged(siege.daemon, 'reply.dropped', {}, dropped + 1);
        await siege.served();
        deaf.close();
      };
      await flood();
      const before = await siege.heldBytes();
      for (let rounds = 0; rounds < 2; rounds++) await flood();
      await siege.bounded(before);
      await siege.end();
    },
  );

  itWithTool(
    TOOL,
    'a worker that does not read gets no more; others take what it has (D5)',
    async () => {
      const siege = await begin('broker.busyTimeoutMs=3000');
      const { endpoint } = siege;
      const client = new RawPeer(endpoint);
      const deaf = new RawPeer(endpoint, { reads: false });
      await deaf.send('MDPW02', '\x01', 'work', '10000');
      await client.untilMmi<WorkerSeen[]>('mmi.workers', (workers) => workers.length === 2);
      const body = Buffer.alloc(64 * KIB, 'x');
      // As long as the buffers of both ends have room it is given what comes; then it is not.
      let count = 0;
      for (let out = 0; out === count;) {
        expect(count).toBeLessThan(1000);
        for (const until = count + 100; count < until; count++) {
          await client.send(`id-${count}`, '', 'MDPC02', '\x01', 'work', body);
        }
        await client.settle();
        await siege.served();
        const seen = await client.untilMmi<WorkerSeen[]>('mmi.workers', () => true);
        out = seen.find(({ service }) => service === 'work')?.inFlight ?? 0;
      }
      const reader = await rawWorker(endpoint, 'work');
      const answered = new Set<string>();
      while (answered.size < count) {
        const request = await reader.receiveCommand();
        await reader.send('MDPW02', '\x04', tokenOf(request), '', 'done');
        const [id = ''] = await client.receive();
        expect(answered.has(id)).toBe(false);
        answered.add(id);
      }
      await untilLogged(siege.daemon, 'worker.lost', { service: 'work', reason: 'expired' });
      await siege.end();
    },
  );

  itWithTool(TOOL, 'a client that does not read large mmi.* answers is closed', async () => {
    const siege = await begin();
    const idle = await Promise.all(
      Array.from({ length: 50 }, (_, number) =>
        rawWorker(siege.endpoint, `idle-${number}-${'x'.repeat(200)}`),
      ),
    );
    for (const worker of idle) await worker.settle();
    const flood = async (): Promise<void> => {
      const deaf = new RawPeer(siege.endpoint, { reads: false });
      for (let sent = 0; sent < 2000; sent++) {
        await deaf.send('id', '', 'MDPC02', '\x01', 'mmi.services', '');
      }
      await siege.served();
      deaf.close();
    };
    await flood();
    // An answer that it would not read is not even made.
    await untilLogged(siege.daemon, 'request.refused', { reason: 'limit' });
    const before = await siege.heldBytes();
    await flood();
    await flood();
    await siege.bounded(before);
    await siege.end();
  });
});
