/** The map as HTTP shows it. */
import { escapeName } from '../../core/escape.js';
import { frameJson } from '../../core/frame-json.js';
import type { MapEntry } from '../../admin/api/node-answers.js';
import type { Page } from '../../admin/api/words.js';
import type { MapMachine } from './machine/map-machine.js';
import type { MapRecord } from '../../store/map-record.js';

/** How far one page goes: others wait for it. */
const SLOTS_MAX = 50_000;
const BYTES_MAX = 1024 * 1024;
const COUNTER_BITS = 40n;
const CURSOR = /^\d{1,9}$/;

/** A part of the map. */
export interface MapPageQuery {
  /** `next` of the previous page; `null`: from the start. */
  readonly cursor: string | null;
  readonly limit: number;
  /** Only keys that begin so; empty: all. */
  readonly subtree: Buffer;
}

/** The map, for reading. `null`: the cursor is none. */
export type MapView = (query: MapPageQuery) => Page<MapEntry> | null;

export function mapView(machine: MapMachine): MapView | 'not_ready' {
  if (!machine.isLoaded) return 'not_ready';
  return ({ cursor, limit, subtree }) => {
    if (cursor !== null && !CURSOR.test(cursor)) return null;
    const { records, next } = machine.page(Number(cursor ?? 0), {
      prefix: subtree.toString('latin1'),
      recordsMax: limit,
      bytesMax: BYTES_MAX,
      slotsMax: SLOTS_MAX,
    });
    return { items: records.map(entryOf), next: next === null ? null : String(next) };
  };
}

function entryOf({ key, epoch, counter, properties, value }: MapRecord): MapEntry {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
  return {
    key: shown(key),
    number: String((BigInt(epoch) << COUNTER_BITS) + BigInt(counter)),
    properties: shownProperties(properties),
    value: frameJson(bytes),
  };
}

function shown(text: string): string {
  return escapeName(Buffer.from(text, 'latin1'));
}

/** The properties with their line feeds. */
function shownProperties(properties: string): string {
  return properties.split('\n').map(shown).join('\n');
}
