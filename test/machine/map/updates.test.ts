import { Stage } from './stage.js';

describe('a KVSET', () => {
  it('is numbered, committed, and then published (D50)', () => {
    const stage = Stage.serving();
    stage.set('a', '1', { uuid: 'u' });
    stage.set('b', '2');
    stage.turn();
    stage.set('c', '3');
    stage.turn();
    expect(stage.batches.map(({ changes }) => changes.length)).toEqual([2]);
    expect(stage.news()).toEqual([]);
    expect(stage.wholeMap()).toEqual({ map: {}, number: '1.0' });
    stage.commitOne();
    expect(stage.news()).toEqual(['1.1 a=1 u', '1.2 b=2']);
    stage.commit();
    expect(stage.news()).toEqual(['1.3 c=3']);
    expect(stage.wholeMap()).toEqual({ map: { a: '1', b: '2', c: '3' }, number: '1.3' });
    expect(stage.machine.counters.updates).toMatchObject({ applied: 3, refused: 0 });
  });

  it('waits for the peer, if replication says so (D50)', () => {
    const stage = Stage.serving();
    stage.isPaired = true;
    stage.set('a', '1', { uuid: 'u' });
    stage.turn();
    const outcome = stage.commitOne();
    expect(stage.news()).toEqual([]);
    outcome.released(false);
    expect(stage.news()).toEqual(['1.1 a=1 u']);
    stage.set('b', '1', { uuid: 'v' });
    stage.turn();
    stage.batches[0]?.outcome.released(false);
    expect(stage.news()).toEqual([]);
    stage.commitOne();
    expect(stage.news()).toEqual(['1.2 b=1 v']);
  });

  it('that the lost peer may not have is published without its uuid (D14, strict)', () => {
    const stage = Stage.serving();
    stage.isPaired = true;
    stage.set('a', '1', { uuid: 'u' });
    stage.turn();
    stage.commitOne().released(true);
    expect(stage.news()).toEqual(['1.1 a=1']);
    stage.refusal = 'strict';
    stage.set('a', '1', { uuid: 'u' });
    stage.commit();
    expect(stage.news()).toEqual([]);
    expect(stage.events).toContainEqual({ name: 'map.refused', reason: 'replication' });
    stage.refusal = null;
    stage.isPaired = false;
    stage.put('a', '1', { uuid: 'u' });
    expect(stage.news()).toEqual(['1.2 a=1 u']);
  });

  it('with a uuid of the last ten seconds is not applied again (D50)', () => {
    const stage = Stage.serving();
    stage.put('a', '1', { uuid: 'u' });
    stage.put('a', '2', { uuid: 'v' });
    stage.news();
    stage.turn(9_999);
    stage.put('a', '1', { uuid: 'u' });
    expect(stage.news()).toEqual([]);
    expect(stage.machine.counters.repeated).toBe(1);
    stage.turn(1);
    stage.put('a', '1', { uuid: 'u' });
    expect(stage.news()).toEqual(['1.3 a=1 u']);
  });

  it('with the uuid of the key’s last change is published again, under a new number (D50)', () => {
    const stage = Stage.serving();
    stage.put('a', '1', { uuid: 'u', properties: 'x=y\n' });
    stage.turn(60_000);
    stage.news();
    // Whatever it says now.
    stage.put('a', '9', { uuid: 'u' });
    expect(stage.news()).toEqual(['1.2 a=1 u x=y']);
    expect(stage.batches).toEqual([]);
    expect(stage.wholeMap()).toEqual({ map: { a: '1' }, number: '1.2' });
    stage.put('a', '', { uuid: 'd' });
    stage.put('a', '', { uuid: 'd' });
    expect(stage.news()).toEqual(['1.3 a= d', '1.4 a= d']);
    expect(stage.machine.counters).toMatchObject({ repeated: 2, updates: { deleted: 1 } });
    stage.put('a', '2', { uuid: 'e' });
    stage.put('a', '', { uuid: 'd' });
    expect(stage.news()).toEqual(['1.5 a=2 e']);
  });

  it('that was the key’s last is known for ten seconds after the next, also after a restart (D50)', () => {
    const first = Stage.serving();
    first.put('a', '1', { uuid: 'u' });
    const stage = Stage.serving({ tables: first.tables }, 2);
    stage.put('a', '1', { uuid: 'u' });
    stage.put('a', '2', { uuid: 'v' });
    stage.put('a', '1', { uuid: 'u' });
    expect(stage.news()).toEqual(['2.1 a=1 u', '2.2 a=2 v']);
    stage.turn(60_000);
    stage.put('a', '3', { uuid: 'w' });
    stage.put('a', '2', { uuid: 'v' });
    expect(stage.news()).toEqual(['2.3 a=3 w']);
  });

  it('that a restart brought is not applied over one that comes before it in its batch (D50)', () => {
    const first = Stage.serving();
    first.put('a', '1', { uuid: 'u' });
    const stage = Stage.serving({ tables: first.tables }, 2);
    stage.set('a', '2', { uuid: 'v' });
    stage.put('a', '1', { uuid: 'u' });
    expect(stage.news()).toEqual(['2.1 a=2 v']);
  });

  it('twice in one batch is judged by what comes before it (D50)', () => {
    const stage = Stage.serving();
    for (const [value, uuid] of [
      ['1', 'u'],
      ['1', 'u'],
      ['2', 'v'],
      ['1', 'u'],
      ['', 'd'],
    ] as const) {
      stage.set('a', value, { uuid });
    }
    stage.set('a', '', { uuid: 'e' });
    stage.set('a', '', { uuid: 'e' });
    stage.commit();
    expect(stage.news()).toEqual([
      '1.1 a=1 u',
      '1.2 a=1 u',
      '1.3 a=2 v',
      '1.4 a= d',
      '1.5 a= e',
      '1.6 a= e',
    ]);
    expect(stage.wholeMap()).toEqual({ map: {}, number: '1.6' });
  });

  it('with an empty value deletes; deleting an absent key is published too (D50)', () => {
    const stage = Stage.serving();
    stage.put('a', '1');
    expect(stage.wholeMap().map).toEqual({ a: '1' });
    stage.put('a', '');
    expect(stage.wholeMap().map).toEqual({});
    stage.put('a', '', { uuid: 'u', properties: 'why=not\n' });
    expect(stage.news()).toEqual(['1.1 a=1', '1.2 a=', '1.3 a= u why=not']);
    expect(stage.machine.gauges).toMatchObject({ keys: 0, bytes: 0 });
    expect(stage.tables.rows).toEqual([]);
  });

  it('that deletes leaves a tombstone without properties, if the pair needs one (D54)', () => {
    const stage = Stage.serving();
    stage.tombstones = 'all';
    stage.put('a', '', { uuid: 'u', properties: 'ttl=5\n' });
    expect(stage.tables.rows).toMatchObject([
      { record: { key: 'a', uuid: 'u'.repeat(16), properties: '', value: '', ttlS: 0 } },
    ]);
  });

  it('with the same value and properties only renews: published, not written (D50)', () => {
    const stage = Stage.serving();
    stage.put('a', '1', { uuid: 'u', ttl: 5 });
    stage.pass(4_000);
    stage.news();
    stage.set('a', '1', { uuid: 'v', ttl: 5 });
    stage.turn();
    expect(stage.batches).toEqual([]);
    expect(stage.news()).toEqual(['1.2 a=1 v ttl=5']);
    expect(stage.tables.rows).toMatchObject([{ record: { counter: 1 } }]);
    expect(stage.wholeMap().number).toBe('1.2');
    stage.pass(4_999);
    expect(stage.news()).toEqual([]);
    stage.turn(1);
    stage.commit();
    expect(stage.news()).toEqual(['1.3 a=']);
    // Other properties are another content.
    stage.put('b', '1', { ttl: 5 });
    stage.put('b', '1', { ttl: 6 });
    expect(stage.tables.rows).toMatchObject([{ record: { key: 'b', counter: 5 } }]);
  });

  it('of one key stays in order, and large values are kept whole', () => {
    const stage = Stage.serving();
    const large = Buffer.alloc(5000, 'l');
    stage.put('a', large);
    large.fill('x');
    stage.put('b', Buffer.alloc(512, 's'));
    const { map } = stage.wholeMap();
    expect(map).toEqual({ a: 'l'.repeat(5000), b: 's'.repeat(512) });
    stage.news();
    stage.set('a', Buffer.alloc(5000, 'l'));
    stage.turn();
    expect(stage.batches).toEqual([]);
  });
});

describe('numbers', () => {
  it('begin with the epoch, and rise over restarts (D48)', () => {
    const stage = Stage.serving({}, 7);
    stage.put('a', '1');
    const next = Stage.serving({ tables: stage.tables }, 8);
    expect(next.wholeMap()).toEqual({ map: { a: '1' }, number: '7.1' });
    next.put('a', '2');
    expect(next.news()).toEqual(['8.1 a=2']);
    // An epoch that is not above what the store has: they rise all the same.
    const third = Stage.serving({ tables: stage.tables }, 2);
    third.put('a', '3');
    expect(third.news()).toEqual(['8.2 a=3']);
  });

  it('of a batch that failed are not given again (D48)', () => {
    const stage = Stage.serving();
    stage.set('a', '1');
    stage.turn();
    stage.fail();
    stage.turn(1000);
    stage.put('a', '2');
    expect(stage.news()).toEqual(['1.2 a=2']);
  });
});

describe('ephemeral keys', () => {
  it('expire when their time to live is over, and tell so without uuid (D51)', () => {
    const stage = Stage.serving();
    stage.set('a', '1', { uuid: 'u', ttl: 3 });
    stage.set('b', '1', { uuid: 'v', ttl: 1 });
    stage.set('c', '1', { ttl: 0 });
    stage.commit();
    stage.news();
    expect(stage.machine.dueAt).toBeLessThanOrEqual(stage.now + 1000);
    stage.turn(999);
    expect(stage.batches).toEqual([]);
    stage.turn(1);
    stage.commit();
    expect(stage.news()).toEqual(['1.4 b=']);
    stage.turn(1900);
    stage.turn(100);
    stage.commit();
    expect(stage.news()).toEqual(['1.5 a=']);
    stage.turn(1900);
    expect(stage.wholeMap().map).toEqual({ c: '1' });
    expect(stage.machine.counters.updates).toMatchObject({ expired: 2, deleted: 0 });
    expect(stage.tables.rows).toHaveLength(1);
  });

  it('a KVSET without ttl makes a key stay, another ttl moves its end (D51)', () => {
    const stage = Stage.serving();
    stage.put('a', '1', { ttl: 1 });
    stage.put('a', '2');
    stage.put('b', '1', { ttl: 1 });
    stage.put('b', '2', { ttl: 3 });
    stage.news();
    stage.pass(2000);
    expect(stage.batches).toEqual([]);
    stage.turn(1000);
    stage.commit();
    expect(stage.news()).toEqual(['1.5 b=']);
  });

  it('the end of a deleted key is forgotten, whatever is in its place (D51)', () => {
    const stage = Stage.serving();
    stage.put('a', '1', { ttl: 1 });
    stage.put('a', '');
    stage.machine.services.set(Buffer.from('echo'), true);
    stage.turn();
    stage.pass(3000);
    stage.commit();
    expect(stage.wholeMap().map).toEqual({ '/mmi/service/echo': '200' });
  });

  it('a renewal that waits for the store comes before the end (D51)', () => {
    const stage = Stage.serving();
    stage.put('a', '1', { ttl: 1 });
    stage.set('x', '1');
    stage.turn(900);
    stage.set('a', '1', { ttl: 1 });
    stage.turn(200);
    stage.news();
    stage.commit();
    expect(stage.news()).toEqual(['1.2 x=1', '1.3 a=1 ttl=1']);
    stage.turn(900);
    expect(stage.batches).toEqual([]);
    stage.turn(200);
    stage.commit();
    expect(stage.news()).toEqual(['1.4 a=']);
  });

  it('a renewal that waits for a later batch, too (D51)', () => {
    const stage = Stage.serving();
    stage.put('a', '1', { ttl: 1 });
    stage.put('b', '1', { ttl: 1 });
    stage.set('x', '1');
    stage.turn();
    for (let n = 0; n < 2000; n++) stage.set(`k${n}`, '1');
    stage.set('a', '1', { ttl: 1 });
    stage.turn(1100);
    stage.news();
    stage.commit();
    const told = stage.news().filter((line) => / [ab]=/.test(line));
    expect(told).toEqual(['1.1028 b=', '1.2005 a=1 ttl=1']);
    stage.turn(1100);
    stage.commit();
    expect(stage.news()).toEqual(['1.2006 a=']);
  });

  it('being published again does not make a key live longer, nor for ever (D50, D51)', () => {
    const stage = Stage.serving();
    stage.put('a', '1', { uuid: 'u', ttl: 2 });
    stage.turn(1900);
    stage.put('a', '1', { uuid: 'u', ttl: 2 });
    stage.news();
    // In the same batch.
    stage.now += 100;
    stage.set('a', '1', { uuid: 'u', ttl: 2 });
    stage.turn();
    stage.turn(1000);
    stage.commit();
    expect(stage.news()).toEqual(['1.3 a=1 u ttl=2', '1.4 a=']);
  });

  it('start anew after a restart: longer by that, never shorter (D51)', () => {
    const stage = Stage.serving();
    stage.put('a', '1', { ttl: 3 });
    stage.turn(2000);
    const next = new Stage({ tables: stage.tables });
    next.load();
    next.turn(60_000);
    next.activate(2);
    next.pass(2000);
    expect(next.batches).toEqual([]);
    next.turn(1000);
    next.commit();
    expect(next.news()).toEqual(['2.1 a=']);
  });

  it('a loop that stood still reads first what renews them (D51)', () => {
    const stage = Stage.serving();
    stage.put('a', '1', { ttl: 3 });
    stage.turn(30_000);
    stage.turn(999);
    expect(stage.batches).toEqual([]);
    stage.set('a', '1', { ttl: 3 });
    stage.turn(1);
    stage.turn(1000);
    expect(stage.batches).toEqual([]);
  });

  it('expire some at a time, and changes go on meanwhile', () => {
    const stage = Stage.serving({ bytesMax: 10_000_000 });
    for (let key = 0; key < 2000; key++) stage.set(`k${key}`, '1', { ttl: 1 });
    stage.commit();
    stage.now += 1500;
    stage.set('x', '1');
    stage.turn();
    expect(stage.batches.map(({ changes }) => changes.length)).toEqual([513]);
    stage.commit();
    expect(stage.machine.gauges.keys).toBe(1);
  });
});
