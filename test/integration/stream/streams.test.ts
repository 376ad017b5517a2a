import { connect, type Socket } from 'node:net';

import { codeOf, detailsOf } from '../../../src/core/errors.js';
import { encodeZ85 } from '../../../src/core/z85.js';
import {
  Publisher,
  type PublisherOptions,
  type StreamMessage,
  Subscriber,
  type SubscriberOptions,
} from '../../../src/sdk/stream.js';
import { loadSodium } from '../../../src/zmtp/curve/sodium.js';
import { listening } from '../../support/free-ports.js';
import { until } from '../../support/until.js';
import { commandFrame, greetingOf, message, property, ready } from '../../unit/zmtp/wire.js';

const open: (() => unknown)[] = [];

interface Opened {
  readonly publisher: Publisher;
  readonly endpoint: string;
}

async function publisherOf(options: Partial<PublisherOptions> = {}): Promise<Opened> {
  const publisher = new Publisher({ listen: 'tcp://127.0.0.1:0', ...options });
  open.push(() => publisher.close({ graceMs: 0 }));
  const [endpoint = ''] = await publisher.open();
  return { publisher, endpoint };
}

function subscriberOf(endpoints: string, options: Partial<SubscriberOptions> = {}): Subscriber {
  const subscriber = new Subscriber({ endpoints, ...options });
  open.push(() => subscriber.close());
  return subscriber;
}

/** Waits until its subscription to the topic is in force. */
async function heard({ publisher }: Opened, topic: string, subscribers = 1): Promise<void> {
  await until(
    () => publisher.hasSubscribers(topic) && publisher.counters.subscribers >= subscribers,
    'a subscription',
  );
}

async function taken(subscriber: Subscriber, count: number): Promise<StreamMessage[]> {
  const iterator = subscriber[Symbol.asyncIterator]();
  const messages: StreamMessage[] = [];
  while (messages.length < count) {
    const next = await iterator.next();
    if (next.done === true) break;
    messages.push(next.value);
  }
  return messages;
}

async function failureOf(subscriber: Subscriber): Promise<unknown> {
  const iterator = subscriber[Symbol.asyncIterator]();
  try {
    while ((await iterator.next()).done !== true);
    return null;
  } catch (error) {
    return error;
  }
}

/** A subscriber by hand, which reads only when it is told to. */
async function rawSubscriber(endpoint: string, minor: number, ...says: Buffer[]): Promise<Socket> {
  const socket = connect(Number(endpoint.split(':').at(-1)), '127.0.0.1');
  socket.on('error', () => undefined);
  open.push(() => socket.destroy());
  const hello = [greetingOf({ minor }), ready(property('Socket-Type', 'SUB'))];
  socket.write(Buffer.concat([...hello, ...says]));
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}

afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

describe('a publisher and its subscribers', () => {
  it('get what they subscribed to, in order, with publisher, number and time (D42)', async () => {
    const opened = await publisherOf();
    const all = subscriberOf(opened.endpoint);
    const some = subscriberOf(opened.endpoint, { topics: ['b', Buffer.from('cc')] });
    await heard(opened, 'b', 2);
    await until(() => opened.publisher.hasSubscribers('x'), 'both');
    const { publisher } = opened;
    const before = Date.now();
    publisher.publish('a', 'first');
    publisher.publish('bb', ['two', Buffer.from([0, 1])]);
    publisher.publish(Buffer.from('c'), JSON.stringify({ is: 'json' }));
    publisher.publish('cc', []);
    const messages = await taken(all, 4);
    expect(messages.map(({ topic, number }) => [topic, number])).toEqual([
      ...[
        ['a', 1],
        ['bb', 2],
        ['c', 3],
        ['cc', 4],
      ],
    ]);
    expect(messages[0]?.text()).toBe('first');
    expect(messages[1]?.frames.map(String)).toEqual(['two', '\0\x01']);
    expect(messages[2]?.json()).toEqual({ is: 'json' });
    expect(messages[3]?.frames.map(String)).toEqual(['']);
    expect(new Set(messages.map((each) => each.publisher)).size).toBe(1);
    expect(messages[0]?.publisher).toMatch(/^[0-9a-f]{16}$/);
    for (const { sentAtMs, afterGap, endpoint } of messages) {
      expect(Math.abs((sentAtMs ?? 0) - before)).toBeLessThan(60_000);
      expect([afterGap, endpoint]).toEqual([false, opened.endpoint]);
    }
    expect((await taken(some, 2)).map(({ topic }) => topic)).toEqual(['bb', 'cc']);
    expect(publisher.counters).toEqual({
      published: 4,
      copies: 6,
      subscribers: 2,
      closed: { slow: 0, limit: 0 },
    });
  });

  it('take large messages, and many in one turn', async () => {
    const opened = await publisherOf();
    const subscriber = subscriberOf(opened.endpoint);
    await heard(opened, 'x');
    const large = Buffer.alloc(3_000_000, 'large');
    opened.publisher.publish('large', ['head', large]);
    large.fill(0);
    for (let index = 0; index < 20_000; index++) opened.publisher.publish('small', String(index));
    const [first, ...others] = await taken(subscriber, 20_001);
    expect(first?.frames[1]?.equals(Buffer.alloc(3_000_000, 'large'))).toBe(true);
    expect(others.map((each) => each.text())).toEqual(
      Array.from({ length: 20_000 }, (_, index) => String(index)),
    );
  });

  it('mark a gap after a lost connection, and tell it at once (D43)', async () => {
    const first = await publisherOf();
    const subscriber = subscriberOf(first.endpoint);
    const told: string[] = [];
    subscriber.on('connected', () => told.push('connected'));
    subscriber.on('disconnected', ({ shard }) => told.push(`disconnected ${String(shard)}`));
    await heard(first, 'x');
    first.publisher.publish('x', '1');
    expect((await taken(subscriber, 1)).map(({ afterGap }) => afterGap)).toEqual([false]);
    await first.publisher.close();
    await until(() => told.includes('disconnected null'), 'disconnected');
    const second = await publisherOf({ listen: first.endpoint });
    await heard(second, 'x');
    second.publisher.publish('x', '2');
    second.publisher.publish('x', '3');
    const messages = await taken(subscriber, 2);
    expect(messages.map(({ afterGap, number }) => [number, afterGap])).toEqual([
      ...[
        [1, true],
        [2, false],
      ],
    ]);
    expect(told).toEqual(['connected', 'disconnected null', 'connected']);
  });

  it('end at a gap if they are told to, after what came before it', async () => {
    const opened = await publisherOf();
    const subscriber = subscriberOf(opened.endpoint, { onGap: 'fail' });
    await heard(opened, 'x');
    opened.publisher.publish('x', '1');
    opened.publisher.publish('x', '2');
    const lost = new Promise((resolve) => subscriber.on('disconnected', resolve));
    await opened.publisher.close();
    await lost;
    const iterator = subscriber[Symbol.asyncIterator]();
    expect((await iterator.next()).value?.text()).toBe('1');
    expect((await iterator.next()).value?.text()).toBe('2');
    await expect(iterator.next()).rejects.toMatchObject({ code: 'ERR_STREAM_GAP' });
    expect((await iterator.next()).done).toBe(true);
  });

  it('end with close, abort, and when the reader leaves the loop', async () => {
    const opened = await publisherOf();
    const controller = new AbortController();
    const [left, closed, aborted] = [
      subscriberOf(opened.endpoint),
      subscriberOf(opened.endpoint),
      subscriberOf(opened.endpoint, { signal: controller.signal }),
    ];
    await heard(opened, 'x', 3);
    const failure = failureOf(aborted);
    const ended = failureOf(closed);
    await closed.close();
    expect(await ended).toBeNull();
    controller.abort();
    expect(codeOf(await failure)).toBe('ERR_MDP_ABORTED');
    opened.publisher.publish('x', '1');
    for await (const { number } of left) {
      expect(number).toBe(1);
      break;
    }
    await until(() => opened.publisher.counters.subscribers === 0, 'no subscriber');
    const signal = AbortSignal.abort();
    const never = failureOf(subscriberOf(opened.endpoint, { signal }));
    expect(codeOf(await never)).toBe('ERR_MDP_ABORTED');
  });

  it('say what they cannot do', async () => {
    const opened = await publisherOf();
    const taken = new Publisher({ listen: opened.endpoint });
    await expect(taken.open()).rejects.toMatchObject({ code: 'ERR_MDP_ENDPOINT_IN_USE' });
    expect(() => {
      opened.publisher.publish('x'.repeat(256), '');
    }).toThrow(expect.objectContaining({ code: 'ERR_MDP_OPTION' }));
    await opened.publisher.close();
    expect(() => {
      opened.publisher.publish('x', '');
    }).toThrow(expect.objectContaining({ code: 'ERR_MDP_CLOSED' }));
    await expect(opened.publisher.open()).rejects.toMatchObject({ code: 'ERR_MDP_CLOSED' });
    await expect(subscriberOf(opened.endpoint).run()).rejects.toMatchObject({
      code: 'ERR_MDP_OPTION',
    });
  });
});

describe('a slow reader', () => {
  it('stops reading its socket, and loses nothing when it goes on', async () => {
    const opened = await publisherOf();
    const subscriber = subscriberOf(opened.endpoint, { bufferBytes: 10_000 });
    await heard(opened, 'x');
    const body = Buffer.alloc(1000, 'x');
    // More than the kernel's buffers hold; less than outputBytes.
    const count = 40_000;
    for (let index = 0; index < count; index++) {
      opened.publisher.publish('x', [String(index), body]);
      if (index % 1000 === 0) await new Promise(setImmediate);
    }
    const messages = await taken(subscriber, count);
    expect(messages.map(({ number }) => number)).toEqual(
      Array.from({ length: count }, (_, index) => index + 1),
    );
    expect(opened.publisher.counters.closed.slow).toBe(0);
  });

  it('is closed by the publisher when outputBytes wait for it; others get everything (D43)', async () => {
    const opened = await publisherOf({ outputBytes: 1_000_000 });
    const slow = subscriberOf(opened.endpoint, { bufferBytes: 1000 });
    const fast = subscriberOf(opened.endpoint);
    await heard(opened, 'x', 2);
    const closed: unknown[] = [];
    opened.publisher.on('closed', (event) => closed.push(event));
    const body = Buffer.alloc(10_000, 'x');
    let sent = 0;
    let read = 0;
    void (async () => {
      for await (const { number } of fast) {
        if (number !== ++read) break;
      }
    })();
    while (closed.length === 0) {
      for (let each = 0; each < 20; each++) opened.publisher.publish('x', [String(++sent), body]);
      await until(() => read === sent, 'the fast one');
    }
    expect(closed).toEqual([{ address: '127.0.0.1', key: null, reason: 'slow' }]);
    expect(opened.publisher.counters.closed.slow).toBe(1);
    // What it got before is whole; then it knows that something may be missing.
    await until(() => opened.publisher.counters.subscribers === 1, 'one subscriber');
    const numbers: (number | null)[] = [];
    const ticking = setInterval(() => opened.publisher.publish('x', '.'), 5);
    for await (const { number, afterGap } of slow) {
      if (afterGap) break;
      numbers.push(number);
    }
    clearInterval(ticking);
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    expect(numbers.length).toBeLessThan(sent);
  });

  it('ends with ERR_STREAM_TOO_SLOW, also if it does not come back for more (D44)', async () => {
    const opened = await publisherOf();
    // Longer than a busy machine takes for the first two messages.
    const maxDelayMs = 500;
    const reading = subscriberOf(opened.endpoint, { maxDelayMs });
    const absent = subscriberOf(opened.endpoint, { maxDelayMs });
    await heard(opened, 'x', 2);
    for (let index = 0; index < 3; index++) opened.publisher.publish('x', String(index));
    const iterator = reading[Symbol.asyncIterator]();
    await iterator.next();
    const later = iterator.next();
    const tooLate = Date.now() + maxDelayMs + 100;
    await later;
    while (Date.now() < tooLate) void 0;
    const error: unknown = await iterator.next().catch((thrown: unknown) => thrown);
    expect(codeOf(error)).toBe('ERR_STREAM_TOO_SLOW');
    const { delayMs, behind } = detailsOf(error);
    expect([Number(delayMs) > maxDelayMs, behind]).toEqual([true, 1]);
    expect((await iterator.next()).done).toBe(true);
    await until(() => opened.publisher.counters.subscribers === 0, 'both are gone');
    expect(codeOf(await failureOf(absent))).toBe('ERR_STREAM_TOO_SLOW');
  });
});

describe('messages of other publishers', () => {
  it('without the header of a Publisher end a subscriber that expects one', async () => {
    const { endpoint } = await foreignPublisher(message('topic', 'body'));
    const error = await failureOf(subscriberOf(endpoint));
    expect(codeOf(error)).toBe('ERR_STREAM_HEADER');
  });

  it('are read with a stamp of their own, or none', async () => {
    const sent = [message('topic', 'body', '1500.5'), message('alone')];
    const { endpoint } = await foreignPublisher(...sent);
    const messages = await taken(subscriberOf(endpoint, { stamp: false }), 2);
    expect(messages.map((each) => [each.topic, each.frames.map(String)])).toEqual([
      ...[
        ['topic', ['body', '1500.5']],
        ['alone', []],
      ],
    ]);
    const stamp = (frames: readonly Buffer[]): number => Number(frames[2]?.toString());
    const stamped = subscriberOf(endpoint, { stamp });
    const [first] = await taken(stamped, 1);
    expect(first).toMatchObject({ sentAtMs: 1500.5, number: null, publisher: null });
    const error = await failureOf(stamped);
    expect([codeOf(error), detailsOf(error)['option']]).toEqual(['ERR_MDP_OPTION', 'stamp']);
  });
});

/** Sends these bytes to each subscriber. */
async function foreignPublisher(...bytes: Buffer[]): Promise<{ readonly endpoint: string }> {
  const { createServer } = await import('node:net');
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    const hello = [greetingOf(), ready(property('Socket-Type', 'PUB'))];
    socket.write(Buffer.concat([...hello, ...bytes]));
    open.push(() => socket.destroy());
  });
  open.push(() => server.close());
  return { endpoint: `tcp://127.0.0.1:${await listening(server)}` };
}

describe('hostile subscribers', () => {
  it.each([
    ['commands (37/ZMTP)', 1, (topic: string) => commandFrame('SUBSCRIBE', topic)],
    ['messages (23/ZMTP)', 0, (topic: string) => message(`\x01${topic}`)],
  ])('are closed at too many subscriptions by %s', async (_, minor, subscribe) => {
    const opened = await publisherOf();
    const all = Array.from({ length: 10_001 }, (__, index) => subscribe(`topic ${index}`));
    const closed = new Promise((resolve) => opened.publisher.on('closed', resolve));
    const modest = await rawSubscriber(opened.endpoint, minor, ...all.slice(0, 10_000));
    await until(() => opened.publisher.hasSubscribers('topic 9999'), 'the last one');
    const greedy = await rawSubscriber(opened.endpoint, minor, ...all);
    expect(await closed).toEqual({ address: '127.0.0.1', key: null, reason: 'limit' });
    await new Promise((resolve) => greedy.once('close', resolve).resume());
    expect(modest.destroyed).toBe(false);
    expect(opened.publisher.counters.closed.limit).toBe(1);
  });

  it('are closed at a topic that is too long, in whatever form', async () => {
    const opened = await publisherOf();
    opened.publisher.on('closed', () => undefined);
    for (const says of [
      commandFrame('SUBSCRIBE', 'x'.repeat(256)),
      message(`\x01${'x'.repeat(256)}`),
      message(`\x01${'x'.repeat(5000)}`),
    ]) {
      const socket = await rawSubscriber(opened.endpoint, 1, says);
      await new Promise((resolve) => socket.once('close', resolve).resume());
    }
    expect(opened.publisher.counters).toMatchObject({ subscribers: 0, closed: { limit: 3 } });
  });
});

describe('CURVE between publisher and subscriber (25/ZMTP-CURVE)', () => {
  it('admits the allowed keys only', async () => {
    const sodium = await loadSodium();
    const [server, known, stranger] = [sodium.keyPair(), sodium.keyPair(), sodium.keyPair()];
    const opened = await publisherOf({
      curve: { secretKey: server.secretKey, allow: [encodeZ85(known.publicKey)] },
    });
    const curveOf = (own: typeof known) => ({ serverKey: encodeZ85(server.publicKey), ...own });
    const rejected = new Promise((resolve) => opened.publisher.on('rejected', resolve));
    const subscriber = subscriberOf(opened.endpoint, { curve: curveOf(known), topics: 'x' });
    await heard(opened, 'x');
    opened.publisher.publish('xyz', ['body', Buffer.alloc(100_000, 'b')]);
    const [got] = await taken(subscriber, 1);
    expect([got?.topic, got?.frames.map((each) => each.length)]).toEqual(['xyz', [4, 100_000]]);
    const refused = subscriberOf(opened.endpoint, { curve: curveOf(stranger) });
    expect(codeOf(await failureOf(refused))).toBe('ERR_MDP_KEY_REFUSED');
    expect(await rejected).toMatchObject({ kind: 'key', address: '127.0.0.1' });
  });
});
