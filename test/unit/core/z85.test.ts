import fc from 'fast-check';

import { decodeCurveKey, decodeZ85, encodeZ85 } from '../../../src/core/z85.js';

/** The vector of 32/Z85, and the key pair of the ZeroMQ manual (zmq_curve). */
const VECTORS: readonly [hex: string, text: string][] = [
  ['864fd26fb559f75b', 'HelloWorld'],
  [
    '8e0bdd697628b91d8f245587ee95c5b04d48963f79259877b49cd9063aead3b7',
    'JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6',
  ],
  [
    'bb88471d65e2659b30c55a5321cebb5aab2b70a398645c26dca2b2fcb43fc518',
    'Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID',
  ],
];

const KEY = 'JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6';

describe('32/Z85', () => {
  it.each(VECTORS)('writes %s as %s, and reads it back', (hex, text) => {
    expect(encodeZ85(Buffer.from(hex, 'hex'))).toBe(text);
    expect(decodeZ85(text)?.toString('hex')).toBe(hex);
  });

  it('gives back any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (given) => {
        const bytes = Buffer.from(given.subarray(0, given.length - (given.length % 4)));
        expect(decodeZ85(encodeZ85(bytes))).toEqual(bytes);
      }),
    );
  });

  it.each(['Hell', 'Hello World', 'Hell"', '%nSc1', '#####', 'ÄÄÄÄÄ'])('refuses %p', (text) => {
    expect(decodeZ85(text)).toBeNull();
  });

  it('takes as a key just 40 characters', () => {
    expect(decodeCurveKey(KEY)).toHaveLength(32);
    expect(decodeCurveKey('HelloWorld')).toBeNull();
    expect(decodeCurveKey(`${KEY}00000`)).toBeNull();
    expect(decodeCurveKey('')).toBeNull();
  });
});
