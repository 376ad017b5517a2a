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

const TOO_LARGE = { reason: 'too_large' };

describe.each(TRANSPORTS)('a message over a limit, over %s', (transport) => {
  afterEach(cleanUp);

  it('of frames is refused with 413; as an answer it ends its request, and the worker stays', async () => {
    const endpoint = await brokerWith('limits.frames=16', `broker.transport=${transport}`);
    const frames = (count: number): string[] => Array.from({ length: count }, () => 'x');
    const worker = await rawWorker(endpoint, 'work');
    const client = new RawPeer(endpoint);
    await client.hello();
    const refused = await client.ask('over', 'work', ...frames(12));
    expect(refused.slice(0, 7)).toEqual(refusal('over', '413', 'work'));
    await untilLogged(daemon, 'request.refused', TOO_LARGE);
    expect(await worker.settle()).toEqual([]);
    await client.send('within', '', 'MDPC02', '\x01', 'work', ...frames(11));
    await client.send('next', '', 'MDPC02', '\x01', 'work', 'x');
    const token = tokenOf(await worker.receiveCommand());
    await worker.send('MDPW02', '\x04', token, '', ...frames(13));
    const failed = await client.receive();
    expect(failed.slice(0, 7)).toEqual(refusal('within', '502', 'work'));
    expect(failed[7]).toMatch(/^mdp\.too-large: a message of 17 frames, at most 16 are allowed$/);
    const next = tokenOf(await worker.receiveCommand());
    await worker.send('MDPW02', '\x04', next, '', 'answer');
    expect((await client.receive()).at(-1)).toBe('answer');
    expect(daemon.logged('worker.lost')).toEqual([]);
  });

  it('of bytes is refused so, too, and is never delivered', async () => {
    const endpoint = await brokerWith('limits.messageBytes=4KiB', `broker.transport=${transport}`);
    const third = Buffer.alloc(1500);
    const client = new RawPeer(endpoint);
    await client.hello();
    const refused = await client.ask('over', 'work', third, third, third);
    expect(refused.slice(0, 7)).toEqual(refusal('over', '413', 'work'));
    expect(refused[7]).toMatch(/^a message of 45\d\d bytes, at most 4096 are allowed$/);
    await untilLogged(daemon, 'request.refused', TOO_LARGE);
    await client.send('id', '', 'MDPC02', '\x01', 'work', third, third);
    const worker = await rawWorker(endpoint, 'work');
    expect((await worker.receiveCommand()).slice(4)).toHaveLength(2);
    expect(await worker.settle()).toEqual([]);
    // Over 64 times the limit, and with libzmq any frame over it, ends the connection.
    const huge = new RawPeer(endpoint);
    await huge.send('id', '', 'MDPC02', '\x01', 'work', Buffer.alloc(1 << 20));
    expect(await worker.settle()).toEqual([]);
  });
});

describe('a frame over limits.messageBytes', () => {
  afterEach(cleanUp);

  const MIB20 = Buffer.alloc(20 * 1024 * 1024);

  it('disturbs no other request of its client or worker', async () => {
    const endpoint = await brokerWith();
    const worker = await rawWorker(endpoint, 'work', '2');
    const client = new RawPeer(endpoint);
    await client.hello();
    for (const id of ['one', 'two']) await client.send(id, '', 'MDPC02', '\x01', 'work', id);
    const tokens = [];
    for (let count = 0; count < 2; count++) tokens.push(tokenOf(await worker.receiveCommand()));
    const refused = await client.ask('large', 'work', MIB20);
    expect(refused.slice(0, 7)).toEqual(refusal('large', '413', 'work'));
    expect(refused[7]).toBe('a message of 20971536 bytes, at most 16777216 are allowed');
    await worker.send('MDPW02', '\x04', tokens[0] ?? '', '', MIB20);
    expect((await client.receive()).slice(0, 7)).toEqual(refusal('one', '502', 'work'));
    await worker.send('MDPW02', '\x04', tokens[1] ?? '', '', 'answer');
    expect((await client.receive()).at(-1)).toBe('answer');
    expect(await worker.settle()).toEqual([]);
    const from = { key: null, address: '127.0.0.1' };
    await untilLogged(daemon, 'request.refused', { ...TOO_LARGE, ...from });
    await untilLogged(daemon, 'request.failed', { code: 'mdp.too-large', ...from });
    expect(daemon.logged('message.malformed')).toEqual([]);
    expect(daemon.logged('worker.lost')).toEqual([]);
    expect(daemon.logged('connection.rejected')).toEqual([]);
  });

  it('that announces more than 64 times the limit ends the connection, with the reason in the log', async () => {
    const endpoint = await brokerWith('limits.messageBytes=64KiB');
    await new RawPeer(endpoint).send('', 'MDPC02', '\x01', 'work', Buffer.alloc(5 * 1024 * 1024));
    await untilLogged(daemon, 'connection.rejected', { kind: 'too_large', address: '127.0.0.1' });
    const reason = /^a message of 52428\d\d bytes, at most 65536 .* too long to be skipped$/;
    expect(daemon.logged('connection.rejected')[0]).toMatchObject({
      reason: expect.stringMatching(reason),
    });
  });
});
