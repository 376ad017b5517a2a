/**
 * The bytes of the map: 12/CHP on both sides, and what the two stores of a pair tell each other of
 * it. All of it is total, and its own inverse.
 */
import { isDeepStrictEqual } from 'node:util';

import { Frames } from '../../../src/core/frames.js';
import {
  type MapRecord,
  recordOf,
  VALUE_TEXT_MAX,
} from '../../../src/extensions/map/machine/record.js';
import {
  isPartBatch,
  packChunk,
  packPartBatch,
  unpackChunk,
  unpackPartBatch,
} from '../../../src/store/chunk-codec.js';
import { rankedOf, recordIn } from '../../../src/extensions/map/storage.js';
import { RecordWriter } from '../../../src/store/record-codec.js';
import type { Transaction } from '../../../src/store/store.js';
import type { Ranked } from '../../../src/store/ranked.js';
import { MemoryNodeTables } from '../../support/memory-node-tables.js';
import { readIcanHaz, readKvSet, RecordFrames } from '../../../src/wire/chp.js';
import {
  KEY,
  PROPERTIES,
  readPublished,
  readSnapshot,
  UUID,
  VALUE,
} from '../../../src/wire/chp-client.js';
import { check, Script, type Target } from '../target.js';

const FRAMES_MAX = 7;
const LENGTH_BYTES = 2;
/** What a client sent comes back in these frames. */
const KEPT = [KEY, UUID, PROPERTIES, VALUE];
const made = new RecordFrames(VALUE_TEXT_MAX);

function transaction(number: number): Transaction {
  return { number, tombstones: 'all', holds: null, peerHolds: 0 };
}

function run(input: Buffer): void {
  const bytes = input.subarray(1);
  const kind = (input[0] ?? 0) % 3;
  if (kind === 0) chunk(bytes);
  else if (kind === 1) batch(bytes);
  else message(bytes);
}

function chunk(bytes: Buffer): void {
  const parts = unpackChunk(bytes);
  if (parts === null) return;
  const again = packChunk(parts);
  check(isDeepStrictEqual(unpackChunk(again), parts), 'a chunk is another when it is packed');
  const tables = new MemoryNodeTables();
  if (tables.merge(transaction(1), bytes, true) === null) return;
  for (const { records } of parts.parts) bodies(records);
  const once = tables.ranked.rows.map((row) => [row.part, row.record]);
  const second = tables.merge(transaction(2), again, true);
  check(second !== null, 'a chunk that was merged is refused the second time');
  // To take the same again changes nothing (D54).
  check(
    second.parts.every(({ changed }) => changed.length === 0),
    'records that are merged twice change something',
  );
  const twice = tables.ranked.rows.map((row) => [row.part, row.record]);
  check(isDeepStrictEqual(twice, once), 'a part is another after the second merge');
}

function batch(bytes: Buffer): void {
  if (!isPartBatch(bytes)) return;
  const found = unpackPartBatch(bytes);
  if (found === null) return;
  check(packPartBatch(found).equals(bytes), 'a batch is another when packed');
  bodies(found.changes);
}

/** What the map can read of a peer's records is its own inverse. */
function bodies(records: readonly Ranked[]): void {
  for (const ranked of records) {
    const read = recordIn(ranked);
    if (read !== null) {
      check(isDeepStrictEqual(rankedOf(read), ranked), 'a body is another when it is packed');
    }
  }
}

/** Frame by frame: its length, two bytes, then its bytes. */
function message(bytes: Buffer): void {
  const script = new Script(bytes);
  const list: Buffer[] = [];
  while (!script.isAtEnd && list.length < FRAMES_MAX) {
    list.push(script.bytes(script.byte() * 256 + script.byte()));
  }
  const frames = Frames.of(...list);
  const asked = readIcanHaz(frames);
  if (asked.kind === 'icanhaz') {
    check(asked.subtree === String(list[1]?.toString('latin1')), 'another subtree was asked for');
  }
  readSnapshot(frames);
  readPublished(frames);
  const set = readKvSet(frames);
  if (set.kind === 'malformed') return;
  const { key, uuid, properties, value } = recordOf(frames, set.ttlS);
  const published = made.record(key, 1, 2, uuid, properties, value);
  const read = readPublished(published);
  check(
    isDeepStrictEqual(read, { kind: 'record', number: { epoch: 1, counter: 2 } }),
    'a change that was taken cannot be read when it is published',
  );
  for (const at of KEPT) {
    check(published.view(at).equals(frames.view(at)), `frame ${at} is published as another`);
  }
}

function record(key: string, counter: number, more: Partial<MapRecord> = {}): MapRecord {
  const empty = { uuid: '', properties: '', value: 'v', ttlS: 0 };
  return { key, epoch: 1, counter, ...empty, ...more };
}

function said(...frames: readonly (string | Buffer)[]): Buffer {
  const parts = frames.map((frame) => {
    const bytes = Buffer.from(frame);
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt16BE(bytes.length);
    return Buffer.concat([length, bytes]);
  });
  return Buffer.concat([Buffer.from([2]), ...parts]);
}

export function map(): Target {
  const uuid = 'u'.repeat(16);
  const records = [
    record('/a', 1, { uuid, properties: 'ttl=5\n', ttlS: 5 }),
    record('/b', 2, { value: '' }),
    record('/a', 3, { value: Buffer.alloc(VALUE_TEXT_MAX + 1, 'x') }),
  ].map(rankedOf);
  const parts = [
    { part: 1, records },
    { part: 200, records: records.slice(0, 1) },
  ];
  const requests = new RecordWriter().to.takeBuffer();
  const number = Buffer.alloc(8, 1);
  return {
    name: 'map',
    bytesMax: 2048,
    words: ['ICANHAZ?', 'KTHXBAI', 'HUGZ', 'ttl=1\n', '/a/', '\x03', Buffer.from([1, 1, 1, 1])],
    seeds: [
      Buffer.concat([Buffer.from([0]), packChunk({ requests, parts })]),
      Buffer.concat([
        Buffer.from([1]),
        packPartBatch({ part: 1, tombstones: 'known', changes: records }),
      ]),
      said('/a', '', uuid, 'ttl=5\nx=y\n', 'value'),
      said('/a', '', 'u'.repeat(15), '', 'value'),
      said('ICANHAZ?', '/a/'),
      said('KTHXBAI', number, '', '', '/a/'),
      said('HUGZ', Buffer.alloc(8), '', '', ''),
    ],
    run,
  };
}
