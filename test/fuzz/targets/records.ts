/** What the two stores of a pair tell each other: records and batches, and their merge. */
import { present } from '../../../src/core/assert.js';
import { packChunk, unpackChunk } from '../../../src/store/chunk-codec.js';
import { packBatch, unpackBatch } from '../../../src/store/batch-codec.js';
import { RecordWriter, unpackRecords } from '../../../src/store/record-codec.js';
import type { Transaction } from '../../../src/store/store.js';
import { MemoryNodeTables } from '../../support/memory-node-tables.js';
import { accept, close, reply } from '../../support/store-changes.js';
import { check, type Target } from '../target.js';

function transaction(number: number): Transaction {
  return { number, tombstones: 'all', holds: null, peerHolds: 0 };
}

function run(input: Buffer): void {
  const bytes = input.subarray(1);
  if ((input[0] ?? 0) % 2 === 0) records(bytes);
  else batch(bytes);
}

function records(bytes: Buffer): void {
  const found = unpackRecords(bytes);
  if (found === null) return;
  const writer = new RecordWriter();
  for (const each of found) writer.add(each);
  const again = writer.to.takeBuffer();
  const read = unpackRecords(again);
  check(read !== null, 'records that were accepted are refused when they are written again');
  check(text(read) === text(found), 'records are others when they are written again');
  const tables = new MemoryNodeTables();
  if (tables.merge(transaction(1), chunkOf(bytes), true) === null) return;
  const once = text(tables.content());
  // To take the same again changes nothing (D17).
  const merged = tables.merge(transaction(2), chunkOf(again), true);
  check(merged !== null, 'records that were merged are refused the second time');
  check(text(tables.content()) === once, 'records that are merged twice change something');
}

function chunkOf(requests: Buffer): Buffer {
  return packChunk({ requests, parts: [] });
}

function batch(bytes: Buffer): void {
  const found = unpackBatch(bytes);
  if (found === null) return;
  const again = unpackBatch(packBatch(found));
  check(again !== null, 'a batch that was accepted is refused when it is written again');
  check(text(again) === text(found), 'a batch is another when it is written again');
}

function text(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) =>
    each instanceof Map ? [...each.entries()] : each,
  );
}

export function storeRecords(): Target {
  const changes = [accept(1), accept(2, { key: 'k' }), reply(1), close(2)];
  const tables = new MemoryNodeTables();
  tables.commit(transaction(1), changes);
  const place = { upTo: 0, bodiesUpTo: 0, changed: 0, number: Number.MAX_SAFE_INTEGER };
  const chunk = unpackChunk(tables.read(place, 100, 1 << 20).records);
  const seeds = [
    Buffer.concat([Buffer.from([0]), present(chunk, 'a chunk of its own').requests]),
    Buffer.concat([Buffer.from([1]), packBatch({ tombstones: 'all', changes })]),
  ];
  return { name: 'records', bytesMax: 2048, seeds, run, repeat: repeated };
}

/** The records behind the format's byte. */
function repeated(input: Buffer, times: number): Buffer {
  const parts = Array.from({ length: times }, () => input.subarray(2));
  return Buffer.concat([input.subarray(0, 2), ...parts]);
}
