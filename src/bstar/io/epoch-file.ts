/**
 * The file in which a node keeps its epoch (D13). It has two slots, written alternately and in
 * place, so that a torn write leaves the other one intact, and a full disk still has room.
 */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { crc32 } from 'node:zlib';

import { assert } from '../../core/assert.js';
import { codeOf, MajordomoError, messageOf } from '../../core/errors.js';
import { isWhole } from '../../core/numbers.js';
import { EPOCH_END } from '../epochs.js';
import type { Persisted } from '../facts.js';

/** The name of the file in the data directory. */
export const EPOCH_FILE = 'bstar.epoch';

const SLOT_BYTES = 512;
const SLOTS = 2;
// More digits than an epoch has (D79): a slot with such a number is damage, not an older state.
const FORM = /^majordomo-epoch 1 (\d{1,15}) (\d{1,16}) ([01]) (\d{1,15}) ([0-9a-f]{8})\n/;

interface Slot extends Persisted {
  /** The slot with the higher one is newer. */
  readonly version: number;
  /** The last incarnation that this node started with (D18). */
  readonly incarnation: number;
}

export class EpochFile {
  readonly #path: string;
  readonly #file: FileHandle;
  #last: Slot;
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, file: FileHandle, last: Slot) {
    this.#path = path;
    this.#file = file;
    this.#last = last;
  }

  /**
   * Opens the file, which is created if it is absent, and takes a new incarnation.
   * @param wallMs milliseconds since 1970
   * @throws ERR_BSTAR_EPOCH if it is damaged; ERR_BSTAR_DISK if it cannot be read or written
   */
  static async open(path: string, wallMs: number): Promise<EpochFile> {
    let file: FileHandle | null = null;
    try {
      file = await openOrMake(path);
      const epochFile = new EpochFile(path, file, await read(path, file));
      const { incarnation } = epochFile.#last;
      await epochFile.#write({ incarnation: Math.max(Math.round(wallMs), incarnation + 1) });
      return epochFile;
    } catch (error) {
      await file?.close();
      throw codeOf(error)?.startsWith('ERR_BSTAR') === true ? error : diskError(path, error);
    }
  }

  get persisted(): Persisted {
    return { epoch: this.#last.epoch, wasActive: this.#last.wasActive };
  }

  get incarnation(): number {
    return this.#last.incarnation;
  }

  /**
   * Resolves once it is on disk. Writes are done one after the other. Rejects with ERR_BSTAR_DISK.
   */
  async persist(state: Persisted): Promise<void> {
    const { epoch } = state;
    assert(isWhole(epoch, 0, EPOCH_END - 1), 'an epoch has its bounds');
    const before = this.#writing;
    this.#writing = before.then(async () => {
      try {
        await this.#write(state);
      } catch (error) {
        throw diskError(this.#path, error);
      }
    });
    await this.#writing;
  }

  async close(): Promise<void> {
    await this.#writing.catch(() => undefined);
    await this.#file.close();
  }

  async #write(change: Partial<Slot>): Promise<void> {
    const next = { ...this.#last, ...change, version: this.#last.version + 1 };
    await this.#file.write(packed(next), 0, SLOT_BYTES, (next.version % SLOTS) * SLOT_BYTES);
    await this.#file.datasync();
    this.#last = next;
  }
}

function packed({ version, epoch, wasActive, incarnation }: Slot): Buffer {
  const text = `majordomo-epoch 1 ${version} ${epoch} ${wasActive ? 1 : 0} ${incarnation} `;
  const sum = crc32(text).toString(16).padStart(8, '0');
  return Buffer.from(`${text}${sum}\n`.padEnd(SLOT_BYTES, ' '), 'latin1');
}

function unpacked(bytes: Buffer): Slot | null {
  const text = bytes.toString('latin1');
  const found = FORM.exec(text);
  if (found === null) return null;
  const [line, version, epoch, wasActive, incarnation, sum] = found;
  const summed = line.slice(0, -(sum?.length ?? 0) - 1);
  if (crc32(summed).toString(16).padStart(8, '0') !== sum) return null;
  return {
    version: Number(version),
    epoch: Number(epoch),
    wasActive: wasActive === '1',
    incarnation: Number(incarnation),
  };
}

async function openOrMake(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r+');
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
  // Written completely or not at all: first under another name.
  const making = `${path}.new`;
  await rm(making, { force: true });
  const file = await open(making, 'wx+', 0o600);
  const first: Slot = { version: 0, epoch: 0, wasActive: false, incarnation: 0 };
  const all = Buffer.concat([packed(first), packed({ ...first, version: 1 })]);
  await file.write(all, 0, all.length, 0);
  await file.sync();
  await rename(making, path);
  await syncDirectoryOf(path);
  return file;
}

async function syncDirectoryOf(path: string): Promise<void> {
  const directory = await open(path.slice(0, path.lastIndexOf('/')) || '/', 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** The newer of the two slots; one of them may be torn. */
async function read(path: string, file: FileHandle): Promise<Slot> {
  const bytes = Buffer.alloc(SLOTS * SLOT_BYTES);
  await file.read(bytes, 0, bytes.length, 0);
  const places = Array.from({ length: SLOTS }, (_, index) =>
    unpacked(bytes.subarray(index * SLOT_BYTES, (index + 1) * SLOT_BYTES)),
  ).filter((place) => place !== null);
  const newest = places.toSorted((a, b) => b.version - a.version)[0];
  if (newest !== undefined && newest.epoch < EPOCH_END) return newest;
  throw new MajordomoError(
    'ERR_BSTAR_EPOCH',
    `${path}: damaged: it does not contain the epoch of this node. If the peer still has its own ` +
      'file, stop this node, remove this file, and start it again while the peer is active',
  );
}

function diskError(path: string, error: unknown): MajordomoError {
  const message = `${path}: the epoch cannot be read or written: ${messageOf(error)}`;
  return new MajordomoError('ERR_BSTAR_DISK', message, { cause: error });
}
