import { Call } from '../../../src/sdk/client/call.js';
import { CallTable } from '../../../src/sdk/client/call-table.js';

const INT32_MAX = 0x7fff_ffff;
const TARGET = {
  service: 's',
  name: Buffer.from('s'),
  head: Buffer.alloc(0),
  headers: null,
  isOfBroker: false,
};
const NONE = {
  saysTime: false,
  once: false,
  resendMs: 1000,
  signal: undefined,
  headers: undefined,
};
const SETTINGS = { ...NONE, timeoutMs: 1000 };
const OWNER = { part: () => undefined, done: () => undefined, fail: () => undefined };

function added(table: CallTable): Call {
  const call = new Call(table.nextId(), TARGET, Buffer.alloc(0), false, SETTINGS, OWNER);
  table.add(call);
  return call;
}

describe('the table of outstanding requests', () => {
  it('knows an id only while its request is outstanding, whoever has the slot after it', () => {
    const table = new CallTable();
    const first = added(table);
    table.delete(first);
    const others = Array.from({ length: 1000 }, () => {
      const call = added(table);
      table.delete(call);
      return call;
    });
    const last = added(table);
    for (const call of [first, ...others]) expect(table.get(call.id)).toBeUndefined();
    expect(table.get(last.id)).toBe(last);
    expect(table.size).toBe(1);
    table.delete(first);
    expect(table.get(last.id)).toBe(last);
  });

  it('passes over the slot of a request that stays', () => {
    const table = new CallTable();
    const stays = added(table);
    const ids = new Set([stays.id]);
    for (let count = 0; count < 10_000; count++) {
      const call = added(table);
      ids.add(call.id);
      expect(table.get(stays.id)).toBe(stays);
      table.delete(call);
    }
    expect(ids.size).toBe(10_001);
    expect(table.all()).toEqual([stays]);
  });

  it('grows with what is outstanding, and keeps every request and the order of their ids', () => {
    const table = new CallTable();
    const calls = Array.from({ length: 20_000 }, () => added(table));
    const kept = calls.filter((_call, index) => index % 3 === 0);
    for (const [index, call] of calls.entries()) if (index % 3 !== 0) table.delete(call);
    expect(table.size).toBe(kept.length);
    expect(calls.filter((call) => table.get(call.id) === call)).toEqual(kept);
    expect(table.all()).toEqual(kept);
    for (const call of kept) table.delete(call);
    expect([table.size, table.all()]).toEqual([0, []]);
    const next = added(table);
    expect(table.get(next.id)).toBe(next);
  });

  it.each([
    ['the largest positive id', INT32_MAX - 500],
    ['the last id', -500],
  ])('goes on after %s, without the id of the question to the broker', (_what, lastId) => {
    const table = new CallTable(lastId);
    const calls = Array.from({ length: 1000 }, () => added(table));
    const ids = calls.map(({ id }) => id);
    expect(new Set(ids).size).toBe(1000);
    expect(ids).not.toContain(0);
    expect(ids.every((id) => id === (id | 0))).toBe(true);
    expect(table.all()).toEqual(calls);
    for (const call of calls) expect(table.get(call.id)).toBe(call);
  });
});
