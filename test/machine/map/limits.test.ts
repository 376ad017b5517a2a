import { MapRows } from '../../support/map-rows.js';
import { Stage } from './stage.js';

const RECORD_BYTES = 128;

const refusalsOf = (stage: Stage): string[] =>
  stage.events.flatMap((event) => (event.name === 'map.refused' ? [event.reason] : []));

describe('limits', () => {
  it('drop new and growing values over mapBytes; others go through (D57)', () => {
    const stage = Stage.serving({ bytesMax: 2 * (RECORD_BYTES + 1 + 10) });
    stage.put('a', 'v'.repeat(10));
    stage.put('b', 'v'.repeat(6), { properties: 'x=y\n' });
    expect(stage.machine.gauges.bytes).toBe(2 * (RECORD_BYTES + 1 + 10));
    stage.news();
    stage.put('c', '');
    stage.put('c', '1');
    stage.put('a', 'v'.repeat(11));
    stage.put('a', 'w'.repeat(10));
    stage.put('a', 'w'.repeat(8));
    // Growing within the limit, and one too much in the same batch.
    stage.set('b', 'v'.repeat(8), { properties: 'x=y\n' });
    stage.set('a', 'w'.repeat(9));
    stage.commit();
    stage.put('a', '');
    stage.put('c', '1');
    const values = stage.news().map((line) => line.split(' ')[1]);
    const [w10, w8, v8] = ['w'.repeat(10), 'w'.repeat(8), 'v'.repeat(8)];
    expect(values).toEqual(['c=', `a=${w10}`, `a=${w8}`, `b=${v8}`, 'a=', 'c=1']);
    expect(refusalsOf(stage)).toEqual(['limit', 'limit', 'limit']);
    expect(stage.machine.counters.updates.refused).toBe(3);
    stage.machine.setBytesMax(RECORD_BYTES);
    stage.put('c', '12');
    expect(refusalsOf(stage)).toHaveLength(4);
  });

  it('count deletions that are kept for the peer, and drop those of unknown keys (D57)', () => {
    const stage = Stage.serving({ bytesMax: 3 * (RECORD_BYTES + 1) });
    stage.tombstones = 'all';
    for (const key of ['a', 'b', 'c', 'd', 'e']) stage.put(key, '');
    expect(stage.machine.gauges).toMatchObject({
      keys: 0,
      bytes: 0,
      tombstoneBytes: 3 * (RECORD_BYTES + 1),
    });
    stage.put('f', '1');
    expect(refusalsOf(stage)).toEqual(['limit', 'limit', 'limit']);
    stage.tables.dropTombstones(Number.MAX_SAFE_INTEGER);
    stage.machine.tombstoneBytesChanged(stage.tables.tombstoneBytes);
    stage.put('f', '1');
    stage.put('f', '');
    stage.put('g', '');
    expect(stage.machine.counters.updates).toMatchObject({ applied: 1, deleted: 5, refused: 3 });
  });

  it('on a full disk drop what grows, try the rest at once, and heal by themselves (D57)', () => {
    const stage = Stage.serving();
    stage.put('a', '1');
    stage.put('b', '1');
    stage.news();
    stage.set('c', '1', { uuid: 'u' });
    stage.set('a', '');
    stage.set('b', '2');
    stage.turn();
    stage.fail();
    expect(stage.machine.trouble).toMatchObject({ kind: 'full' });
    stage.turn();
    expect(stage.batches.map(({ changes }) => changes.length)).toEqual([2]);
    stage.commitOne();
    expect(stage.news()).toEqual(['1.6 a=', '1.7 b=2']);
    stage.put('d', '1');
    stage.put('b', '');
    expect(stage.news()).toEqual(['1.8 b=']);
    expect(refusalsOf(stage)).toEqual(['store', 'store']);
    stage.turn(1000);
    stage.put('c', '1', { uuid: 'u' });
    expect(stage.news()).toEqual(['1.9 c=1 u']);
    expect(stage.machine.trouble).toBeNull();
    const names = stage.events.map(({ name }) => name);
    expect(names.filter((name) => name !== 'map.refused')).toEqual([
      'map.loaded',
      'map.failed',
      'map.healed',
    ]);
  });

  it('on a disk that takes nothing try again once a second, and say it once (D57)', () => {
    const stage = Stage.serving();
    stage.put('a', '1', { ttl: 2 });
    stage.set('a', '', { uuid: 'd' });
    stage.turn();
    let tries = 0;
    for (let at = 0; at < 50; at++) {
      if (stage.batches.length > 0) {
        tries++;
        stage.fail();
      }
      stage.turn(100);
    }
    expect(tries).toBeGreaterThan(2);
    expect(tries).toBeLessThan(8);
    expect(stage.events.filter(({ name }) => name === 'map.failed')).toHaveLength(1);
    stage.news();
    stage.turn(1000);
    stage.commit();
    expect(stage.wholeMap().map).toEqual({});
    expect(stage.machine.counters.updates).toMatchObject({ deleted: 1, expired: 0 });
  });

  it('an expiry that fails is tried again', () => {
    const stage = Stage.serving();
    stage.put('a', '1', { ttl: 1 });
    stage.turn(1000);
    stage.fail();
    stage.news();
    stage.turn(999);
    expect(stage.batches).toEqual([]);
    stage.turn(1);
    stage.commit();
    expect(stage.news()).toEqual(['1.3 a=']);
  });

  it('after a fatal failure nothing is given to the store', () => {
    const stage = Stage.serving();
    stage.set('a', '1');
    stage.turn();
    stage.fail({ kind: 'fatal', message: 'gone' });
    stage.pass(60_000);
    stage.set('b', '');
    stage.turn();
    expect(stage.batches).toEqual([]);
  });

  it('of the numbers of an epoch: what comes after the last one is dropped (D48)', () => {
    const tables = new MapRows();
    const last = { key: 'a', epoch: 1, counter: 2 ** 40 - 8193, uuid: '', properties: '', ttlS: 0 };
    tables.change({ number: 1, tombstones: 'none', holds: null, peerHolds: 0 }, [
      { ...last, value: '1' },
    ]);
    const stage = new Stage({ tables });
    stage.load();
    stage.activate(1);
    stage.put('b', '1');
    expect(stage.news()).toEqual([`1.${2 ** 40 - 8192} b=1`]);
    stage.put('b', '2');
    expect(stage.news()).toEqual([]);
    expect(refusalsOf(stage)).toEqual(['numbers']);
  });

  it('of what waits for the store: bounded, and one identity leaves room for others (D75)', () => {
    const stage = Stage.serving();
    stage.set('first', '1');
    stage.turn();
    for (let count = 0; count < 100_000; count++) stage.set('a', '', { writer: 'greedy' });
    expect(new Set(refusalsOf(stage))).toEqual(new Set(['waiting']));
    expect(refusalsOf(stage)).toHaveLength(12_500);
    stage.set('b', '1', { writer: 'other' });
    expect(refusalsOf(stage)).toHaveLength(12_500);
    stage.commitOne();
    stage.turn();
    // Writers take turns: the other one's is in the next batch, as the second.
    expect(stage.batches[0]?.changes[1]?.key).toBe('b');
  });

  it('writers need a right; refused is counted (D72)', () => {
    const stage = Stage.serving();
    stage.put('/secret/a', '1');
    expect(stage.news()).toEqual([]);
    expect(refusalsOf(stage)).toEqual([]);
    expect(stage.events.at(-1)).toMatchObject({
      name: 'map.denied',
      wanted: 'write',
      record: '/secret/a',
    });
    expect(stage.machine.counters.updates.refused).toBe(1);
  });

  it.each<[string, readonly (string | Buffer)[]]>([
    ['too few frames', ['a', '', '', '']],
    ['too many frames', ['a', '', '', '', '1', '']],
    ['an empty key', ['', '', '', '', '1']],
    ['a key of 256 bytes', ['k'.repeat(256), '', '', '', '1']],
    ['a key with NUL', ['a\0', '', '', '', '1']],
    ['HUGZ', ['HUGZ', '', '', '', '1']],
    ['KTHXBAI', ['KTHXBAI', '', '', '', '1']],
    ['ICANHAZ?', ['ICANHAZ?', '', '', '', '1']],
    ['ttl=-1', ['a', '', '', 'ttl=-1\n', '1']],
    ['ttl=1x', ['a', '', '', 'ttl=1x\n', '1']],
    ['ttl=', ['a', '', '', 'ttl=\n', '1']],
    ['ttl=2147483648', ['a', '', '', 'ttl=2147483648\n', '1']],
    ['a property without =', ['a', '', '', 'x\n', '1']],
    ['a property without newline', ['a', '', '', 'ttl=1', '1']],
    ['properties of 4097 bytes', ['a', '', '', `${'x'.repeat(4095)}=\n`, '1']],
    ['a uuid of 15 bytes', ['a', '', 'u'.repeat(15), '', '1']],
  ])('drop %s, and count it (D47)', (_, frames) => {
    const stage = Stage.serving();
    stage.kvset(frames);
    stage.commit();
    expect(stage.news()).toEqual([]);
    expect(stage.machine.counters).toMatchObject({ malformed: 1, updates: { refused: 0 } });
    expect(stage.events.at(-1)).toMatchObject({ name: 'map.malformed', address: '127.0.0.1' });
  });

  it('take what is at their edge (D47, D51)', () => {
    const stage = Stage.serving();
    const key = 'k'.repeat(255);
    const properties = `${'x'.repeat(4094)}=\n`;
    stage.kvset([key, 'any number', 'u'.repeat(16), properties, '1']);
    stage.kvset(['b', '', '', 'ttl=2147483647\n', '1']);
    stage.commit();
    expect(stage.news()).toEqual([`1.1 ${key}=1 u ${properties.trim()}`, '1.2 b=1 ttl=2147483647']);
  });
});
