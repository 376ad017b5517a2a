import { describe, expect, it } from '@jest/globals';
import {
  ARRIVED_AT,
  BYTES,
  CLIENT,
  DISPATCHED_AT,
  LOST,
  NONE,
  OUT,
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
  it('keeps integers and times of each record apart', () => {
    const table = new RequestTable();
    const ids = Array.from({ length: 10_000 }, () => table.allocate());
    for (const id of ids) {
      table.set(id, CLIENT, id);
      table.set(id, BYTES, -id);
      table.setTime(id, ARRIVED_AT, id + 0.25);
      table.setTime(id, DISPATCHED_AT, id * 1e9);
    }
    const isRight = (id: RequestId): boolean =>
      table.get(id, CLIENT) === id &&
      table.get(id, BYTES) + id === 0 &&
      table.getTime(id, ARRIVED_AT) === id + 0.25 &&
      table.getTime(id, DISPATCHED_AT) === id * 1e9;
    expect(ids.filter((id) => !isRight(id))).toEqual([]);
  });

  it('raises and lowers flags one by one', () => {
    const table = new RequestTable();
    const id = table.allocate();
    table.raise(id, QUEUED);
    table.raise(id, OUT);
    table.lower(id, QUEUED);
    expect([table.is(id, QUEUED), table.is(id, OUT), table.is(id, QUEUED | OUT)]).toEqual([
      false,
      true,
      true,
    ]);
  });

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

  it('knows which numbers are of requests that are there', () => {
    const table = new RequestTable();
    const id = table.allocate();
    table.raise(id, QUEUED);
    expect([id, id + 1, -1, 4_294_967_295].map((each) => table.has(each))).toEqual([
      true,
      false,
      false,
      false,
    ]);
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
  it('takes at both ends, and gives from anywhere', () => {
    const table = new RequestTable();
    const list = RequestList.queue(table);
    const [a = NONE, b = NONE, c = NONE, d = NONE] = [1, 2, 3, 4].map(() => table.allocate());
    list.pushBack(b);
    list.pushBack(c);
    list.pushFront(a);
    list.pushBack(d);
    expect(all(list)).toEqual([a, b, c, d]);
    list.remove(b);
    expect(all(list)).toEqual([a, c, d]);
    list.remove(d);
    list.remove(a);
    expect(all(list)).toEqual([c]);
    list.pushFront(b);
    expect([all(list), list.has(a), list.has(b)]).toEqual([[b, c], false, true]);
    list.remove(c);
    list.remove(b);
    expect(all(list)).toEqual([]);
  });

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
