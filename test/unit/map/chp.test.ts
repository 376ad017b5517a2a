import fc from 'fast-check';

import { Frames } from '../../../src/core/frames.js';
import { recordOf, valueOf } from '../../../src/extensions/map/machine/record.js';
import { coversHugz, readIcanHaz, readKvSet, RecordFrames } from '../../../src/wire/chp.js';
import {
  compareNumbers,
  HUGZ,
  ICANHAZ,
  icanhaz,
  isUpTo,
  KEY,
  KTHXBAI,
  kvset,
  numberedUuids,
  PROPERTIES,
  readNumber,
  readProperties,
  readPublished,
  readSnapshot,
  UUID,
  VALUE,
  writeNumber,
  writerOf,
} from '../../../src/wire/chp-client.js';
import { STORED_BYTES_MAX } from '../../../src/wire/tsp.js';
import { anyMapRecord as record } from './map-records.js';

const frames = new RecordFrames(512);

/** Frames that mean something, so that random lists come near to messages. */
const frame = fc.oneof(
  fc.constantFrom(ICANHAZ, KTHXBAI, HUGZ, '', 'key', '/a/', 'ttl=1\n', 'ttl=x\n', 'x', '\0'),
  fc.constantFrom(Buffer.alloc(8), Buffer.alloc(16), Buffer.alloc(4097), Buffer.alloc(256, 'k')),
  fc.uint8Array({ maxLength: 20 }),
);

it('a value that no store takes is malformed', () => {
  const bytes = Buffer.alloc(STORED_BYTES_MAX + 1);
  const read = (size: number): string => {
    const set = kvset(Buffer.from('k'), Buffer.alloc(16), Buffer.alloc(0), bytes);
    const frames = Frames.of(...set.slice(0, VALUE));
    frames.push(bytes, 0, size);
    return readKvSet(frames).kind;
  };
  expect([read(STORED_BYTES_MAX + 1), read(STORED_BYTES_MAX)]).toEqual(['malformed', 'kvset']);
});

describe('uuids with numbers (D121)', () => {
  const uuids = (byte: number): (() => string) => {
    const next = numberedUuids((target) => target.fill(byte));
    return () => next().toString('latin1');
  };

  it('are of version 8 and the variant of RFC 9562, and those of one writer compare as their numbers do', () => {
    for (const byte of [0, 0x55, 0xff]) {
      const next = uuids(byte);
      const all = Array.from({ length: 300 }, next);
      expect(all.map((uuid) => Buffer.from(uuid, 'latin1').readUIntBE(0, 6))).toEqual(
        all.map((_, at) => at + 1),
      );
      for (const uuid of all) {
        expect(Buffer.from(uuid, 'latin1').toString('hex')).toMatch(/^.{12}8c1280/);
        expect(writerOf(uuid)).toBe(all[0]?.slice(9));
      }
      const [first = '', ...later] = all;
      expect(later.every((uuid) => isUpTo(first, uuid) && !isUpTo(uuid, first))).toBe(true);
      expect(isUpTo(first, first)).toBe(true);
    }
  });

  it('of two writers, and those without numbers, tell no order', () => {
    const [one, other] = [uuids(1)(), uuids(2)()];
    const random = [' '.repeat(16), '\xff'.repeat(16), `${one.slice(0, 7)}\x13${one.slice(8)}`];
    expect([isUpTo(one, other), isUpTo(other, one), isUpTo('', one), isUpTo(one, '')]).toEqual([
      false,
      false,
      false,
      false,
    ]);
    for (const uuid of random) expect([writerOf(uuid), isUpTo(uuid, uuid)]).toEqual(['', false]);
  });
});

describe('numbers (D48)', () => {
  it('are exact for any 64 bits, and compare as they do', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        (a, b) => {
          const bytes = Buffer.alloc(16);
          bytes.writeBigUInt64BE(a, 0);
          bytes.writeBigUInt64BE(b, 8);
          const [one, two] = [readNumber(bytes, 0), readNumber(bytes, 8)];
          expect(one.epoch < 2 ** 24 && one.counter < 2 ** 40).toBe(true);
          expect(BigInt(one.epoch) * 2n ** 40n + BigInt(one.counter)).toBe(a);
          expect(Math.sign(compareNumbers(one, two))).toBe(a === b ? 0 : a < b ? -1 : 1);
          const again = Buffer.alloc(8);
          writeNumber(again, 0, one.epoch, one.counter);
          expect(again).toEqual(bytes.subarray(0, 8));
        },
      ),
    );
  });
});

describe('12/CHP', () => {
  it('accepts any input, on both sides (D47)', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 7 }), (list) => {
        const message = Frames.of(...list);
        const kinds = [readKvSet, readIcanHaz, readSnapshot, readPublished].map(
          (read) => read(message).kind,
        );
        for (const [at, kind] of kinds.entries()) {
          const known = [['kvset'], ['icanhaz'], ['record', 'end'], ['record', 'hugz']][at] ?? [];
          expect([...known, 'malformed']).toContain(kind);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('a KVSET arrives as its client wrote it', () => {
    fc.assert(
      fc.property(record, (sent) => {
        const parts = [sent.key, sent.uuid, sent.properties].map((text) =>
          Buffer.from(text, 'latin1'),
        );
        const [name, id, text] = parts as [Buffer, Buffer, Buffer];
        const body = Buffer.from(sent.value as string, 'latin1');
        const message = Frames.of(...kvset(name, id, text, body));
        expect(readKvSet(message)).toEqual({ kind: 'kvset', ttlS: sent.ttlS });
        expect([KEY, UUID, PROPERTIES, VALUE].map((at) => message.copy(at))).toEqual([
          name,
          id,
          text,
          body,
        ]);
      }),
    );
  });

  it('a KVPUB arrives as the node wrote it', () => {
    fc.assert(
      fc.property(record, (sent) => {
        const message = frames.record(
          sent.key,
          sent.epoch,
          sent.counter,
          sent.uuid,
          sent.properties,
          sent.value,
        );
        const { epoch, counter } = sent;
        expect(readPublished(message)).toEqual({ kind: 'record', number: { epoch, counter } });
        expect(readSnapshot(message).kind).toBe('record');
        const texts = [KEY, UUID, PROPERTIES].map((at) => message.view(at).toString('latin1'));
        expect(texts).toEqual([sent.key, sent.uuid, sent.properties]);
        expect(valueOf(message.view(VALUE))).toEqual(sent.value);
      }),
    );
  });

  it.each([
    ['0f0e0d0c-0B0a-0908-0706-050403020100', '0f0e0d0c0b0a09080706050403020100'],
    ['0123456789abcdef', Buffer.from('0123456789abcdef').toString('hex')],
    ['', ''],
    ['0f0e0d0c-0b0a-0908-0706-0504030201', null],
    ['0f0e0d0c-0b0a-0908-0706-05040302010g', null],
    ['0f0e0d0c00b0a-0908-0706-050403020100', null],
    ['{0f0e0d0c0b0a09080706050403020100}..', null],
    ['0f0e0d0c0b0a09080706050403020100', null],
  ])('a uuid may be text, as of programs in Java: %j (D113)', (uuid, hex) => {
    const set = Frames.of('key', '', uuid, '', 'x');
    const published = Frames.of('key', Buffer.alloc(8), uuid, '', 'x');
    const kinds = [readKvSet(set), readPublished(published), readSnapshot(published)];
    const expected = hex === null ? 'malformed' : 'record';
    expect(kinds.map(({ kind }) => kind)).toEqual([
      hex === null ? 'malformed' : 'kvset',
      expected,
      expected,
    ]);
    if (hex === null) return;
    expect(Buffer.from(recordOf(set, 0).uuid, 'latin1').toString('hex')).toBe(hex);
  });

  it('HUGZ and KTHXBAI have five frames; HUGZ has number zero (D52)', () => {
    const hugz = frames.hugz();
    const nothing = Buffer.alloc(0);
    expect(hugz.copyFrom(0)).toEqual([HUGZ, Buffer.alloc(8), nothing, nothing, nothing]);
    expect(readPublished(hugz)).toEqual({ kind: 'hugz' });
    const end = frames.kthxbai(3, 4, '/a/');
    expect(end.count).toBe(5);
    expect(end.copy(VALUE).toString()).toBe('/a/');
    expect(readSnapshot(end)).toEqual({ kind: 'end', number: { epoch: 3, counter: 4 } });
    // It is no update.
    expect(readPublished(end).kind).toBe('malformed');
  });

  it('reads what servers of the Guide send: other frames filled, or the subtree empty (D58)', () => {
    const no = Buffer.alloc(8, 1);
    const id = Buffer.alloc(16, 1);
    expect(readSnapshot(Frames.of('key', no, id, 'ttl=1760000000000\n', '1')).kind).toBe('record');
    expect(readSnapshot(Frames.of('KTHXBAI', no, '', '', '')).kind).toBe('end');
  });

  it.each([
    ['', 'icanhaz'],
    ['/', 'icanhaz'],
    ['/a/', 'icanhaz'],
    [`/${'a'.repeat(253)}/`, 'icanhaz'],
    [`/${'a'.repeat(254)}/`, 'malformed'],
    ['a', 'malformed'],
    ['/a', 'malformed'],
    ['a/', 'malformed'],
  ])('ICANHAZ %j is %s (D47)', (subtree, kind) => {
    const read = readIcanHaz(Frames.of(...icanhaz(Buffer.from(subtree))));
    expect(read).toMatchObject(kind === 'icanhaz' ? { kind, subtree } : { kind });
  });

  it.each<[string, number | null]>([
    ['', 0],
    ['ttl=0\n', 0],
    ['ttl=1\n', 1],
    ['ttl=2147483647\n', 2_147_483_647],
    ['a=b\nttl=007\n', 7],
    ['ttl=1\nttl=2\n', 1],
    ['xttl=z\n', 0],
    ['TTL=z\n', 0],
    ['ttl=2147483648\n', null],
    ['ttl=\n', null],
    ['ttl= 1\n', null],
    ['ttl=-1\n', null],
    ['ttl=1.5\n', null],
    ['ttl=1\nttl=x\n', null],
    ['ttl=1', null],
    ['\n', null],
    ['a\n', null],
    ['a=b\n\n', null],
  ])('properties %j: ttl %j (D47, D51)', (text, ttl) => {
    const read = readProperties(text);
    expect(typeof read === 'string' ? null : read).toBe(ttl);
  });

  it.each([
    ['', true],
    ['HUGZ', true],
    ['HU', true],
    ['HUGZ!', false],
    ['U', false],
  ])('a subscription to %j covers HUGZ: %j (D52)', (topic, covers) => {
    expect(coversHugz(Buffer.from(topic))).toBe(covers);
  });
});
