import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { afterEach, describe, expect, it } from '@jest/globals';

import { Client } from '../../../src/sdk/client.js';
import { openSqliteStore } from '../../../src/titanic/io/sqlite-store.js';
import { removeDaemons, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { ask, httpOf, tokenOf } from '../../support/http.js';
import { accept, dead } from '../../support/store-changes.js';
import { StoreUser } from '../../support/store-user.js';

const MANY = 200_000;
const BATCH = 4000;
/** One in so many is dead. */
const DEAD_EVERY = 100;
const TIMEOUT_MS = 180_000;
/** How many times as long a round trip to the broker may take while somebody reads or purges. */
const SLOWER_MAX = 50;
/** Between two round trips: enough of them to know, and not so many that they take a core. */
const PAUSE_MS = 5;
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
  await removeDaemons();
});

/** A data directory with so many stored requests, most of them pending. */
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

/** What a round trip to the broker takes while `work` goes on, one after the other: the mean, in milliseconds. */
async function meanWhile(client: Client, work: () => Promise<void>): Promise<number> {
  const busy = { is: true };
  let trips = 0;
  let tripsMs = 0;
  const pinging = (async () => {
    for (; busy.is; trips++) {
      const began = performance.now();
      await client.request('mmi.service', 'echo');
      tripsMs += performance.now() - began;
      await pause(PAUSE_MS);
    }
  })();
  try {
    await work();
  } finally {
    busy.is = false;
    await pinging;
  }
  expect(trips).toBeGreaterThan(100);
  return tripsMs / trips;
}

interface List {
  readonly items: readonly { readonly uuid: string }[];
  readonly next: string | null;
}

describe(`${MANY} stored requests`, () => {
  it(
    'are paged through and purged whole, and the broker goes on answering (issue: page)',
    async () => {
      const daemon = await startDaemon({
        dataDir: await prepared(),
        sets: ['http.listen=127.0.0.1:0'],
      });
      const client = new Client({ endpoints: [daemon.endpoint], timeoutMs: 60_000 });
      closing.push(() => client.close());
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
      const idleMs = await meanWhile(client, () => pause(2000));
      let all: string[] = [];
      const readingMs = await meanWhile(client, async () => {
        all = await list('');
        expect(await list('&state=dead')).toHaveLength(MANY / DEAD_EVERY);
        // Found by nobody: all of them are gone over.
        expect(await list('&service=other')).toEqual([]);
      });
      expect(new Set(all).size).toBe(MANY);
      expect(all).toEqual([...all].sort().reverse());
      const purgingMs = await meanWhile(client, async () => {
        expect(await purge('dead')).toBe(MANY / DEAD_EVERY);
        expect(await purge('pending')).toBe(MANY - MANY / DEAD_EVERY);
      });
      expect(await list('')).toEqual([]);
      expect(readingMs / idleMs).toBeLessThan(SLOWER_MAX);
      expect(purgingMs / idleMs).toBeLessThan(SLOWER_MAX);
    },
    TIMEOUT_MS,
  );
});
