import { HeldPartials } from '../../../src/broker/state/held-partials.js';
import { RequestTable } from '../../../src/broker/state/request-table.js';
import { Frames } from '../../../src/core/frames.js';
import { Holdings } from '../../../src/core/holdings.js';

describe('PARTIALs that are held back', () => {
  it('count the memory that they take, with the room of their buffer, until they are dropped', () => {
    const table = new RequestTable();
    const held = new HeldPartials(table);
    const holdings = new Holdings();
    const worker = holdings.use('worker');
    const [small, large] = [table.allocate(), table.allocate()];
    held.add(small, Frames.of('x'), 0, worker);
    // An object and a buffer of its own take a multiple of one byte.
    expect(worker.requests).toBeGreaterThan(500);
    const one = worker.requests;
    held.add(large, Frames.of('x'.repeat(10_000)), 0, worker);
    for (let part = 0; part < 3; part++) held.add(large, Frames.of('x'), 0, worker);
    const taken = held.of(large)?.buffer.length ?? 0;
    expect(taken).toBeGreaterThan(20_000);
    expect(worker.requests).toBeGreaterThan(one + taken);
    expect(held.bytes).toBe(holdings.bytes);
    held.drop(small);
    held.drop(large);
    expect([held.bytes, holdings.bytes]).toEqual([0, 0]);
  });
});
