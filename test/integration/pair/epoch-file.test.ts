import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

import fc from 'fast-check';

import { EPOCH_END } from '../../../src/bstar/epochs.js';
import { EpochFile } from '../../../src/bstar/io/epoch-file.js';
import { messageOf } from '../../../src/core/errors.js';

const PLACE_BYTES = 512;

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'epoch-'));
  path = join(directory, 'bstar.epoch');
});

afterEach(() => rmSync(directory, { recursive: true }));

async function written(...epochs: readonly number[]): Promise<void> {
  const file = await EpochFile.open(path, 1000);
  for (const epoch of epochs) await file.persist({ epoch, wasActive: epoch % 2 === 1 });
  await file.close();
}

/** A file with one slot, whatever its epoch. */
function writeUnbounded(epoch: number): void {
  const text = `majordomo-epoch 1 3 ${epoch} 1 1000 `;
  const line = `${text}${crc32(text).toString(16).padStart(8, '0')}\n`;
  writeFileSync(path, line.padEnd(2 * PLACE_BYTES, ' '));
}

describe('the epochs of the file are below 2^24 (D79)', () => {
  it('every epoch that can be written can be read', async () => {
    const epochs = fc.oneof(fc.nat(EPOCH_END - 1), fc.constantFrom(0, EPOCH_END - 1));
    await fc.assert(
      fc.asyncProperty(epochs, fc.boolean(), async (epoch, wasActive) => {
        const file = await EpochFile.open(path, 1000);
        await file.persist({ epoch, wasActive });
        await file.close();
        const again = await EpochFile.open(path, 1000);
        expect(again.persisted).toEqual({ epoch, wasActive });
        await again.close();
      }),
      { numRuns: 50 },
    );
  });

  it.each([EPOCH_END, 2 ** 53 - 2, -1, 1.5])('%d is not written', async (epoch) => {
    const file = await EpochFile.open(path, 1000);
    await expect(file.persist({ epoch, wasActive: true })).rejects.toThrow(
      'an epoch has its bounds',
    );
    expect(file.persisted.epoch).toBe(0);
    await file.close();
  });

  it.each([EPOCH_END, 2 ** 53 - 2])(
    'a file with %d is damaged, and says what to do',
    async (epoch) => {
      writeUnbounded(epoch);
      const error: unknown = await EpochFile.open(path, 1000).catch((why: unknown) => why);
      expect(error).toMatchObject({ code: 'ERR_BSTAR_EPOCH' });
      expect(messageOf(error)).toMatch(/: damaged: .* remove this file/);
      writeUnbounded(EPOCH_END - 1);
      await (await EpochFile.open(path, 1000)).close();
    },
  );
});

describe('the epoch file (D13)', () => {
  it('is made with mode 0600, and says what was written last', async () => {
    await written(2, 4, 7);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const file = await EpochFile.open(path, 2000);
    expect(file.persisted).toEqual({ epoch: 7, wasActive: true });
    await file.close();
  });

  it('is whole or absent: remains of a crash while it was made do no harm', async () => {
    writeFileSync(`${path}.new`, '');
    await written(2);
    expect(readdirSync(directory)).toEqual(['bstar.epoch']);
  });

  it('gives an incarnation above all earlier ones, even if the clock went back (D18)', async () => {
    const incarnations: number[] = [];
    for (const wallMs of [5000, 6000, 10, 20]) {
      const file = await EpochFile.open(path, wallMs);
      incarnations.push(file.incarnation);
      await file.close();
    }
    expect(incarnations).toEqual([5000, 6000, 6001, 6002]);
  });

  it('keeps the previous record when a write is torn at any byte', async () => {
    await written(2, 2);
    const before = readFileSync(path);
    await written(4);
    const after = readFileSync(path);
    // One write at a time: the other slot is always intact.
    for (let torn = 0; torn < 2 * PLACE_BYTES; torn += 7) {
      const mixed = Buffer.concat([after.subarray(0, torn), before.subarray(torn)]);
      writeFileSync(path, mixed);
      const file = await EpochFile.open(path, 1);
      expect([2, 4]).toContain(file.persisted.epoch);
      await file.close();
    }
  });

  it('is refused and left unchanged when both slots are damaged', async () => {
    await written(2);
    const garbage = Buffer.alloc(2 * PLACE_BYTES, 'x');
    writeFileSync(path, garbage);
    await expect(EpochFile.open(path, 1)).rejects.toMatchObject({ code: 'ERR_BSTAR_EPOCH' });
    expect(readFileSync(path)).toEqual(garbage);
  });

  it('never grows, so that a full disk cannot stop a write', async () => {
    await written();
    const { size } = statSync(path);
    await written(2, 4, 6, 8, 10);
    expect(statSync(path).size).toBe(size);
  });
});
