/** Groups are kept while something counts for them, and no longer. */
import { Gates } from '../../../src/broker/state/gates.js';
import { RequestTable } from '../../../src/broker/state/request-table.js';
import { Groups, Waiting } from '../../../src/broker/state/waiting.js';
import { Holdings } from '../../../src/core/holdings.js';

const SLOW = { running: Infinity, perSecond: 0.1, burst: 1 };

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
});
