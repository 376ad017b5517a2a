/**
 * The epochs in the map's numbers (D48). A standalone node counts its own, in a file; a node of a pair
 * takes those of the pair, which are in another one. One that begins or ends to belong to a pair goes on
 * above both, and above what is stored: numbers never step back, and two nodes never give the same ones.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { EPOCH_FILE, EpochFile } from '../../bstar/io/epoch-file.js';

const OF_MAP = 'map.epoch';

/**
 * The epoch of a standalone node from this start on, which is on disk before: also numbers of changes that
 * were published but not stored (renewals, services) never come again.
 * @param stored the highest epoch of any record, which may come from another node
 * @throws ERR_BSTAR_EPOCH, ERR_BSTAR_DISK
 */
export async function nextMapEpoch(dataDir: string, stored: number): Promise<number> {
  const ofPair = await lastIn(join(dataDir, EPOCH_FILE));
  const file = await EpochFile.open(join(dataDir, OF_MAP), Date.now());
  try {
    const epoch = Math.max(file.persisted.epoch, ofPair, stored) + 1;
    await file.persist({ epoch, wasActive: false });
    return epoch;
  } finally {
    await file.close();
  }
}

/**
 * The highest epoch that the map of this node has had outside of its pair.
 * @param stored the highest epoch of any record
 * @throws ERR_BSTAR_EPOCH, ERR_BSTAR_DISK
 */
export async function lastMapEpoch(dataDir: string, stored: number): Promise<number> {
  return Math.max(await lastIn(join(dataDir, OF_MAP)), stored);
}

/** 0: there is no such file. */
async function lastIn(path: string): Promise<number> {
  if (!existsSync(path)) return 0;
  const file = await EpochFile.open(path, Date.now());
  await file.close();
  return file.persisted.epoch;
}
