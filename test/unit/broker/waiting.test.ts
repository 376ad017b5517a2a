/** Groups are kept while something counts for them, and no longer. */
import type { RunLimit } from '../../../src/broker/options.js';
import { Gates } from '../../../src/broker/state/gates.js';
import { RequestTable } from '../../../src/broker/state/request-table.js';
import { Groups, Waiting } from '../../../src/broker/state/waiting.js';
import { Holdings } from '../../../src/core/holdings.js';

const SLOW = { running: Infinity, perSecond: 0.1, burst: 1 };

interface Parts {
  readonly waiting: Waiting;
  readonly gates: Gates;
  /** A request of the group `a` comes. @returns it goes, and was at a worker or not */
  comes(): (wasOut: boolean) => void;
}

function parts(group: RunLimit): Parts {
  const [table, gates] = [new RequestTable(), new Gates(0, new Holdings().use('broker'))];
  const waiting = new Waiting(0, { table, groups: new Groups(), gates });
  waiting.setLimits({ service: null, group, holds: false });
  const comes = () => {
    const id = table.allocate();
    waiting.join(id, 'a');
    waiting.push(id);
    return (wasOut: boolean) => {
      if (wasOut) waiting.take(id);
      else waiting.remove(id);
      if (wasOut) waiting.ended(id);
      waiting.leave(id);
    };
  };
  return { waiting, gates, comes };
}

function turn({ waiting, gates }: Parts, now: number): void {
  for (const gate of gates.take(now, 10)) waiting.gateChanged(gate);
}

describe('a group without requests', () => {
  it('is kept until its bucket is full, or its limit is gone', () => {
    const [table, gates] = [new RequestTable(), new Gates(0, new Holdings().use('broker'))];
    const waiting = new Waiting(0, { table, groups: new Groups(), gates });
    const runs = (): void => {
      const id = table.allocate();
      waiting.join(id, 'a');
      waiting.push(id);
      waiting.take(id);
      waiting.ended(id);
      waiting.leave(id);
    };
    const limits = { service: null, group: SLOW, holds: false };
    waiting.setLimits(limits);
    runs();
    expect(waiting.groupCount).toBe(1);
    waiting.setLimits(null);
    expect(waiting.groupCount).toBe(0);
    waiting.setLimits(limits);
    runs();
    for (const gate of gates.take(9_999, 10)) waiting.gateChanged(gate);
    expect(waiting.groupCount).toBe(1);
    for (const gate of gates.take(10_000, 10)) waiting.gateChanged(gate);
    expect(waiting.groupCount).toBe(0);
    expect(gates.nextDueAt()).toBe(Infinity);
  });

  it('is not full while its bucket has starts', () => {
    const { waiting, comes } = parts({ running: Infinity, perSecond: 0.1, burst: 2 });
    comes()(true);
    expect(waiting.groupCount).toBe(1);
    expect(waiting.fullGroups(10)).toEqual([]);
    expect(waiting.whyHeld('a', 0)).toBeNull();
    comes()(true);
    expect(waiting.fullGroups(10)).toEqual(['a']);
    expect(waiting.whyHeld('a', 0)).toBe('group a: next start in 10000 ms');
  });

  it('is not kept because one more was to be prepared, which was cancelled with those before it', () => {
    const all = parts({ running: 1, perSecond: Infinity, burst: 1 });
    const goes = all.comes();
    expect(all.waiting.mayPrepare('a', 1)).toBe(false);
    goes(false);
    turn(all, 0);
    expect(all.waiting.groupCount).toBe(0);
  });

  it('is not kept because one more was to be prepared, and those before it never came', () => {
    const { waiting } = parts({ running: 1, perSecond: Infinity, burst: 1 });
    expect(waiting.mayPrepare('a', 1)).toBe(false);
    expect(waiting.groupCount).toBe(0);
  });
});

describe('a rate that is changed', () => {
  it.each([
    ['a faster one', { perSecond: 100, burst: 1 }, 10],
    ['one with more starts at once', { perSecond: 0.1, burst: 2 }, 0],
    ['one with fewer starts at once', { perSecond: 0.1, burst: 1 }, 10_000],
  ])('has the starts that were taken come back as it says: %s', (_name, to, opensAt) => {
    const all = parts(SLOW);
    all.comes()(true);
    all.waiting.setLimits({ service: null, group: { running: Infinity, ...to }, holds: false });
    turn(all, 0);
    all.comes();
    expect(all.waiting.next() >= 0).toBe(opensAt === 0);
    if (opensAt > 0) expect(all.gates.nextDueAt()).toBeCloseTo(opensAt);
    turn(all, opensAt + 0.001);
    expect(all.waiting.next() >= 0).toBe(true);
  });
});
