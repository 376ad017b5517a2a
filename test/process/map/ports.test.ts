import { killPrograms, python } from '../../interop/support/program.js';
import { killAll } from '../../support/child.js';
import {
  type Daemon,
  removeDaemons,
  startDaemon,
  temporaryDirectory,
} from '../../support/daemon.js';
import { mapOf, MAPS } from '../../support/map-endpoint.js';
import { MapPeer, uuidOf } from '../../support/map-peers.js';
import { freePorts } from '../../support/free-ports.js';
import { itWithTool } from '../../support/tools.js';

const TOOL = 'python3-zmq';

/** For cases that neither end it nor look at the whole map. */
let shared: Daemon;

beforeAll(async () => {
  shared = await withMap();
});

afterEach(async () => {
  await killPrograms();
  await killAll(shared);
});

afterAll(removeDaemons);

async function withMap(...sets: readonly string[]): Promise<Daemon> {
  return await startDaemon({ sets: [MAPS, ...sets] });
}

describe('the ports of the map, to libzmq peers', () => {
  itWithTool(
    TOOL,
    'a change comes back with its number, uuid and properties (12/CHP)',
    async () => {
      const peer = await MapPeer.connected(mapOf(shared));
      peer.set('/colour', 'ignored', uuidOf('a'), 'ttl=0\nx=y\n', 'blue');
      const update = await peer.update(({ key }) => key === '/colour');
      expect(update).toEqual({
        key: '/colour',
        number: update.number,
        uuid: uuidOf('a'),
        properties: 'ttl=0\nx=y\n',
        value: 'blue',
      });
      expect(update.number >> 40n).toBe(1n);
    },
  );

  itWithTool(
    TOOL,
    'a snapshot is KVSYNC without uuid and properties, then KTHXBAI (12/CHP)',
    async () => {
      const peer = await MapPeer.connected(mapOf(await withMap()));
      peer.set('/a/1', '', uuidOf('a'), 'x=y\n', 'one');
      peer.set('/b/1', '', uuidOf('b'), '', 'other');
      const { number } = await peer.update(({ key }) => key === '/a/1');
      const last = await peer.update(({ key }) => key === '/b/1');
      const empty = { uuid: '', properties: '' };
      expect(await peer.snapshot('/a/')).toEqual([
        { key: '/a/1', number, ...empty, value: 'one' },
        { key: 'KTHXBAI', number, ...empty, value: '/a/' },
      ]);
      const all = await peer.snapshot();
      expect(all.map(({ key }) => key)).toEqual(['/a/1', '/b/1', 'KTHXBAI']);
      expect(all.at(-1)?.number).toBe(last.number);
      const [nothing] = await peer.snapshot('/none/');
      expect(nothing).toEqual({ key: 'KTHXBAI', number: last.number, ...empty, value: '/none/' });
    },
  );

  itWithTool(TOOL, 'a map that is open to a network does not list the services (D74)', async () => {
    const listen = 'map.listen={endpoint: "tcp://0.0.0.0:0", insecure: true}';
    const daemon = await startDaemon({ sets: [listen] });
    const endpoint = mapOf(daemon).replace('0.0.0.0', '127.0.0.1');
    const peer = await MapPeer.connected(endpoint);
    python('worker', daemon.endpoint, 'echo');
    await daemon.waitFor('worker.registered');
    peer.set('/mine', '', '', '', 'x');
    await peer.update(({ key }) => key === '/mine');
    expect((await peer.snapshot()).map(({ key }) => key)).toEqual(['/mine', 'KTHXBAI']);
  });

  itWithTool(TOOL, 'a PUSH is refused: its socket type is no publisher (D58)', async () => {
    // libzmq refuses on its side, too, and is faster.
    new MapPeer(mapOf(shared), '--writer', 'PUSH');
    expect(await shared.waitFor('map.rejected')).toMatchObject({ port: 'writers' });
  });

  itWithTool(
    TOOL,
    'what was set is there after a restart, under higher numbers (D48, D50)',
    async () => {
      const daemon = await withMap();
      const { dataDir, endpoint } = daemon;
      const first = await MapPeer.connected(mapOf(daemon));
      first.set('/kept', '', uuidOf('a'), 'x=y\n', 'before');
      const before = await first.update(({ key }) => key === '/kept');
      await daemon.kill();
      const again = await startDaemon({ dataDir, endpoint, sets: [MAPS] });
      const second = await MapPeer.connected(mapOf(again));
      const [kept, end] = await second.snapshot();
      expect(kept).toMatchObject({ key: '/kept', value: 'before', number: before.number });
      expect(end).toMatchObject({ key: 'KTHXBAI', number: before.number });
      second.set('/new', '', uuidOf('b'), '', 'x');
      const { number } = await second.update(({ key }) => key === '/new');
      expect(number >> 40n).toBe((before.number >> 40n) + 1n);
    },
  );

  itWithTool(
    TOOL,
    'numbers rise over a restart although nothing of them was stored (D48)',
    async () => {
      const daemon = await withMap();
      const { dataDir, endpoint } = daemon;
      const numbers: bigint[] = [];
      const served = async (node: Daemon): Promise<void> => {
        const peer = await MapPeer.connected(mapOf(node));
        const worker = python('worker', node.endpoint, 'echo');
        numbers.push((await peer.update(({ key }) => key === '/mmi/service/echo')).number);
        await worker.kill();
      };
      await served(daemon);
      await daemon.kill();
      await served(await startDaemon({ dataDir, endpoint, sets: [MAPS] }));
      expect((numbers[1] ?? 0n) > (numbers[0] ?? 0n)).toBe(true);
    },
  );

  itWithTool(
    TOOL,
    'numbers rise when a standalone node becomes one of a pair, and back (D48)',
    async () => {
      const [link, peer] = await freePorts(2);
      const pair = [
        'bstar.role=primary',
        `bstar.listen=tcp://127.0.0.1:${link}`,
        `bstar.peer=tcp://127.0.0.1:${peer}`,
        'bstar.heartbeatIntervalMs=100',
      ];
      const dataDir = temporaryDirectory();
      const epochs: number[] = [];
      for (const sets of [[], pair, pair, [], pair]) {
        const node = await startDaemon({ dataDir, sets: [MAPS, ...sets] });
        const writer = new MapPeer(mapOf(node));
        // Its peer is dead, so it serves once a client asks.
        const asking = setInterval(() => writer.ask('ICANHAZ?', ''), 200);
        await writer.program.until(() => writer.hugs > 0, 'HUGZ');
        await writer.program.waitFor('writes');
        clearInterval(asking);
        writer.set('/a', '', '', '', String(epochs.length));
        const { number } = await writer.update(({ key }) => key === '/a');
        epochs.push(Number(number >> 40n));
        await writer.program.kill();
        await node.kill();
      }
      expect(epochs).toEqual([...new Set(epochs)].sort((a, b) => a - b));
    },
  );

  itWithTool(TOOL, 'a PUB that connects is subscribed to, as the Guide has it', async () => {
    const peer = new MapPeer(mapOf(shared), '--writer', 'PUB');
    await peer.program.until(() => peer.hugs > 0, 'HUGZ');
    // Until it is subscribed to, it drops what it sends.
    const again = setInterval(() => peer.set('/a', '', '', '', 'x'), 50);
    try {
      expect(await peer.update(({ key }) => key === '/a')).toMatchObject({ value: 'x' });
    } finally {
      clearInterval(again);
    }
  });
});
