import { connect, type Socket } from 'node:net';

import { killPrograms } from '../interop/support/program.js';
import { ask, httpOf } from '../support/http.js';
import { mapOf, MAPS } from '../support/map-endpoint.js';
import { MapPeer, mapPort, uuidOf } from '../support/map-peers.js';
import { itWithTool } from '../support/tools.js';
import { commandFrame, greetingOf, property, ready } from '../unit/zmtp/wire.js';
import { cleanUp, untilLogged } from '../process/broker/support.js';
import { Siege } from './siege.js';

const TOOL = 'python3-zmq';
const KIB = 1024;
const HTTP = 'http.listen=127.0.0.1:0';

const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await killPrograms();
  await cleanUp();
});

/** A connection by hand to the port so many above P, which never reads. */
async function deaf(endpoint: string, above: number, type: string): Promise<Socket> {
  const socket = connect(mapPort(endpoint, above), '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => undefined);
  socket.pause();
  socket.write(Buffer.concat([greetingOf({ minor: 1 }), ready(property('Socket-Type', type))]));
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}

/** A message as ZMTP frames, each shorter than 256 bytes. */
function message(...frames: readonly string[]): Buffer {
  const last = frames.length - 1;
  return Buffer.concat(
    frames.flatMap((frame, index) => [
      Buffer.from([index < last ? 1 : 0, frame.length]),
      Buffer.from(frame, 'latin1'),
    ]),
  );
}

/** The writer's next change goes through, and nothing else was published meanwhile. */
async function stillServed(peer: MapPeer, name: string): Promise<void> {
  const before = peer.updates.length;
  peer.set(name, '', '', '', 'x');
  await peer.update(({ key }) => key === name);
  expect(peer.updates).toHaveLength(before + 1);
}

const MALFORMED: readonly (readonly string[])[] = [
  [''],
  ['/a', '', '', ''],
  ['/a', '', '', '', 'x', ''],
  ['', '', '', '', 'x'],
  ['k'.repeat(256), '', '', '', 'x'],
  ['/a\0b', '', '', '', 'x'],
  ['HUGZ', '', '', '', 'x'],
  ['KTHXBAI', '', '', '', 'x'],
  ['ICANHAZ?', '', '', '', 'x'],
  ['/a', '', 'u'.repeat(15), '', 'x'],
  ['/a', '', 'u'.repeat(17), '', 'x'],
  ['/a', '', '', 'ttl=-1\n', 'x'],
  ['/a', '', '', 'ttl=1x\n', 'x'],
  ['/a', '', '', 'ttl=2147483648\n', 'x'],
  ['/a', '', '', 'property\n', 'x'],
  ['/a', '', '', 'x=y', 'x'],
  ['/a', '', '', `x=${'y'.repeat(4096)}\n`, 'x'],
];

describe('the map, with hostile peers', () => {
  itWithTool(
    TOOL,
    'malformed changes and reserved keys are dropped, counted, and warned of once a second (D47, D55)',
    async () => {
      const siege = await Siege.begin(MAPS, HTTP);
      const peer = await MapPeer.connected(mapOf(siege.daemon));
      for (const frames of MALFORMED) peer.flood('set', 100, ...frames);
      for (const frames of [['WRONG', '/'], ['ICANHAZ?'], ['ICANHAZ?', 'a/'], ['ICANHAZ?', '/a']]) {
        peer.ask(...frames);
      }
      await stillServed(peer, '/after');
      peer.set('/mmi/service/fake', '', uuidOf('a'), '', '200');
      await stillServed(peer, '/again');
      expect(peer.answers).toEqual([]);
      const metrics = await metricsOf(siege);
      expect(metrics).toContain(
        `majordomo_messages_malformed_total{kind="map"} ${100 * MALFORMED.length + 4}\n`,
      );
      expect(metrics).toContain('majordomo_map_updates_total{result="refused"} 1\n');
      await untilLogged(siege.daemon, 'map.malformed');
      await siege.end();
    },
  );

  itWithTool(
    TOOL,
    'a value over limits.messageBytes or limits.mapBytes is dropped (D57)',
    async () => {
      const siege = await Siege.begin(MAPS, 'limits.messageBytes=64KiB', 'limits.mapBytes=4KiB');
      const peer = await MapPeer.connected(mapOf(siege.daemon));
      const small = await MapPeer.connected(mapOf(siege.daemon));
      peer.set('/large', '', '', '', 'x'.repeat(100 * KIB));
      await untilLogged(siege.daemon, 'map.malformed');
      small.set('/large', '', '', '', 'x'.repeat(5 * KIB));
      await untilLogged(siege.daemon, 'map.refused', { reason: 'limit' });
      await stillServed(small, '/small');
      await siege.end();
    },
  );

  itWithTool(
    TOOL,
    'ICANHAZ a thousand times a second is answered as far as one peer may ask; others are served',
    async () => {
      const siege = await Siege.begin(MAPS);
      const other = await MapPeer.connected(mapOf(siege.daemon));
      const greedy = await MapPeer.connected(mapOf(siege.daemon));
      greedy.flood('ask', 10_000, 'ICANHAZ?', '');
      await untilLogged(siege.daemon, 'map.malformed', { reason: 'too many questions' });
      expect((await other.snapshot('/none/')).map(({ key }) => key)).toEqual(['KTHXBAI']);
      await siege.served();
      expect(greedy.answers.length).toBeLessThan(1000);
      await siege.end();
    },
  );

  itWithTool(TOOL, 'a subscriber that never reads is closed at its limit', async () => {
    const small = ['limits.messageBytes=256KiB', 'limits.outputBytes=512KiB'];
    const siege = await Siege.begin(MAPS, ...small);
    const endpoint = mapOf(siege.daemon);
    const peer = await MapPeer.connected(endpoint, '--topics', '/last,HUGZ');
    const socket = await deaf(endpoint, 1, 'SUB');
    socket.write(commandFrame('SUBSCRIBE', ''));
    const closed = (): boolean => siege.daemon.logged('map.closed').length > 0;
    for (let sent = 0; sent < 200 && !closed(); sent++) {
      peer.set('/big', '', '', '', String(sent).padEnd(128 * KIB, 'x'));
    }
    await untilLogged(siege.daemon, 'map.closed', { reason: 'slow' });
    await stillServed(peer, '/last');
    await siege.end();
  });

  itWithTool(
    TOOL,
    'a client that asks for snapshots and never reads holds a bounded part of one, and is closed',
    async () => {
      const siege = await Siege.begin(MAPS, 'limits.mapBytes=64MiB');
      const endpoint = mapOf(siege.daemon);
      const peer = await MapPeer.connected(endpoint, '--topics', '/last,/big/39,HUGZ');
      for (let index = 0; index < 40; index++) {
        peer.set(`/big/${index}`, '', '', '', 'x'.repeat(512 * KIB));
      }
      await peer.update(({ key }) => key === '/big/39');
      const before = await siege.heldBytes();
      for (let count = 0; count < 14; count++) {
        const socket = await deaf(endpoint, 0, 'DEALER');
        socket.write(message('ICANHAZ?', ''));
      }
      await stillServed(peer, '/last');
      await untilLogged(siege.daemon, 'map.stalled');
      await siege.bounded(before);
      expect((await peer.snapshot('/last/')).map(({ key }) => key)).toEqual(['KTHXBAI']);
      await siege.end();
    },
  );

  itWithTool(TOOL, 'a PUSH by hand is refused for its socket type (D58)', async () => {
    const siege = await Siege.begin(MAPS);
    await deaf(mapOf(siege.daemon), 2, 'PUSH');
    await untilLogged(siege.daemon, 'map.rejected', {
      port: 'writers',
      reason: 'a SUB does not talk to a PUSH',
    });
    await siege.end();
  });
});

async function metricsOf({ daemon }: Siege): Promise<string> {
  return (await ask(`${httpOf(daemon)}/metrics`)).text;
}
