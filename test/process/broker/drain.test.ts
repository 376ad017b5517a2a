import { RawPeer } from '../../interop/support/raw-peer.js';
import { startDaemon } from '../../support/daemon.js';
import { itWithTool } from '../../support/tools.js';
import { cleanUp, rawWorker, registeredWorker, tokenOf } from './support.js';

describe('SIGTERM', () => {
  afterEach(cleanUp);

  itWithTool('python3-zmq', 'lets a busy worker finish: its reply arrives', async () => {
    const daemon = await startDaemon({ sets: ['shutdown.graceMs=60000'] });
    const client = new RawPeer(daemon.endpoint);
    const late = new RawPeer(daemon.endpoint);
    await late.settle();
    const worker = await registeredWorker(daemon, 1, '--mode', 'hold');
    const asked = client.ask('id', 'work', 'x');
    await worker.waitFor('request');
    daemon.signal('SIGTERM');
    await daemon.waitFor('broker.draining');
    await late.send('MDPW02', '\x01', 'work');
    expect(await late.receive()).toEqual(['MDPW02', '\x06']);
    expect(worker.said('disconnect')).toEqual([]);
    worker.tell('release');
    expect(await asked).toEqual(['id', '', 'MDPC02', '\x03', 'work', 'x']);
    await worker.waitFor('disconnect');
    expect(await daemon.finished()).toMatchObject({ status: 0, signal: null });
    expect(daemon.logged('broker.stopped')).toHaveLength(1);
  });

  it('ends after shutdown.graceMs though a worker never replies', async () => {
    const daemon = await startDaemon({ sets: ['shutdown.graceMs=300'] });
    const worker = await rawWorker(daemon.endpoint, 'work');
    const client = new RawPeer(daemon.endpoint);
    await client.send('id', '', 'MDPC02', '\x01', 'work', 'x');
    tokenOf(await worker.receiveCommand());
    daemon.signal('SIGTERM');
    expect(await worker.receiveCommand()).toEqual(['MDPW02', '\x06']);
    expect(await daemon.finished()).toMatchObject({ status: 0 });
  });
});
