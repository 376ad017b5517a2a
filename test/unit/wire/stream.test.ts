import fc from 'fast-check';

import { SEQUENCE_MAX } from '../../../src/core/numbers.js';
import { Frames } from '../../../src/core/frames.js';
import {
  hasStreamHeader,
  readStreamHeader,
  readSubscription,
  type StreamHeader,
  subscribedTopic,
  writeStreamHeader,
} from '../../../src/wire/stream.js';

function header(publisher: Buffer, number: bigint, timeUs: bigint): Buffer {
  const bytes = Buffer.alloc(24);
  publisher.copy(bytes);
  bytes.writeBigUInt64BE(number, 8);
  bytes.writeBigInt64BE(timeUs, 16);
  return bytes;
}

function headerOf(frames: Frames): StreamHeader | null {
  return hasStreamHeader(frames) ? readStreamHeader(frames.buffer(1), frames.start(1)) : null;
}

const id = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes));

describe('the header of a published message (D42)', () => {
  it('is 24 bytes in network order: publisher, number, time', () => {
    const bytes = Buffer.alloc(24);
    writeStreamHeader(bytes, Buffer.from('0102030405060708', 'hex'), 7, 1_790_000_000_000_001);
    expect(bytes.toString('hex')).toBe(
      '0102030405060708' + '0000000000000007' + '00065bfeda25e001',
    );
  });

  it('is read as it was written, whatever it says', () => {
    const number = fc.integer({ min: 1, max: SEQUENCE_MAX });
    const time = fc.maxSafeNat();
    fc.assert(
      fc.property(id, number, time, (publisher, count, timeUs) => {
        const bytes = Buffer.alloc(24);
        writeStreamHeader(bytes, publisher, count, timeUs);
        expect(bytes).toEqual(header(publisher, BigInt(count), BigInt(timeUs)));
        const read = headerOf(Frames.of('topic', bytes, 'body'));
        expect(read).toEqual({ publisher: publisher.toString('hex'), number: count, timeUs });
      }),
    );
  });

  it('of any 24 bytes is exact, or none', () => {
    const any = fc.uint8Array({ minLength: 24, maxLength: 24 });
    fc.assert(
      fc.property(any, (bytes) => {
        const read = headerOf(Frames.of('', bytes, ''));
        if (read === null) return;
        const publisher = Buffer.from(read.publisher, 'hex');
        const again = header(publisher, BigInt(read.number), BigInt(read.timeUs));
        expect(again).toEqual(Buffer.from(bytes));
      }),
    );
  });

  it.each<[string, Frames]>([
    ['of no frames', new Frames()],
    ['without a header', Frames.of('topic')],
    ['without a body', Frames.of('topic', Buffer.alloc(24, 1))],
    ['with a header that is too short', Frames.of('topic', Buffer.alloc(23, 1), '')],
    ['with a header that is too long', Frames.of('topic', Buffer.alloc(25, 1), '')],
    ['with the number 0', Frames.of('topic', header(Buffer.alloc(8), 0n, 1n), '')],
    ['with the number 2^53', Frames.of('topic', header(Buffer.alloc(8), 1n << 53n, 1n), '')],
    ['with the number 2^64 - 1', Frames.of('', header(Buffer.alloc(8), (1n << 64n) - 1n, 1n), '')],
  ])('is not in a message %s', (_, frames) => expect(headerOf(frames)).toBeNull());
});

describe('a subscription as a message (23/ZMTP)', () => {
  it('is one frame: 1 or 0, then the topic', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.uint8Array({ maxLength: 300 }), (isOn, topic) => {
        const frames = Frames.of(Buffer.concat([Buffer.from([isOn ? 1 : 0]), topic]));
        expect(readSubscription(frames)).toBe(isOn ? 'subscribe' : 'cancel');
        expect(subscribedTopic(frames)).toEqual(Buffer.from(topic));
      }),
    );
  });

  it.each<[string, Frames]>([
    ['an empty frame', Frames.of('')],
    ['two frames', Frames.of('\x01topic', '')],
    ['another first byte', Frames.of('\x02topic')],
    ['no frame', new Frames()],
  ])('is not %s', (_, frames) => expect(readSubscription(frames)).toBeNull());
});
