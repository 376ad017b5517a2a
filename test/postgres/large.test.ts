/**
 * Requests and replies that are larger than what the library reads in one piece: their text would not
 * fit in a string of Node. An older configuration, or `migrate`, may have stored them.
 */
import { join } from 'node:path';

import Database from 'better-sqlite3';

import { run } from '../support/child.js';
import { endAll } from '../support/daemon-users.js';
import { temporaryDirectory } from '../support/daemon.js';
import type { Cluster } from '../support/postgres-cluster.js';
import { PATIENCE_MS } from '../support/patience.js';
import { openDatabaseStore } from '../support/postgres-place.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { accept, close, reply, uuidOf } from '../support/store-changes.js';
import type { StoreUser } from '../support/store-user.js';

const cluster = sharedCluster();

afterEach(endAll);

const MIB = 1024 * 1024;
/** Its text does not fit in a string. */
const HUGE_BYTES = 260 * MIB;
/** Read in two parts, and sooner. */
const LARGE_BYTES = 20 * MIB;
/** Parts in a wrong order would differ from it. */
const PATTERN = '0123456789';
const PENDING = 1;
const REPLIED = 2;

async function open(url: string): Promise<StoreUser> {
  // How long a part takes is not what is tested here.
  return (await openDatabaseStore(url, PATIENCE_MS)).store;
}

/** Makes the body, or the reply, of a request as large as a broker would not store it any more. */
async function enlarge(
  server: Cluster,
  name: string,
  [n, kind]: readonly [number, number],
  bytes: number,
): Promise<void> {
  const column = kind === REPLIED ? 'reply_bytes' : 'body_bytes';
  const id = uuidOf(n).toString('hex');
  await server.sql(
    `UPDATE majordomo.body SET frames = convert_to(repeat('${PATTERN}', ${bytes / PATTERN.length}), 'UTF8')
    WHERE id = '${id}' AND kind = ${kind};
    UPDATE majordomo.request SET ${column} = ${bytes} WHERE id = '${id}'`,
    name,
  );
}

function isPattern(bytes: unknown, length: number): boolean {
  return Buffer.alloc(length, PATTERN).equals(bytes as Buffer);
}

describeWithPostgres('what is too large to be read from a database in one piece', () => {
  it('is read in parts: a body, a reply, and both for a backup', async () => {
    const server = await cluster();
    const name = await server.database();
    const url = server.url(name);
    const store = await open(url);
    // Otherwise the server would write these bodies twice, and unpack them anew for each part.
    await server.sql(
      `ALTER TABLE majordomo.body SET UNLOGGED, ALTER COLUMN frames SET STORAGE EXTERNAL`,
      name,
    );
    await store.commit(accept(1), accept(2), accept(3), accept(4));
    await store.commit(reply(2), reply(3));
    await enlarge(server, name, [1, PENDING], HUGE_BYTES);
    const loaded = await store.load(uuidOf(1), uuidOf(2), uuidOf(4));
    expect(loaded).toHaveLength(3);
    const [huge, none, small] = loaded as readonly (Buffer | null)[];
    expect([isPattern(huge, HUGE_BYTES), none, String(small)]).toEqual([true, null, 'body 4']);
    await store.commit(close(1));

    await enlarge(server, name, [2, REPLIED], LARGE_BYTES);
    const found = await store.lookUp(uuidOf(2));
    expect(found).toMatchObject({ state: 'replied', replyBytes: LARGE_BYTES });
    expect('reply' in found && isPattern(found.reply, LARGE_BYTES)).toBe(true);
    // Others do not wait for it.
    const told: number[] = [];
    await Promise.all(
      [2, 3].map(async (n) => {
        await store.lookUp(uuidOf(n));
        told.push(n);
      }),
    );
    expect(told).toEqual([3, 2]);
    const limited = await store.lookUp(uuidOf(2), LARGE_BYTES - 1);
    expect(limited).toMatchObject({ state: 'replied', reply: null, replyBytes: LARGE_BYTES });
    expect(await store.lookUp(uuidOf(3))).toMatchObject({ reply: Buffer.from('reply 3') });

    await enlarge(server, name, [3, PENDING], LARGE_BYTES);
    const file = join(temporaryDirectory(), 'copy.db');
    const { status } = await run(['backup', '--set', `titanic.store=${url}`, file]);
    expect(status).toBe(0);
    const copy = new Database(file, { readonly: true });
    const longest = (column: string, table: string): unknown =>
      copy.prepare(`SELECT ${column} FROM ${table} ORDER BY length(${column}) DESC`).pluck().get();
    expect(isPattern(longest('body', 'bodies'), LARGE_BYTES)).toBe(true);
    expect(isPattern(longest('reply', 'replies'), LARGE_BYTES)).toBe(true);
    copy.close();
  });
});
