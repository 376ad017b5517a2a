import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import type { Client } from '../../../src/sdk/client.js';
import { openSqliteStore } from '../../../src/store/sqlite/sqlite-store.js';
import { clientOf, endAll } from '../../support/daemon-users.js';
import { startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { ask, httpOf, tokenOf } from '../../support/http.js';
import { accept, dead } from '../../support/store-changes.js';
import { StoreUser } from '../../support/store-user.js';

const MANY = 60_000;
const BATCH = 4000;
/** One request in this many is dead. */
const DEAD_EVERY = 100;
/** An idle broker on the same machine may answer at most this many times as often. */
const SLOWER_MAX = 8;
/** Between two round trips: enough round trips to measure, without using a whole core. */
const PAUSE_MS = 5;

afterEach(endAll);

/** A data directory with many stored requests, most of them pending. */
async function prepared(): Promise<string> {
  const dataDir = temporaryDirectory();
  const user = await StoreUser.open(openSqliteStore(join(dataDir, 'titanic.db')));
  const expiresAt = Date.now() + 86_400_000;
  for (let from = 1; from <= MANY; from += BATCH) {
    const numbers = Array.from({ length: BATCH }, (_, at) => from + at);
    await user.commit(
      ...numbers.map((n) => accept(n, { service: Buffer.from('never'), expiresAt })),
      ...numbers.filter((n) => n % DEAD_EVERY === 0).map((n) => dead(n, { expiresAt })),
    );
  }
  await user.close();
  return dataDir;
}

/** Each client sends its broker requests, one at a time, during `work`. Returns the number of replies of each. */
async function meanWhile(
  clients: readonly Client[],
  work: () => Promise<void>,
): Promise<readonly number[]> {
  const busy = { is: true };
  const asking = clients.map(async (client) => {
    let answers = 0;
    for (; busy.is; answers++) {
      await client.request('mmi.service', 'echo');
      await pause(PAUSE_MS);
    }
    return answers;
  });
  try {
    await work();
  } finally {
    busy.is = false;
  }
  return await Promise.all(asking);
}

async function expectAnswersDuring(
  [own, idle]: readonly [Client, Client],
  work: () => Promise<void>,
): Promise<void> {
  const [answers = 0, atIdle = 0] = await meanWhile([own, idle], work);
  expect(atIdle).toBeGreaterThan(50);
  expect(answers).toBeGreaterThan(atIdle / SLOWER_MAX);
}

interface List {
  readonly items: readonly { readonly uuid: string }[];
  readonly next: string | null;
}

describe(`${MANY} stored requests`, () => {
  it('are listed page by page and purged while the broker keeps answering (issue: page)', async () => {
    const daemon = await startDaemon({
      dataDir: await prepared(),
      sets: ['http.listen=127.0.0.1:0'],
    });
    const clients = [clientOf(daemon), clientOf(await startDaemon())] as const;
    const url = `${httpOf(daemon)}/api/v1/titanic`;
    const token = tokenOf(daemon);
    const list = async (query: string): Promise<string[]> => {
      const uuids: string[] = [];
      for (let cursor = ''; ;) {
        const answer = await fetch(`${url}/requests?limit=1000${query}${cursor}`);
        expect(answer.status).toBe(200);
        const { items, next } = (await answer.json()) as List;
        uuids.push(...items.map(({ uuid }) => uuid));
        if (next === null) return uuids;
        cursor = `&cursor=${next}`;
      }
    };
    const purge = async (state: string): Promise<number> => {
      let count = 0;
      for (let more = true; more;) {
        const body = JSON.stringify({ state });
        const { json } = await ask(`${url}/purge`, { method: 'POST', token, body });
        const answer = json as { count: number; more: boolean };
        count += answer.count;
        more = answer.more;
      }
      return count;
    };
    let all: string[] = [];
    await expectAnswersDuring(clients, async () => {
      all = await list('');
      expect(await list('&state=dead')).toHaveLength(MANY / DEAD_EVERY);
      // No request matches, so all rows are read.
      expect(await list('&service=other')).toEqual([]);
    });
    expect(new Set(all).size).toBe(MANY);
    expect(all).toEqual([...all].sort().reverse());
    await expectAnswersDuring(clients, async () => {
      expect(await purge('dead')).toBe(MANY / DEAD_EVERY);
      expect(await purge('pending')).toBe(MANY - MANY / DEAD_EVERY);
    });
    expect(await list('')).toEqual([]);
  });
});
