/**
 * What the store of a node sends to that of its peer.
 *
 * A chunk: a byte for its format (1), the length of the records of requests (4 bytes, network order), those
 * records (store/record-codec.ts), then a section for each part that has any: its number (1 to 255), the
 * length of its records (4 bytes), and those (store/ranked-codec.ts).
 * A batch of a part: a byte for its format (1), the number of the part, a byte for what deletions leave
 * (0 none, 1 known, 2 all), then its changes. A batch has changes of one part; that of requests has the
 * number 0 (store/batch-codec.ts).
 */
import { PackReader, PackWriter } from '../core/value-bytes.js';
import { TOMBSTONES } from './batch-codec.js';
import type { PartRecords, Ranked } from './ranked.js';
import { packRanked, unpackRanked } from './ranked-codec.js';
import type { Tombstones } from './store.js';

const FORMAT = 1;
/** The number of the requests, which are no ranked records. */
const REQUESTS = 0;

const HEAD_BYTES = 8;

/** What a chunk has of each part. */
interface ChunkParts {
  readonly requests: Buffer;
  /** In ascending order of their numbers; none is empty. */
  readonly parts: readonly PartRecords[];
}

export function packChunk({ requests, parts }: ChunkParts): Buffer {
  const head = new PackWriter(HEAD_BYTES);
  head.byte(FORMAT);
  head.uint(requests.length, 4);
  return Buffer.concat([head.copy(), requests, ...parts.flatMap(section)]);
}

function section({ part, records }: PartRecords): Buffer[] {
  const packed = packRanked(records);
  const head = new PackWriter(HEAD_BYTES);
  head.byte(part);
  head.uint(packed.length, 4);
  return [head.copy(), packed];
}

/**
 * Takes a chunk apart; `null`: no store of a known version made it.
 * @param epochMax no ranked record has a higher epoch
 */
export function unpackChunk(chunk: Buffer, epochMax = Infinity): ChunkParts | null {
  const from = new PackReader(chunk);
  if (from.byte() !== FORMAT) return null;
  const requests = from.raw(from.uint(4));
  const parts: PartRecords[] = [];
  let last = REQUESTS;
  while (from.isWhole && !from.isAtEnd) {
    const part = from.byte();
    const records = unpackRanked(from.raw(from.uint(4)), epochMax);
    if (part <= last || records === null || records.length === 0) return null;
    last = part;
    parts.push({ part, records });
  }
  return from.isWhole ? { requests, parts } : null;
}

interface PartBatch {
  readonly part: number;
  readonly tombstones: Tombstones;
  readonly changes: readonly Ranked[];
}

export function packPartBatch({ part, tombstones, changes }: PartBatch): Buffer {
  const head = new PackWriter(HEAD_BYTES);
  head.byte(FORMAT);
  head.byte(part);
  TOMBSTONES.put(head, tombstones);
  return Buffer.concat([head.copy(), packRanked(changes)]);
}

/** The batch has ranked records, not requests. */
export function isPartBatch(batch: Buffer): boolean {
  return batch.length > 1 && batch[0] === FORMAT && batch[1] !== REQUESTS;
}

/**
 * `null`: no node of a known version packed it.
 * @param epochMax no change has a higher epoch
 */
export function unpackPartBatch(batch: Buffer, epochMax = Infinity): PartBatch | null {
  const from = new PackReader(batch.subarray(1));
  const part = from.byte();
  const tombstones = TOMBSTONES.take(from);
  const changes = unpackRanked(from.rest(), epochMax);
  return changes === null || !from.isWhole ? null : { part, tombstones, changes };
}
