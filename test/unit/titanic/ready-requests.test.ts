/** Whose turn it is among the ready requests of a service, against lists that say the same plainly. */
import fc from 'fast-check';

import {
  NUMBER,
  OpenIndex,
  PRIORITY,
  type Slot,
} from '../../../src/titanic/machine/requests/open-index.js';
import { OpenServices } from '../../../src/titanic/machine/requests/open-services.js';
import type { ReadyRequests } from '../../../src/titanic/machine/requests/ready-requests.js';

interface Row {
  readonly slot: Slot;
  readonly group: string;
  readonly priority: number;
  readonly number: number;
  state: 'ready' | 'prepared' | 'out';
}

class Scene {
  readonly index = new OpenIndex((target) => target.fill(7));
  readonly ready: ReadyRequests;
  readonly rows: Row[] = [];
  #made = 0;

  constructor() {
    this.ready = new OpenServices(this.index).findOrAdd(Buffer.from('echo'), 'anonymous').ready;
  }

  add(group: string, priority = 0): Row {
    const number = ++this.#made;
    const uuid = Buffer.alloc(16);
    uuid.writeUInt32BE(number, 12);
    const slot = this.index.add(uuid);
    this.index.set(slot, PRIORITY, priority);
    this.index.setDouble(slot, NUMBER, number);
    this.ready.opened(slot, Buffer.from(group));
    const row: Row = { slot, group, priority, number, state: 'ready' };
    this.rows.push(row);
    this.ready.push(slot);
    return row;
  }

  of(slot: Slot): Row | undefined {
    return this.rows.find((row) => row.slot === slot);
  }

  prepareNext(): Row {
    const row = this.of(this.ready.peek());
    if (row?.state !== 'ready') throw new Error('nothing is ready');
    this.ready.remove(row.slot);
    this.ready.prepared(row.slot);
    row.state = 'prepared';
    return row;
  }

  dispatch(row: Row): void {
    this.ready.unprepared(row.slot);
    row.state = 'out';
  }

  comesBack(row: Row): void {
    if (row.state === 'prepared') this.ready.unprepared(row.slot);
    this.ready.push(row.slot);
    row.state = 'ready';
  }

  end(row: Row): void {
    if (row.state === 'ready') this.ready.remove(row.slot);
    if (row.state === 'prepared') this.ready.unprepared(row.slot);
    this.ready.closed(row.slot);
    this.index.remove(row.slot);
    this.rows.splice(this.rows.indexOf(row), 1);
  }

  /** Prepares and dispatches one after the other. @returns their groups and numbers */
  order(): string {
    const got: string[] = [];
    while (this.ready.size > 0) {
      const row = this.prepareNext();
      this.dispatch(row);
      got.push(`${row.group}${row.number}`);
    }
    return got.join(' ');
  }
}

describe('ready requests', () => {
  it('come by priority, then groups take turns, then as they were accepted', () => {
    const s = new Scene();
    for (const group of 'aaab') s.add(group);
    s.add('');
    s.add('a', 5);
    s.add('c', -1);
    s.add('', 5);
    expect(s.order()).toBe('8 a6 b4 5 a1 a2 a3 c7');
  });

  it('of a new group come before more of those of which some are prepared', () => {
    const s = new Scene();
    for (const group of 'aaaabbbb') s.add(group);
    const prepared = [s.prepareNext(), s.prepareNext(), s.prepareNext()];
    expect(prepared.map(({ group, number }) => group + String(number))).toEqual(['a1', 'b5', 'a2']);
    const c = s.add('c');
    expect(s.ready.isFresh(c.slot)).toBe(true);
    expect(s.ready.preparedGroups).toBe(2);
    for (const row of prepared) s.dispatch(row);
    expect(s.order()).toBe('c9 b6 a3 b7 a4 b8');
  });

  it('that come back are the first of their group', () => {
    const s = new Scene();
    for (const group of 'aabb') s.add(group);
    const first = s.prepareNext();
    s.dispatch(first);
    s.comesBack(first);
    expect(s.order()).toBe('b3 a1 b4 a2');
  });

  const GROUP = fc.constantFrom('', 'a', 'b', 'c', 'd');
  const STEP = fc.oneof(
    { weight: 4, arbitrary: fc.tuple(fc.constant('add'), GROUP, fc.constantFrom(0, 0, 0, 1)) },
    { weight: 3, arbitrary: fc.tuple(fc.constant('prepare'), fc.constant(0), fc.constant(0)) },
    {
      weight: 6,
      arbitrary: fc.tuple(
        fc.constantFrom('dispatch', 'comesBack', 'end'),
        fc.nat(),
        fc.constant(0),
      ),
    },
  );

  function expectFirst(s: Scene, row: Row): void {
    const isBefore = (other: Row): boolean =>
      other.priority > row.priority ||
      (other.priority === row.priority && other.group === row.group && other.number < row.number);
    const ready = s.rows.filter(({ state }) => state === 'ready');
    expect(ready.filter(isBefore)).toEqual([]);
  }

  /** Groups with ready requests, of which none is prepared, and how often each other one came before them. */
  type Fresh = Map<string, Map<string, number>>;

  function prepare(s: Scene, fresh: Fresh): void {
    const row = s.prepareNext();
    expectFirst(s, { ...row, state: 'ready' });
    fresh.delete(row.group);
    for (const others of fresh.values()) others.set(row.group, (others.get(row.group) ?? 0) + 1);
  }

  /** Begins to count for groups that are fresh now, and were not. A group with something prepared counts as one. */
  function look(s: Scene, fresh: Fresh): void {
    const of = (state: Row['state']): Set<string> =>
      new Set(s.rows.filter((row) => row.state === state).map(({ group }) => group));
    const [ready, prepared] = [of('ready'), of('prepared')];
    for (const group of fresh.keys()) if (!ready.has(group)) fresh.delete(group);
    for (const group of ready) {
      if (prepared.has(group) || fresh.has(group)) continue;
      fresh.set(group, new Map([...prepared].map((other) => [other, 1])));
    }
    for (const [group, others] of fresh) {
      for (const [other, count] of others) expect([group, other, count]).toEqual([group, other, 1]);
    }
  }

  it.each([
    ['are in order, and their number is right', [0, 1]],
    ['of a group wait for at most one of each other group', [0]],
  ])('%s, whatever happens', (_, priorities) => {
    const isFair = priorities.length === 1;
    fc.assert(
      fc.property(fc.array(STEP, { maxLength: 150 }), (steps) => {
        const s = new Scene();
        const fresh: Fresh = new Map();
        for (const [what, given, priority] of steps) {
          if (what === 'add') s.add(given, isFair ? 0 : priority);
          else if (what === 'prepare') {
            if (s.ready.size > 0) prepare(s, fresh);
          } else {
            const among = s.rows.filter(({ state }) =>
              what === 'dispatch' ? state === 'prepared' : what === 'end' || state !== 'ready',
            );
            const row = among[given % among.length];
            if (row === undefined) continue;
            if (what === 'dispatch') s.dispatch(row);
            else if (what === 'comesBack') s.comesBack(row);
            else s.end(row);
          }
          if (isFair) look(s, fresh);
          const ready = s.rows.filter(({ state }) => state === 'ready');
          expect(s.ready.size).toBe(ready.length);
          expect(new Set(s.ready.least(1000))).toEqual(new Set(ready.map(({ slot }) => slot)));
        }
        while (s.ready.size > 0) prepare(s, fresh);
        for (const row of [...s.rows]) s.end(row);
        expect(s.ready.hasGroups).toBe(false);
        expect(s.ready.preparedGroups).toBe(0);
      }),
      { numRuns: 400 },
    );
  });
});
