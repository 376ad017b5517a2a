/**
 * Records as bytes: between the nodes of a pair, which do not look into them, and between the
 * threads of a node.
 *
 * A byte for the format (1), then record after record: the length of its key (1 byte), whether it
 * has a uuid (1 byte, 0 or 1), the lengths of properties (2) and value (4), its number (8), in
 * network order; then key, uuid, properties and value. A tombstone is a record without value.
 */
import {
  keyProblem,
  NUMBER_BYTES,
  PROPERTIES_BYTES_MAX,
  readNumber,
  readProperties,
  UUID_BYTES,
  writeNumber,
} from '../wire/chp-client.js';
import { type MapRecord, valueOf } from './map-record.js';

const FORMAT = 1;
const HAS_UUID_AT = 1;
const PROPERTIES_AT = 2;
const VALUE_AT = 4;
const NUMBER_AT = 8;
const HEAD_BYTES = NUMBER_AT + NUMBER_BYTES;

/** Bytes that a record takes. */
export function packedSize({ key, uuid, properties, value }: MapRecord): number {
  return HEAD_BYTES + key.length + uuid.length + properties.length + value.length;
}

export function packRecords(records: readonly MapRecord[]): Buffer {
  const bytes = Buffer.allocUnsafeSlow(
    records.reduce((sum, record) => sum + packedSize(record), 1),
  );
  bytes[0] = FORMAT;
  let at = 1;
  for (const record of records) at = pack(record, bytes, at);
  return bytes;
}

function pack(record: MapRecord, bytes: Buffer, start: number): number {
  const { key, uuid, properties, value, epoch, counter } = record;
  bytes[start] = key.length;
  bytes[start + HAS_UUID_AT] = uuid === '' ? 0 : 1;
  bytes.writeUInt16BE(properties.length, start + PROPERTIES_AT);
  bytes.writeUInt32BE(value.length, start + VALUE_AT);
  writeNumber(bytes, start + NUMBER_AT, epoch, counter);
  let at = start + HEAD_BYTES;
  for (const text of [key, uuid, properties]) at += bytes.write(text, at, 'latin1');
  if (typeof value === 'string') return at + bytes.write(value, at, 'latin1');
  value.copy(bytes, at);
  return at + value.length;
}

/**
 * @param epochMax no record has a higher epoch
 * @returns copies; `null` if no node of this version packed these bytes
 */
export function unpackRecords(bytes: Buffer, epochMax = Infinity): MapRecord[] | null {
  if (bytes[0] !== FORMAT) return null;
  const records: MapRecord[] = [];
  for (let at = 1; at < bytes.length;) {
    const record = unpack(bytes, at);
    if (record === null || record.epoch > epochMax) return null;
    records.push(record);
    at += packedSize(record);
  }
  return records;
}

function unpack(bytes: Buffer, start: number): MapRecord | null {
  const keyAt = start + HEAD_BYTES;
  if (keyAt > bytes.length) return null;
  const keyBytes = bytes[start] ?? 0;
  const hasUuid = bytes[start + HAS_UUID_AT] ?? 0;
  const propertiesBytes = bytes.readUInt16BE(start + PROPERTIES_AT);
  const uuidAt = keyAt + keyBytes;
  const propertiesAt = uuidAt + hasUuid * UUID_BYTES;
  const valueAt = propertiesAt + propertiesBytes;
  const end = valueAt + bytes.readUInt32BE(start + VALUE_AT);
  if (hasUuid > 1 || end > bytes.length || propertiesBytes > PROPERTIES_BYTES_MAX) return null;
  if (keyProblem(bytes.subarray(keyAt, uuidAt)) !== null) return null;
  const properties = bytes.toString('latin1', propertiesAt, valueAt);
  const ttlS = readProperties(properties);
  if (typeof ttlS === 'string') return null;
  return {
    key: bytes.toString('latin1', keyAt, uuidAt),
    ...readNumber(bytes, start + NUMBER_AT),
    uuid: bytes.toString('latin1', uuidAt, propertiesAt),
    properties,
    value: valueOf(bytes.subarray(valueAt, end)),
    ttlS,
  };
}
