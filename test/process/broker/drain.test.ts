import { afterEach, describe, expect, it } from '@jest/globals';

import { RawPeer } from '../../interop/support/raw-peer.js';
import { startDaemon } from '../../support/daemon.js';
import { itWithTool } from '../../support/tools.js';
import { cleanUp, rawWorker, registeredWorker, type ServiceSeen, tokenOf } from './support.js';

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

  it('sends idle workers DISCONNECT at once, in their version', async () => {
    const daemon = await startDaemon({ sets: ['shutdown.graceMs=60000'] });
    const busy = await rawWorker(daemon.endpoint, 'busy');
    const client = new RawPeer(daemon.endpoint);
    await client.send('id', '', 'MDPC02', '\x01', 'busy', 'x');
    const token = tokenOf(await busy.receiveCommand());
    const waiting = await rawWorker(daemon.endpoint, 'work');
    await waiting.settle();
    const old = new RawPeer(daemon.endpoint);
    await old.send('', 'MDPW01', '\x01', 'work');
    await old.settle();
    daemon.signal('SIGTERM');
    expect(await waiting.receiveCommand()).toEqual(['MDPW02', '\x06']);
    expect(await old.receiveCommand()).toEqual(['', 'MDPW01', '\x05']);
    await busy.send('MDPW02', '\x04', token, '', 'y');
    expect(await busy.receiveCommand()).toEqual(['MDPW02', '\x06']);
    expect((await client.receive()).at(-1)).toBe('y');
    expect(await daemon.finished()).toMatchObject({ status: 0 });
  });

  it('refuses queued and new requests: 503 to clients that said mmi.hello (D11)', async () => {
    const daemon = await startDaemon({ sets: ['shutdown.graceMs=60000'] });
    const client = new RawPeer(daemon.endpoint);
    const quiet = new RawPeer(daemon.endpoint);
    await quiet.settle();
    await client.hello();
    const busy = await rawWorker(daemon.endpoint, 'work');
    await client.send('first', '', 'MDPC02', '\x01', 'work', 'x');
    const token = tokenOf(await busy.receiveCommand());
    await client.send('second', '', 'MDPC02', '\x01', 'work', 'x');
    await client.untilMmi<ServiceSeen[]>('mmi.services', ([work]) => work?.queued === 1);
    daemon.signal('SIGTERM');
    const refused = ['MDPC02', '\x03', 'mmi.refused', '503', 'work'];
    expect((await client.receive()).slice(0, 7)).toEqual(['second', '', ...refused]);
    expect((await client.ask('third', 'work', 'x')).slice(0, 7)).toEqual(['third', '', ...refused]);
    await quiet.send('fourth', '', 'MDPC02', '\x01', 'work', 'x');
    expect(await quiet.settle()).toEqual([]);
    await busy.send('MDPW02', '\x04', token, '', 'y');
    expect((await client.receive()).slice(-2)).toEqual(['work', 'y']);
    expect(await daemon.finished()).toMatchObject({ status: 0 });
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
