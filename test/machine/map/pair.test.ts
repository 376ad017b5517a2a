import type { MapRecord } from '../../../src/extensions/map/machine/record.js';
import { Stage } from './stage.js';

const STAYS = { tombstones: 'all', holds: null, peerHolds: 0 } as const;

function record(key: string, value: string, number: [number, number], uuid = ''): MapRecord {
  const [epoch, counter] = number;
  return { key, value, epoch, counter, uuid: uuid.repeat(16), properties: '', ttlS: 0 };
}

/** A node that follows, with its records loaded. */
function passive(): Stage {
  const stage = new Stage({ bytesMax: 100_000_000 });
  stage.load();
  return stage;
}

/** Changes of the active node are committed here. */
function follow(stage: Stage, ...changes: MapRecord[]): void {
  stage.tables.change({ number: stage.takeNumber(), ...STAYS }, changes);
  stage.machine.followed(changes);
}

describe('a node that does not serve', () => {
  it('answers nothing, publishes nothing, and takes a question for a vote (D13, D53)', () => {
    const stage = passive();
    stage.ask(1);
    stage.machine.subscribed(2, Buffer.alloc(0));
    stage.set('a', '1', { uuid: 'u' });
    stage.machine.services.set(Buffer.from('echo'), true);
    stage.pass(3000);
    expect(stage.told).toEqual(['vote']);
    // A malformed one is none.
    stage.say(1, 'ICANHAZ?');
    expect(stage.told).toEqual(['vote']);
  });

  it('the question that voted is answered, when it serves soon (D13)', () => {
    const stage = passive();
    stage.ask(1);
    stage.turn(500);
    stage.news();
    stage.activate(2);
    expect(stage.news()).toEqual(['1 KTHXBAI 2.0']);
    const late = passive();
    late.ask(1);
    late.pass(11_000);
    late.activate(2);
    expect(late.news()).toEqual(['vote']);
  });

  it('has what replication brings, and serves it (D53)', () => {
    const stage = passive();
    follow(stage, record('a', '1', [1, 1]), record('b', '1', [1, 2]));
    follow(stage, record('a', '', [1, 3]));
    stage.activate(2);
    expect(stage.wholeMap()).toEqual({ map: { b: '1' }, number: '1.2' });
  });

  it('applies what writers sent and replication did not bring, in order, before it answers (D53)', () => {
    const stage = passive();
    for (const [index, uuid] of ['p', 'q', 'r', 's'].entries()) {
      stage.set('a', `${index}`, { uuid, writer: `w${index % 2}` });
    }
    stage.set('b', 'without uuid');
    follow(stage, record('a', '1', [1, 1], 'q'));
    stage.now += 9_000;
    stage.ask(1);
    stage.machine.activate(2, stage.now);
    stage.turn();
    expect(stage.news()).toEqual(['vote']);
    stage.commit();
    // The one before `q` is done as well: what was applied after it stands.
    expect(stage.news()).toEqual(['2.1 a=2 r', '2.2 a=3 s', '1 2.2 a=3', '1 KTHXBAI 2.2']);
  });

  it('a change that replication brought before its writer’s copy is not kept (D53)', () => {
    const stage = passive();
    follow(stage, record('a', '1', [1, 1], 'u'), record('a', '2', [1, 2], 'v'));
    stage.set('a', '1', { uuid: 'u' });
    expect(stage.machine.gauges.pending).toBe(0);
    stage.activate(2);
    stage.commit();
    expect(stage.news()).toEqual([]);
    // Nor applied, if it comes after the failover.
    stage.put('a', '1', { uuid: 'u' });
    stage.put('a', '2', { uuid: 'v' });
    expect(stage.news()).toEqual(['2.1 a=2 v']);
  });

  it('a renewal is done once replication brings a later change of its key, from whomever (D53)', () => {
    const stage = passive();
    follow(stage, record('a', '1', [1, 1], 'o'), record('b', '1', [1, 2], 'p'));
    follow(stage, record('c', '1', [1, 3], 'q'));
    stage.set('a', '1', { uuid: 'r' });
    stage.set('b', '1', { uuid: 's' });
    // Its writer's copy comes later; and the other one expires.
    follow(stage, record('a', '2', [1, 5], 't'), record('b', '', [1, 6]));
    stage.set('a', '2', { uuid: 't' });
    expect(stage.machine.gauges.pending).toBe(0);
    // Both come later than replication.
    follow(stage, record('c', '2', [1, 8], 'v'));
    stage.set('c', '1', { uuid: 'u' });
    stage.set('c', '2', { uuid: 'v' });
    stage.activate(2);
    stage.commit();
    expect(stage.news()).toEqual([]);
    expect(stage.wholeMap().map).toEqual({ a: '2', c: '2' });
  });

  it('a renewal and a later change of its key that come late change nothing (D50, D53)', () => {
    for (const isOneBatch of [false, true]) {
      const active = Stage.serving();
      const stage = passive();
      const commit = (): void => {
        active.turn();
        for (const { changes } of active.batches) follow(stage, ...changes);
        active.commit();
      };
      active.set('a', '1', { uuid: 't' });
      commit();
      for (const uuid of ['u', 'v']) {
        active.set('a', '1', { uuid });
        if (!isOneBatch) commit();
      }
      active.set('a', '2', { uuid: 'w' });
      active.set('a', '3', { uuid: 'x' });
      commit();
      expect(active.news().slice(1)).toEqual(['1.2 a=1 u', '1.3 a=1 v', '1.4 a=2 w', '1.5 a=3 x']);
      stage.activate(2);
      for (const uuid of ['u', 'v']) stage.set('a', '1', { uuid });
      stage.set('a', '2', { uuid: 'w' });
      stage.set('a', '3', { uuid: 'x' });
      stage.commit();
      expect(stage.news()).toEqual(['2.1 a=3 x']);
    }
  });

  it('knows what it had from its disk, or from a merge, and a change replaced (D50, D53)', () => {
    const stage = new Stage();
    const old = [record('a', '1', [1, 1], 't'), record('b', '1', [1, 2], 'u')] as const;
    stage.tables.change({ number: 1, ...STAYS }, [old[0]]);
    stage.load();
    stage.machine.merged({ changed: [old[1]], conflicts: [], ineffective: [] });
    stage.turn(20_000);
    follow(stage, record('a', '2', [1, 3], 'v'), record('b', '2', [1, 4], 'w'));
    stage.turn(9_000);
    // One comes before the failover, one after it.
    stage.set('a', '1', { uuid: 't' });
    stage.activate(2);
    stage.put('b', '1', { uuid: 'u' });
    stage.commit();
    expect(stage.wholeMap().map).toEqual({ a: '2', b: '2' });
  });

  it('is told a limited number of renewals of a key, the last ones, and each once (D50)', () => {
    const active = Stage.serving();
    const uuids = 'abcdefghijklmnopqrst'.split('');
    active.put('a', '1');
    for (const uuid of uuids) active.put('a', '1', { uuid });
    for (const value of ['2', '3']) active.set('a', value);
    active.turn();
    const told = active.batches[0]?.changes.map(
      ({ uuid, value }) => `${uuid[0] ?? ''}${String(value)}`,
    );
    expect(told).toEqual([...uuids.slice(-16), '2', '3']);
    active.commit();
    active.set('a', '4');
    active.turn();
    expect(active.batches[0]?.changes).toHaveLength(1);
    active.commit();
    // Those that are too old are forgotten.
    active.put('a', '4', { uuid: 'u' });
    active.turn(10_000);
    active.put('b', '1', { uuid: 'v' });
    active.set('a', '5');
    active.turn();
    expect(active.batches[0]?.changes).toHaveLength(1);
  });

  it('a merge brings what may be older than what writers sent: that is kept (D53)', () => {
    const stage = passive();
    stage.set('a', '2', { uuid: 'u' });
    stage.machine.merged({
      changed: [record('a', '1', [1, 1], 't')],
      conflicts: [],
      ineffective: [],
    });
    stage.activate(2);
    stage.commit();
    expect(stage.news()).toEqual(['2.1 a=2 u']);
  });

  it('keeps changes for ten seconds (D53)', () => {
    const stage = passive();
    stage.set('a', '1', { uuid: 'u' });
    stage.turn(9_999);
    expect(stage.machine.gauges.pending).toBe(1);
    expect(stage.machine.dueAt).toBe(stage.now + 1);
    stage.turn(1);
    expect(stage.machine.gauges.pending).toBe(0);
    expect(stage.machine.dueAt).toBe(Infinity);
  });

  it('keeps at most 10,000, and of one identity an eighth less: the latest (D53, D75)', () => {
    const stage = passive();
    const uuidOf = (n: number): Buffer => Buffer.from(String(n).padStart(16, '0'));
    for (let n = 0; n < 9_000; n++) stage.kvset([`a${n}`, '', uuidOf(n), '', '1'], 'greedy');
    expect(stage.machine.gauges.pending).toBe(8750);
    for (let n = 9_000; n < 11_000; n++) stage.kvset([`a${n}`, '', uuidOf(n), '', '1'], 'other');
    expect(stage.machine.gauges.pending).toBe(10_000);
    stage.activate(2);
    stage.commit();
    const { map } = stage.wholeMap();
    expect(['a10999', 'a8999', 'a999'].map((key) => key in map)).toEqual([true, true, false]);
  });

  it('and at most 16 MiB of them (D53)', () => {
    const stage = passive();
    const value = Buffer.alloc(1024 * 1024);
    for (let n = 0; n < 40; n++) {
      stage.kvset([`a${n}`, '', Buffer.alloc(16, n + 1), '', value], `w${n % 4}`);
    }
    expect(stage.machine.gauges.pending).toBe(15);
  });

  it('what was kept and cannot be stored does not keep it from answering (D53, D57)', () => {
    const stage = passive();
    follow(stage, record('b', '1', [1, 1]));
    stage.set('a', '1', { uuid: 'u' });
    stage.set('b', '', { uuid: 'v' });
    stage.ask(1);
    stage.activate(2);
    stage.fail();
    stage.turn();
    expect(stage.news()).toEqual(['vote', '1 1.1 b=1', '1 KTHXBAI 1.1']);
    stage.commit();
    expect(stage.news()).toEqual(['2.3 b= v']);
  });
});

describe('stepping down', () => {
  it('closes subscribers and unfinished snapshots, and drops what waits (D53)', () => {
    const stage = Stage.serving();
    for (let key = 0; key < 1000; key++) stage.set(`k${key}`, 'v'.repeat(1000));
    stage.commit();
    stage.ask(1);
    stage.machine.run(stage.now);
    stage.ask(2);
    stage.connect(3);
    stage.set('a', '1');
    stage.news();
    stage.machine.deactivate(stage.now);
    expect(stage.news()).toEqual(['1 closed', '2 closed', 'subscribers closed']);
    stage.pass(3000);
    expect(stage.news()).toEqual([]);
    expect(stage.batches).toEqual([]);
    stage.machine.deactivate(stage.now);
    expect(stage.news()).toEqual([]);
  });

  it('a batch at the store is applied and not published; it serves again after that (D53)', () => {
    const stage = Stage.serving();
    stage.isPaired = true;
    stage.put('a', '1');
    stage.machine.deactivate(stage.now);
    expect(stage.machine.gauges.keys).toBe(1);
    stage.machine.activate(2, stage.now);
    stage.set('b', '1');
    stage.turn();
    stage.machine.deactivate(stage.now);
    stage.news();
    stage.machine.activate(3, stage.now);
    stage.ask(1);
    stage.turn();
    expect(stage.machine.isServing).toBe(false);
    stage.commitOne();
    stage.turn();
    expect(stage.news()).toEqual(['vote', '1 1.1 a=1', '1 2.1 b=1', '1 KTHXBAI 2.1']);
  });
});

describe('a batch of an earlier term', () => {
  it('ended when the node stepped down: a late confirmation does not stand for a later batch', () => {
    const stage = Stage.serving();
    stage.isPaired = true;
    stage.set('a', '1');
    stage.turn();
    const first = stage.commitOne();
    stage.machine.deactivate(stage.now);
    stage.activate(2);
    stage.set('b', '1');
    stage.turn();
    const second = stage.commitOne();
    stage.news();
    first.released(false);
    expect(stage.news()).toEqual([]);
    second.released(false);
    expect(stage.news()).toEqual(['2.1 b=1']);
  });
});

describe('a batch that is at the store when the node steps down', () => {
  it('leaves nothing that is not stored, such as the broker’s keys (D55)', () => {
    const stage = Stage.serving();
    stage.put('r', '1', { uuid: 'q' });
    stage.set('a', '1');
    stage.set('r', '1', { uuid: 's' });
    stage.machine.services.set(Buffer.from('echo'), true);
    stage.turn();
    stage.machine.deactivate(stage.now);
    stage.machine.services.set(Buffer.from('echo'), false);
    stage.commitOne();
    stage.news();
    stage.activate(2);
    expect(stage.wholeMap().map).toEqual({ a: '1', r: '1' });
    expect(stage.machine.gauges.keys).toBe(2);
  });
});

describe('a merge that brings higher numbers than this node has given', () => {
  it('is followed by higher ones, which the store takes (D48, D54)', () => {
    const stage = Stage.serving({}, 5);
    stage.put('a', '1');
    const theirs = record('a', 'peer', [7, 9]);
    stage.tables.merge({ number: stage.takeNumber(), ...STAYS }, [theirs], 0);
    stage.machine.merged({ changed: [theirs], conflicts: ['a'], ineffective: [] });
    stage.news();
    stage.put('a', '2');
    expect(stage.news()).toEqual(['7.10 a=peer', '7.11 a=2']);
    expect(stage.wholeMap().map).toEqual({ a: '2' });
    expect(stage.tables.rows).toMatchObject([{ record: { key: 'a', value: '2' } }]);
  });

  it('wins over a batch that is at the store', () => {
    const stage = Stage.serving({}, 5);
    stage.set('a', '1', { uuid: 'u' });
    stage.turn();
    const theirs = record('a', 'peer', [7, 9]);
    stage.tables.merge({ number: stage.takeNumber(), ...STAYS }, [theirs], 0);
    stage.machine.merged({ changed: [theirs], conflicts: [], ineffective: [] });
    stage.commit();
    expect(stage.news()).toEqual(['5.1 a=1', '7.10 a=peer']);
    expect(stage.wholeMap().map).toEqual({ a: 'peer' });
    expect(stage.tables.rows).toMatchObject([{ record: { key: 'a', value: 'peer' } }]);
    // Its writer saw no uuid, and sends it again.
    stage.put('a', '1', { uuid: 'u' });
    expect(stage.news()).toEqual(['7.11 a=1 u']);
  });
});

describe('a merge', () => {
  it('brings what won; clients get it under a new number, in order (D48, D54)', () => {
    const stage = Stage.serving({}, 5);
    stage.put('a', '1', { uuid: 'u' });
    stage.put('gone', '1');
    stage.set('x', '1');
    stage.turn();
    stage.news();
    const changed = [record('b', '2', [4, 7], 'v'), record('gone', '', [4, 8])];
    stage.machine.merged({ changed, conflicts: ['gone', 'k%\n'], ineffective: [] });
    expect(stage.wholeMap().map).toEqual({ a: '1', b: '2' });
    stage.commit();
    expect(stage.news()).toEqual(['5.3 x=1', '5.4 b=2 v', '5.5 gone=']);
    expect(stage.machine.counters.conflicts).toBe(2);
    expect(stage.events.slice(-2)).toEqual([
      { name: 'map.conflicted', record: 'gone' },
      { name: 'map.conflicted', record: 'k%25%0A' },
    ]);
  });

  it('what the batch at the store says of the same key stands, if it is written (D54)', () => {
    const stage = Stage.serving({}, 5);
    stage.put('a', '1');
    stage.put('b', '1');
    stage.set('x', '1');
    stage.set('a', '2');
    stage.set('b', '1', { uuid: 'r' });
    stage.turn();
    const changed = [record('a', 'peer', [4, 1]), record('b', 'peer', [4, 2])];
    stage.machine.merged({ changed, conflicts: [], ineffective: [] });
    stage.news();
    stage.commit();
    // The renewal of `b` was of another value.
    expect(stage.news()).toEqual(['5.3 x=1', '5.4 a=2', '5.6 b=peer']);
    expect(stage.wholeMap().map).toEqual({ a: '2', b: 'peer', x: '1' });
  });
});

describe('a merge with a peer that led with a higher epoch', () => {
  it('is preceded by numbers above the peer’s, in the upper half of its epoch (D48, D54)', () => {
    const stage = Stage.serving({}, 2);
    stage.put('a', '1');
    stage.machine.numbersAbove(3);
    stage.put('a', '2');
    stage.machine.numbersAbove(3);
    stage.put('a', '3');
    stage.machine.numbersAbove(1);
    stage.put('a', '4');
    const upper = 2 ** 39;
    expect(stage.news()).toEqual([
      '2.1 a=1',
      `3.${upper + 1} a=2`,
      `3.${upper + 2} a=3`,
      `3.${upper + 3} a=4`,
    ]);
  });
});

describe('the broker’s own keys', () => {
  it('are 200 while a service has a worker: pushed, in snapshots, not stored (D55)', () => {
    const stage = Stage.serving();
    stage.machine.services.set(Buffer.from('echo'), true);
    stage.machine.services.set(Buffer.from('a/b%\xff', 'latin1'), true);
    stage.machine.services.set(Buffer.from('n'.repeat(242)), true);
    stage.machine.services.set(Buffer.from('n'.repeat(243)), true);
    stage.turn();
    const [echo, odd, long, ...more] = stage.news();
    expect([echo, odd]).toEqual(['1.1 /mmi/service/echo=200', '1.2 /mmi/service/a%2Fb%25%FF=200']);
    expect(long?.split('=')[0]).toHaveLength('1.3 '.length + 255);
    expect(more).toEqual([]);
    expect(stage.wholeMap('/mmi/').map).toMatchObject({ '/mmi/service/echo': '200' });
    stage.machine.services.set(Buffer.from('echo'), false);
    stage.turn();
    expect(stage.news()).toEqual(['1.4 /mmi/service/echo=']);
    expect(stage.tables.rows).toEqual([]);
  });

  it('cannot be set: dropped and counted (D55)', () => {
    const stage = Stage.serving();
    stage.put('/mmi/service/x', '200');
    stage.put('/mmi/', '');
    stage.put('/mmi', 'is another key');
    expect(stage.news()).toEqual(['1.1 /mmi=is another key']);
    expect(stage.machine.counters.updates.refused).toBe(2);
  });

  it('keep the order of numbers: they wait for the batch at the store (D48)', () => {
    const stage = Stage.serving();
    stage.set('a', '1');
    stage.turn();
    stage.machine.services.set(Buffer.from('echo'), true);
    stage.turn();
    expect(stage.news()).toEqual([]);
    stage.commit();
    expect(stage.news()).toEqual(['1.1 a=1', '1.2 /mmi/service/echo=200']);
  });

  it('are told by the node that serves, also while the disk fails (D55)', () => {
    const stage = passive();
    stage.machine.services.set(Buffer.from('echo'), true);
    stage.machine.services.set(Buffer.from('gone'), true);
    stage.machine.services.set(Buffer.from('gone'), false);
    stage.activate(2);
    expect(stage.news()).toEqual(['2.1 /mmi/service/echo=200']);
    stage.set('a', '');
    stage.turn();
    stage.fail();
    stage.machine.services.set(Buffer.from('more'), true);
    stage.turn();
    expect(stage.news()).toEqual(['2.3 /mmi/service/more=200']);
    stage.machine.deactivate(stage.now);
    expect(stage.machine.gauges.keys).toBe(0);
    stage.machine.services.set(Buffer.from('more'), false);
    stage.news();
    stage.activate(4);
    expect(stage.news()).toEqual(['4.1 /mmi/service/echo=200']);
  });
});

describe('loading', () => {
  it('in pieces; it serves once all records are there, and keeps what comes meanwhile', () => {
    const before = Stage.serving();
    for (let key = 0; key < 10; key++) before.set(`k${key}`, '1');
    before.commit();
    const stage = new Stage({ tables: before.tables });
    stage.machine.open();
    stage.machine.activate(2, stage.now);
    stage.listOne();
    stage.set('k9', '2', { uuid: 'u' });
    stage.turn();
    stage.listFails();
    stage.turn(999);
    expect(stage.listOne()).toBe(false);
    stage.turn(1);
    while (stage.listOne()) stage.turn();
    expect(stage.machine.isLoaded).toBe(true);
    stage.commit();
    expect(stage.news()).toEqual(['2.1 k9=2 u']);
    expect(Object.keys(stage.wholeMap().map)).toHaveLength(10);
    expect(stage.events).toContainEqual({ name: 'map.loaded', keys: 10, bytes: 10 * 131 });
  });
});

describe('an active node that hands over', () => {
  it('begins no batch, however steadily writers go on, and goes on if the peer does not take over', () => {
    const stage = Stage.serving();
    stage.set('a', '0');
    stage.turn();
    stage.isHandingOver = true;
    stage.set('a', '1');
    stage.commit();
    stage.turn();
    expect([stage.machine.isSettled, stage.batches.length]).toEqual([true, 0]);
    expect(stage.machine.dueAt).toBeGreaterThan(stage.now);
    stage.isHandingOver = false;
    stage.turn();
    expect(stage.batches.map(({ changes }) => changes.map(({ value }) => value))).toEqual([['1']]);
  });
});
