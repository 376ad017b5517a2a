/**
 * Values as PostgreSQL's protocol has them: parameters that are arrays in binary form, and results
 * as text. (Arrays as text take two fifths of the rate of a batch of 64; the library reads results
 * only as text.)
 */

/** Numbers of PostgreSQL's own types; they never change. */
const OID = {
  bool: 16,
  bytea: 17,
  int8: 20,
  int4: 23,
  uuid: 2950,
  int4s: 1007,
  int8s: 1016,
} as const;

const HEADER_BYTES = 20;
const LENGTH_BYTES = 4;
const NULL_LENGTH = -1;

/** An array of one dimension. `size` and `put` belong to one element. */
function arrayOf<Item>(
  oid: number,
  items: readonly Item[],
  size: (item: Item) => number,
  put: (item: Item, to: Buffer, at: number) => void,
): Buffer {
  let bytes = HEADER_BYTES;
  for (const item of items) bytes += LENGTH_BYTES + Math.max(0, size(item));
  const to = Buffer.allocUnsafe(bytes);
  putHeader(to, oid, items.length);
  let at = HEADER_BYTES;
  for (const item of items) {
    const length = size(item);
    to.writeInt32BE(length, at);
    at += LENGTH_BYTES;
    if (length === NULL_LENGTH) continue;
    put(item, to, at);
    at += length;
  }
  return to;
}

function putHeader(to: Buffer, oid: number, count: number): void {
  to.writeInt32BE(1, 0);
  to.writeInt32BE(1, 4);
  to.writeInt32BE(oid, 8);
  to.writeInt32BE(count, 12);
  to.writeInt32BE(1, 16);
}

/** `uuid[]`: 16 bytes each. */
export function uuids(items: readonly Buffer[]): Buffer {
  return arrayOf(OID.uuid, items, () => 16, putBytes);
}

/** `bytea[]`. */
export function byteas(items: readonly (Buffer | null)[]): Buffer {
  return arrayOf(OID.bytea, items, (item) => item?.length ?? NULL_LENGTH, putBytes);
}

/** `bytea[]` of UTF-8: a database of any encoding keeps it, with zero bytes. */
export function texts(items: readonly string[]): Buffer {
  return byteas(items.map((item) => Buffer.from(item)));
}

/** `int8[]`: whole numbers up to 2^53. */
export function int8s(items: readonly (number | null)[]): Buffer {
  const put = (item: number | null, to: Buffer, at: number): void => {
    if (item !== null) putInt8(item, to, at);
  };
  return arrayOf(OID.int8, items, (item) => (item === null ? NULL_LENGTH : 8), put);
}

/** `int8[]`: the numbers of a table, row after row, all with as many. */
export function numbers(rows: readonly (readonly (number | boolean)[])[]): Buffer {
  const count = rows.length * (rows[0]?.length ?? 0);
  const to = Buffer.allocUnsafe(HEADER_BYTES + count * (LENGTH_BYTES + 8));
  putHeader(to, OID.int8, count);
  let at = HEADER_BYTES;
  for (const row of rows) {
    for (const item of row) {
      to.writeInt32BE(8, at);
      putInt8(Number(item), to, at + LENGTH_BYTES);
      at += LENGTH_BYTES + 8;
    }
  }
  return to;
}

/** Writes an int8 in halves: no BigInt is made for each. */
function putInt8(item: number, to: Buffer, at: number): void {
  to.writeInt32BE(Math.floor(item / 2 ** 32), at);
  to.writeUInt32BE(item >>> 0, at + 4);
}

/** `int4[]`. */
export function int4s(items: readonly number[]): Buffer {
  const put = (item: number, to: Buffer, at: number): void => {
    to.writeInt32BE(item, at);
  };
  return arrayOf(OID.int4, items, () => 4, put);
}

/** `int4[]`: absent is null. */
export function claims(items: readonly (number | undefined)[]): Buffer {
  return arrayOf(
    OID.int4,
    items,
    (item) => (item === undefined ? NULL_LENGTH : 4),
    (item, to, at) => {
      to.writeInt32BE(item ?? 0, at);
    },
  );
}

/** `bool[]`. */
export function bools(items: readonly boolean[]): Buffer {
  const put = (item: boolean, to: Buffer, at: number): void => {
    to.writeUInt8(item ? 1 : 0, at);
  };
  return arrayOf(OID.bool, items, () => 1, put);
}

function putBytes(item: Buffer | null, to: Buffer, at: number): void {
  if (item !== null) to.set(item, at);
}

/** A value of a row. */
export type Value = number | boolean | Buffer | string | readonly number[] | null;

const [COMMA, MINUS, ZERO] = [',', '-', '0'].map((each) => each.charCodeAt(0)) as [
  number,
  number,
  number,
];

/** An array of whole numbers as text, without nulls. (`split` makes a string of each.) */
function numbersIn(text: string): readonly number[] {
  const found: number[] = [];
  const end = text.length - 1;
  for (let at = 1; at < end; at++) {
    const isNegative = text.charCodeAt(at) === MINUS;
    let size = 0;
    if (isNegative) at++;
    for (; at < end; at++) {
      const code = text.charCodeAt(at);
      if (code === COMMA) break;
      size = size * 10 + code - ZERO;
    }
    found.push(isNegative ? -size : size);
  }
  return found;
}

const PARSERS: ReadonlyMap<number, (text: string) => Value> = new Map<
  number,
  (text: string) => Value
>([
  [OID.bool, (text) => text === 't'],
  // Without its `\x`.
  [OID.bytea, (text) => Buffer.from(text.slice(2), 'hex')],
  [OID.int8, Number],
  [OID.int4, Number],
  [OID.uuid, (text) => Buffer.from(text.replaceAll('-', ''), 'hex')],
  [OID.int4s, numbersIn],
  [OID.int8s, numbersIn],
]);

const asText = (text: string): Value => text;

/** Parsers as the library asks for them. Types that are not listed are read as text. */
export const RESULT_TYPES: { getTypeParser(oid: number): (text: string) => Value } = {
  getTypeParser: (oid) => PARSERS.get(oid) ?? asText,
};
