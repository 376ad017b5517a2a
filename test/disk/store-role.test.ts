import Database from 'better-sqlite3';

import { verifyStore } from '../../src/store/sqlite/records/verify.js';
import { cursorFor } from '../../src/store/store.js';
import { accept as acceptOf, close, reply } from '../support/store-changes.js';
import { storeDirectory } from '../support/store-directory.js';
import { chunksFrom, contentOf, mergeInto, packed } from '../support/store-pair.js';
import type { StoreUser } from '../support/store-user.js';

const accept = (n: number) => acceptOf(n, { body: packed('x') });

const directory = storeDirectory();

describe('a store whose node changes between standalone and a pair', () => {
  const opened = (isPaired: boolean): Promise<StoreUser> =>
    directory.open(directory.file, false, isPaired);

  function hasPairIndex(): boolean {
    const db = new Database(directory.file, { readonly: true });
    const query = "SELECT count(*) FROM sqlite_schema WHERE name = 'requests_by_change'";
    const count = Number(db.prepare(query).pluck().get());
    db.close();
    return count === 1;
  }

  it('has the index of changes only in a pair, and always sends all its content', async () => {
    const other = await directory.open(directory.apart('other'));
    for (const [round, isPaired] of [false, true, false, true].entries()) {
      const user = await opened(isPaired);
      expect(hasPairIndex()).toBe(isPaired);
      const n = 10 * round;
      await user.commit(
        accept(n + 1),
        accept(n + 2),
        accept(n + 3),
        reply(n + 2, { reply: packed('y') }),
        close(n + 3),
      );
      for (const chunk of await chunksFrom(user, cursorFor(null), 1)) {
        await mergeInto(other, chunk, true);
      }
      expect(await contentOf(other)).toEqual(await contentOf(user));
      await user.close();
      expect(verifyStore(directory.file, () => {}).problems).toEqual([]);
    }
  });
});

describe('the pending requests of a store with many others', () => {
  it('are all found, however far apart they are', async () => {
    const user = await directory.open();
    const numbers = Array.from({ length: 40_000 }, (_, at) => at + 1);
    const isPending = (n: number): boolean => n === 3 || n === 39_999;
    await user.commit(...numbers.map((n) => accept(n)));
    await user.commit(...numbers.filter((n) => !isPending(n)).map((n) => reply(n)));
    await user.close();
    const { pending } = await directory.open();
    expect(pending.map(({ number }) => number)).toEqual([3, 39_999]);
  });
});
