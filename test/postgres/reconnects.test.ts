/** Connections to a database that is away. */
import { createServer } from 'node:net';

import { databaseAddressOf } from '../../src/core/postgres-url.js';
import { PROCESS_CLOCK } from '../../src/extensions/postgres/clock.js';
import type { Known } from '../../src/extensions/postgres/connect.js';
import { dialTables } from '../../src/extensions/postgres/sql-tables.js';
import { PersistentConnection } from '../../src/extensions/postgres/persistent-connection.js';
import { listening } from '../support/free-ports.js';

/** How long six connections try. */
const TRYING_MS = 3000;
/** Each of the six by itself would try four times as often. */
const TRIES_MAX = 30;

it('are tried less and less often, by all of a store together', async () => {
  let tries = 0;
  const away = createServer((socket) => {
    tries++;
    socket.on('error', () => undefined);
    socket.destroy();
  });
  const port = await listening(away);
  const database = databaseAddressOf(`postgresql://u@127.0.0.1:${port}/store`);
  if (typeof database === 'string') throw new Error(database);
  const login = { address: database, passwordFile: null, isLoopback: true };
  const known: Known = { hostIndex: 0 };
  const events = {
    connected: () => Promise.resolve(),
    unreachable: () => undefined,
    retried: () => undefined,
  };
  const all = Array.from(
    { length: 6 },
    () => new PersistentConnection(dialTables(login), PROCESS_CLOCK, 1000, known, events),
  );
  const until = PROCESS_CLOCK.now() + TRYING_MS;
  const used = all.map((each) => each.use(until, () => Promise.resolve()));
  expect((await Promise.allSettled(used)).map(({ status }) => status)).toEqual(
    Array.from(all, () => 'rejected'),
  );
  expect(tries).toBeGreaterThan(3);
  expect(tries).toBeLessThan(TRIES_MAX);
  await Promise.all(all.map((each) => each.close()));
  away.close();
});
