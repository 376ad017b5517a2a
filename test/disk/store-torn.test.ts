import { copyFileSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';

import { openForService } from '../../src/store/sqlite/file/database.js';
import { KnownStore } from '../../src/store/sqlite/file/known-store.js';
import { verifyStore } from '../../src/store/sqlite/records/verify.js';
import type { Change } from '../../src/store/store.js';
import type { StoreContent } from '../support/memory-node-tables.js';
import { MemoryNodeTables } from '../support/memory-node-tables.js';
import { sqliteContent } from '../support/sqlite-content.js';
import { seededRandom } from '../support/stage-random.js';
import { accept, attempt, close, dead, reply, retry } from '../support/store-changes.js';
import { digestOf } from '../support/store-digest.js';
import { StoreDirectory } from '../support/store-directory.js';

/** Few enough that the log is not copied into the file meanwhile. */
const BATCHES = 10;
const RANDOM_CUTS = 60;
/** SQLite's log: a header, then pages, each with a head of its own. */
const LOG_HEADER_BYTES = 32;
const FRAME_BYTES = 24 + 4096;

/** What was told as committed, and where the log ended then. */
interface Committed {
  readonly logBytes: number;
  /** Of everything in the store but its next number. */
  readonly digest: string;
  /** Above every number that was given. */
  readonly nextNumber: number;
}

function committedAt(logBytes: number, { nextNumber, ...content }: StoreContent): Committed {
  return { logBytes, digest: digestOf(content), nextNumber };
}

describe('a log that is torn by a power cut', () => {
  const directory = new StoreDirectory();
  const torn = `${directory.file}-torn`;
  const committed: Committed[] = [];
  let log: Buffer = Buffer.alloc(0);

  beforeAll(async () => {
    const tables = new MemoryNodeTables();
    const user = await directory.open();
    committed.push(committedAt(0, tables.content()));
    for (let batch = 0; batch < BATCHES; batch++) {
      const changes = changesOf(batch);
      await user.commit(...changes);
      const number = user.transaction;
      tables.commit({ number, tombstones: 'none', holds: null, peerHolds: 0 }, changes);
      const logBytes = statSync(`${directory.file}-wal`).size;
      committed.push(committedAt(logBytes, tables.content()));
    }
    // As a process that is killed leaves it.
    log = readFileSync(`${directory.file}-wal`);
    copyFileSync(directory.file, torn);
  });
  afterAll(async () => {
    await directory.remove();
  });

  /** Opens a copy whose log has this content. After which batch it is as it is then; -1 for none. */
  const recover = (content: Buffer): number => {
    copyFileSync(torn, `${torn}-again`);
    rmSync(`${torn}-again-shm`, { force: true });
    writeFileSync(`${torn}-again-wal`, content);
    const again = `${torn}-again`;
    openForService(again, new KnownStore(again, false, () => {}), false).close();
    const { digest, nextNumber } = committedAt(0, sqliteContent(again));
    const batch = committed.findIndex((each) => each.digest === digest);
    // Numbers are reserved before they are given, so that none is given twice.
    expect(nextNumber).toBeGreaterThanOrEqual(committed[batch]?.nextNumber ?? 0);
    return batch;
  };

  const batchesBefore = (cut: number): number =>
    committed.findLastIndex(({ logBytes }) => logBytes <= cut);

  const expectAllBefore = (cut: number): void => {
    const batches = batchesBefore(cut);
    expect({ cut, batches: recover(log.subarray(0, cut)) }).toEqual({ cut, batches });
    const stale = Buffer.concat([log.subarray(0, cut), Buffer.alloc(log.length - cut, 0x5a)]);
    expect({ cut, batches: recover(stale) }).toEqual({ cut, batches });
  };

  it('whole, it has every batch', () => {
    expect(committed.at(-1)?.logBytes).toBe(log.length);
    expect(recover(log)).toBe(BATCHES);
    expect(verifyStore(`${torn}-again`, () => {}).problems).toEqual([]);
  });

  it('at any page, or overwritten from there: everything committed before the cut is intact', () => {
    let cuts = 0;
    for (let cut = LOG_HEADER_BYTES; cut < log.length; cut += FRAME_BYTES) {
      expectAllBefore(cut);
      cuts++;
    }
    expect(cuts).toBeGreaterThan(BATCHES);
  });

  it('at any byte, or overwritten from there: everything committed before the cut is intact', () => {
    const random = seededRandom(4);
    const bytes = Buffer.alloc(4);
    for (let cut = 0; cut < RANDOM_CUTS; cut++) {
      random(bytes);
      expectAllBefore(bytes.readUInt32LE() % log.length);
    }
  });
});

/** A few requests a batch, and steps of earlier ones. */
function changesOf(batch: number): Change[] {
  const first = batch * 3 + 1;
  const changes: Change[] = [
    accept(first, { body: Buffer.alloc(1000, batch), key: `key ${batch}` }),
    accept(first + 1),
    accept(first + 2, { body: Buffer.alloc(5000, batch) }),
  ];
  if (batch === 0) return changes;
  const steps = [reply(first - 3), dead(first - 2), attempt(first - 1, 1)];
  const later = batch < 2 ? [] : [retry(first - 5), close(first - 6)];
  return [...changes, ...steps, ...later];
}
