import { connect, type Socket } from 'node:net';

import { RawPeer } from '../../interop/support/raw-peer.js';
import { clientOf, endUsers, serve } from '../../support/daemon-users.js';
import { type Daemon, Daemon as Process, startDaemon } from '../../support/daemon.js';
import { closeWatchers, eventsOf, type Fields, PUBLISHES, watch } from '../../support/events.js';
import { ask, httpOf } from '../../support/http.js';
import { until } from '../../support/until.js';
import { commandFrame, greetingOf, property, ready } from '../../unit/zmtp/wire.js';
import { cleanUp, rawWorker } from '../broker/support.js';

const open: (() => unknown)[] = [];
/** A raw worker of a test says nothing by itself. */
const PATIENT = 'broker.heartbeatIntervalMs=60000';
const STEPS = ['request.received', 'request.dispatched', 'request.replied'];

afterEach(async () => {
  await closeWatchers();
  await endUsers();
  for (const close of open.splice(0)) await close();
  await cleanUp();
});

async function publishing(...sets: readonly string[]): Promise<Daemon> {
  return await startDaemon({ sets: [PUBLISHES, PATIENT, ...sets] });
}

/** A worker of the SDK that answers at once. */
async function echo(daemon: Daemon, service = 'echo', concurrency = 1): Promise<void> {
  const before = daemon.logged('worker.registered').length;
  serve(daemon, service, undefined, { concurrency });
  await daemon.waitFor('worker.registered', before + 1);
}

/** Sends so many messages that are no MDP. */
async function malformed(daemon: Daemon, count: number): Promise<void> {
  const peer = new RawPeer(daemon.endpoint);
  for (let index = 0; index < count; index++) await peer.send('', 'MDPX09', `${index}`);
}

async function metric(daemon: Daemon, name: string): Promise<number> {
  const { text } = await ask(`${httpOf(daemon)}/metrics`);
  const [, value] =
    new RegExp(`^majordomo_${name.replace(/[{}]/g, '\\$&')} (.*)$`, 'm').exec(text) ?? [];
  return Number(value ?? NaN);
}

/** A subscriber by hand, which reads only if it is told to. */
async function raw(daemon: Daemon, ...topics: readonly string[]): Promise<Socket> {
  const socket = connect(Number(eventsOf(daemon).split(':').at(-1)), '127.0.0.1');
  socket.on('error', () => undefined);
  open.push(() => socket.destroy());
  const hello = [greetingOf({ minor: 1 }), ready(property('Socket-Type', 'SUB'))];
  const wants = topics.map((topic) => commandFrame('SUBSCRIBE', topic));
  socket.write(Buffer.concat([...hello, ...wants]));
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}

describe('the events as a stream (D46)', () => {
  it('have the name as topic, a header, and the fields of the log as one JSON frame', async () => {
    const daemon = await publishing();
    const watcher = await watch(daemon, 'worker.registered', 'message.');
    await rawWorker(daemon.endpoint, 'echo');
    // What comes next comes over another connection.
    await watcher.waitFor('worker.registered');
    await malformed(daemon, 1);
    // A stranger may come before, which looks for the last user of the port.
    const ours = (): typeof watcher.messages =>
      watcher.messages.slice(
        Math.max(
          0,
          watcher.messages.findIndex(({ topic }) => topic === 'worker.registered'),
        ),
      );
    await until(() => ours().length > 1, 'the event after it');
    const [registered, wrong] = ours();
    const line = await daemon.waitFor('worker.registered');
    const { event, service, worker, workerName, credit } = line;
    expect(registered?.topic).toBe('worker.registered');
    expect(registered?.frames).toHaveLength(1);
    // Without keys, nobody learns keys and addresses.
    expect(registered?.json()).toEqual({ event, service, worker, workerName, credit });
    expect(registered).toMatchObject({ publisher: expect.stringMatching(/^[0-9a-f]{16}$/) });
    expect(wrong?.number).toBe((registered?.number ?? 0) + 1);
    expect(wrong?.sentAtMs).toBeGreaterThanOrEqual(registered?.sentAtMs ?? Infinity);
    expect(wrong?.publisher).toBe(registered?.publisher);
  });

  it('take numbers although nobody subscribed to them, and steps of requests do not', async () => {
    const daemon = await publishing('http.listen=127.0.0.1:0');
    const watcher = await watch(daemon, 'worker.registered');
    await echo(daemon);
    const first = (await watcher.waitFor('worker.registered'), watcher.number);
    for (let index = 0; index < 5; index++) await clientOf(daemon).request('echo', 'x');
    await malformed(daemon, 3);
    await until(() => daemon.stdout.includes('message.malformed'), 'the first one');
    await until(async () => (await metric(daemon, 'stream_published_total')) >= first + 3, 'all');
    await rawWorker(daemon.endpoint, 'other');
    await watcher.waitFor('worker.registered', 2);
    expect(watcher.number).toBe(first + 4);
    expect(await metric(daemon, 'stream_published_total')).toBe(first + 4);
    expect(await metric(daemon, 'stream_subscribers')).toBe(1);
  });

  it('have the steps of requests while somebody subscribes to them, whatever the log does', async () => {
    const daemon = await publishing('log.level=debug');
    const others = await watch(daemon, 'message.malformed');
    await echo(daemon);
    const client = clientOf(daemon);
    await client.request('echo', 'unseen');
    await daemon.waitFor('request.ended');
    expect(daemon.logged('request.received')).toHaveLength(1);
    const steps = await watch(daemon, ...STEPS);
    await client.request('echo', 'seen');
    await steps.waitFor('request.replied');
    const [{ worker } = {}] = daemon.logged('worker.registered');
    // The log goes on with the same numbers.
    expect(steps.events).toEqual([
      { event: 'request.received', request: 2, service: 'echo' },
      { event: 'request.dispatched', request: 2, worker, delivery: 1 },
      { event: 'request.replied', request: 2 },
    ]);
    await steps.close();
    await others.sync(daemon);
    const before = others.number;
    await client.request('echo', 'unseen again');
    await others.sync(daemon);
    expect(others.number).toBe(before + 1);
    await daemon.waitFor('request.ended', 3);
    expect(daemon.logged('request.ended').map(({ request }) => request)).toEqual([1, 2, 3]);
    expect(steps.events).toHaveLength(3);
  });

  it('of one step are that step alone', async () => {
    const daemon = await publishing();
    await echo(daemon);
    const watcher = await watch(daemon, 'request.rep');
    await clientOf(daemon).request('echo', 'x');
    await clientOf(daemon).request('echo', 'y');
    await watcher.waitFor('request.replied', 2);
    expect(watcher.events.map(({ event }) => event)).toEqual([
      'request.replied',
      'request.replied',
    ]);
    const [first, second] = watcher.messages.map(({ number }) => number);
    // The other steps took no numbers.
    expect(second).toBe((first ?? NaN) + 1);
    expect(daemon.logged('request.received')).toEqual([]);
  });

  it('a request keeps its number in the log when somebody subscribes while it is out', async () => {
    const daemon = await publishing('log.level=debug');
    const worker = await rawWorker(daemon.endpoint, 'slow');
    const client = clientOf(daemon);
    await rawWorker(daemon.endpoint, 'other');
    const waiting = client.request('other', 'never answered').catch(() => undefined);
    await daemon.waitFor('request.dispatched');
    const answer = client.request('slow', 'x');
    await daemon.waitFor('request.dispatched', 2);
    const watcher = await watch(daemon, ...STEPS);
    const [, , address = '', , body = ''] = await worker.receive();
    await worker.send('MDPW02', '\x04', address, '', body);
    await answer;
    await watcher.waitFor('request.replied');
    expect(watcher.events).toEqual([{ event: 'request.replied', request: 2 }]);
    await client.close();
    await waiting;
  });

  it('are all there, where the log leaves some out; HTTP has the same', async () => {
    const daemon = await publishing('http.listen=127.0.0.1:0');
    const watcher = await watch(daemon, '');
    const { body } = await fetch(`${httpOf(daemon)}/api/v1/events`);
    let text = '';
    const reading = (async () => {
      for await (const chunk of body ?? []) text += Buffer.from(chunk as Uint8Array).toString();
    })().catch(() => undefined);
    await until(() => text.includes('retry:'), 'the beginning of the events over HTTP');
    await rawWorker(daemon.endpoint, 'echo');
    await malformed(daemon, 20);
    await watcher.waitFor('message.malformed', 20);
    expect(daemon.logged('message.malformed').length).toBeLessThan(20);
    const overHttp = (): readonly Fields[] =>
      Array.from(text.matchAll(/^data: (.*)$/gm), ([, data = '']) => JSON.parse(data) as Fields)
        .map(({ time: _time, severity: _severity, sentence: _sentence, ...fields }) => fields)
        .filter(({ service }) => !String(service).startsWith('mmi.sync'))
        .filter(
          ({ event }) => String(event).startsWith('message') || event === 'worker.registered',
        );
    await until(() => overHttp().length >= 21, 'the same events over HTTP');
    expect(overHttp()).toEqual(watcher.events);
    // A reader over HTTP does not keep the broker from ending.
    expect(await daemon.stop()).toMatchObject({ status: 0 });
    await reading;
  });

  it('are told with their endpoint, by MMI and over HTTP', async () => {
    const daemon = await publishing('http.listen=127.0.0.1:0');
    const told = (await clientOf(daemon).request('mmi.broker', '')).frames[1];
    const { json } = await ask(`${httpOf(daemon)}/api/v1/status`);
    const events = eventsOf(daemon);
    expect(events).toMatch(/^tcp:\/\/127\.0\.0\.1:\d+$/);
    expect(JSON.parse(String(told))).toMatchObject({ events });
    expect(json).toMatchObject({ events });
    const [readiness] = daemon.logged('broker.ready');
    expect(readiness?.['msg']).toContain(`events on ${events}`);
  });

  it('that are off are nowhere, and their metrics are 0', async () => {
    const daemon = await startDaemon({ sets: ['http.listen=127.0.0.1:0'] });
    expect(daemon.logged('broker.ready')).toMatchObject([{ events: null }]);
    const { text } = await ask(`${httpOf(daemon)}/metrics`);
    expect(text).toContain('\nmajordomo_stream_published_total 0\n');
  });

  it('begin anew when the broker does: another publisher, and numbers from 1', async () => {
    const daemon = await publishing();
    const events = eventsOf(daemon);
    const watcher = await watch(daemon, 'message.malformed');
    await malformed(daemon, 1);
    await watcher.waitFor('message.malformed');
    const before = watcher.number;
    expect(before).toBeGreaterThan(1);
    await daemon.kill();
    await until(() => watcher.disconnections === 1, 'the end of the connection');
    const { endpoint, dataDir } = daemon;
    const again = await startDaemon({ endpoint, dataDir, sets: [`events.listen=${events}`] });
    await watcher.sync(again);
    await malformed(again, 1);
    await watcher.waitFor('message.malformed', 2);
    const [first, second] = watcher.messages;
    expect(second?.publisher).not.toBe(first?.publisher);
    expect(second).toMatchObject({ afterGap: false });
  });

  it('end with the broker: the last ones still leave', async () => {
    const daemon = await publishing();
    await echo(daemon);
    const watcher = await watch(daemon, 'worker.lost');
    expect(await daemon.stop()).toMatchObject({ status: 0 });
    expect(await watcher.waitFor('worker.lost')).toMatchObject({ reason: 'drained' });
    await until(() => watcher.disconnections === 1, 'the end of the connection');
  });

  it('need a port of their own: in use, the broker ends with 69 and says which', async () => {
    const daemon = await publishing();
    const events = eventsOf(daemon);
    const other = new Process({ sets: [`events.listen=${events}`] });
    const { status, stdout } = await other.finished();
    expect(status).toBe(69);
    expect(stdout).toContain(events);
    expect(stdout).toContain('ERR_MDP_ENDPOINT_IN_USE');
  });
});

describe('a bad subscriber of the events', () => {
  it('that does not read is closed, counted and logged; the others miss nothing', async () => {
    const daemon = await publishing(
      ...['http.listen=127.0.0.1:0', 'limits.messageBytes=64KiB', 'limits.outputBytes=256KiB'],
    );
    const service = 's'.repeat(250);
    await echo(daemon, service, 64);
    const watcher = await watch(daemon, 'request.received', 'stream.closed');
    const deaf = await raw(daemon, '');
    deaf.pause();
    const client = clientOf(daemon);
    let sent = 0;
    while (daemon.logged('stream.closed').length === 0) {
      const batch = Array.from({ length: 500 }, () => client.request(service, 'x'));
      await Promise.all(batch);
      sent += batch.length;
    }
    expect(daemon.logged('stream.closed')).toMatchObject([
      { level: 'warn', reason: 'slow', key: null, address: '127.0.0.1' },
    ]);
    await watcher.waitFor('stream.closed');
    expect(watcher.named('stream.closed')).toEqual([{ event: 'stream.closed', reason: 'slow' }]);
    await watcher.waitFor('request.received', sent);
    expect(watcher.named('request.received')).toHaveLength(sent);
    expect([watcher.disconnections, watcher.error]).toEqual([0, null]);
    expect(await metric(daemon, 'stream_closed_total{reason="slow"}')).toBe(1);
    await until(
      async () => (await metric(daemon, 'stream_subscribers')) === 1,
      'the other is left',
    );
  });

  it('that does not read counts in limits.memoryBytes, and goes before clients do (D77)', async () => {
    const daemon = await publishing('limits.memoryBytes=16MiB', 'limits.perPeer.outstanding=10000');
    const service = 's'.repeat(250);
    await echo(daemon, service, 64);
    const deaf = await raw(daemon, '');
    deaf.pause();
    const client = clientOf(daemon);
    const isClosed = (): boolean =>
      daemon.stdout.includes('stream.rejected') || daemon.stdout.includes('stream.closed');
    while (!isClosed()) {
      await Promise.all(Array.from({ length: 500 }, () => client.request(service, 'x')));
    }
    expect(await daemon.waitFor('stream.rejected')).toMatchObject({ kind: 'memory' });
    expect(daemon.logged('connection.rejected')).toEqual([]);
    expect((await client.request(service, 'x')).text()).toBe('x');
  });
});
