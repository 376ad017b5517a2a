/** Any record of the map, for properties. */
import fc from 'fast-check';

import { type MapRecord, valueOf } from '../../../src/extensions/map/machine/record.js';
import { readProperties } from '../../../src/wire/chp-client.js';

const number = fc.record({
  epoch: fc.nat({ max: 2 ** 24 - 1 }),
  counter: fc.maxSafeNat().map((value) => value % 2 ** 40),
});
const latin1 = (options: { minLength?: number; maxLength: number }): fc.Arbitrary<string> =>
  fc.uint8Array(options).map((bytes) => Buffer.from(bytes).toString('latin1'));
const key = latin1({ minLength: 1, maxLength: 255 }).filter(
  (text) => !text.includes('\0') && !['HUGZ', 'KTHXBAI', 'ICANHAZ?'].includes(text),
);
const uuid = fc.constantFrom('', '\xff'.repeat(16), 'u'.repeat(16));
const properties = fc.constantFrom('', 'ttl=0\n', 'ttl=7\nx=\n', 'a=b=c\n=\n');
const value = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constant(new Uint8Array(600).fill(7)));

export const anyMapRecord: fc.Arbitrary<MapRecord> = fc
  .tuple(key, number, uuid, properties, value)
  .map(([name, no, id, text, bytes]) => ({
    key: name,
    ...no,
    uuid: id,
    properties: text,
    value: valueOf(Buffer.from(bytes)),
    ttlS: readProperties(text) as number,
  }));
