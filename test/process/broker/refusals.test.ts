import { afterEach, describe, expect, it } from '@jest/globals';

import { python } from '../../interop/support/program.js';
import { RawPeer } from '../../interop/support/raw-peer.js';
import { TRANSPORTS } from '../../interop/support/transports.js';
import { type Daemon, startDaemon } from '../../support/daemon.js';
import { itWithTool } from '../../support/tools.js';
import { cleanUp, rawWorker, tokenOf, untilLogged } from './support.js';

let daemon: Daemon;

async function brokerWith(...sets: string[]): Promise<string> {
  daemon = await startDaemon({ sets });
  return daemon.endpoint;
}

/** Envelope, header, service frame, status and service of a refusal. */
function refusal(id: string, status: string, service: string): string[] {
  return [id, '', 'MDPC02', '\x03', 'mmi.refused', status, service];
}

describe('a client that said mmi.hello gets a status instead of silence (D11)', () => {
  afterEach(cleanUp);

  it('408 when no worker took its request in time', async () => {
    const client = new RawPeer(await brokerWith('broker.requestTtlMs=100'));
    await client.hello();
    expect((await client.ask('id', 'none', 'x')).slice(0, 7)).toEqual(refusal('id', '408', 'none'));
    expect(await daemon.waitFor('request.expired')).toMatchObject({ service: 'none' });
  });

  it('429 over a limit; what was accepted before stays', async () => {
    const endpoint = await brokerWith('limits.queuedRequestsPerService=2');
    const client = new RawPeer(endpoint);
    const quiet = new RawPeer(endpoint);
    await client.hello();
    await client.send('one', '', 'MDPC02', '\x01', 'work', '1');
    await client.send('two', '', 'MDPC02', '\x01', 'work', '2');
    const third = await client.ask('three', 'work', '3');
    expect(third.slice(0, 7)).toEqual(refusal('three', '429', 'work'));
    await quiet.send('four', '', 'MDPC02', '\x01', 'work', '4');
    expect(await quiet.settle()).toEqual([]);
    const worker = await rawWorker(endpoint, 'work');
    for (const body of ['1', '2']) {
      const request = await worker.receiveCommand();
      expect(request.slice(4)).toEqual([body]);
      await worker.send('MDPW02', '\x04', tokenOf(request), '', body);
      expect((await client.receive()).at(-1)).toBe(body);
    }
    await untilLogged(daemon, 'request.refused', { reason: 'limit' }, 2);
  });

  itWithTool('python3-zmq', 'behind a proxy: only the client that said it', async () => {
    const broker = await brokerWith('broker.requestTtlMs=200');
    const { endpoint } = await python('proxy', broker).waitFor('listening');
    const client = new RawPeer(String(endpoint));
    const neighbour = new RawPeer(String(endpoint));
    await client.hello();
    await neighbour.send('n', '', 'MDPC02', '\x01', 'none', 'x');
    await neighbour.settle();
    expect((await client.ask('id', 'none', 'x'))[5]).toBe('408');
    // Its own request was older, and has expired, too.
    expect(await neighbour.settle()).toEqual([]);
    await untilLogged(daemon, 'request.expired', {}, 2);
  });
});

describe.each(TRANSPORTS)('a message over a limit, over %s', (transport) => {
  afterEach(cleanUp);

  const TOO_LARGE = { kind: 'too_large' };

  it('of frames is never delivered; a worker that sends it is expelled', async () => {
    const endpoint = await brokerWith('limits.frames=16', `broker.transport=${transport}`);
    const frames = (count: number): string[] => Array.from({ length: count }, () => 'x');
    const worker = await rawWorker(endpoint, 'work');
    const over = new RawPeer(endpoint);
    await over.send('id', '', 'MDPC02', '\x01', 'work', ...frames(12));
    await untilLogged(daemon, 'message.malformed', TOO_LARGE);
    expect(await worker.settle()).toEqual([]);
    const within = new RawPeer(endpoint);
    await within.send('id', '', 'MDPC02', '\x01', 'work', ...frames(11));
    const token = tokenOf(await worker.receiveCommand());
    await worker.send('MDPW02', '\x04', token, '', ...frames(13));
    await untilLogged(daemon, 'worker.lost', { service: 'work', reason: 'protocol' });
    await untilLogged(daemon, 'message.malformed', TOO_LARGE, 2);
    await within.untilMmi<unknown[]>('mmi.workers', (workers) => workers.length === 0);
  });

  it('of bytes is never delivered, also as a single frame', async () => {
    const endpoint = await brokerWith('limits.messageBytes=4KiB', `broker.transport=${transport}`);
    const third = Buffer.alloc(1500);
    const [joined, huge] = [new RawPeer(endpoint), new RawPeer(endpoint)];
    await joined.send('id', '', 'MDPC02', '\x01', 'work', third, third, third);
    await untilLogged(daemon, 'message.malformed', TOO_LARGE);
    await huge.send('id', '', 'MDPC02', '\x01', 'work', Buffer.alloc(1 << 20));
    const within = new RawPeer(endpoint);
    await within.send('id', '', 'MDPC02', '\x01', 'work', third, third);
    const worker = await rawWorker(endpoint, 'work');
    expect((await worker.receiveCommand()).slice(4)).toHaveLength(2);
    expect(await worker.settle()).toEqual([]);
  });
});
