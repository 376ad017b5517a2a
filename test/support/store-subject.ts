/** The stores of a test of a contract: one that it may open again, and others; they end with the test. */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { OpenNodeStore } from '../../src/store/node-store.js';
import { MemoryDisk } from './memory-disk.js';
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.js';
import { SCRATCH } from './scratch.js';

/** The place of a store between two openings. */
export interface StorePlace<Open> {
  readonly open: Open;
  /** Removes it. */
  remove(): Promise<void>;
}

/** A store that a test uses and may open again. */
export interface StoreSubject<User> {
  readonly user: User;
  reopen(): Promise<User>;
  /** Another store of the same kind, empty. */
  other(): Promise<User>;
}

interface Opened<User, Open> {
  readonly place: StorePlace<Open>;
  readonly user: User;
}

/** For each test of this `describe`, an empty store of this kind. */
export function eachWithStore<User extends { close(): Promise<void> }, Open>(
  make: () => Promise<StorePlace<Open>>,
  open: (open: Open) => Promise<User>,
): StoreSubject<User> {
  const opened: Opened<User, Open>[] = [];
  let subject: Opened<User, Open>;
  const openNew = async (): Promise<Opened<User, Open>> => {
    const place = await make();
    const made = { place, user: await open(place.open) };
    opened.push(made);
    return made;
  };

  beforeEach(async () => {
    subject = await openNew();
  });

  afterEach(async () => {
    for (const { place, user } of opened.splice(0)) {
      await user.close();
      await place.remove();
    }
  });

  return {
    get user() {
      return subject.user;
    },
    reopen: async () => {
      const { place, user } = subject;
      await user.close();
      subject = { place, user: await open(place.open) };
      opened[0] = subject;
      return subject.user;
    },
    other: async () => (await openNew()).user,
  };
}

/** A file in a directory of its own. */
export async function sqlitePlace(): Promise<StorePlace<OpenNodeStore>> {
  const directory = await mkdtemp(join(SCRATCH, 'majordomo-store-'));
  return {
    open: openSqliteStore(join(directory, 'titanic.db')),
    remove: () => rm(directory, { recursive: true }),
  };
}

export function memoryPlace(): Promise<StorePlace<OpenNodeStore>> {
  const disk = new MemoryDisk({ schedule: (_call, run) => setImmediate(run) });
  return Promise.resolve({ open: disk.openStore, remove: () => Promise.resolve() });
}
