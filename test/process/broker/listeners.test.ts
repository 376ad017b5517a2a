import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { writeMessage } from '../../../src/sdk/links.js';
import type { Link } from '../../../src/zmtp/link-port.js';
import { dialZmtp } from '../../../src/zmtp/link.js';
import { clientRequest } from '../../../src/wire/client-side.js';
import { python } from '../../interop/support/program.js';
import { RawPeer } from '../../interop/support/raw-peer.js';
import { run } from '../../support/child.js';
import { type Daemon, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { freePorts } from '../../support/free-ports.js';
import { itWithTool } from '../../support/tools.js';
import { cleanUp, rawWorker, tokenOf, untilLogged } from './support.js';

const ANYWHERE = 'tcp://127.0.0.1:0';

async function split(...sets: string[]): Promise<{ clients: string; workers: string }> {
  const listen = JSON.stringify([
    { endpoint: ANYWHERE, allow: ['client'] },
    { endpoint: ANYWHERE, allow: ['worker'] },
  ]);
  daemon = await startDaemon({ sets: [`broker.listen=${listen}`, ...sets] });
  const [clients, workers] = daemon.endpoints;
  if (clients === undefined || workers === undefined) throw new Error('two listeners');
  return { clients, workers };
}

/** A link that dials every few milliseconds, and sends a request once it is connected. */
function impatient(endpoint: string): { link: Link; answered: Promise<void> } {
  const patience = {
    reconnectMsMin: 2,
    reconnectMsMax: 4,
    pingAfterMs: 60_000,
    pingCheckMs: 60_000,
    unansweredMax: 3,
  };
  let answer: () => void;
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const limits = { messageBytesMax: 1000, framesMax: 10, outputBytesMax: 1000 };
  const link = dialZmtp({ limits, patience })(endpoint, {
    connected: () => {
      writeMessage(link, clientRequest(1, null, Buffer.from('mmi.service'), [Buffer.from('x')]));
    },
    message: () => answer(),
    disconnected: () => undefined,
  });
  return { link, answered };
}

let daemon: Daemon;

describe('a broker with several listeners', () => {
  afterEach(cleanUp);

  it('connects clients of one listener with workers of another', async () => {
    const { clients, workers } = await split();
    const worker = await rawWorker(workers, 'work');
    const client = new RawPeer(clients);
    const asked = client.ask('id', 'work', 'x');
    const token = tokenOf(await worker.receiveCommand());
    await worker.send('MDPW02', '\x04', token, '', 'y');
    expect(await asked).toEqual(['id', '', 'MDPC02', '\x03', 'work', 'y']);
  });

  it('refuses a worker at a listener for clients, in its version', async () => {
    const { clients } = await split();
    const peer = await rawWorker(clients, 'work');
    expect(await peer.receive()).toEqual(['MDPW02', '\x06']);
    await peer.send('', 'MDPW01', '\x01', 'work');
    expect(await peer.receive()).toEqual(['', 'MDPW01', '\x05']);
    expect((await peer.ask('id', 'mmi.service', 'work')).at(-1)).toBe('404');
    await untilLogged(daemon, 'worker.refused', { reason: 'rights' }, 2);
  });

  it('ignores a client at a listener for workers, but answers mmi.* (8/MMI)', async () => {
    const { workers } = await split();
    // It is registered before anything comes over another connection.
    await (await rawWorker(workers, 'work')).settle();
    const peer = new RawPeer(workers);
    await peer.send('id', '', 'MDPC02', '\x01', 'work', 'x');
    await peer.send('', 'MDPC01', 'work', 'x');
    expect(await peer.settle()).toEqual([]);
    expect((await peer.ask('id', 'mmi.service', 'work')).at(-1)).toBe('200');
    await untilLogged(daemon, 'request.refused', { reason: 'rights' }, 2);
  });

  it('serves an ipc socket beside tcp, and removes its path at the end', async () => {
    const path = join(temporaryDirectory(), 'socket');
    daemon = await startDaemon({ sets: [`broker.listen=["ipc://${path}", "${ANYWHERE}"]`] });
    expect(daemon.endpoints[0]).toBe(`ipc://${path}`);
    const worker = await rawWorker(daemon.endpoints[1] ?? '', 'work');
    const client = new RawPeer(daemon.endpoint);
    const asked = client.ask('id', 'work', 'x');
    const token = tokenOf(await worker.receiveCommand());
    await worker.send('MDPW02', '\x04', token, '', 'y');
    expect((await asked).at(-1)).toBe('y');
    expect(await daemon.stop()).toMatchObject({ status: 0 });
    expect(existsSync(path)).toBe(false);
  });

  it('answers clients that connect while one of the listeners is not open yet', async () => {
    const directory = temporaryDirectory();
    const secretKeyFile = join(directory, 'key');
    const keysFile = join(directory, 'keys.yaml');
    const { stdout } = await run(['keygen', secretKeyFile, '-o', 'json']);
    const { publicKey } = JSON.parse(stdout) as { publicKey: string };
    const key = { name: 'n', publicKey, allow: ['client'] };
    writeFileSync(keysFile, `- ${JSON.stringify(key)}\n`, { mode: 0o600 });
    const [port] = await freePorts(1);
    const endpoint = `tcp://127.0.0.1:${port}`;
    const links = Array.from({ length: 20 }, () => impatient(endpoint));
    const slow = { endpoint: ANYWHERE, curve: { secretKeyFile, keysFile } };
    const slower = { endpoint: ANYWHERE, transport: 'libzmq' };
    await startDaemon({ sets: [`broker.listen=${JSON.stringify([{ endpoint }, slow, slower])}`] });
    await Promise.all(links.map(({ answered }) => answered));
    await Promise.all(links.map(({ link }) => link.close(0)));
  });

  itWithTool('python3-zmq', 'is found again by others over ipc after kill -9', async () => {
    const endpoint = `ipc://${join(temporaryDirectory(), 'socket')}`;
    const sets = ['broker.heartbeatIntervalMs=300'];
    daemon = await startDaemon({ endpoint, sets });
    python('worker', endpoint, 'work', '--heartbeat-ms', 300);
    const client = python('lazy_pirate', endpoint, 'work');
    client.tell('before');
    await client.waitFor('reply');
    await daemon.kill();
    daemon = await startDaemon({ endpoint, dataDir: daemon.dataDir, sets });
    client.tell('after');
    expect(await client.waitFor('reply', 2)).toMatchObject({ frames: ['after'] });
  });
});
