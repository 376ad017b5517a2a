import {
  LOST,
  NONE,
  QUEUED,
  type RequestId,
  RequestList,
  RequestTable,
} from '../../../src/broker/state/request-table.js';

function all(list: RequestList): RequestId[] {
  const found: RequestId[] = [];
  for (let id = list.head; id !== NONE; id = list.next(id)) found.push(id);
  expect(found).toHaveLength(list.count);
  expect(list.tail).toBe(found.at(-1) ?? NONE);
  return found;
}

describe('the table of requests', () => {
  it('gives a freed record again, with nothing left of the one before', () => {
    const table = new RequestTable();
    table.allocate();
    const id = table.allocate();
    table.raise(id, QUEUED);
    table.set(id, LOST, -1);
    table.free(id);
    expect(table.has(id)).toBe(false);
    expect(table.allocate()).toBe(id);
    expect([table.get(id, LOST), table.is(id, QUEUED)]).toEqual([0, false]);
    expect(RequestList.queue(table).has(id)).toBe(false);
  });

  it('counts from zero again when all are freed, in any order', () => {
    const table = new RequestTable();
    for (let round = 0; round < 3; round++) {
      const ids = Array.from({ length: 9000 }, () => table.allocate());
      expect([table.count, Math.max(...ids)]).toEqual([9000, 8999]);
      for (const id of round === 1 ? ids.reverse() : ids) table.free(id);
      expect(table.count).toBe(0);
    }
  });
});

describe('a list of requests', () => {
  it('of each kind holds a request on its own', () => {
    const table = new RequestTable();
    const lists = [
      RequestList.queue(table),
      RequestList.ofClient(table),
      RequestList.byArrival(table),
      RequestList.byDispatch(table),
    ];
    const ids = Array.from({ length: 5 }, () => table.allocate());
    for (const list of lists) for (const id of ids) list.pushBack(id);
    for (const [index, list] of lists.entries()) list.remove(ids[index] ?? NONE);
    for (const [index, list] of lists.entries()) {
      expect(all(list)).toEqual(ids.filter((_, at) => at !== index));
    }
  });
});
