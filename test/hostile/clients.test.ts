import { RawPeer } from '../interop/support/raw-peer.js';
import { itWithTool } from '../support/tools.js';
import { Siege } from './siege.js';
import {
  cleanUp,
  isInUse,
  occurrences,
  type ServiceSeen,
  untilLogged,
} from '../process/broker/support.js';

const TOOL = 'python3-zmq';
const KIB = 1024;

function untilOnlySteady(watcher: RawPeer): Promise<unknown> {
  return watcher.untilMmi<ServiceSeen[]>('mmi.services', (services) => {
    return services.filter(isInUse).length === 1;
  });
}

describe('a client', () => {
  afterEach(cleanUp);

  itWithTool(
    TOOL,
    'that vanishes leaves nothing behind, and neither do fifty more (D26)',
    async () => {
      const siege = await Siege.begin();
      const watcher = new RawPeer(siege.endpoint);
      const round = async (rounds: number): Promise<void> => {
        const clients = Array.from({ length: 50 }, () => new RawPeer(siege.endpoint));
        for (const [number, client] of clients.entries()) {
          for (let sent = 0; sent < 10; sent++) {
            await client.send('MDPC02', '\x01', `none-${number % 7}`, Buffer.alloc(KIB));
          }
          await client.send('', 'MDPW01', '\x01', `gone-${number % 7}`);
        }
        for (const client of clients) {
          await client.settle();
          client.close();
        }
        await untilOnlySteady(watcher);
        await untilLogged(siege.daemon, 'request.dropped', {}, 500 * rounds);
      };
      await round(1);
      const before = await siege.heldBytes();
      const descriptors = siege.openDescriptors();
      for (let rounds = 2; rounds <= 3; rounds++) await round(rounds);
      await siege.bounded(before);
      expect(siege.openDescriptors()).toBeLessThan(descriptors + 50);
      await siege.end();
    },
  );

  itWithTool(
    TOOL,
    'whose options are as large as they may be, and others in each request, costs little (D117)',
    async () => {
      const siege = await Siege.begin();
      const round = async (rounds: number): Promise<void> => {
        const clients = Array.from({ length: 50 }, () => new RawPeer(siege.endpoint));
        for (const client of clients) {
          for (let sent = 0; sent < 100; sent++) {
            // A key that nobody knows; and options for a service that has none, which are read all the same.
            const [service, options] =
              sent % 2 === 0
                ? ['echo', `{"${'x'.repeat(1000)}${sent}":{}}`]
                : ['mmi.service', `{"once":${' '.repeat(1000 - sent)}true}`];
            await client.send('MDPC02', '\x05', service, options, '', '', '', 'x');
          }
          await client.settle();
        }
        for (const client of clients) client.close();
        await untilLogged(siege.daemon, 'message.malformed', {}, 5000 * rounds);
      };
      await round(1);
      const before = await siege.heldBytes();
      for (let rounds = 2; rounds <= 3; rounds++) await round(rounds);
      await siege.bounded(before);
      await siege.served();
      await siege.end();
      expect(occurrences(siege.daemon, 'message.malformed')).toBe(15_000);
    },
  );

  itWithTool(
    TOOL,
    'that floods one service is refused beyond the limit; others are served',
    async () => {
      const siege = await Siege.begin('limits.queuedRequestsPerService=1000');
      const peer = new RawPeer(siege.endpoint);
      const watcher = new RawPeer(siege.endpoint);
      const body = Buffer.alloc(KIB);
      const flood = async (): Promise<void> => {
        for (let sent = 0; sent < 10_000; sent++) await peer.send('MDPC02', '\x01', 'none', body);
        await peer.settle();
      };
      await flood();
      const seen = await watcher.untilMmi<ServiceSeen[]>('mmi.services', () => true);
      expect(seen.find(({ service }) => service === 'none')?.queued).toBe(1000);
      const before = await siege.heldBytes();
      await flood();
      await flood();
      await siege.bounded(before);
      await siege.served();
      peer.close();
      await untilOnlySteady(watcher);
      await siege.end();
      expect(occurrences(siege.daemon, 'request.refused', { reason: 'limit' })).toBe(29_000);
    },
  );

  itWithTool(
    TOOL,
    'that keeps asking for new services: the names are bounded and forgotten',
    async () => {
      const [each, most] = [5000, 500];
      const siege = await Siege.begin(`limits.services=${most}`, 'broker.requestTtlMs=1000');
      const peer = new RawPeer(siege.endpoint);
      const watcher = new RawPeer(siege.endpoint);
      const round = async (rounds: number): Promise<void> => {
        for (let sent = 0; sent < each; sent++) {
          await peer.send('MDPC02', '\x01', `round ${rounds} name ${sent}`, 'x');
        }
        await peer.settle();
        const seen = await watcher.untilMmi<ServiceSeen[]>('mmi.services', () => true);
        const unserved = seen.filter(
          ({ workersWaiting, workersBusy, queued }) =>
            workersWaiting + workersBusy === 0 && queued > 0,
        );
        expect(unserved.length).toBeLessThanOrEqual(most);
        await untilOnlySteady(watcher);
      };
      await round(1);
      const before = await siege.heldBytes();
      for (let rounds = 2; rounds <= 4; rounds++) await round(rounds);
      await siege.bounded(before);
      await siege.end();
      // As many as were kept for a while are not refused: how many depends on the machine.
      const refused = occurrences(siege.daemon, 'request.refused');
      expect(refused).toBeGreaterThan(each - most);
      expect(refused + occurrences(siege.daemon, 'request.expired')).toBe(4 * each);
    },
  );
});
