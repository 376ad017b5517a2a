/** A store file of a test's own, in a directory that goes with it. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { StoreNews } from '../../src/titanic/io/known-store.js';
import { openSqliteStore } from '../../src/titanic/io/sqlite-store.js';
import { StoreUser } from './store-user.js';

export class StoreDirectory {
  readonly path: string = mkdtempSync(join(tmpdir(), 'majordomo-store-'));
  readonly file: string = join(this.path, 'titanic.db');
  readonly #users: StoreUser[] = [];

  /** What was found out about the stores when they were opened. */
  readonly news: StoreNews[] = [];

  /** The path of another store, in a directory of its own: each directory remembers one. */
  apart(name: string): string {
    const directory = join(this.path, name);
    mkdirSync(directory);
    return join(directory, 'titanic.db');
  }

  /** @param isNewStore as `serve --new-store` does */
  async open(file: string = this.file, isNewStore = false): Promise<StoreUser> {
    const news = (each: StoreNews): number => this.news.push(each);
    const user = await StoreUser.open(openSqliteStore(file, { isNewStore, news }));
    this.#users.push(user);
    return user;
  }

  /** Closes what was opened, and removes all of it. */
  async remove(): Promise<void> {
    for (const user of this.#users) await user.close();
    rmSync(this.path, { recursive: true, force: true });
  }
}
