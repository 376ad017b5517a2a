/**
 * Ranked records as bytes, between the nodes of a pair and between the threads of a node: the fields of
 * record after record.
 */
import { PackReader, PackWriter } from '../core/value-bytes.js';
import { type Fields, FLAG, sized, type Shape, uint } from '../core/shapes.js';
import type { Ranked } from './ranked.js';

/** Bytes of a record without its key and its body. */
const FIXED_BYTES = 14;

const KEY: Shape<string> = {
  as: '1 + n',
  put: (to, key) => {
    to.uint(key.length, 1);
    to.latin1(key);
  },
  take: (from) => {
    const key = from.raw(from.uint(1));
    return key.length > 0 ? key.toString('latin1') : from.refuse('');
  },
};

/** The fields of a record, in their order. */
export const RANKED_FIELDS: Fields<Ranked> = {
  key: KEY,
  epoch: uint(3),
  counter: uint(5),
  isDeleted: FLAG,
  body: sized(4),
};

/** Bytes that a record takes. */
export function packedSize({ key, body }: Ranked): number {
  return FIXED_BYTES + key.length + body.length;
}

export function packRanked(records: readonly Ranked[]): Buffer {
  const to = new PackWriter(records.reduce((sum, record) => sum + packedSize(record), 0));
  for (const record of records) put(to, record);
  return to.takeBuffer();
}

/** Field by field, like `take`: a loop over the table takes longer. A test compares both with it. */
function put(to: PackWriter, record: Ranked): void {
  RANKED_FIELDS.key.put(to, record.key);
  RANKED_FIELDS.epoch.put(to, record.epoch);
  RANKED_FIELDS.counter.put(to, record.counter);
  RANKED_FIELDS.isDeleted.put(to, record.isDeleted);
  RANKED_FIELDS.body.put(to, record.body);
}

/**
 * @param epochMax no record has a higher epoch
 * @returns records whose bodies are views of `bytes`; `null` if these are no records
 */
export function unpackRanked(bytes: Buffer, epochMax = Infinity): Ranked[] | null {
  const from = new PackReader(bytes);
  const records: Ranked[] = [];
  while (!from.isAtEnd) {
    const record = take(from);
    if (!from.isWhole || record.epoch > epochMax) return null;
    records.push(record);
  }
  return records;
}

function take(from: PackReader): Ranked {
  const key = RANKED_FIELDS.key.take(from);
  const epoch = RANKED_FIELDS.epoch.take(from);
  const counter = RANKED_FIELDS.counter.take(from);
  const isDeleted = RANKED_FIELDS.isDeleted.take(from);
  return { key, epoch, counter, isDeleted, body: RANKED_FIELDS.body.take(from) };
}
