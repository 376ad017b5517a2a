/**
 * Records as bytes: between the nodes of a pair, which do not look into them, and between the
 * threads of a node. A byte for the format (1), then the fields of record after record (map-record.ts). A
 * tombstone is a record without value.
 */
import { PackReader, PackWriter } from '../core/packing.js';
import { readProperties } from '../wire/chp-client.js';
import { MAP_FIELDS, type MapRecord } from './map-record.js';

const FORMAT = 1;
/** Bytes of a record without its texts and its value. */
const FIXED_BYTES = 16;

/** Bytes that a record takes. */
export function packedSize({ key, uuid, properties, value }: MapRecord): number {
  return FIXED_BYTES + key.length + uuid.length + properties.length + value.length;
}

export function packRecords(records: readonly MapRecord[]): Buffer {
  const to = new PackWriter(records.reduce((sum, record) => sum + packedSize(record), 1));
  to.byte(FORMAT);
  for (const record of records) pack(to, record);
  return to.takeBuffer();
}

// One by one, not by `struct`: a node keeps and lists a million of them. A test compares with the table.

function pack(to: PackWriter, record: MapRecord): void {
  MAP_FIELDS.key.put(to, record.key);
  MAP_FIELDS.epoch.put(to, record.epoch);
  MAP_FIELDS.counter.put(to, record.counter);
  MAP_FIELDS.uuid.put(to, record.uuid);
  MAP_FIELDS.properties.put(to, record.properties);
  MAP_FIELDS.value.put(to, record.value);
}

/**
 * @param epochMax no record has a higher epoch
 * @returns copies; `null` if no node of this version packed these bytes
 */
export function unpackRecords(bytes: Buffer, epochMax = Infinity): MapRecord[] | null {
  const from = new PackReader(bytes);
  if (from.byte() !== FORMAT) return null;
  const records: MapRecord[] = [];
  while (!from.isAtEnd) {
    const record = unpack(from);
    if (!from.isWhole || record.epoch > epochMax) return null;
    records.push(record);
  }
  return records;
}

function unpack(from: PackReader): MapRecord {
  const key = MAP_FIELDS.key.take(from);
  const epoch = MAP_FIELDS.epoch.take(from);
  const counter = MAP_FIELDS.counter.take(from);
  const uuid = MAP_FIELDS.uuid.take(from);
  const properties = MAP_FIELDS.properties.take(from);
  const value = MAP_FIELDS.value.take(from);
  const read = readProperties(properties);
  const ttlS = typeof read === 'number' ? read : from.refuse(0);
  return { key, epoch, counter, uuid, properties, value, ttlS };
}
