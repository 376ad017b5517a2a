/**
 * What the store of a node sends to that of its peer.
 *
 * A chunk: a byte for its format (1), the length of Titanic's records (4 bytes, network order), those
 * records (store/record-codec.ts), then the map's (store/map-record-codec.ts; none: nothing).
 * A batch of the map: a byte for its format (1), the byte 1, a byte for what deletions leave (0 none,
 * 1 known, 2 all), then its changes. A batch has changes of either the map or Titanic
 * (store/batch-codec.ts).
 */
import type { MapRecord } from './map-record.js';
import { packRecords, unpackRecords } from './map-record-codec.js';
import type { Tombstones } from './store.js';

const FORMAT = 1;
/** What a batch changes; Titanic's have another number there. */
const OF_MAP = 1;

const LENGTH_AT = 1;
const RECORDS_AT = 5;
const TOMBSTONES_AT = 2;
const CHANGES_AT = 3;
const TOMBSTONES: readonly Tombstones[] = ['none', 'known', 'all'];

/** The two parts of a chunk. */
export interface ChunkParts {
  readonly requests: Buffer;
  readonly map: readonly MapRecord[];
}

export function packChunk({ requests, map }: ChunkParts): Buffer {
  const head = Buffer.allocUnsafe(RECORDS_AT);
  head[0] = FORMAT;
  head.writeUInt32BE(requests.length, LENGTH_AT);
  return Buffer.concat([head, requests, ...(map.length === 0 ? [] : [packRecords(map)])]);
}

/**
 * Takes a chunk apart; `null`: no store of a known version made it.
 * @param epochMax no record of the map has a higher epoch
 */
export function unpackChunk(chunk: Buffer, epochMax = Infinity): ChunkParts | null {
  if (chunk[0] !== FORMAT || chunk.length < RECORDS_AT) return null;
  const mapAt = RECORDS_AT + chunk.readUInt32BE(LENGTH_AT);
  if (mapAt > chunk.length) return null;
  const requests = chunk.subarray(RECORDS_AT, mapAt);
  const map = mapAt === chunk.length ? [] : unpackRecords(chunk.subarray(mapAt), epochMax);
  return map === null ? null : { requests, map };
}

export interface MapBatch {
  readonly tombstones: Tombstones;
  readonly changes: readonly MapRecord[];
}

export function packMapBatch({ tombstones, changes }: MapBatch): Buffer {
  return Buffer.concat([
    Buffer.from([FORMAT, OF_MAP, TOMBSTONES.indexOf(tombstones)]),
    packRecords(changes),
  ]);
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
  const tombstones = TOMBSTONES[batch[TOMBSTONES_AT] ?? TOMBSTONES.length];
  const changes = unpackRecords(batch.subarray(CHANGES_AT), epochMax);
  return tombstones === undefined || changes === null ? null : { tombstones, changes };
}
