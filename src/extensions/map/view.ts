/** The map as HTTP shows it. */
import { escapeName } from '../../core/escape.js';
import { frameJson } from '../../core/frame-json.js';
import type { MapEntry } from '../../admin/api/node-answers.js';
import type { Page } from '../../admin/api/words.js';
import type { ShownRecord } from './machine/content.js';
import type { MapMachine } from './machine/map-machine.js';

/** How far one page goes: others wait for it. */
const SLOTS_MAX = 50_000;
const BYTES_MAX = 1024 * 1024;
const COUNTER_BITS = 40n;
const CURSOR = /^\d{1,9}$/;
const MS_PER_S = 1000;

/** A part of the map. */
export interface MapPageQuery {
  /** `next` of the previous page; `null`: from the start. */
  readonly cursor: string | null;
  readonly limit: number;
  /** Only keys that match this one; `null`: all. */
  readonly key: Buffer | null;
  readonly keyMatch: 'prefix' | 'substring';
  /** So many bytes of each value; `null`: all. */
  readonly valueBytes: number | null;
}

/** The map, for reading. `null`: the cursor is none. */
export type MapView = (query: MapPageQuery) => Page<MapEntry> | null;

export function mapView(machine: MapMachine): MapView | 'not_ready' {
  if (!machine.isLoaded) return 'not_ready';
  return ({ cursor, limit, key, keyMatch, valueBytes: most }) => {
    const valueBytes = most ?? Infinity;
    if (cursor !== null && !CURSOR.test(cursor)) return null;
    const part = key === null ? '' : key.toString('latin1');
    const { items, next } = machine.page(Number(cursor ?? 0), {
      wants: (each) => (keyMatch === 'prefix' ? each.startsWith(part) : each.includes(part)),
      recordsMax: limit,
      bytesMax: BYTES_MAX,
      valueBytes,
      slotsMax: SLOTS_MAX,
    });
    return {
      items: items.map((each) => entryOf(each, valueBytes)),
      next: next === null ? null : String(next),
    };
  };
}

function entryOf({ record, writer, expiresInMs }: ShownRecord, valueBytes: number): MapEntry {
  const { key, epoch, counter, properties, value, ttlS } = record;
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
  return {
    key: shown(key),
    number: String((BigInt(epoch) << COUNTER_BITS) + BigInt(counter)),
    properties: shownProperties(properties),
    ttlMs: ttlS === 0 ? null : ttlS * MS_PER_S,
    expiresInMs,
    writer,
    value: { bytes: bytes.length, ...frameJson(beginning(bytes, valueBytes)) },
  };
}

/** The first bytes, without the beginning of a character of UTF-8. */
function beginning(bytes: Buffer, most: number): Buffer {
  if (bytes.length <= most) return bytes;
  let end = most;
  while (end > 0 && most - end < 3 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

function shown(text: string): string {
  return escapeName(Buffer.from(text, 'latin1'));
}

/** The properties with their line feeds. */
function shownProperties(properties: string): string {
  return properties.split('\n').map(shown).join('\n');
}
