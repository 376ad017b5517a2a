import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { ListenerConfig } from '../../../src/config/entries.js';
import { codeOf, messageOf } from '../../../src/core/errors.js';
import { loadConfig, type Loaded, type LoadOptions } from '../../../src/config/io/load.js';

/** What a test gives instead of a file name: the text of the file. */
export interface Given extends Omit<LoadOptions, 'file'> {
  readonly text?: string | Uint8Array;
}

/** What a listener of an endpoint alone is. */
export const OPEN: Omit<ListenerConfig, 'endpoint'> = {
  client: ['*'],
  worker: ['*'],
  mmi: null,
  insecure: false,
  service: null,
  public: null,
  transport: 'zmtp',
};

const MACHINE = { hostName: 'here', memoryBytes: 2 ** 30 };

/** Runs with a file of this text, removed afterwards; its name is shown as `FILE`. */
export function load({ text, ...options }: Given): Loaded {
  if (text === undefined) return loadConfig({ ...MACHINE, ...options });
  const folder = mkdtempSync(join(tmpdir(), 'majordomo-config-'));
  try {
    const file = join(folder, 'majordomo.yaml');
    writeFileSync(file, text);
    return loadConfig({ ...MACHINE, ...options, file });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The lines of the error that loading ends with, the file's name replaced by `FILE`. */
export function problemsOf(given: Given): string[] {
  try {
    load(given);
  } catch (error) {
    if (codeOf(error) !== 'ERR_CONFIG_INVALID') throw error;
    return messageOf(error)
      .split('\n')
      .map((line) => line.replace(/^\/.*majordomo-config-[^/]+\/majordomo\.yaml/, 'FILE'));
  }
  return [];
}
