/** A store file for one test, in a directory that is removed afterwards. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import type { LogReport } from '../../src/store/sqlite/file/log-watch.js';
import type { StoreNews } from '../../src/store/sqlite/file/known-store.js';
import type { AsideNews } from '../../src/store/thread/opening.js';
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.js';
import { SCRATCH } from './scratch.js';
import { StoreUser } from './store-user.js';

export class StoreDirectory {
  readonly path: string = mkdtempSync(join(SCRATCH, 'majordomo-store-'));
  readonly file: string = join(this.path, 'titanic.db');
  readonly #users: StoreUser[] = [];

  /** What the stores reported when they were opened. */
  readonly news: StoreNews[] = [];
  /** The rows that were set aside, at each opening that found some. */
  readonly aside: string[] = [];

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
    for (const user of this.#users) await user.close();
    rmSync(this.path, { recursive: true, force: true });
  }
}
