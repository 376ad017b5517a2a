/**
 * The fixtures of released versions, in test/fixtures/VERSION: files that the program of that version wrote and bytes
 * that it sent, with what it told of them. `npm run fixtures` makes those of this version. A test reads those of all
 * versions with the program of today, and never makes what it compares.
 */
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';

import { run } from './child.js';
import { temporaryDirectory } from './daemon.js';

/** For `describe.each`. (Tests run in the repository's folder.) */
export const VERSIONS: readonly string[] = readdirSync('test/fixtures').filter((name) =>
  /^\d+\.\d+\.\d+$/.test(name),
);

const PACKED = '.gz';
/** What the fields of the stores contain that only a later version knows. */
export const LATER_TEXT = 'of a later version';

/** A message on the link of a pair, in `link.jsonl`. */
export interface LinkMessage {
  readonly from: 'primary' | 'backup';
  readonly kind: string;
  /** Of the second frame, if there is one: the kinds of its changes or records, `part N` of those of an extension. */
  readonly content: readonly string[];
  /** Those of the first frame. */
  readonly fields: unknown;
  /** In Base64. */
  readonly frames: readonly string[];
}

/** What `check -o json` says of a configuration. */
export interface Checked {
  readonly valid: boolean;
  readonly configuration: readonly {
    readonly key: string;
    readonly value: unknown;
    readonly source: string;
  }[];
  readonly keys: unknown;
  readonly quotas: unknown;
}

/** @param folder of the file, and of those that it names */
export async function checked(folder: string, file: string): Promise<Checked> {
  const { stdout } = await run(['check', '-c', file, '-o', 'json'], { directory: folder });
  return JSON.parse(stdout) as Checked;
}

export class Fixtures {
  readonly folder: string;

  constructor(version: string) {
    this.folder = resolve('test/fixtures', version);
  }

  text(path: string): string {
    return readFileSync(join(this.folder, path), 'utf8');
  }

  unpacked(path: string): Buffer {
    return gunzipSync(readFileSync(join(this.folder, path + PACKED)));
  }

  json(path: string): unknown {
    return JSON.parse(this.text(path));
  }

  /** The values in the lines of a file. */
  lines(path: string): unknown[] {
    const lines = this.text(path).trimEnd().split('\n');
    return lines.map((line): unknown => JSON.parse(line));
  }

  /** A copy of a folder, in a temporary one, whose files have the modes that they were written with. */
  copy(path: string): string {
    const to = temporaryDirectory();
    for (const name of readdirSync(join(this.folder, path))) {
      const bytes = readFileSync(join(this.folder, path, name));
      const isPacked = name.endsWith(PACKED);
      const file = join(to, isPacked ? name.slice(0, -PACKED.length) : name);
      writeFileSync(file, isPacked ? gunzipSync(bytes) : bytes);
      chmodSync(file, 0o600);
    }
    return to;
  }

  // ---------------------------------------------------------------- making them

  write(path: string, content: string | Buffer): void {
    const file = join(this.folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }

  writeJson(path: string, value: unknown): void {
    this.write(path, `${JSON.stringify(value)}\n`);
  }

  /** Files of a folder that no process uses. */
  keep(from: string, path: string, names: readonly string[] = readdirSync(from)): void {
    for (const name of names) {
      if (name.endsWith('-shm') || !statSync(join(from, name)).isFile()) continue;
      const bytes = readFileSync(join(from, name));
      const isText = bytes.every((byte) => byte === 10 || (byte >= 32 && byte < 127));
      if (isText) this.write(join(path, name), bytes);
      else this.write(join(path, name + PACKED), gzipSync(bytes, { level: 9 }));
    }
  }
}
