/** D121: changes of one writer to one key never go back, however late a copy of one comes. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import type { MapRecord } from '../../../src/extensions/map/machine/record.js';
import { Stage, uuidText } from './stage.js';

const ALL = { tombstones: 'all', holds: null, peerHolds: 0 } as const;

/** Longer than nodes know uuids. */
const LATE_MS = 11_000;

function record(key: string, value: string, number: [number, number], uuid: string): MapRecord {
  const [epoch, counter] = number;
  return { key, value, epoch, counter, uuid: uuidText(uuid), properties: '', ttlS: 0 };
}

/** A node that follows, with its records loaded. */
function passive(): Stage {
  const stage = new Stage();
  stage.load();
  return stage;
}

/** Changes of the active node are committed here. */
function follow(stage: Stage, ...changes: MapRecord[]): void {
  stage.tables.change({ number: stage.takeNumber(), ...ALL }, changes);
  stage.machine.followed(changes);
}

/** Records of the other node are merged here, as its disk has them. */
function merge(stage: Stage, ...records: MapRecord[]): void {
  stage.machine.merged(stage.tables.merge({ number: stage.takeNumber(), ...ALL }, records, 0));
}

/** Copies of a writer's changes 1 to `last` of a key, each with its number as the value. */
function copies(stage: Stage, key: string, writer: string, last: number): void {
  for (let number = 1; number <= last; number++) {
    stage.put(key, `${number}`, { uuid: `${writer}${number}` });
  }
}

describe('copies of a writer’s changes that come late (D121)', () => {
  it('after a merge: the last change stays, and is published again if it comes again', () => {
    const stage = Stage.serving({}, 5);
    merge(stage, record('a', '15', [4, 15], 'x15'));
    stage.commit();
    expect(stage.news()).toEqual(['5.1 a=15 x15']);
    copies(stage, 'a', 'x', 15);
    expect(stage.news()).toEqual(['5.2 a=15 x15']);
    expect(stage.machine.counters.repeated).toBe(15);
    copies(stage, 'a', 'x', 14);
    expect(stage.wholeMap().map).toEqual({ a: '15' });
  });

  it('before the merge: the last change stays, and those that came are no reason to lose it', () => {
    const stage = Stage.serving({}, 5);
    copies(stage, 'a', 'x', 9);
    merge(stage, record('a', '15', [4, 15], 'x15'));
    stage.commit();
    expect(stage.wholeMap().map).toEqual({ a: '15' });
    // What the other node gets for its own is a new change, with a number above all.
    expect(stage.news().at(-1)).toBe('5.10 a=15 x15');
    expect(stage.tables.rows).toMatchObject([{ record: { value: '15', epoch: 5, counter: 10 } }]);
    for (const late of [10, 14]) stage.put('a', `${late}`, { uuid: `x${late}` });
    expect(stage.wholeMap().map).toEqual({ a: '15' });
  });

  it('a merge with a higher epoch does not undo a later change of the same writer, nor a deletion', () => {
    const stage = Stage.serving({}, 5);
    stage.put('a', '15', { uuid: 'x15' });
    stage.put('b', '15', { uuid: 'x16' });
    stage.put('b', '', { uuid: 'x17' });
    stage.put('c', '1', { uuid: 'x18' });
    merge(stage, record('a', '9', [7, 1], 'x9'), record('c', '', [4, 9], 'x19'));
    stage.commit();
    expect(stage.wholeMap().map).toEqual({ a: '15' });
    merge(stage, record('a', 'ofY', [8, 1], 'y1'));
    stage.commit();
    stage.put('a', '15', { uuid: 'x15' });
    expect(stage.wholeMap().map).toEqual({ a: 'ofY' });
  });

  it('a merge with a higher epoch does not undo a key that its writer set again, after its deletion', () => {
    const stage = Stage.serving({}, 5);
    stage.tombstones = 'all';
    for (const [key, uuid] of [
      ['a', 'x18'],
      ['b', 'y5'],
    ] as const) {
      stage.put(key, '1', { uuid: 'x17' });
      stage.put(key, '', { uuid });
    }
    stage.news();
    merge(stage, record('a', '2', [4, 15], 'x19'), record('b', '2', [4, 16], 'x19'));
    stage.commit();
    expect(stage.news()).toEqual(['5.5 a=2 x19']);
    stage.pass(LATE_MS);
    stage.put('b', '2', { uuid: 'x19' });
    expect(stage.wholeMap().map).toEqual({ a: '2' });
  });

  it('a later change that lost in a merge is not undone if the node that is to make it again ends before that', () => {
    const stage = passive();
    follow(stage, record('a', '15', [4, 15], 'x15'));
    merge(
      stage,
      record('a', '14', [5, 1], 'x14'),
      record('b', '14', [5, 2], 'x16'),
      record('c', '', [5, 3], 'x18'),
    );
    merge(stage, record('b', '15', [4, 17], 'x17'), record('c', '15', [4, 19], 'x19'));
    // The node that serves has made this one again.
    follow(stage, record('b', '15', [5, 4], 'x17'));
    expect(stage.machine.gauges.pending).toBe(2);
    stage.activate(6);
    stage.commit();
    expect(stage.wholeMap().map).toEqual({ a: '15', b: '15', c: '15' });
    expect(stage.held.size).toBe(0);
  });

  it('of a change that lost against another writer’s in a merge is not made either', () => {
    const stage = Stage.serving({}, 5);
    stage.put('a', 'ofY', { uuid: 'y3' });
    merge(stage, record('a', '15', [4, 15], 'x15'));
    stage.pass(LATE_MS);
    copies(stage, 'a', 'x', 14);
    expect(stage.wholeMap().map).toEqual({ a: 'ofY' });
    stage.put('a', '16', { uuid: 'x16' });
    expect(stage.wholeMap().map).toEqual({ a: '16' });
  });

  it('at a takeover: what a node that follows has got meanwhile, and what it gets then', () => {
    const stage = passive();
    for (let number = 1; number <= 15; number++) {
      follow(stage, record('a', `${number}`, [1, number], `x${number}`));
      stage.turn(1000);
    }
    for (let number = 1; number <= 4; number++) stage.set('a', `${number}`, { uuid: `x${number}` });
    expect(stage.machine.gauges.pending).toBe(0);
    stage.activate(2);
    copies(stage, 'a', 'x', 14);
    expect(stage.wholeMap().map).toEqual({ a: '15' });
  });

  it('at a takeover: what came in another order than it was made is applied in its writer’s', () => {
    const stage = passive();
    stage.set('a', '16', { uuid: 'x16' });
    for (let number = 1; number <= 15; number++) {
      stage.set('a', `${number}`, { uuid: `x${number}` });
    }
    stage.activate(2);
    stage.commit();
    expect(stage.news()).toEqual(['2.1 a=16 x16']);
  });

  it('after a restart the record of a key still tells how far its writer had come', () => {
    const before = Stage.serving();
    before.put('a', '15', { uuid: 'x15' });
    const stage = Stage.serving({ tables: before.tables }, 2);
    copies(stage, 'a', 'x', 15);
    expect(stage.wholeMap().map).toEqual({ a: '15' });
  });

  it('of a deleted key do not bring it back, and it can be set again', () => {
    const stage = Stage.serving();
    copies(stage, 'a', 'x', 3);
    stage.put('a', '', { uuid: 'x4' });
    stage.pass(LATE_MS);
    copies(stage, 'a', 'x', 3);
    expect(stage.wholeMap().map).toEqual({});
    stage.news();
    // Its writer has missed the echo.
    stage.put('a', '', { uuid: 'x4' });
    expect(stage.news()).toEqual(['1.5 a= x4']);
    stage.put('a', 'again', { uuid: 'x5' });
    stage.pass(LATE_MS);
    copies(stage, 'a', 'x', 3);
    stage.put('a', '', { uuid: 'x4' });
    expect(stage.wholeMap().map).toEqual({ a: 'again' });
  });

  it('of a key whose deletion a merge brings do not bring it back, also if it was never here', () => {
    const stage = Stage.serving({}, 5);
    copies(stage, 'a', 'x', 3);
    merge(stage, record('a', '', [6, 16], 'x16'), record('b', '', [6, 17], 'x17'));
    stage.commit();
    stage.pass(LATE_MS);
    copies(stage, 'a', 'x', 15);
    copies(stage, 'b', 'x', 15);
    expect(stage.wholeMap().map).toEqual({});
  });

  it('of a key that has expired do not bring it back', () => {
    const stage = Stage.serving();
    stage.put('a', '1', { uuid: 'x1', ttl: 1 });
    stage.put('a', '1', { uuid: 'x2', ttl: 1 });
    stage.pass(LATE_MS);
    stage.commit();
    expect(stage.machine.counters.updates.expired).toBe(1);
    for (const uuid of ['x1', 'x2']) stage.put('a', '1', { uuid, ttl: 1 });
    expect(stage.wholeMap().map).toEqual({});
  });

  it('of a change that another writer’s has replaced are not made, in either order', () => {
    for (const last of ['x', 'y']) {
      const stage = Stage.serving();
      for (const writer of last === 'x' ? ['y', 'x'] : ['x', 'y']) {
        stage.put('a', writer, { uuid: `${writer}7` });
      }
      stage.pass(LATE_MS);
      for (const uuid of ['x6', 'y6', 'x7', 'y7', 'x6']) stage.put('a', uuid, { uuid });
      expect(stage.wholeMap().map).toEqual({ a: last });
    }
  });

  it('in the batch that replaces them are not made either', () => {
    const stage = Stage.serving();
    stage.put('a', '1', { uuid: 'x1' });
    stage.put('c', '1', { uuid: 'x2' });
    stage.pass(LATE_MS);
    for (const uuid of ['x5', 'y1', 'x4', 'x1']) stage.set('a', uuid, { uuid });
    stage.set('b', '', { uuid: 'x6' });
    stage.set('b', '3', { uuid: 'x3' });
    stage.set('c', 'y', { uuid: 'y2' });
    stage.set('c', '2', { uuid: 'x2' });
    stage.commit();
    expect(stage.wholeMap().map).toEqual({ a: 'y1', c: 'y' });
  });

  it('behind an earlier deletion, which is heard again, are not made either', () => {
    const stage = Stage.serving();
    for (const [uuid, value] of Object.entries({ x1: '1', x2: '', x3: '3', x4: '' })) {
      stage.put('a', value, { uuid });
    }
    stage.pass(LATE_MS);
    for (const [uuid, value] of Object.entries({ x2: '', x3: '3', x1: '1' })) {
      stage.set('a', value, { uuid });
    }
    stage.commit();
    expect(stage.wholeMap().map).toEqual({});
  });

  it('a renewal counts: one that another writer’s change came after is not made', () => {
    const active = Stage.serving();
    const stage = passive();
    active.put('a', '1', { uuid: 'x1' });
    for (const uuid of ['z1', 'x2']) active.put('a', '1', { uuid });
    active.set('a', '2', { uuid: 'y1' });
    active.turn();
    const told = active.batches[0]?.changes ?? [];
    active.commit();
    follow(stage, record('a', '1', [1, 1], 'x1'));
    follow(stage, ...told);
    for (const each of [active, stage]) {
      each.pass(LATE_MS);
      if (each === stage) stage.activate(2);
      for (const uuid of ['x1', 'z1', 'x2']) each.put('a', '1', { uuid });
      expect(each.wholeMap().map).toEqual({ a: '2' });
    }
  });
});

describe('a change that was never made (D121)', () => {
  it('is made when it is sent again, whatever its writer has changed since under other keys', () => {
    const stage = passive();
    follow(stage, record('a', '9', [1, 1], 'x9'), record('c', 'ofY', [1, 2], 'y1'));
    follow(stage, record('d', '', [1, 3], 'x10'));
    stage.activate(2);
    // Re-sent after the takeover: the other node had refused, or never got them.
    for (const [key, uuid] of [
      ['b', 'x7'],
      ['c', 'x8'],
    ] as const) {
      stage.put(key, uuid, { uuid });
    }
    expect(stage.wholeMap().map).toEqual({ a: '9', b: 'x7', c: 'x8' });
  });

  it('is made although another writer has a higher number', () => {
    const stage = Stage.serving();
    stage.put('a', '1', { uuid: 'x100' });
    stage.put('a', '2', { uuid: 'y1' });
    expect(stage.wholeMap().map).toEqual({ a: '2' });
  });

  it('is made if what the store failed to take was a later one', () => {
    const stage = Stage.serving();
    stage.set('a', '2', { uuid: 'x2' });
    stage.turn();
    stage.fail();
    stage.turn(1000);
    stage.put('a', '1', { uuid: 'x1' });
    expect(stage.wholeMap().map).toEqual({ a: '1' });
  });
});

describe('a writer without numbers', () => {
  it('is served as before: its copies are known for ten seconds, and the last one of each key', () => {
    const stage = Stage.serving();
    for (const uuid of ['u', 'v', 'w']) stage.put('a', uuid, { uuid });
    for (const uuid of ['u', 'v']) stage.put('a', uuid, { uuid });
    expect(stage.wholeMap().map).toEqual({ a: 'w' });
    stage.pass(LATE_MS);
    stage.put('a', 'u', { uuid: 'u' });
    expect(stage.wholeMap().map).toEqual({ a: 'u' });
  });
});

/** A change that a merge undoes is made again, and replaced. @returns its value, if something holds it */
function restored(stage: Stage): WeakRef<Buffer> {
  const value = Buffer.alloc(1000, 'v');
  const lost = { ...record('a', '', [4, 15], 'x15'), value };
  stage.put('a', '14', { uuid: 'x14' });
  stage.machine.merged({ changed: [], ineffective: [lost], conflicts: [] });
  stage.commit();
  expect(stage.wholeMap().map).toEqual({ a: value.toString() });
  stage.put('a', '16', { uuid: 'x16' });
  stage.news();
  return new WeakRef(value);
}

describe('what a node knows of replaced changes', () => {
  it('is not the values that it has made again', async () => {
    const stage = Stage.serving({}, 5);
    const value = restored(stage);
    await new Promise(setImmediate);
    setFlagsFromString('--expose-gc');
    (runInNewContext('gc') as () => void)();
    expect(value.deref()).toBeUndefined();
    stage.put('a', '15', { uuid: 'x15' });
    expect(stage.wholeMap().map).toEqual({ a: '16' });
  });

  it('is forgotten after 20 minutes, and then takes no memory', () => {
    const stage = Stage.serving();
    stage.put('a', '1', { uuid: 'x1' });
    stage.put('a', '', { uuid: 'x2' });
    expect(stage.machine.gauges.markBytes).toBe(256 + 7 + 1);
    stage.turn(20 * 60_000 - 1);
    stage.put('a', '1', { uuid: 'x1' });
    expect(stage.wholeMap().map).toEqual({});
    stage.turn(1);
    expect(stage.machine.gauges.markBytes).toBe(0);
    expect(stage.machine.counters.marksDropped).toBe(0);
    // From then on it is as with a writer without numbers.
    stage.put('a', '1', { uuid: 'x1' });
    expect(stage.wholeMap().map).toEqual({ a: '1' });
  });

  it('takes an eighth of limits.mapBytes: then the oldest goes, and is counted', () => {
    const bytesMax = 8 * 3 * 300;
    const stage = Stage.serving({ bytesMax });
    const keys = ['a', 'b', 'c', 'd'];
    for (const [at, key] of keys.entries()) {
      stage.put(key, '1', { uuid: `x${2 * at}` });
      stage.put(key, '', { uuid: `x${2 * at + 1}` });
    }
    expect(stage.machine.gauges.markBytes).toBeLessThanOrEqual(bytesMax / 8);
    expect(stage.machine.counters.marksDropped).toBe(1);
    stage.pass(LATE_MS);
    for (const [at, key] of keys.entries()) stage.put(key, '1', { uuid: `x${2 * at}` });
    expect(stage.wholeMap().map).toEqual({ a: '1' });
  });

  it('is at most 131,072, of the last ones', () => {
    const stage = Stage.serving({ bytesMax: 1_000_000_000 });
    const most = 131_072;
    for (let number = 0; number <= most; number++) {
      stage.set(`k${number}`, '', { uuid: `x${number}` });
      if (number % 10_000 === 0) stage.commit();
    }
    stage.commit();
    expect(stage.machine.counters.marksDropped).toBe(1);
    stage.pass(LATE_MS);
    for (const key of ['k0', 'k1']) stage.put(key, '1', { uuid: 'x0' });
    expect(stage.wholeMap().map).toEqual({ k0: '1' });
  });
});
