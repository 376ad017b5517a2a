/** The file of a day of samples. A full or broken disk only stops it: nobody waits for it, and nothing is synced. */
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';

const FILE = 'samples.day';
const PRIVATE_MODE = 0o600;

export class DayFile {
  readonly #opened: Promise<FileHandle | null>;
  /** Ends with what was written last. */
  #written: Promise<unknown>;

  constructor(dataDir: string) {
    this.#opened = opened(join(dataDir, FILE)).catch(() => null);
    this.#written = this.#opened;
  }

  /** Writes when what was written before is done. */
  write(bytes: Buffer, position: number): void {
    this.#written = this.#written.then(async () => {
      const file = await this.#opened;
      await file?.write(bytes, 0, bytes.length, position).catch(() => null);
    });
  }

  /** What cannot be read is zero. */
  async read(length: number, position: number): Promise<Buffer> {
    await this.#written;
    const bytes = Buffer.alloc(length);
    const file = await this.#opened;
    await file?.read(bytes, 0, length, position).catch(() => null);
    return bytes;
  }

  async close(): Promise<void> {
    await this.#written;
    await (await this.#opened)?.close().catch(() => null);
  }
}

async function opened(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r+', PRIVATE_MODE);
  } catch {
    return await open(path, 'w+', PRIVATE_MODE);
  }
}
