/** `SharedMap` over real sockets, against the real machine and ports of a node. */
import { randomBytes } from 'node:crypto';

import { codeOf, detailsOf } from '../../../src/core/errors.js';
import { encodeZ85 } from '../../../src/core/z85.js';
import { json } from '../../../src/sdk/client.js';
import { type MapChange, SharedMap, type SharedMapOptions } from '../../../src/sdk/map.js';
import { loadSodium } from '../../../src/zmtp/curve/sodium.js';
import { freePortsInARow } from '../../support/free-ports.js';
import { MapNode, type MapNodeOptions } from '../../support/map-node.js';
import { until } from '../../support/until.js';

const open: (() => Promise<void>)[] = [];

async function nodeOf(options: MapNodeOptions = {}, epoch = 1): Promise<MapNode> {
  const node = await MapNode.open(options);
  open.push(() => node.stop());
  if (epoch > 0) node.activate(epoch);
  return node;
}

function mapOf(nodes: readonly MapNode[], options: Partial<SharedMapOptions> = {}): SharedMap {
  const map = new SharedMap({ endpoints: nodes.map(({ endpoint }) => endpoint), ...options });
  open.push(() => map.close());
  return map;
}

function contentOf(map: SharedMap): object {
  return Object.fromEntries([...map.entries()].map(([key, value]) => [key, String(value)]));
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => null,
    (error: unknown) => codeOf(error),
  );
}

/** A value of a type that the compiler would refuse. */
function wrong(value: unknown): string {
  return value as string;
}

function thrownBy(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return codeOf(error);
  }
}

async function taken(
  changes: AsyncIterator<MapChange, undefined>,
  count: number,
): Promise<readonly string[]> {
  const all: string[] = [];
  while (all.length < count) {
    const { value } = await changes.next();
    all.push(`${value?.key ?? ''}=${String(value?.value ?? null)}`);
  }
  return all;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((close) => close()));
});

describe('a shared map (docs/sdk-streams.md)', () => {
  it('sets, reads, deletes; another one sees the changes', async () => {
    const node = await nodeOf();
    const [one, two] = [mapOf([node]), mapOf([node])];
    await one.synced;
    await two.synced;
    // A reader that comes late gets only the last change of a key.
    const changes = taken(two.changes(), 3);
    await one.set('/a', 'α');
    expect(one.get('/a')?.toString()).toBe('α');
    await one.set('/b', Buffer.from('2'));
    await one.delete('/a');
    expect(await changes).toEqual(['/a=α', '/b=2', '/a=null']);
    expect([contentOf(one), contentOf(two)]).toEqual([{ '/b': '2' }, { '/b': '2' }]);
    expect([one.has('/a'), one.has('/b'), one.size, [...one.keys()]]).toEqual([
      ...[false, true, 1],
      ['/b'],
    ]);
    expect(one.endpoint).toBe(node.endpoint);
    await one.delete('/never');
  });

  it('begins with what is there, in its subtree', async () => {
    const node = await nodeOf();
    const writer = mapOf([node]);
    const pairs = Array.from({ length: 2000 }, (_, index) => `/in/${index}`);
    await Promise.all(['/out', ...pairs].map((key) => writer.set(key, 'x'.repeat(100))));
    const map = mapOf([node], { subtree: '/in/' });
    const changes = map.changes();
    await map.synced;
    expect([...map.keys()].sort()).toEqual([...pairs].sort());
    expect(await taken(changes, 1)).toEqual([`/in/0=${'x'.repeat(100)}`]);
    await writer.set('/out', 'y');
    await writer.set('/in/late', 'y');
    await until(() => map.has('/in/late'), 'the update');
    expect(map.has('/out')).toBe(false);
  });

  it('a key with a time to live ends, and each reader sees it', async () => {
    const node = await nodeOf();
    const map = mapOf([node]);
    await map.synced;
    const changes = map.changes();
    await map.set('/e', '1', { ttlMs: 1 });
    const [record] = node.tables.rows;
    expect(record?.record.properties).toBe('ttl=1\n');
    expect(await taken(changes, 2)).toEqual(['/e=1', '/e=null']);
  });

  it('a set resolves only when it is committed', async () => {
    const node = await nodeOf();
    const map = mapOf([node]);
    await map.synced;
    node.isStuck = true;
    let isDone = false;
    const setting = map.set('/a', '1').then(() => {
      isDone = true;
    });
    expect(await failureOf(map.set('/b', '1', { timeoutMs: 300 }))).toBe('ERR_MDP_TIMEOUT');
    expect([isDone, map.size]).toEqual([false, 0]);
    node.commitAll();
    await setting;
    expect(map.get('/a')?.toString()).toBe('1');
  });

  it('values are those of the codec; what it cannot read is an error where it is read', async () => {
    const node = await nodeOf();
    const map = new SharedMap({ endpoints: node.endpoint, codec: json() });
    open.push(() => map.close());
    await map.synced;
    await map.set('/n', { limit: 5 });
    expect(map.get('/n')).toEqual({ limit: 5 });
    expect(await failureOf(map.set('/n', undefined))).toBe('ERR_MDP_CODEC');
    const changes = map.changes();
    await mapOf([node]).set('/bad', '{');
    const { value: change } = await changes.next();
    expect(change?.bytes?.toString()).toBe('{');
    expect(() => change?.value).toThrow('cannot decode');
    expect(() => map.get('/bad')).toThrow('cannot decode');
    expect(map.get('/n')).toEqual({ limit: 5 });
  });

  it('is as it was while no node serves, and is replaced when one does', async () => {
    const port = await freePortsInARow(3);
    const node = await nodeOf({ port });
    const map = mapOf([node]);
    const other = mapOf([node]);
    await map.set('/a', '1');
    await map.set('/b', '1');
    const lost = new Promise((resolve) => map.on('lost', resolve));
    await node.stop();
    expect(await lost).toEqual({ endpoint: node.endpoint, reason: 'closed' });
    expect([map.isSynced, map.endpoint, contentOf(map)]).toEqual([
      ...[false, null],
      { '/a': '1', '/b': '1' },
    ]);
    expect(await failureOf(map.set('/c', '1', { timeoutMs: 100 }))).toBe('ERR_MDP_UNREACHABLE');
    const changes = map.changes();
    await nodeOf({ port }, 2);
    const setting = other.set('/c', '3');
    await map.synced;
    await setting;
    await until(() => map.has('/c'), 'the update');
    expect((await taken(changes, 3)).slice().sort()).toEqual(['/a=null', '/b=null', '/c=3']);
  });
});

describe('a shared map of a pair', () => {
  it('follows the node that serves, over a switchover; writers do not notice', async () => {
    const [a, b] = [await nodeOf(), await nodeOf({}, 0)];
    a.follower = b;
    const [map, writer] = [mapOf([a, b]), mapOf([b, a])];
    await map.set('/a', '1');
    expect(map.endpoint).toBe(a.endpoint);
    let count = 0;
    const stopped = new AbortController();
    const writing = (async () => {
      while (!stopped.signal.aborted) await writer.set('/count', String(++count));
    })();
    await until(() => count > 20, 'changes');
    a.follower = null;
    a.deactivate();
    b.follower = a;
    b.activate(2);
    const before = count;
    await until(() => count > before + 20, 'changes after it');
    stopped.abort();
    await writing;
    await until(() => map.get('/count')?.toString() === String(count), 'the last change');
    expect([map.endpoint, writer.endpoint]).toEqual([b.endpoint, b.endpoint]);
    expect(contentOf(map)).toEqual({ '/a': '1', '/count': String(count) });
  });

  it('a set that a node took and did not commit is made by the other', async () => {
    const [a, b] = [await nodeOf(), await nodeOf({}, 0)];
    const map = mapOf([a, b]);
    await map.set('/first', '1');
    a.isStuck = true;
    const setting = map.set('/a', '1');
    await until(() => b.host.machine.gauges.pending > 1, 'the change at the other node');
    await a.stop();
    b.activate(2);
    await setting;
    expect(map.endpoint).toBe(b.endpoint);
    expect(contentOf(map)).toEqual({ '/first': '1', '/a': '1' });
  });

  it('begins anew after a connection was lost, and misses nothing', async () => {
    const node = await nodeOf();
    const [map, writer] = [mapOf([node]), mapOf([node])];
    await map.synced;
    for (let round = 0; round < 5; round++) {
      const setting = Promise.all(
        Array.from({ length: 50 }, (_, index) => writer.set(`/${index}`, `${round}`)),
      );
      node.cut();
      await setting;
    }
    await until(() => map.isSynced, 'the snapshot');
    await until(() => map.size === 50, 'all keys');
    expect(new Set([...map.entries()].map(([, value]) => String(value)))).toEqual(new Set(['4']));
  });
});

describe('a shared map refuses', () => {
  it.each([
    ['no endpoint', {}, 'ERR_MDP_OPTION', 'endpoints must be given'],
    ['a socket file', { endpoints: 'ipc:///tmp/x' }, 'ERR_MDP_ENDPOINT', 'next two ports'],
    ['a port too high', { endpoints: 'tcp://a:65534' }, 'ERR_MDP_ENDPOINT', 'next two ports'],
    ['half a subtree', { endpoints: 'tcp://a:1', subtree: '/x' }, 'ERR_MDP_OPTION', 'begins and'],
    ['an unknown option', { endpoints: 'tcp://a:1', topic: 'x' }, 'ERR_MDP_OPTION', 'topic'],
    ['a wrong codec', { endpoints: 'tcp://a:1', codec: 1 }, 'ERR_MDP_OPTION', 'codec'],
  ])('%s', (_, options, code, words) => {
    const make = (): unknown => new SharedMap(options as SharedMapOptions);
    expect(make).toThrow(words);
    expect(thrownBy(make)).toBe(code);
  });

  const KEYS: readonly (readonly [string, string, string])[] = [
    ['an empty key', '', '1 to 255 bytes'],
    ['a long key', `/in/${'é'.repeat(126)}`, '1 to 255 bytes'],
    ['NUL', '/in/\0', 'NUL'],
    ['another subtree', '/out', 'must begin with /in/'],
  ];

  it.each(KEYS)('%s', async (_, key, words) => {
    const map = mapOf([await nodeOf()], { subtree: '/in/' });
    await expect(map.set(key, 'x')).rejects.toThrow(words);
    await expect(map.delete(key)).rejects.toThrow(words);
    expect(await failureOf(map.set(key, 'x'))).toBe('ERR_MDP_OPTION');
  });

  it('reserved keys, empty values, times to live out of range', async () => {
    const map = mapOf([await nodeOf()]);
    for (const key of ['HUGZ', 'KTHXBAI', 'ICANHAZ?', '/mmi/x']) {
      expect(await failureOf(map.set(key, 'x'))).toBe('ERR_MDP_OPTION');
    }
    await expect(map.set('/a', '')).rejects.toThrow('delete() removes a key');
    expect(await failureOf(map.set('/a', ''))).toBe('ERR_MDP_BODY');
    expect(await failureOf(map.set('/a', wrong(5)))).toBe('ERR_MDP_BODY');
    expect(await failureOf(map.set('/a', wrong(['x'])))).toBe('ERR_MDP_BODY');
    for (const ttlMs of [0, -1, 1.5, 2_147_483_647_001]) {
      expect(await failureOf(map.set('/a', 'x', { ttlMs }))).toBe('ERR_MDP_OPTION');
    }
    const unknown = { ttlMs: 5 } as object;
    expect(await failureOf(map.delete('/a', unknown))).toBe('ERR_MDP_OPTION');
    await map.set('/a', 'x', { ttlMs: 2_147_483_647_000 });
  });
});

describe('a shared map ends', () => {
  it('when it is closed: what waits is rejected, loops end, it can still be read', async () => {
    const node = await nodeOf();
    const map = mapOf([node]);
    await map.set('/a', '1');
    node.isStuck = true;
    const changes = map.changes();
    const setting = failureOf(map.set('/b', '1'));
    const next = changes.next();
    await map.close();
    await map.close();
    expect(await setting).toBe('ERR_MDP_CLOSED');
    expect(await next).toEqual({ done: true, value: undefined });
    expect(await map.changes().next()).toEqual({ done: true, value: undefined });
    expect(await failureOf(map.set('/b', '1'))).toBe('ERR_MDP_CLOSED');
    expect(await failureOf(map.synced)).toBe('ERR_MDP_CLOSED');
    expect(contentOf(map)).toEqual({ '/a': '1' });
  });

  it('by a signal; one of a change ends only its wait', async () => {
    const node = await nodeOf();
    const all = new AbortController();
    const map = mapOf([node], { signal: all.signal });
    await map.synced;
    node.isStuck = true;
    const one = new AbortController();
    const setting = failureOf(map.set('/a', '1', { signal: one.signal }));
    one.abort();
    expect(await setting).toBe('ERR_MDP_ABORTED');
    expect(await failureOf(map.set('/a', '1', { signal: one.signal }))).toBe('ERR_MDP_ABORTED');
    expect(map.isSynced).toBe(true);
    const next = map.changes().next();
    all.abort();
    expect(await failureOf(next)).toBe('ERR_MDP_ABORTED');
    expect(await failureOf(map.synced)).toBe('ERR_MDP_ABORTED');
    expect(() => map.get('/a')).toThrow('aborted');
    expect(await failureOf(mapOf([node], { signal: all.signal }).synced)).toBe('ERR_MDP_ABORTED');
  });

  it('when it is larger than it may be', async () => {
    const node = await nodeOf();
    await mapOf([node]).set('/a', 'x'.repeat(5000));
    const map = mapOf([node], { maxBytes: 4000 });
    const error: unknown = await map.synced.catch((reason: unknown) => reason);
    expect([codeOf(error), detailsOf(error)]).toEqual(['ERR_MAP_LIMIT', { maxBytes: 4000 }]);
    expect(() => map.get('/a')).toThrow('maxBytes');
    await expect(map.changes().next()).rejects.toThrow('maxBytes');
  });
});

describe('a shared map over CURVE', () => {
  it('is encrypted; a key that is not admitted ends it', async () => {
    const sodium = await loadSodium();
    const [server, client, stranger] = [0, 1, 2].map(() => {
      const secretKey = randomBytes(32);
      return { secretKey, publicKey: sodium.publicKeyOf(secretKey) };
    });
    if (server === undefined || client === undefined || stranger === undefined) return;
    const node = await nodeOf({
      curve: {
        secretKeys: [server.secretKey],
        authorise: (key) =>
          Buffer.from(key).equals(client.publicKey)
            ? { kind: 'allowed', name: 'client' }
            : { kind: 'refused' },
      },
    });
    const serverKey = encodeZ85(server.publicKey);
    const map = mapOf([node], { curve: { serverKey, ...client } });
    await map.set('/a', '1');
    expect(contentOf(map)).toEqual({ '/a': '1' });
    const refused = mapOf([node], { curve: { serverKey, ...stranger } });
    expect(await failureOf(refused.synced)).toBe('ERR_MDP_KEY_REFUSED');
  });
});
