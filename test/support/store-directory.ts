/** A store file of a test's own, in a directory that goes with it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openSqliteStore } from '../../src/titanic/io/sqlite-store.js';
import { StoreUser } from './store-user.js';

export class StoreDirectory {
  readonly path: string = mkdtempSync(join(tmpdir(), 'majordomo-store-'));
  readonly file: string = join(this.path, 'titanic.db');
  readonly #users: StoreUser[] = [];

  async open(file: string = this.file): Promise<StoreUser> {
    const user = await StoreUser.open(openSqliteStore(file));
    this.#users.push(user);
    return user;
  }

  /** Closes what was opened, and removes all of it. */
  async remove(): Promise<void> {
    for (const user of this.#users) await user.close();
    rmSync(this.path, { recursive: true, force: true });
  }
}
