import { setFlagsFromString } from 'node:v8';
import { setTimeout } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';

import fc from 'fast-check';

import { Words } from '../../../src/core/bytes.js';
import { Holdings } from '../../../src/core/holdings.js';
import { Frames } from '../../../src/core/frames.js';
import { NumberedStream } from '../../../src/stream/numbered.js';
import { pack } from '../../../src/core/packed.js';
import { readStreamHeader } from '../../../src/wire/stream.js';
import { Stage } from './stage.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/**
 * Memory that this process uses for objects and buffers, in bytes, once nothing more is given back: what
 * other test files left may take several collections, and buffers are freed beside them.
 */
async function memory(): Promise<number> {
  for (let before = Infinity; ;) {
    collect();
    await setTimeout(10);
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    const now = heapUsed + arrayBuffers;
    if (now > before - 64 * 1024) return now;
    before = now;
  }
}

describe('a publisher', () => {
  it('copies a message to those whose subscription is a prefix of frame 0, once each (D41)', () => {
    const stage = new Stage();
    stage.subscriber(1, 'a', 'ab', 'abc', '');
    stage.subscriber(2, 'b');
    stage.subscriber(3, 'ab');
    stage.subscriber(4);
    stage.publish('abcd', 'x', '');
    expect(stage.news()).toEqual(['1: abcd x ', '3: abcd x ']);
    stage.publish('b', 'y');
    expect(stage.news()).toEqual(['1: b y', '2: b y']);
    expect(stage.fanOut.counters).toMatchObject({ published: 2, copies: 4 });
  });

  it('encodes a message once, and not at all if nobody wants it', () => {
    const stage = new Stage();
    expect(stage.publish('topic', 'x')).toBe(0);
    for (let id = 0; id < 50; id++) stage.subscriber(id, 'topic');
    expect(stage.publish('topic', 'x')).toBe(2 + 5 + 2 + 1);
    expect(stage.handed.size).toBe(1);
    expect(stage.news()).toHaveLength(50);
    const large = Buffer.alloc(100_000, 'l');
    stage.publish('topic', large);
    stage.publish('topic', large);
    expect(stage.handed.size).toBe(3);
    expect(new Set(stage.news().map((line) => line.length)).size).toBe(2);
  });

  it('counts the subscriptions of a subscriber, as libzmq does (D41)', () => {
    const stage = new Stage();
    stage.subscriber(1, 'a', 'a', 'b');
    stage.cancel(1, 'a');
    stage.cancel(1, 'never');
    stage.publish('a', '1');
    stage.cancel(1, 'a');
    stage.cancel(1, 'a');
    stage.publish('a', '2');
    stage.publish('b', '3');
    stage.subscribe(1, 'a');
    stage.publish('a', '4');
    expect(stage.news()).toEqual(['1: a 1', '1: b 3', '1: a 4']);
  });

  it('takes subscriptions of ZMTP 3.0, and counts what is none (23/ZMTP)', () => {
    const stage = new Stage();
    stage.connect(1);
    const say = (...frames: readonly string[]): void => {
      stage.fanOut.message(1, Frames.of(...frames));
    };
    say('\x01a');
    stage.publish('ab', 'x');
    say('\x00a');
    stage.publish('ab', 'y');
    for (const frames of [['\x02a'], [''], ['\x01a', 'more']]) say(...frames);
    expect(stage.news()).toEqual(['1: ab x']);
    expect(stage.fanOut.counters.malformed).toBe(3);
  });

  it('closes a subscriber whose output is full, and sends it nothing more (D43)', () => {
    const stage = new Stage();
    stage.subscriber(1, 'a');
    stage.subscriber(2, 'a');
    stage.fanOut.outputFull(1);
    stage.fanOut.outputFull(1);
    stage.subscribe(1, 'b');
    stage.publish('a', 'x');
    stage.publish('b', 'x');
    expect(stage.news()).toEqual(['1 closed slow', '2: a x']);
    expect(stage.fanOut.counters.closed).toEqual({ slow: 1, limit: 0 });
    expect(stage.fanOut.subscribers).toBe(2);
    stage.fanOut.disconnected(1);
    expect(stage.fanOut.subscribers).toBe(1);
  });

  it('forgets a subscriber with its connection: its number may be another', () => {
    const stage = new Stage();
    stage.subscriber(1, 'a', 'b');
    stage.fanOut.disconnected(1);
    expect(stage.fanOut.subscriptions).toBe(0);
    stage.subscriber(1, 'c');
    stage.publish('a', 'x');
    stage.publish('c', 'y');
    expect(stage.news()).toEqual(['1: c y']);
  });

  it('asks whether a subscriber may have a topic; a refused one is counted and ignored', () => {
    const asked: string[] = [];
    const stage = new Stage(({ identity }, topic) => {
      asked.push(`${identity} ${topic.toString()}`);
      return topic[0] === 0x61;
    });
    stage.subscriber(1, 'a', 'b', '', 'a');
    stage.publish('a', 'x');
    stage.publish('b', 'x');
    expect(stage.news()).toEqual(['1: a x']);
    expect(stage.fanOut.counters.refused).toBe(2);
    expect(asked).toEqual(['ip:1 a', 'ip:1 b', 'ip:1 ']);
  });

  it('knows whether anyone would get a message', () => {
    const stage = new Stage();
    const has = (topic: string): boolean => stage.fanOut.hasSubscribers(Buffer.from(topic));
    expect(has('abc')).toBe(false);
    stage.subscriber(1, 'ab');
    expect([has('abc'), has('a'), has('b')]).toEqual([true, false, false]);
    expect(stage.fanOut.counters.published).toBe(0);
  });
});

describe('hostile subscribers', () => {
  it('are closed at 10,000 distinct topics, and at one of over 255 bytes (D41)', () => {
    const stage = new Stage();
    stage.connect(1);
    for (let index = 0; index < 10_000; index++) stage.subscribe(1, `topic ${index}`);
    for (let index = 0; index < 10_000; index++) stage.subscribe(1, `topic ${index}`);
    expect([stage.fanOut.subscriptions, stage.news()]).toEqual([10_000, []]);
    stage.subscribe(1, 'one more');
    expect(stage.news()).toEqual(['1 closed limit']);
    while (!stage.fanOut.run());
    expect(stage.fanOut.subscriptions).toBe(0);

    stage.subscriber(2, 'x'.repeat(255));
    expect(stage.news()).toEqual([]);
    stage.subscribe(2, 'x'.repeat(256));
    stage.connect(3);
    stage.fanOut.oversized(3);
    expect(stage.news()).toEqual(['2 closed limit', '3 closed limit']);
    expect(stage.fanOut.counters.closed).toEqual({ slow: 0, limit: 3 });
  });

  it('that cancel and subscribe for ever leave nothing behind', () => {
    const stage = new Stage();
    stage.connect(1);
    for (let index = 0; index < 20_000; index++) {
      stage.subscribe(1, `${index} ${'y'.repeat(index % 240)}`);
      if (index >= 5) stage.cancel(1, `${index - 5} ${'y'.repeat((index - 5) % 240)}`);
    }
    expect(stage.fanOut.subscriptions).toBe(5);
  });

  it('that leave are forgotten in turns, and get nothing in between; their numbers are not others', () => {
    const holdings = new Holdings();
    const stage = new Stage(undefined, undefined, holdings);
    for (const id of [1, 2]) {
      stage.connect(id, 'greedy');
      for (let index = 0; index < 9000; index++) stage.subscribe(id, `topic ${index}`);
    }
    stage.subscriber(3, 'topic 8');
    for (const id of [1, 2]) stage.fanOut.disconnected(id);
    expect(stage.fanOut.subscribers).toBe(1);
    stage.subscriber(1, 'topic 7');
    const counts: number[] = [];
    for (let isDone = false; !isDone;) {
      counts.push(stage.fanOut.subscriptions);
      expect(stage.fanOut.hasSubscribers(Buffer.from('topic 9'))).toBe(false);
      for (const name of ['topic 7', 'topic 8', 'topic 9']) stage.publish(name, '.');
      isDone = stage.fanOut.run();
    }
    const turns = counts.map((count, at) => (counts[at - 1] ?? 18_002) - count);
    expect(Math.max(...turns)).toBeLessThanOrEqual(4096);
    expect(turns).toHaveLength(4);
    expect(new Set(stage.news())).toEqual(new Set(['1: topic 7 .', '3: topic 8 .']));
    expect(stage.fanOut.subscriptions).toBe(2);
    expect([...holdings.accounts.values()].map(({ identity }) => identity)).toEqual([
      'ip:3',
      'ip:1',
    ]);
  });

  it('take no more memory for their subscriptions than is counted, whatever these share', async () => {
    const topics = [
      (at: number) => String(at).padStart(240, '.'),
      (at: number) => `${at}-`.padEnd(20, `${at}`),
      (at: number) => String.fromCharCode(at >> 16, (at >> 8) & 255, at & 255),
    ];
    const stages: Stage[] = [];
    for (const topic of topics) {
      const holdings = new Holdings();
      const stage = new Stage(undefined, undefined, holdings);
      stages.push(stage);
      const before = await memory();
      for (let id = 0; id < 10; id++) {
        stage.connect(id);
        for (let at = 0; at < 9000; at++) stage.subscribe(id, topic(id * 9000 + at));
      }
      const taken = (await memory()) - before;
      expect(taken).toBeGreaterThan(holdings.bytes / 2);
      expect(taken).toBeLessThan(holdings.bytes + 1024 * 1024);
    }
    expect(stages.map(({ fanOut }) => fanOut.subscriptions)).toEqual([90_000, 90_000, 90_000]);
  });

  it('of one identity leave room for others, and there is one limit for all together', () => {
    const stage = new Stage(undefined, { perSubscriber: 4, perIdentity: 6, total: 8 });
    for (const id of [1, 2]) stage.connect(id, 'greedy');
    for (let index = 0; index < 4; index++) stage.subscribe(1, `${index}`);
    for (let index = 0; index < 3; index++) stage.subscribe(2, `${index}`);
    expect(stage.news()).toEqual(['2 closed limit']);
    stage.subscriber(3, 'a', 'b', 'c', 'd');
    stage.subscriber(4, 'e');
    expect(stage.news()).toEqual(['4 closed limit']);
    stage.fanOut.disconnected(1);
    stage.subscriber(5, 'e');
    expect(stage.news()).toEqual([]);
  });

  it('are counted like all that is held for an identity, and end with it (D77, D103)', () => {
    const holdings = new Holdings(100_000);
    const stage = new Stage(undefined, undefined, holdings);
    stage.connect(1, 'greedy');
    const topic = (index: number): string => String(index).padEnd(240, '.');
    for (let index = 0; index < 100; index++) stage.subscribe(1, topic(index));
    // Once more to the same takes nothing.
    stage.subscribe(1, topic(0));
    const each = holdings.byKind.subscriptions / 100;
    expect(each).toBeGreaterThan(350);
    expect(holdings.bytes).toBe(100 * each);
    for (let index = 0; index < 10; index++) stage.cancel(1, topic(index));
    stage.cancel(1, topic(0));
    expect(holdings.bytes).toBe(90 * each);
    // Beyond the limit whoever has more than an equal share is closed, another one is not.
    stage.connect(2, 'modest');
    for (let index = 100; index < 400; index++) stage.subscribe(1, topic(index));
    expect(stage.news()).toEqual(['1 closed limit']);
    expect(holdings.bytes).toBe(0);
    stage.subscribe(2, topic(0));
    stage.fanOut.disconnected(1);
    stage.fanOut.disconnected(2);
    expect([holdings.bytes, ...holdings.accounts.values()]).toEqual([0]);
  });
});

describe('more copies than a turn has time for (D103)', () => {
  /** The cost of a copy that has to be written. */
  const WRITE = 64;

  it('are made in later turns, in order, once each', () => {
    const stage = new Stage(undefined, { turnCost: 3 * WRITE });
    for (let id = 0; id < 5; id++) stage.subscriber(id, 'a', 'ab');
    expect(stage.publish('ab', 'x')).toBeGreaterThan(0);
    expect(stage.publish('ab', 'y')).toBeGreaterThan(0);
    expect(stage.publish('b', 'nobody wants it')).toBe(0);
    expect(stage.news()).toHaveLength(3);
    const turns: number[] = [];
    const all: string[] = [];
    for (let isDone = false; !isDone;) {
      stage.fanOut.written();
      isDone = stage.fanOut.run();
      const news = stage.news();
      turns.push(news.length);
      all.push(...news);
    }
    expect(turns).toEqual([3, 3, 1]);
    expect(all.map((line) => line.at(-1)).join('')).toBe('xxyyyyy');
    expect(stage.fanOut.counters).toMatchObject({ published: 3, copies: 10 });
    stage.publish('ab', 'z');
    expect(stage.news()).toHaveLength(2);
  });

  it('are made of packed messages, too, whatever was published before', () => {
    const stage = new Stage(undefined, { turnCost: WRITE });
    for (const id of [1, 2]) stage.subscriber(id, 'a');
    for (const body of ['first', 'x', 'a longer one']) {
      const frames = Frames.of('ab', body);
      const packed = new Words(Buffer.alloc(100));
      const size = pack(frames, 0, frames.count, packed.bytes, 0, false);
      expect(stage.fanOut.publishPacked(packed, size)).toBe(size);
    }
    while (!stage.fanOut.run());
    const bodies = ['first', 'x', 'a longer one'];
    const copies = (id: number): string[] => bodies.map((body) => `${id}: ab ${body}`);
    expect(stage.news().sort()).toEqual([...copies(1), ...copies(2)].sort());
  });

  it('cost little behind others that are not written yet, and more if they are large', () => {
    const stage = new Stage(undefined, { turnCost: WRITE + 10 });
    stage.subscriber(1, '');
    for (let n = 0; n < 20; n++) stage.publish('a', 'x');
    expect(stage.news()).toHaveLength(11);
    while (!stage.fanOut.run());
    expect(stage.news()).toHaveLength(9);
    for (let n = 0; n < 20; n++) stage.publish('a', 'x'.repeat(5000));
    expect(stage.news().length).toBeLessThan(14);
  });

  it('are no longer made for the identity with most subscriptions, if too many wait: it loses its connections', () => {
    const stage = new Stage(undefined, { turnCost: 10 * WRITE, waitingBytes: 50_000 });
    stage.subscriber(1, '');
    for (let id = 2; id < 100; id++) {
      stage.connect(id, 'greedy');
      stage.subscribe(id, '');
    }
    let published = 0;
    for (let turn = 0; turn < 80; turn++) {
      for (let n = 0; n < 3; n++) stage.publish('topic', String(published++).padStart(100, '.'));
      stage.fanOut.written();
      stage.fanOut.run();
    }
    while (!stage.fanOut.run());
    const news = stage.news();
    expect(news.filter((line) => line.endsWith('closed slow'))).toHaveLength(98);
    expect(stage.fanOut.counters.closed).toEqual({ slow: 98, limit: 0 });
    expect(stage.fanOut.subscriptions).toBe(1);
    const own = news.filter((line) => line.startsWith('1: '));
    expect(own.map((line) => Number(line.replace(/.*[ .]/u, '')))).toEqual(
      Array.from({ length: published }, (_, n) => n),
    );
  });

  it.each([
    ['', 5],
    ['x'.repeat(1000), 3],
  ])('end for all if that does not help, at twice the bound in memory: of "%s"', (body, most) => {
    const stage = new Stage(undefined, { turnCost: WRITE, waitingBytes: 2000 });
    for (let id = 0; id < 50; id++) stage.subscriber(id, '');
    // (That of the first one is under way.)
    for (let n = 0; n < most + 3; n++) stage.publish('topic', body);
    while (!stage.fanOut.run());
    expect(stage.fanOut.counters.closed).toEqual({ slow: 50, limit: 0 });
    expect(stage.fanOut.subscriptions).toBe(0);
    stage.fanOut.disconnected(7);
    stage.subscriber(7, 'to');
    stage.news();
    stage.publish('topic', 'again');
    expect(stage.news()).toEqual(['7: topic again']);
  });

  it('are not made for a subscriber that is gone when its connection is to be closed', () => {
    const stage = new Stage(undefined, { turnCost: WRITE, waitingBytes: 10 });
    stage.subscriber(1, '');
    for (let n = 0; n < 3; n++) stage.publish('topic', 'x'.repeat(100));
    stage.fanOut.disconnected(1);
    stage.subscriber(1, '');
    while (!stage.fanOut.run());
    expect(stage.fanOut.counters.closed).toEqual({ slow: 0, limit: 0 });
  });
});

describe('any script of subscribers', () => {
  const id = fc.integer({ min: 0, max: 3 });
  const topic = fc.stringMatching(/^[ab]{0,4}$/);
  const step = fc.oneof(
    fc.record({ kind: fc.constant('subscribe' as const), id, topic }),
    fc.record({ kind: fc.constant('cancel' as const), id, topic }),
    fc.record({ kind: fc.constant('publish' as const), id, topic }),
    fc.record({ kind: fc.constant('reconnect' as const), id, topic }),
  );

  it('gets what a list of (subscriber, topic) would give', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const stage = new Stage();
        const model = new Map<number, string[]>();
        for (let each = 0; each < 4; each++) {
          stage.connect(each);
          model.set(each, []);
        }
        for (const { kind, id: who, topic: name } of steps) {
          const list = model.get(who) ?? [];
          if (kind === 'subscribe') {
            stage.subscribe(who, name);
            list.push(name);
          } else if (kind === 'cancel') {
            stage.cancel(who, name);
            if (list.includes(name)) list.splice(list.indexOf(name), 1);
          } else if (kind === 'reconnect') {
            stage.fanOut.disconnected(who);
            stage.connect(who);
            model.set(who, []);
          } else {
            stage.publish(name, '.');
            const wanted = [...model].filter(([, all]) => all.some((one) => name.startsWith(one)));
            expect(stage.news().sort()).toEqual(wanted.map(([each]) => `${each}: ${name} .`));
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('a numbered stream (D42)', () => {
  it('puts publisher, number and time behind the topic; every message takes a number', () => {
    const sent: Frames[] = [];
    const stream = new NumberedStream(
      {
        publish: (frames) => sent.push(Frames.of(...frames.copyFrom(0))),
        publishPacked: () => undefined,
      },
      Buffer.from('0102030405060708', 'hex'),
    );
    stream.publish(Buffer.from('a'), [Buffer.from('x')], 1_790_000_000_000_000.25);
    stream.publish(Buffer.from('b'), [Buffer.from('y'), Buffer.alloc(0)], 1_790_000_000_000_001);
    const headers = sent.map((frames) => readStreamHeader(frames.buffer(1), frames.start(1)));
    expect(headers).toEqual([
      { publisher: '0102030405060708', number: 1, timeUs: 1_790_000_000_000_000 },
      { publisher: '0102030405060708', number: 2, timeUs: 1_790_000_000_000_001 },
    ]);
    expect(sent[1]?.copyFrom(2).map(String)).toEqual(['y', '']);
  });

  it('sends a message that is packed already as any other, and numbers it with them', () => {
    const s = new Stage();
    s.subscriber(1, 'a');
    s.subscriber(2, 'a', '');
    s.subscriber(3, 'b');
    const stream = new NumberedStream(s.fanOut, Buffer.from('01234567'));
    stream.publish(Buffer.from('ab'), [Buffer.from('x')], 1);
    const usual = s.news();
    const frames = Frames.of('ab', Buffer.alloc(24), 'x');
    const packed = new Words(Buffer.alloc(100));
    const size = pack(frames, 0, frames.count, packed.bytes, 0, false);
    const sizes: number[] = [];
    const to = {
      publish: () => undefined,
      publishPacked: (message: Words, bytes: number) => {
        sizes.push(s.fanOut.publishPacked(message, bytes));
      },
    };
    const other = new NumberedStream(to, Buffer.from('01234567'));
    other.publishPacked(packed, 6, size, 1);
    expect(s.news()).toEqual(usual);
    expect(usual.map((line) => line[0])).toEqual(['2', '1']);
    other.publishPacked(packed, 6, size, 7);
    expect(readStreamHeader(packed.bytes, 6)).toMatchObject({ number: 2, timeUs: 7 });
    s.fanOut.disconnected(1);
    s.fanOut.disconnected(2);
    other.publishPacked(packed, 6, size, 8);
    expect(sizes).toEqual([size, size, 0]);
    expect([s.fanOut.counters.published, s.fanOut.counters.copies]).toEqual([4, 6]);
  });
});
