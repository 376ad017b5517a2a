/**
 * A record of the map: immutable, so that a snapshot is an array of references.
 *
 * Text is Latin-1, one character a byte. Short values are text, too: a million Buffers of their own
 * would take 300 bytes each besides the value, and slices of a common one would keep all of it.
 */
import { ownCopy } from '../../../core/bytes.js';
import type { Frames } from '../../../core/frames.js';
import { KEY, PROPERTIES, uuidOf, VALUE } from '../../../wire/chp-client.js';

/** Longer values are Buffers. */
export const VALUE_TEXT_MAX = 512;

/** What is counted for each record besides its bytes, and for each tombstone besides its key (D57). */
export const RECORD_BYTES = 128;

/** Text up to `VALUE_TEXT_MAX`, beyond it a Buffer that nobody changes. Empty: a deletion. */
export type Value = string | Buffer;

export interface MapRecord {
  /** 1 to 255 bytes. */
  readonly key: string;
  /** The number of its last change: `epoch × 2^40 + counter`; see chp-client.ts. */
  readonly epoch: number;
  readonly counter: number;
  /** The uuid of its last change: 16 bytes, or empty. */
  readonly uuid: string;
  /** The properties as sent: lines `name=value\n`, or empty. */
  readonly properties: string;
  readonly value: Value;
  /** Seconds, as its properties say; 0: none. */
  readonly ttlS: number;
}

/** The record is a deletion: what is published of one, and stored as a tombstone. */
export function isDeletion({ value }: MapRecord): boolean {
  return value.length === 0;
}

/** What it counts towards `limits.mapBytes` (D57). */
export function bytesOf({ key, properties, value }: MapRecord): number {
  return key.length + properties.length + value.length + RECORD_BYTES;
}

export function isSameContent(a: MapRecord, b: MapRecord): boolean {
  return a.properties === b.properties && isSameValue(a.value, b.value);
}

function isSameValue(a: Value, b: Value): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  return a.equals(b);
}

export function numbered(record: MapRecord, epoch: number, counter: number): MapRecord {
  return { ...record, epoch, counter };
}

/** A copy of these bytes as a value. */
export function valueOf(bytes: Buffer): Value {
  return bytes.length <= VALUE_TEXT_MAX ? bytes.toString('latin1') : ownCopy(bytes);
}

/** A copy of a KVSET that has been read, without a number. */
export function recordOf(frames: Frames, ttlS: number): MapRecord {
  return {
    key: frames.view(KEY).toString('latin1'),
    epoch: 0,
    counter: 0,
    uuid: uuidOf(frames) ?? '',
    properties: frames.view(PROPERTIES).toString('latin1'),
    value: valueOf(frames.view(VALUE)),
    ttlS,
  };
}
