/** Hostile peers of listeners for one service, which speak no MDP. */
import { python } from '../interop/support/program.js';
import { RawPeer } from '../interop/support/raw-peer.js';
import { cleanUp, closedDeaf, untilLogged } from '../process/broker/support.js';
import type { Link } from '../../src/zmtp/link-port.js';
import { dialZmtp } from '../../src/zmtp/link.js';
import { freePorts } from '../support/free-ports.js';
import { itWithTool } from '../support/tools.js';
import { until } from '../support/until.js';
import { Siege } from './siege.js';

const TOOL = 'python3-zmq';
const READY = Buffer.from([1]);
const LIMITS = { messageBytesMax: 1e6, framesMax: 10, outputBytesMax: 1e6 };
const KIB = 1024;

interface Place {
  readonly siege: Siege;
  readonly workers: string;
  readonly clients: string;
}

async function begin(...sets: string[]): Promise<Place> {
  const [mdp, workers, clients] = (await freePorts(3)).map((port) => `tcp://127.0.0.1:${port}`);
  if (mdp === undefined || workers === undefined || clients === undefined) throw new Error('ports');
  const listen = [
    { endpoint: mdp },
    { endpoint: workers, service: 'echo', allow: ['worker'] },
    { endpoint: clients, service: 'echo', allow: ['client'], public: clients },
  ];
  const siege = await Siege.begin(`broker.listen=${JSON.stringify(listen)}`, ...sets);
  return { siege, workers, clients };
}

describe('a listener for one service', () => {
  afterEach(cleanUp);

  itWithTool(TOOL, 'gets READY from ten thousand connections (D33)', async () => {
    const { siege, workers, clients } = await begin(
      'limits.workers=500',
      'limits.connections=4000',
    );
    python('pirate_worker', workers, 'simple', '--upper');
    await untilLogged(siege.daemon, 'worker.registered', { service: 'echo' });
    const before = await siege.heldBytes();
    let connected = 0;
    const links = Array.from({ length: 10_000 }, (): Link => {
      const link: Link = dialZmtp({ limits: LIMITS })(workers, {
        connected: () => {
          connected++;
          link.write(READY, 0, READY.length, false);
        },
        disconnected: () => undefined,
        message: () => undefined,
      });
      return link;
    });
    await until(() => connected >= 3000, 'thousands of workers');
    await untilLogged(siege.daemon, 'worker.refused', { reason: 'limit' });
    await siege.served();
    await Promise.all(links.map((link) => link.close(0)));
    await until(() => siege.openDescriptors() < 200, 'all connections are closed');
    await siege.bounded(before);
    // The honest worker serves on.
    const client = python('plain_client', clients, 'req', 'hello', '--count', 2);
    expect((await client.finished()).map(({ frames }) => frames)).toEqual([['HELLO'], ['HELLO']]);
    await siege.end();
  });

  itWithTool(TOOL, 'has clients that do not read: they are closed (D31)', async () => {
    const small = ['limits.messageBytes=512KiB', 'limits.outputBytes=1MiB'];
    const { siege, workers, clients } = await begin(...small);
    python('pirate_worker', workers, 'paranoid');
    await untilLogged(siege.daemon, 'worker.registered', { service: 'echo' });
    const body = Buffer.alloc(64 * KIB, 'x');
    const deaf = new RawPeer(clients, { reads: false });
    for (let sent = 0; sent < 300; sent++) await deaf.send('', body);
    await siege.daemon.until(() => closedDeaf(siege.daemon) > 0, 'a closed client');
    await siege.served();
    deaf.close();
    await siege.end();
  });

  itWithTool(
    TOOL,
    'has workers that take a request and do nothing: another gets it (D35)',
    async () => {
      const { siege, workers, clients } = await begin('broker.busyTimeoutMs=500');
      const stuck = new RawPeer(workers, { reads: false });
      await stuck.send('\x01');
      await untilLogged(siege.daemon, 'worker.registered', { service: 'echo' });
      const client = python('plain_client', clients, 'req', 'hello', '--count', 1);
      await untilLogged(siege.daemon, 'worker.lost', { service: 'echo' });
      python('pirate_worker', workers, 'simple', '--upper');
      expect((await client.finished()).map(({ frames }) => frames)).toEqual([['HELLO']]);
      await siege.end();
    },
  );
});
