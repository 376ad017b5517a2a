/** Whether the store of a stopped node of a pair has everything that the pair has acknowledged. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { EPOCH_FILE, EpochFile } from '../bstar/io/epoch-file.js';
import { readWholeEpoch } from '../bstar/io/whole-epoch.js';

/** The file beside the pair's epoch. */
export const WHOLE_FILE = 'bstar.whole';

type StoreCompleteness =
  | { readonly kind: 'standalone' }
  /** The node was active last as far as it knows, and had everything of its peer. */
  | { readonly kind: 'whole'; readonly epoch: number }
  | { readonly kind: 'lacking'; readonly epoch: number; readonly why: string };

/**
 * @param dataDir locked by this process
 * @throws ERR_BSTAR_EPOCH, ERR_BSTAR_DISK
 */
export async function completenessOf(dataDir: string): Promise<StoreCompleteness> {
  const path = join(dataDir, EPOCH_FILE);
  if (!existsSync(path)) return { kind: 'standalone' };
  const file = await EpochFile.open(path, Date.now());
  await file.close();
  const { epoch, wasActive } = file.persisted;
  if (!wasActive) {
    return { kind: 'lacking', epoch, why: 'the other node of its pair was active last' };
  }
  if ((await readWholeEpoch(join(dataDir, WHOLE_FILE))) === epoch) return { kind: 'whole', epoch };
  const why =
    'it served without its peer, which may have receipts that it has not: they were not in sync';
  return { kind: 'lacking', epoch, why };
}
