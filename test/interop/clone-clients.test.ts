/** The map of a pair, for a C program with the sockets and states of the Guide's clonecli6. */
import { temporaryDirectory } from '../support/daemon.js';
import { pairWithMap } from '../support/map-load.js';
import { removePairs } from '../support/pair-daemons.js';
import { until } from '../support/until.js';
import { itWithTool } from '../support/tools.js';
import { compile, execute, killPrograms, type Line, type Program } from './support/program.js';

const SUBTREE = '/client/';

afterEach(async () => {
  await killPrograms();
  await removePairs();
});

/** What a client knows: its last snapshot, and the updates after it. */
function contentOf(client: Program): ReadonlyMap<unknown, unknown> {
  let fresh = new Map<unknown, unknown>();
  let content = fresh;
  for (const { event, key, value } of client.lines) {
    if (event === 'record') fresh.set(key, value);
    else if (event === 'snapshot') [content, fresh] = [fresh, new Map()];
    else if (value === '') content.delete(key);
    else content.set(key, value);
  }
  return content;
}

/** Every client has these keys with these values, and no others. */
async function untilAll(clients: readonly Program[], expected: object): Promise<void> {
  const wanted = JSON.stringify(Object.entries(expected).sort());
  for (const client of clients) {
    await client.until(
      () => JSON.stringify([...contentOf(client)].sort()) === wanted,
      `map like ${wanted}`,
    );
  }
}

const AGAIN_MS = 1000;

/**
 * A client of the Guide sends a change once, over a socket that drops it while no node has subscribed there.
 * So it is told to set it again, until all have it.
 */
async function set(client: Program, clients: readonly Program[], line: string): Promise<void> {
  const [key, value] = line.split(' ');
  let toldAt = -Infinity;
  await until(
    () => {
      if (clients.every((each) => contentOf(each).get(key) === value)) return true;
      if (performance.now() - toldAt > AGAIN_MS) {
        client.tell(line);
        toldAt = performance.now();
      }
      return false;
    },
    `${key ?? ''}=${value ?? ''} at all clients`,
  );
}

/** Numbers of updates rise, over all nodes. */
function expectRising(client: Program): void {
  const numbers = client.said('update').map(({ epoch, counter }: Line) => [epoch, counter]);
  const rising = [...numbers].sort(
    ([a, b], [c, d]) => Number(a) - Number(c) || Number(b) - Number(d),
  );
  expect(numbers).toEqual(rising);
}

describe('a client in C that behaves as clonecli6', () => {
  itWithTool(
    'gcc and libzmq3-dev',
    'goes with the pair through a kill -9 and a switchover, and has what others set (D53)',
    async () => {
      const { pair, maps } = await pairWithMap();
      const first = await pair.inSync();
      const path = compile('clone_client', temporaryDirectory());
      const ports = maps.map((endpoint) => endpoint.split(':').at(-1) ?? '');
      const clients = [execute(path, SUBTREE, ...ports), execute(path, SUBTREE, ...ports)] as const;
      for (const client of clients) await client.waitFor('snapshot');
      await set(clients[0], clients, '/client/one 1 0');
      await set(clients[1], clients, '/client/two 2 0');
      await set(clients[1], clients, '/client/brief 3 1');
      await untilAll(clients, { '/client/one': '1', '/client/two': '2' });
      await pair.node(first).kill();
      for (const client of clients) await client.waitFor('snapshot', 2);
      await set(clients[1], clients, '/client/one 4 0');
      await pair.start(first);
      const second = await pair.inSync();
      expect(second).not.toBe(first);
      await pair.switchedOver(second);
      for (const client of clients) await client.waitFor('snapshot', 3);
      await set(clients[0], clients, '/client/three 5 0');
      const all = { '/client/one': '4', '/client/two': '2', '/client/three': '5' };
      await untilAll(clients, all);
      for (const client of clients) expectRising(client);
    },
  );
});
