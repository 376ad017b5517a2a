import fc from 'fast-check';

import { copyWords, sameWords, Words, wordsOf } from '../../../src/core/bytes.js';
import { Frames } from '../../../src/core/frames.js';
import { pack, packedBytes } from '../../../src/core/packed.js';
import { Inbound } from '../../../src/wire/inbound.js';
import { ReplyForm, RequestForm } from '../../../src/wire/packed-forms.js';

const TOKEN_BYTES = 26;
const TOKEN = Buffer.alloc(TOKEN_BYTES, 't');

/** The message packed, between other bytes. */
function packed(...frames: readonly (Buffer | string)[]): {
  words: Words;
  from: number;
  end: number;
} {
  const message = Frames.of(...frames);
  const from = 3;
  const bytes = Buffer.alloc(from + packedBytes(message, 0, message.count) + 7, 0x01);
  const end = pack(message, 0, message.count, bytes, from, false);
  return { words: new Words(bytes), from, end };
}

const id = fc.string({ minLength: 1, maxLength: 20 });
const body = fc.oneof(fc.string({ maxLength: 300 }), fc.constant('x'.repeat(5000)));
const service = fc.string({ minLength: 1, maxLength: 30 }).map((name) => Buffer.from(name));
const shape = fc.constantFrom(
  { version: 1, enveloped: true, ids: 0 } as const,
  { version: 1, enveloped: true, ids: 1 } as const,
  { version: 2, enveloped: false, ids: 0 } as const,
  { version: 2, enveloped: true, ids: 0 } as const,
  { version: 2, enveloped: true, ids: 1 } as const,
);

function requestFrames(
  of: { readonly version: 1 | 2; readonly enveloped: boolean; readonly ids: number },
  envelope: string,
  name: Buffer,
  text: string,
): (Buffer | string)[] {
  const header = of.version === 1 ? ['MDPC01'] : ['MDPC02', '\x01'];
  const path = of.enveloped ? [...(of.ids === 1 ? [envelope] : []), ''] : [];
  return [...path, ...header, name, text];
}

describe('a request of a known form', () => {
  it('is found with its envelope and its body, and in nothing else', () => {
    fc.assert(
      fc.property(shape, id, service, body, (of, envelope, name, text) => {
        const form = new RequestForm(name, of.version, of.enveloped, of.ids);
        const frames = requestFrames(of, envelope, name, text);
        const { words, from, end } = packed(...frames);
        // Such an envelope might be a header (D24).
        const isFound = of.ids === 0 || Buffer.byteLength(envelope) !== 6;
        expect(form.finds(words, from, words.bytes.length)).toBe(isFound);
        if (!isFound) return;
        expect(form.end).toBe(end);
        const idBytes = of.ids === 1 ? Buffer.byteLength(envelope) + 2 : 0;
        expect(form.envelopeEnd).toBe(from + idBytes);
        expect(words.bytes.subarray(end - Buffer.byteLength(text), end).toString()).toBe(text);
        expect(form.contentStart).toBe(end - packedBytes(Frames.of(text), 0, 1));
        const early = [from, form.contentStart, form.contentStart + 1, end - 1];
        expect(early.some((until) => form.finds(words, from, until))).toBe(false);
      }),
    );
  });

  it('is what Inbound reads as that request, whatever byte of it is changed', () => {
    fc.assert(
      fc.property(
        shape,
        id,
        service,
        fc.string({ maxLength: 20 }),
        fc.nat(),
        fc.nat(255),
        (of, envelope, name, text, place, value) => {
          const form = new RequestForm(name, of.version, of.enveloped, of.ids);
          const { words, from, end } = packed(...requestFrames(of, envelope, name, text));
          words.bytes[from + (place % (end - from))] = value;
          if (!form.finds(words, from, words.bytes.length)) return;
          const frames = new Frames();
          for (let at = from, more = true; more;) {
            const flags = words.bytes[at] ?? 0;
            more = (flags & 1) !== 0;
            expect(flags & ~1).toBe(0);
            const size = words.bytes[at + 1] ?? 0;
            frames.push(words.bytes, at + 2, at + 2 + size);
            at += 2 + size;
          }
          const inbound = new Inbound();
          inbound.read(frames);
          expect(inbound.kind).toBe('request');
          expect(inbound).toMatchObject({ dialect: of.version, enveloped: of.enveloped });
          expect(inbound.envelopeFrames).toBe(of.ids);
          expect(frames.view(inbound.service).equals(name)).toBe(true);
          expect(frames.count).toBe(inbound.body + 1);
          expect(frames.end(inbound.body)).toBe(form.end);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('may have deadline and headers in short frames', () => {
    const name = Buffer.from('echo');
    const form = new RequestForm(name, 2, true, 1);
    const find = (deadline: string, headers: string): unknown => {
      const frames = ['i', '', 'MDPC02', '\x04', name, deadline, headers, 'body'];
      const { words, from, end } = packed(...frames);
      const ends = Array.from({ length: end - from }, (_, at) => from + at);
      expect(ends.some((until) => form.finds(words, from, until))).toBe(false);
      if (!form.finds(words, from, words.bytes.length)) return null;
      expect([form.end, form.isHeaded]).toEqual([end, true]);
      const kept = words.bytes.toString('latin1', form.contentStart, end);
      return [form.deadlineMs, kept];
    };
    expect(find('10000', '')).toEqual([10_000, '\x01\0\0\x04body']);
    expect(find('2147483647', '{}')).toEqual([2_147_483_647, '\x01\x02{}\0\x04body']);
    expect(find('', '{}')).toEqual([0, '\x01\x02{}\0\x04body']);
    for (const deadline of ['', '0', '01', '1a', ' 1', '2147483648', '99999999999']) {
      expect(find(deadline, '')).toBe(null);
    }
    expect(find('1', 'x'.repeat(256))).toBe(null);
    const plain = packed('i', '', 'MDPC02', '\x01', name, 'body');
    expect(form.finds(plain.words, plain.from, plain.end)).toBe(true);
    expect([form.isHeaded, form.deadlineMs]).toEqual([false, 0]);
  });

  it('has one body frame in its shortest form', () => {
    const name = Buffer.from('echo');
    const form = new RequestForm(name, 2, false, 0);
    const two = packed('MDPC02', '\x01', name, 'a', 'b');
    expect(form.finds(two.words, two.from, two.end)).toBe(false);
    const head = Buffer.from('\x01\x06MDPC02\x01\x01\x01\x01\x04echo', 'latin1');
    const long = Buffer.concat([head, Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 1]), Buffer.from('x')]);
    expect(form.finds(new Words(long), 0, long.length)).toBe(false);
    const huge = Buffer.concat([head, Buffer.from([2, 0, 0, 0, 1, 0, 0, 0, 1]), Buffer.from('x')]);
    expect(form.finds(new Words(huge), 0, huge.length)).toBe(false);
  });
});

describe('a reply of a worker', () => {
  it.each([
    [1, ['', 'MDPW01', '\x03'], ['', 'MDPW01', '\x04']],
    [2, ['MDPW02', '\x04'], ['MDPW02', '\x03']],
  ] satisfies [1 | 2, string[], string[]][])(
    'in 0.%d is found with token and body; no other command is',
    (version, ok, other) => {
      const form = new ReplyForm(version, TOKEN_BYTES);
      for (const text of ['', 'x', 'y'.repeat(255), 'z'.repeat(256)]) {
        const { words, from, end } = packed(...ok, TOKEN, '', text);
        expect(form.finds(words, from, words.bytes.length)).toBe(true);
        expect(form.end).toBe(end);
        expect(form.bodyBytes).toBe(text.length);
        const token = words.bytes.subarray(form.tokenStart, form.tokenStart + TOKEN_BYTES);
        expect(token.equals(TOKEN)).toBe(true);
        const ends = Array.from({ length: end - from }, (_, at) => from + at);
        expect(ends.some((until) => form.finds(words, from, until))).toBe(false);
      }
      for (const frames of [
        [...other, TOKEN, '', 'x'],
        [...ok, TOKEN.subarray(1), '', 'x'],
        [...ok, TOKEN, 'y', 'x'],
        [...ok, TOKEN, '', 'x', 'y'],
        [...ok, TOKEN, ''],
      ]) {
        const { words, from, end } = packed(...frames);
        expect(form.finds(words, from, end)).toBe(false);
      }
    },
  );
});

describe('words', () => {
  it('are copied like bytes, and nothing beside them', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.nat(7), fc.nat(7), (size, start, offset) => {
        const source = new Words(Buffer.from(Array.from({ length: 220 }, (_, at) => at + 1)));
        const target = new Words(Buffer.alloc(220, 0xee));
        copyWords(source, start, start + size, target, offset);
        const expected = Buffer.alloc(220, 0xee);
        source.bytes.copy(expected, offset, start, start + size);
        expect(target.bytes.equals(expected)).toBe(true);
      }),
    );
  });

  it('are equal if all of their bytes are', () => {
    const text = Buffer.from('MDPC02 echo');
    for (let length = 0; length <= text.length; length++) {
      const expected = new Words(text.subarray(0, length));
      const words = wordsOf(Buffer.concat([Buffer.from('ab'), text]));
      expect(sameWords(words, 2, expected)).toBe(true);
      for (let at = 0; at < length; at++) {
        const changed = Buffer.from(words.bytes);
        changed[2 + at] = 0x7f;
        expect(sameWords(new Words(changed), 2, expected)).toBe(false);
      }
    }
  });
});
