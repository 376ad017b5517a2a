/**
 * What the store of a node sends to that of its peer.
 *
 * A chunk: a byte for its format (1), the length of Titanic's records (4 bytes, network order), those
 * records (store/record-codec.ts), then the map's (store/map-record-codec.ts; none: nothing).
 * A batch of the map: a byte for its format (1), the byte 1, a byte for what deletions leave (0 none,
 * 1 known, 2 all), then its changes. A batch has changes of either the map or Titanic
 * (store/batch-codec.ts).
 */
import { PackReader, PackWriter } from '../core/packing.js';
import { TOMBSTONES } from './batch-codec.js';
import type { MapRecord } from './map-record.js';
import { packRecords, unpackRecords } from './map-record-codec.js';
import type { Tombstones } from './store.js';

const FORMAT = 1;
/** What a batch changes; Titanic's have another number there. */
const OF_MAP = 1;

const HEAD_BYTES = 8;

/** The two parts of a chunk. */
export interface ChunkParts {
  readonly requests: Buffer;
  readonly map: readonly MapRecord[];
}

export function packChunk({ requests, map }: ChunkParts): Buffer {
  const head = new PackWriter(HEAD_BYTES);
  head.byte(FORMAT);
  head.uint(requests.length, 4);
  return Buffer.concat([head.copy(), requests, ...(map.length === 0 ? [] : [packRecords(map)])]);
}

/**
 * Takes a chunk apart; `null`: no store of a known version made it.
 * @param epochMax no record of the map has a higher epoch
 */
export function unpackChunk(chunk: Buffer, epochMax = Infinity): ChunkParts | null {
  const from = new PackReader(chunk);
  if (from.byte() !== FORMAT) return null;
  const requests = from.raw(from.uint(4));
  if (!from.isWhole) return null;
  const map = from.isAtEnd ? [] : unpackRecords(from.rest(), epochMax);
  return map === null ? null : { requests, map };
}

export interface MapBatch {
  readonly tombstones: Tombstones;
  readonly changes: readonly MapRecord[];
}

export function packMapBatch({ tombstones, changes }: MapBatch): Buffer {
  const head = new PackWriter(HEAD_BYTES);
  head.byte(FORMAT);
  head.byte(OF_MAP);
  TOMBSTONES.put(head, tombstones);
  return Buffer.concat([head.copy(), packRecords(changes)]);
}

/** The batch is of the map, not of Titanic. */
export function isMapBatch(batch: Buffer): boolean {
  return batch[0] === FORMAT && batch[1] === OF_MAP;
}

/**
 * `null`: no node of a known version packed it.
 * @param epochMax no change has a higher epoch
 */
export function unpackMapBatch(batch: Buffer, epochMax = Infinity): MapBatch | null {
  const from = new PackReader(batch.subarray(2));
  const tombstones = TOMBSTONES.take(from);
  const changes = unpackRecords(from.rest(), epochMax);
  return changes === null || !from.isWhole ? null : { tombstones, changes };
}
