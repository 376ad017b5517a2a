import { Frames } from '../../../src/core/frames.js';
import { Holdings } from '../../../src/core/holdings.js';
import { GlobSet } from '../../../src/core/glob.js';
import { MapHost } from '../../../src/extensions/map/host.js';
import { Stage, uuidText } from './stage.js';

/** Bytes of a change with a key and a value of one byte that waits. */
const WAITS = 258;

function passive(): Stage {
  const stage = new Stage();
  stage.load();
  return stage;
}

describe('memory of changes that wait', () => {
  it('belongs to their writers until a batch takes them (D70, D77)', () => {
    const stage = Stage.serving();
    stage.put('a', '0');
    stage.set('x', '1', { writer: 'o' });
    stage.turn();
    for (const key of ['a', 'b']) stage.set(key, '1', { writer: 'v' });
    stage.set('c', '1', { writer: 'w' });
    expect(Object.fromEntries(stage.held)).toEqual({ v: 2 * WAITS, w: WAITS });
    stage.commit();
    expect(stage.held.size).toBe(0);
  });

  it('and until the node stops serving, or replication refuses', () => {
    const stage = Stage.serving();
    stage.set('a', '1');
    stage.machine.deactivate(stage.now);
    expect(stage.held.size).toBe(0);
    stage.activate(2);
    stage.set('a', '1');
    stage.refusal = 'the peer is not in sync';
    stage.turn();
    expect(stage.held.size).toBe(0);
  });

  it('at a node that does not serve, until they are struck out, too old, or taken (D53)', () => {
    const stage = passive();
    stage.set('a', '1', { uuid: 'u', writer: 'v' });
    stage.set('b', '1', { uuid: 'v', writer: 'w' });
    expect(Object.fromEntries(stage.held)).toEqual({ v: WAITS, w: WAITS });
    const change = { key: 'a', value: '1', uuid: 'u'.repeat(16), properties: '', ttlS: 0 };
    stage.machine.followed([{ ...change, epoch: 1, counter: 1 }]);
    expect(Object.fromEntries(stage.held)).toEqual({ w: WAITS });
    stage.turn(10_000);
    expect(stage.held.size).toBe(0);
    stage.set('b', '2', { uuid: 'w', writer: 'w' });
    stage.activate(2);
    expect(stage.held.size).toBe(0);
  });

  it('a writer that may hold no more is refused, others are not; deletions are taken', () => {
    const stage = Stage.serving();
    stage.heldMax = WAITS;
    for (const key of ['a', 'b']) stage.set(key, '1', { writer: 'v' });
    stage.set('c', '1', { writer: 'w' });
    stage.set('d', '', { writer: 'v' });
    stage.commit();
    expect(stage.news()).toEqual(['1.1 a=1', '1.2 c=1', '1.3 d=']);
    expect(stage.events.at(-1)).toEqual({ name: 'map.refused', reason: 'waiting' });
  });
});

describe('a node counts what waits for the map', () => {
  it('as memory of the writer, also when that is gone (D70, D77)', () => {
    const holdings = new Holdings();
    const host = new MapHost({
      bytesMax: 1_000_000,
      rightsOf: () => ({ client: GlobSet.all, worker: GlobSet.all }),
      holdings,
      replica: { refusal: null, commit: () => false },
      store: { listMap: () => undefined },
      events: { emit: () => undefined },
      wake: () => undefined,
      now: () => 0,
    });
    const writer = { identity: 'ip:10.0.0.1', key: null, address: '10.0.0.1' };
    host.writers.message(1, Frames.of('a', '', 'u'.repeat(16), '', '1'), writer);
    host.run(0);
    expect(storedOf(holdings)).toEqual({ map: 0, 'ip:10.0.0.1': WAITS });
    host.run(10_000);
    expect(storedOf(holdings)).toEqual({ map: 0 });
  });
});

describe('a node counts the records of the map', () => {
  it('with the memory that each takes, which is more than it counts towards limits.mapBytes (D57, D77)', () => {
    const holdings = new Holdings();
    const made = { epoch: 1, uuid: '', properties: '', value: 'v', ttlS: 0 };
    const records = ['a', 'b', 'c'].map((key, at) => ({ ...made, key, counter: at + 1 }));
    const host = new MapHost({
      bytesMax: 1_000_000,
      rightsOf: () => ({ client: GlobSet.all, worker: GlobSet.all }),
      holdings,
      replica: { refusal: null, commit: () => false },
      store: {
        listMap: (after, { done }) => done(after === '' ? records : []),
      },
      events: { emit: () => undefined },
      wake: () => undefined,
      now: () => 0,
    });
    host.machine.open();
    host.run(0);
    expect([host.bytes, storedOf(holdings)]).toEqual([3 * 130, { map: 3 * (130 + 64) }]);
    const deletion = { ...made, key: 'a', counter: 4, uuid: uuidText('x1'), value: '' };
    host.machine.followed([deletion]);
    host.run(0);
    // And how far the writer of one that is gone had come (D121).
    expect(storedOf(holdings)).toEqual({ map: 2 * (130 + 64) + 256 + 8 });
  });
});

function storedOf(holdings: Holdings): object {
  return Object.fromEntries(
    [...holdings.accounts.values()].map(({ identity, stored }) => [identity, stored]),
  );
}

describe('a right to write that is withdrawn (D73)', () => {
  function withdraw(stage: Stage): void {
    stage.forbidden = '/a/';
    stage.machine.rightsChanged('alice');
  }

  function setBoth(stage: Stage): void {
    stage.set('/a/1', '1', { uuid: 'u', writer: 'key:alice' });
    stage.set('/b/1', '1', { uuid: 'v', writer: 'key:alice' });
  }

  it('drops changes that wait for the store', () => {
    const stage = Stage.serving();
    stage.set('x', '1');
    stage.turn();
    setBoth(stage);
    stage.set('/a/2', '1', { writer: 'key:bob' });
    withdraw(stage);
    stage.commit();
    expect(stage.news()).toEqual(['1.1 x=1', '1.2 /b/1=1 v', '1.3 /a/2=1']);
    const denied = { name: 'map.denied', wanted: 'write', record: '/a/1', key: 'alice' };
    expect(stage.events.at(-1)).toMatchObject(denied);
    expect(stage.machine.counters.updates.refused).toBe(1);
    expect(stage.held.size).toBe(0);
  });

  it('drops those that a node which does not serve keeps, so that it never applies them (D53)', () => {
    const stage = passive();
    setBoth(stage);
    withdraw(stage);
    expect(stage.machine.gauges.pending).toBe(1);
    stage.activate(2);
    stage.commit();
    expect(stage.news()).toEqual(['2.1 /b/1=1 v']);
  });

  it('drops those that it took over and has not tried; it then answers', () => {
    const stage = passive();
    stage.set('/a/1', '1', { uuid: 'u', writer: 'key:alice' });
    stage.machine.activate(2, stage.now);
    withdraw(stage);
    stage.ask(1);
    stage.turn();
    expect(stage.batches).toEqual([]);
    expect(stage.news()).toEqual(['1 KTHXBAI 2.0']);
  });
});
