import { Buckets } from '../../../src/core/buckets.js';
import {
  BROKER_ID,
  EXPIRY_PLACE,
  NO_SLOT,
  NUMBER,
  OpenIndex,
  PLACE,
  PRIORITY,
  STATE,
} from '../../../src/titanic/machine/requests/open-index.js';
import { Uuids } from '../../../src/titanic/machine/requests/uuid.js';
import { seededRandom } from '../../support/stage-random.js';

const MANY = 200_000;
const WALL_MS = 1_795_132_800_000;

describe('uuids', () => {
  it('are of version 7 and variant 10, their first 48 bits the time (RFC 9562 §5.7)', () => {
    const uuids = new Uuids(seededRandom(3));
    for (let i = 0; i < 1000; i++) {
      const uuid = uuids.next(WALL_MS + i);
      expect(uuid).toHaveLength(16);
      expect(uuid.readUIntBE(0, 6)).toBe(WALL_MS + i);
      expect((uuid[6] ?? 0) >> 4).toBe(7);
      expect((uuid[8] ?? 0) >> 6).toBe(2);
    }
  });

  it('are all different, in order of their milliseconds, and random in each of 74 bits', () => {
    const uuids = new Uuids(seededRandom(4));
    const seen = new Set<string>();
    const ones = new Array<number>(128).fill(0);
    for (let i = 0; i < 20_000; i++) {
      const uuid = uuids.next(WALL_MS);
      seen.add(uuid.toString('hex'));
      for (let bit = 0; bit < 128; bit++) {
        ones[bit] = (ones[bit] ?? 0) + (((uuid[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1);
      }
    }
    expect(seen.size).toBe(20_000);
    const random = ones.filter((count) => count > 9000 && count < 11_000).length;
    const fixed = ones.filter((count) => count === 0 || count === 20_000).length;
    expect([random, fixed]).toEqual([74, 54]);
    expect(uuids.next(WALL_MS + 1).compare(uuids.next(WALL_MS + 2))).toBe(-1);
  });

  it('are buffers of their own', () => {
    const uuids = new Uuids(seededRandom(5));
    const first = uuids.next(WALL_MS);
    const text = first.toString('hex');
    for (let i = 0; i < 1000; i++) uuids.next(WALL_MS).fill(0);
    expect(first.toString('hex')).toBe(text);
  });
});

describe('the index of open requests', () => {
  it('keeps the fields of 200,000 apart, and a slot that is reused is clean', () => {
    const uuids = new Uuids(seededRandom(7));
    const index = new OpenIndex(seededRandom(1));
    const all = Array.from({ length: MANY }, () => uuids.next(WALL_MS));
    for (const [number, uuid] of all.entries()) {
      const slot = index.add(uuid);
      index.set(slot, STATE, 1);
      index.set(slot, PRIORITY, number % 100);
      index.setDouble(slot, NUMBER, number);
      index.setDouble(slot, BROKER_ID, number);
      index.set(slot, PLACE, number);
    }
    let wrong = 0;
    for (const [number, uuid] of all.entries()) {
      const slot = index.find(uuid);
      const isRight =
        index.getDouble(slot, NUMBER) === number &&
        index.get(slot, PRIORITY) === number % 100 &&
        index.uuid(slot).equals(uuid);
      if (!isRight) wrong++;
      if (number % 2 === 0) index.remove(slot);
    }
    expect([wrong, index.count]).toEqual([0, MANY / 2]);
    const uuid = uuids.next(WALL_MS);
    const slot = index.add(uuid);
    expect(slot).toBeLessThan(MANY);
    expect([STATE, PRIORITY, PLACE, EXPIRY_PLACE].map((field) => index.get(slot, field))).toEqual([
      0, 0, -1, -1,
    ]);
    expect(index.getDouble(slot, BROKER_ID)).toBe(-1);
    expect(index.find(all[0] ?? uuid)).toBe(NO_SLOT);
  });

  it('is a map of uuids, through growth, removal and coming back', () => {
    const uuids = new Uuids(seededRandom(6));
    const index = new OpenIndex(seededRandom(2));
    const all = Array.from({ length: MANY }, () => uuids.next(WALL_MS));
    const slots = all.map((uuid) => index.add(uuid));
    const wrong = (isThere: (number: number) => boolean): number => {
      let count = 0;
      for (const [number, uuid] of all.entries()) {
        if (index.find(uuid) !== (isThere(number) ? slots[number] : NO_SLOT)) count++;
      }
      return count;
    };
    expect([index.count, wrong(() => true)]).toEqual([MANY, 0]);
    for (const [number, slot] of slots.entries()) if (number % 3 !== 0) index.remove(slot);
    expect(wrong((number) => number % 3 === 0)).toBe(0);
    for (const [number, uuid] of all.entries()) {
      if (number % 3 === 1) slots[number] = index.add(uuid);
    }
    expect(wrong((number) => number % 3 !== 2)).toBe(0);
  });

  it('finds uuids whose random bits were selected as fast as others', () => {
    const selected = Array.from({ length: 4000 }, (_, at) => {
      const uuid = Buffer.alloc(16, 0xab);
      uuid.writeUInt16LE(at, 6);
      return uuid;
    });
    const uuids = new Uuids(seededRandom(9));
    const others = selected.map(() => uuids.next(WALL_MS));
    const steps = jest.spyOn(Buckets.prototype, 'next');
    const stepsOf = (all: readonly Buffer[]): number => {
      const index = new OpenIndex(seededRandom(3));
      steps.mockClear();
      const slots = all.map((uuid) => index.add(uuid));
      for (const uuid of all) index.find(uuid);
      for (const slot of slots) index.remove(slot);
      return steps.mock.calls.length;
    };
    expect(stepsOf(selected)).toBeLessThan(1.5 * stepsOf(others));
    steps.mockRestore();
  });

  it('begins anew when nothing is open any more', () => {
    const uuids = new Uuids(seededRandom(8));
    const index = new OpenIndex(seededRandom(1));
    for (let round = 0; round < 3; round++) {
      const all = Array.from({ length: 10_000 }, () => uuids.next(WALL_MS));
      const slots = all.map((uuid) => index.add(uuid));
      expect(new Set(slots).size).toBe(10_000);
      expect(Math.max(...slots)).toBe(9999);
      for (const slot of slots) index.remove(slot);
      expect(index.count).toBe(0);
    }
  });
});
