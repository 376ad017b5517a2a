/**
 * What a data directory remembers about its database: which store it is, the newest history of it,
 * and an id of the directory itself.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { MajordomoError, messageOf } from '../../core/errors.js';
import type { History } from './server.js';

const FILE = 'database.json';
const ID_BYTES = 16;
const ID_FORM = /^[0-9a-f]{32}$/;
const TIMELINE_FORM = /^[0-9A-F]{8}$/;
const PRIVATE_MODE = 0o600;

export interface DatabaseMemory {
  /** The id of this data directory, under its name in the file. */
  readonly home: string;
  /** The id of the store in the database; `null`: it has used none. */
  readonly storeId: string | null;
  /** History of the server used last: one with an older history lacks receipts. `null`: unknown. */
  readonly history: History | null;
}

/** The history that a directory remembers; `null`: none, or there is no such directory. */
export function rememberedHistory(directory: string): History | null {
  return existsSync(join(directory, FILE)) ? readDatabaseMemory(directory).history : null;
}

/** The id of the store that a directory remembers; `null`: none, or there is no such directory. */
export function rememberedStore(directory: string): string | null {
  return existsSync(join(directory, FILE)) ? readDatabaseMemory(directory).storeId : null;
}

/**
 * The requests of this directory are moved to that store. What it remembers of another one, which
 * may be gone, must not keep its broker from starting.
 */
export function correctDatabaseMemory(directory: string, storeId: string): void {
  const known = rememberedStore(directory);
  if (known === null || known === storeId) return;
  writeDatabaseMemory(directory, { ...readDatabaseMemory(directory), storeId });
}

/** @throws ERR_TITANIC_LOST if the file is damaged */
export function readDatabaseMemory(directory: string): DatabaseMemory {
  const path = join(directory, FILE);
  if (!existsSync(path)) {
    const memory = { home: randomBytes(ID_BYTES).toString('hex'), storeId: null, history: null };
    writeDatabaseMemory(directory, memory);
    return memory;
  }
  try {
    const read = JSON.parse(readFileSync(path, 'utf8')) as DatabaseMemory;
    const isWhole =
      ID_FORM.test(read.home) && (read.storeId === null || ID_FORM.test(read.storeId));
    if (isWhole) return { home: read.home, storeId: read.storeId, history: historyIn(read) };
    throw new Error('its ids are not 32 hexadecimal digits');
  } catch (error) {
    const text = `${path} is damaged (${messageOf(error)}): remove it if the database is the right one`;
    throw new MajordomoError('ERR_TITANIC_LOST', text, { cause: error });
  }
}

/** Programs before this one recorded none. */
function historyIn({ history }: Partial<DatabaseMemory>): History | null {
  if (typeof history?.systemId !== 'string' || typeof history.timeline !== 'string') return null;
  const { systemId, timeline } = history;
  return TIMELINE_FORM.test(timeline) ? { systemId, timeline } : null;
}

export function writeDatabaseMemory(directory: string, memory: DatabaseMemory): void {
  const path = join(directory, FILE);
  const draft = `${path}.new`;
  writeFileSync(draft, `${JSON.stringify(memory)}\n`, { mode: PRIVATE_MODE, flush: true });
  renameSync(draft, path);
}
