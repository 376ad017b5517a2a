/** Store files of tests, in directories that are removed afterwards. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { codeOf, type MajordomoError } from '../../src/core/errors.js';
import type { LogReport } from '../../src/store/sqlite/file/log-watch.js';
import type { StoreNews } from '../../src/store/sqlite/file/known-store.js';
import type { AsideNews } from '../../src/store/thread/opening.js';
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.js';
import { SCRATCH } from './scratch.js';
import { StoreUser } from './store-user.js';

/** One for each case of a file or `describe`: removed after the case. */
export function storeDirectory(): StoreDirectory {
  const directory = new StoreDirectory();
  afterEach(() => directory.remove());
  return directory;
}

/** It is made when it is used first, and again after it was removed. */
export class StoreDirectory {
  readonly #users: StoreUser[] = [];
  #path: string | null = null;

  /** What the stores reported when they were opened. */
  readonly news: StoreNews[] = [];
  /** The rows that were set aside, at each opening that found some. */
  readonly aside: string[] = [];

  get path(): string {
    this.#path ??= mkdtempSync(join(SCRATCH, 'majordomo-store-'));
    return this.#path;
  }

  get file(): string {
    return join(this.path, 'titanic.db');
  }

  /** The path of another store, in its own directory: each directory remembers one store. */
  apart(name: string): string {
    const directory = join(this.path, name);
    mkdirSync(directory);
    return join(directory, 'titanic.db');
  }

  /**
   * @param isNewStore like `serve --new-store`
   * @param isPaired as on a node of a pair
   */
  async open(file: string = this.file, isNewStore = false, isPaired = true): Promise<StoreUser> {
    const news = (each: StoreNews | AsideNews | LogReport): void => {
      if (!('how' in each)) return;
      if (each.how === 'set-aside') this.aside.push(each.text);
      else this.news.push(each);
    };
    const user = await StoreUser.open(openSqliteStore(file, { isNewStore, isPaired, news }));
    this.#users.push(user);
    return user;
  }

  /** Closes what was opened, and removes all of it. */
  async remove(): Promise<void> {
    for (const user of this.#users.splice(0)) await user.close();
    if (this.#path !== null) rmSync(this.#path, { recursive: true, force: true });
    this.#path = null;
    this.news.length = 0;
    this.aside.length = 0;
  }
}

/** The error with which an opening, or what else is done with a store, ends. */
export async function errorOf(work: Promise<unknown> | (() => unknown)): Promise<MajordomoError> {
  let error: unknown = null;
  try {
    await (typeof work === 'function' ? work() : work);
  } catch (thrown) {
    error = thrown;
  }
  expect(codeOf(error)).toMatch(/^ERR_TITANIC_/);
  return error as MajordomoError;
}
