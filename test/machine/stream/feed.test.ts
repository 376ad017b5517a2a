import fc from 'fast-check';

import { Frames } from '../../../src/core/frames.js';
import { Feed, type Stamp } from '../../../src/sdk/stream/feed.js';
import { SubscriberInbox } from '../../../src/sdk/stream/subscriber-inbox.js';
import type { LinkEvents } from '../../../src/zmtp/link-port.js';
import { writeStreamHeader } from '../../../src/wire/stream.js';
import { Connection, type ConnectionEvents } from '../../../src/zmtp/connection/connection.js';
import { NullMechanism } from '../../../src/zmtp/connection/null.js';
import {
  commandFrame,
  cutAt,
  frame,
  greetingOf,
  LONG,
  MORE,
  property,
  ready,
} from '../../unit/zmtp/wire.js';

const TIME_US = 1_700_000_000_000_000;
const PUBLISHER = Buffer.from('8 bytes.');
const HANDSHAKE = Buffer.concat([greetingOf(), ready(property('Socket-Type', 'PUB'))]);
const LIMITS = { messageBytesMax: 1 << 20, framesMax: 32 };

/** A connection, its feed and its inbox; everything is taken as soon as it is there. */
class Subscriber {
  readonly told: unknown[] = [];
  /** Messages that were taken from the connection in stretches. */
  inRuns = 0;
  readonly #connection: Connection;

  /** @param isOffered the feed is offered packed messages */
  constructor(stamp: Stamp | false | null, isOffered: boolean, bytesMax = 1 << 20) {
    const inbox = new SubscriberInbox({ bytesMax, maxDelayMs: null });
    let events: LinkEvents | null = null;
    const dial = (
      _endpoint: string,
      given: LinkEvents,
    ): { write(): void; close(): Promise<void> } => {
      events = given;
      return { write: () => undefined, close: () => Promise.resolve() };
    };
    const feed = new Feed('pub', dial, stamp, true, {
      connected: () => undefined,
      disconnected: () => undefined,
      received: (run) => {
        if (run.count > 1) this.inRuns += run.count;
        inbox.push(run);
        for (let message = inbox.take(); message !== null; message = inbox.take()) {
          const { bytes, bodyStart, bodyEnd } = message;
          const first = bytes.subarray(bodyStart, bodyEnd);
          expect(first.equals(message.frames[0] ?? Buffer.alloc(0))).toBe(true);
          expect(message.text()).toBe(Buffer.concat(message.frames).toString());
          expect(message.topicBytes.toString()).toBe(message.topic);
          this.told.push(JSON.stringify(message));
        }
      },
      failed: (error) => {
        this.told.push(error.message);
      },
    });
    const heard: ConnectionEvents = {
      ready: () => feed.connected(),
      message: (frames) => events?.message(frames),
      failed: (kind) => {
        this.told.push(kind);
      },
    };
    if (isOffered) heard.packed = (words, from, end) => feed.packed(words, from, end);
    const mechanism = new NullMechanism('SUB', Buffer.alloc(0));
    const options = { mechanism, waitsForGreeting: false, ...LIMITS };
    this.#connection = new Connection(options, heard, new Frames(), 0);
  }

  receive(...segments: readonly Buffer[]): this {
    // A socket reads all of them into one buffer.
    const shared = Buffer.alloc(Math.max(0, ...segments.map(({ length }) => length)));
    for (const segment of segments) {
      segment.copy(shared);
      this.#connection.receive(shared, 0, segment.length);
      shared.fill(0xff);
    }
    return this;
  }
}

const bytes = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 250, maxLength: 700 }) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 16_000, max: 20_000 }).map((size) => Buffer.alloc(size, 'x')),
  },
);

function headerOf(number: number): Buffer {
  const header = Buffer.alloc(24);
  writeStreamHeader(header, PUBLISHER, number, TIME_US + number);
  return header;
}

interface Sent {
  readonly topic: Uint8Array;
  readonly number: number;
  readonly body: readonly Uint8Array[];
  /** Heads are long although their frames are short; a PING stands before or in it; it is cut short. */
  readonly oddity: number;
}

const sent: fc.Arbitrary<Sent> = fc.record({
  topic: bytes,
  number: fc.oneof(
    { weight: 30, arbitrary: fc.integer({ min: 1, max: 1_000_000 }) },
    { weight: 1, arbitrary: fc.constant(0) },
  ),
  body: fc.array(bytes, { minLength: 0, maxLength: 6 }),
  oddity: fc.integer({ min: 0, max: 40 }),
});

const PING = commandFrame('PING', '\0\0ctx');

function bytesOf({ topic, number, body, oddity }: Sent, isNumbered: boolean): Buffer {
  const frames = isNumbered ? [topic, headerOf(number), ...body] : [topic, ...body];
  const encoded = frames.map((each, index) => {
    const flags = index < frames.length - 1 ? MORE : 0;
    return frame(flags | (oddity === index ? LONG : 0), Buffer.from(each));
  });
  if (oddity >= 10 && oddity < 10 + encoded.length) encoded.splice(oddity - 10, 0, PING);
  return Buffer.concat(encoded);
}

/** What the reader gets; it ends at the first message of a `Publisher` that has no header. */
function expected(messages: readonly Sent[], stamp: Stamp | false | null): string[] {
  const isGood = ({ number, body }: Sent): boolean => number > 0 && body.length > 0;
  const bad = stamp === null ? messages.findIndex((each) => !isGood(each)) : -1;
  return messages.slice(0, bad < 0 ? undefined : bad).map((each) => {
    const [topic, ...frames] = [each.topic, ...each.body].map((bytes) => Buffer.from(bytes));
    const facts = { topic: topic?.toString(), frames, endpoint: 'pub', afterGap: false };
    if (stamp === null) {
      const sentAtMs = (TIME_US + each.number) / 1000;
      return JSON.stringify({
        ...facts,
        publisher: PUBLISHER.toString('hex'),
        number: each.number,
        sentAtMs,
      });
    }
    const sentAtMs = stamp === false ? null : frames.length + 1;
    return JSON.stringify({ ...facts, publisher: null, number: null, sentAtMs });
  });
}

describe('messages of a publisher', () => {
  it.each([
    ['a Publisher', null],
    ['another program', false as const],
    ['another program, with a function for the time', (frames: readonly Buffer[]) => frames.length],
  ])('of %s are the same, whether they are taken in stretches or one by one', (_of, stamp) => {
    fc.assert(
      fc.property(
        fc.array(sent, { maxLength: 12 }),
        fc.array(fc.nat(30_000), { maxLength: 30 }),
        (messages, offsets) => {
          const stream = Buffer.concat([
            HANDSHAKE,
            ...messages.map((each) => bytesOf(each, stamp === null)),
          ]);
          const segments = cutAt(
            stream,
            offsets.filter((offset) => offset < stream.length),
          );
          const want = expected(messages, stamp);
          for (const isOffered of [false, true]) {
            const { told } = new Subscriber(stamp, isOffered).receive(...segments);
            expect(told.slice(0, want.length)).toEqual(want);
            const isAll = want.length === messages.length;
            // (Its owner would close it.)
            if (isAll) expect(told).toHaveLength(want.length);
            else expect(told[want.length]).toContain('has no header of a Publisher');
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it('cut once at every byte are the same', () => {
    const messages = ['', 'ab', 'c'.repeat(300), 'd'].map((text, index) => {
      const body = [Buffer.from(text), Buffer.from('last')];
      return { topic: Buffer.from('t'), number: index + 1, body, oddity: 40 };
    });
    const encoded = messages.map((each) => bytesOf(each, true));
    const stream = Buffer.concat([HANDSHAKE, ...encoded, PING]);
    const want = expected(messages, null);
    for (let at = HANDSHAKE.length; at < stream.length; at++) {
      const { told } = new Subscriber(null, true).receive(...cutAt(stream, [HANDSHAKE.length, at]));
      expect(told).toEqual(want);
    }
  });

  it('that arrive together are taken together, also after one that is not usual', () => {
    const usual = Array.from({ length: 50 }, (_, index) =>
      bytesOf(
        { topic: Buffer.from('t'), number: index + 1, body: [Buffer.from('b')], oddity: 40 },
        true,
      ),
    );
    const subscriber = new Subscriber(null, true).receive(
      Buffer.concat([HANDSHAKE, ...usual, PING, ...usual]),
    );
    expect(subscriber.told).toHaveLength(100);
    expect(subscriber.inRuns).toBe(100);
  });

  it('without its header end the subscriber, after those that came before', () => {
    const good = { topic: Buffer.from('t'), number: 1, body: [Buffer.from('b')], oddity: 40 };
    const stream = [HANDSHAKE, bytesOf(good, true), bytesOf(good, true), bytesOf(good, false)];
    const { told } = new Subscriber(null, true).receive(Buffer.concat(stream));
    expect(told).toHaveLength(3);
    expect(told[2]).toContain('has no header of a Publisher');
  });
});
