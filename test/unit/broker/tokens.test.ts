import {
  DELIVERIES,
  LOST,
  QUEUED,
  type RequestId,
  RequestTable,
} from '../../../src/broker/state/request-table.js';
import { deliveryBit, Tokens } from '../../../src/broker/state/tokens.js';
import { Frames } from '../../../src/core/frames.js';
import { seededRandom } from '../../support/stage-random.js';

const TOKEN_BYTES = 26;
/** Its first letters are the number of the delivery, which may be another one. */
const DELIVERY_BYTES = 2;
const RANDOM_AT = 10;

interface Scene {
  readonly table: RequestTable;
  readonly tokens: Tokens;
}

function scene(): Scene {
  const table = new RequestTable();
  return { table, tokens: new Tokens(table, seededRandom(7)) };
}

/** A request that is out for the `delivery`th time, and its token in the midst of other bytes. */
function out({ table, tokens }: Scene, delivery: number): [RequestId, Frames] {
  const id = table.allocate();
  table.raise(id, QUEUED);
  tokens.assign(id);
  table.set(id, DELIVERIES, delivery);
  return [id, framed(tokens.encode(id).bytes)];
}

function framed(token: Buffer): Frames {
  const frames = new Frames();
  frames.push(Buffer.concat([Buffer.from('abc'), token, Buffer.from('de')]), 3, 3 + token.length);
  return frames;
}

describe('a token', () => {
  it('leads back to its request, for more requests than one draw of randomness serves (D7)', () => {
    const s = scene();
    const made = Array.from({ length: 5000 }, () => out(s, 1));
    expect(made.filter(([id, token]) => s.tokens.request(token, 0) !== id)).toEqual([]);
    expect(new Set(made.map(([, token]) => token.view(0).toString('latin1', RANDOM_AT))).size).toBe(
      5000,
    );
  });

  it('is text of letters, which a C string can hold, whatever its numbers are (D7)', () => {
    const s = scene();
    const texts = Array.from({ length: 600 }, (_, delivery) => String(out(s, delivery)[1].view(0)));
    expect(texts.filter((text) => !/^[a-p]{26}$/.test(text))).toEqual([]);
  });

  it('has 26 bytes: any other number is no token (D7)', () => {
    const s = scene();
    const [, token] = out(s, 1);
    expect(token.size(0)).toBe(TOKEN_BYTES);
    expect(s.tokens.request(framed(token.copy(0).subarray(1)), 0)).toBe(-1);
    expect(s.tokens.request(framed(Buffer.alloc(0)), 0)).toBe(-1);
  });

  it('is wrong as soon as one bit of its random part or number is (D7)', () => {
    const s = scene();
    const [, token] = out(s, 1);
    const wrong: number[] = [];
    for (let bit = DELIVERY_BYTES * 8; bit < TOKEN_BYTES * 8; bit++) {
      const forged = token.copy(0);
      const byte = bit >>> 3;
      forged[byte] = (forged[byte] ?? 0) ^ (1 << (bit & 7));
      if (s.tokens.request(framed(forged), 0) !== -1) wrong.push(bit);
    }
    expect(wrong).toEqual([]);
  });

  it('is none if its delivery is not spelled in its letters (D7)', () => {
    const s = scene();
    const [, token] = out(s, 1);
    for (const byte of ['\0', '`', 'q', 'A', '\xff']) {
      const forged = token.copy(0);
      forged.write(byte, 0, 'latin1');
      expect([byte, s.tokens.request(framed(forged), 0)]).toEqual([byte, -1]);
    }
  });

  it.each([1, 31, 32, 255, 256, 1000])(
    'of delivery %i is told from those before it, of which 31 are known (D8)',
    (delivery) => {
      const s = scene();
      const [id, first] = out(s, delivery);
      for (let later = 1; later <= 40; later++) {
        expect(s.tokens.isLatest(first, 0, id)).toBe(later === 1);
        expect(s.tokens.request(first, 0)).toBe(later <= 32 ? id : -1);
        expect(s.tokens.deliveryBit(first, 0)).toBe(deliveryBit(delivery));
        s.table.set(id, DELIVERIES, delivery + later);
      }
    },
  );
});

describe('the end of a request that a lost worker may still answer', () => {
  it('is remembered for the tokens of lost deliveries, and for no others (D8)', () => {
    const s = scene();
    const [id, first] = out(s, 1);
    s.table.set(id, LOST, deliveryBit(1));
    s.table.set(id, DELIVERIES, 2);
    const second = framed(s.tokens.encode(id).bytes);
    expect(s.tokens.outlived(first, 0)).toBeNull();
    s.tokens.outlive(id, 'too_late');
    s.table.free(id);
    expect([s.tokens.outlived(first, 0), s.tokens.outlived(second, 0)]).toEqual(['too_late', null]);
    expect(s.tokens.outlived(framed(Buffer.from('x')), 0)).toBeNull();
  });

  it('is forgotten when ten thousand others have ended since (D8)', () => {
    const s = scene();
    const end = (outcome: 'answered' | 'too_late'): Frames => {
      const [id, token] = out(s, 1);
      s.table.set(id, LOST, deliveryBit(1));
      s.tokens.outlive(id, outcome);
      s.table.free(id);
      return token;
    };
    const first = end('answered');
    for (let at = 1; at < 10_000; at++) end('too_late');
    expect(s.tokens.outlived(first, 0)).toBe('answered');
    const last = end('answered');
    expect([s.tokens.outlived(first, 0), s.tokens.outlived(last, 0)]).toEqual([null, 'answered']);
  });
});
