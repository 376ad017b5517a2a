/** A store in a database, without a broker. */
import { randomBytes } from 'node:crypto';

import { placeOf } from '../../src/core/postgres-url.js';
import type { StoreReport } from '../../src/titanic/io/postgres/messages.js';
import { openPostgresStore } from '../../src/titanic/io/postgres/postgres-store.js';
import { atEnd } from './daemon-users.js';
import { type OpenStore, StoreUser } from './store-user.js';

function ignored(): void {}

/** It is closed by `endAll`. `reports`: what it has told, also later. */
export async function openDatabaseStore(
  url: string,
  timeoutMs: number,
): Promise<{ store: StoreUser; reports: readonly StoreReport[] }> {
  const place = placeOf(url);
  if (typeof place === 'string') throw new Error(place);
  const home = randomBytes(16).toString('hex');
  const reports: StoreReport[] = [];
  const opened: OpenStore = (events) =>
    openPostgresStore(
      {
        login: { place, passwordFile: null, isLoopback: true },
        ...{ name: url, timeoutMs, leaseMs: 60_000, node: 'test', home, storeId: null },
        hints: false,
      },
      Object.assign(events, {
        ...{ kept: ignored, taken: ignored, counted: ignored },
        ...{ claimed: ignored, claimFailed: ignored, hinted: ignored },
      }),
      (told) => reports.push(told),
    );
  const store = await StoreUser.open(opened);
  atEnd(() => store.close());
  return { store, reports };
}
