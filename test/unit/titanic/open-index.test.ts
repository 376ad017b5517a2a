import {
  BROKER_ID,
  EXPIRY_PLACE,
  NO_SLOT,
  NUMBER,
  OpenIndex,
  PLACE,
  PRIORITY,
  STATE,
} from '../../../src/titanic/machine/open-index.js';
import { Uuids } from '../../../src/titanic/machine/uuid.js';
import { UuidTable } from '../../../src/titanic/machine/uuid-table.js';
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

describe('the table of uuids', () => {
  it('is a map of 200,000, through growth, removal and coming back', () => {
    const uuids = new Uuids(seededRandom(6));
    const all = Array.from({ length: MANY }, () => uuids.next(WALL_MS));
    const table = new UuidTable(
      (slot, uuid) => all[slot]?.equals(uuid) ?? false,
      (slot) => UuidTable.hash(all[slot] ?? Buffer.alloc(16)),
    );
    const wrong = (isThere: (slot: number) => boolean): number => {
      let count = 0;
      for (const [slot, uuid] of all.entries()) {
        if (table.find(uuid) !== (isThere(slot) ? slot : -1)) count++;
      }
      return count;
    };
    for (const [slot, uuid] of all.entries()) table.add(uuid, slot);
    expect([table.count, wrong(() => true)]).toEqual([MANY, 0]);
    for (const [slot, uuid] of all.entries()) if (slot % 3 !== 0) table.delete(uuid);
    expect(wrong((slot) => slot % 3 === 0)).toBe(0);
    for (const [slot, uuid] of all.entries()) if (slot % 3 === 1) table.add(uuid, slot);
    expect(wrong((slot) => slot % 3 !== 2)).toBe(0);
  });

  it('finds those of one hash apart, also when one of a run is taken out', () => {
    const all = Array.from({ length: 40 }, (_, index) => {
      const uuid = Buffer.alloc(16, 0xab);
      uuid[0] = index;
      return uuid;
    });
    const table = new UuidTable(
      (slot, uuid) => all[slot]?.equals(uuid) ?? false,
      (slot) => UuidTable.hash(all[slot] ?? Buffer.alloc(16)),
    );
    for (const [slot, uuid] of all.entries()) table.add(uuid, slot);
    for (let slot = 0; slot < 40; slot += 2) table.delete(all[slot] ?? Buffer.alloc(16));
    const found = all.map((uuid) => table.find(uuid));
    expect(found).toEqual(all.map((_, slot) => (slot % 2 === 0 ? -1 : slot)));
  });
});

describe('the index of open requests', () => {
  it('keeps the fields of 200,000 apart, and a slot that is reused is clean', () => {
    const uuids = new Uuids(seededRandom(7));
    const index = new OpenIndex();
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

  it('begins anew when nothing is open any more', () => {
    const uuids = new Uuids(seededRandom(8));
    const index = new OpenIndex();
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
