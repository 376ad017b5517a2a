import fc from 'fast-check';

import { openBox, sealBox } from '../../../../src/zmtp/curve/box.js';
import type { CurveCrypto } from '../../../../src/zmtp/curve/crypto.js';
import { loadSodium } from '../../../../src/zmtp/curve/sodium.js';

/** "Cryptography in NaCl" (D. J. Bernstein), the example of its sections 2 to 10. */
const ALICE = hex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a');
const ALICE_PUBLIC = hex('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a');
const BOB = hex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb');
const BOB_PUBLIC = hex('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f');
const SHARED = hex('1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389');
const NONCE = hex('69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37');
const PLAIN = hex(
  'be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a' +
    '1ac728d45e6c61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057' +
    'e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040' +
    'e082f937763848645e0705',
);
const BOX = hex(
  'f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4' +
    '476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738' +
    'b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de' +
    '56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5',
);

function hex(text: string): Buffer {
  return Buffer.from(text, 'hex');
}

let crypto: CurveCrypto;

beforeAll(async () => {
  crypto = await loadSodium();
});

describe('the primitives of CURVE', () => {
  it('are those of NaCl: its own example comes out', () => {
    expect(crypto.publicKeyOf(ALICE)).toEqual(ALICE_PUBLIC);
    expect(crypto.publicKeyOf(BOB)).toEqual(BOB_PUBLIC);
    expect(crypto.sharedKey(BOB_PUBLIC, ALICE)).toEqual(SHARED);
    expect(crypto.sharedKey(ALICE_PUBLIC, BOB)).toEqual(SHARED);
    expect(sealBox(crypto, PLAIN, NONCE, SHARED)).toEqual(BOX);
    expect(openBox(crypto, BOX, NONCE, SHARED)).toEqual(PLAIN);
  });

  it('open nothing that was changed, cut or sealed under another nonce', () => {
    for (let at = 0; at < BOX.length; at++) {
      const changed = Buffer.from(BOX);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(openBox(crypto, changed, NONCE, SHARED)).toBeNull();
    }
    expect(openBox(crypto, BOX.subarray(1), NONCE, SHARED)).toBeNull();
    expect(openBox(crypto, Buffer.alloc(15), NONCE, SHARED)).toBeNull();
    expect(openBox(crypto, BOX, Buffer.alloc(24), SHARED)).toBeNull();
  });

  it.each([
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ])('share no key with the point of low order %s', (point) => {
    expect(crypto.sharedKey(hex(point), ALICE)).toBeNull();
  });

  it('make pairs that belong together, another each time', () => {
    const one = crypto.keyPair();
    expect(crypto.publicKeyOf(one.secretKey)).toEqual(one.publicKey);
    expect(crypto.keyPair().secretKey).not.toEqual(one.secretKey);
  });

  it('take each key and nonce as given, in any order, and where a nonce counts on in its buffer', () => {
    const pairs = ['one', 'two'].map((name) => ({
      key: Buffer.alloc(32, name),
      nonce: Buffer.alloc(24, name),
    }));
    const order = fc.array(fc.nat(pairs.length - 1), { maxLength: 12 });
    fc.assert(
      fc.property(order, order, (sealing, opening) => {
        for (const at of [...sealing, ...opening]) {
          const { key, nonce } = pairs[at] ?? { key: SHARED, nonce: NONCE };
          nonce.writeBigUInt64BE(nonce.readBigUInt64BE(16) + 1n, 16);
          const box = sealBox(crypto, PLAIN, nonce, key);
          const same = sealBox(crypto, PLAIN, Buffer.from(nonce), Buffer.from(key));
          expect(same.equals(box)).toBe(true);
          expect(openBox(crypto, box, nonce, key)?.equals(PLAIN)).toBe(true);
          for (const other of pairs) {
            const opened = openBox(crypto, box, other.nonce, other.key);
            expect(opened?.equals(PLAIN) ?? null).toBe(other.key === key ? true : null);
          }
        }
      }),
    );
  });

  it('seal and open any size, also over what memory is kept for', () => {
    const key = crypto.sharedKey(BOB_PUBLIC, ALICE) ?? Buffer.alloc(0);
    const sizes = fc.oneof(fc.integer({ min: 0, max: 3000 }), fc.integer({ max: 300_000, min: 0 }));
    fc.assert(
      fc.property(fc.array(sizes, { maxLength: 4 }), (all) => {
        for (const size of all) {
          const plain = Buffer.alloc(size, 'x');
          const opened = openBox(crypto, sealBox(crypto, plain, NONCE, key), NONCE, key);
          expect(opened?.equals(plain)).toBe(true);
        }
      }),
      { numRuns: 20 },
    );
    const large = Buffer.alloc(24 << 20, 'y');
    expect(openBox(crypto, sealBox(crypto, large, NONCE, key), NONCE, key)?.equals(large)).toBe(
      true,
    );
  });
});
