import { Buckets } from '../../../src/core/buckets.js';
import { ByteTable } from '../../../src/core/byte-table.js';
import { collidingKeys } from '../../support/collisions.js';
import { seededRandom } from '../../support/stage-random.js';

function get(table: ByteTable, key: string): number {
  const bytes = Buffer.from(`<<${key}>>`, 'latin1');
  return table.get(bytes, 2, bytes.length - 2);
}

function key(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

describe('a table of byte strings', () => {
  it('finds a key in the middle of a buffer, byte for byte', () => {
    const table = new ByteTable(seededRandom(1));
    table.add(key('echo'), 7);
    expect(get(table, 'echo')).toBe(7);
    for (const other of ['', 'ech', 'echo\0', 'Echo', 'echp', 'ohce']) {
      expect(get(table, other)).toBe(-1);
    }
  });

  it('knows the empty key and keys of any bytes', () => {
    const table = new ByteTable(seededRandom(1));
    const keys = ['', '\0', '\0\0', '\xff', '\xff\0', 'x'.repeat(255)];
    for (const [value, text] of keys.entries()) table.add(key(text), value);
    expect(keys.map((text) => get(table, text))).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('forgets a key whose value is deleted, and only that', () => {
    const table = new ByteTable(seededRandom(1));
    table.add(key('a'), 1);
    table.add(key('b'), 2);
    expect(get(table, 'a')).toBe(1);
    table.delete(1);
    expect([get(table, 'a'), get(table, ''), get(table, 'b'), table.size]).toEqual([-1, -1, 2, 1]);
  });

  it.each([1, 2, 3])('is a map, however it grows and shrinks (seed %i)', (seed) => {
    const table = new ByteTable(seededRandom(seed));
    const model = new Map<string, number>();
    const wrong: string[] = [];
    let state = 12_345;
    const roll = (sides: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((state / 2 ** 32) * sides);
    };
    for (let step = 0; step < 30_000; step++) {
      const grows = Math.floor(step / 5000) % 2 === 0;
      const text = `service ${roll(2000)}`;
      const known = model.get(text);
      if (roll(10) < (grows ? 8 : 2)) {
        if (known === undefined) {
          table.add(key(text), step);
          model.set(text, step);
        }
      } else if (known !== undefined) {
        table.delete(known);
        model.delete(text);
      }
      if (get(table, text) !== (model.get(text) ?? -1)) wrong.push(text);
    }
    for (let at = 0; at < 2000; at++) {
      const text = `service ${at}`;
      if (get(table, text) !== (model.get(text) ?? -1)) wrong.push(text);
    }
    expect(wrong).toEqual([]);
    expect(table.size).toBe(model.size);
  });

  it('steps over as many keys that were made to collide as over others', () => {
    const made = (low: number): Buffer[] => collidingKeys(low, 4000);
    const others = Array.from({ length: 4000 }, (_, at) => key(`service ${at}`));
    const calls = jest.spyOn(Buckets.prototype, 'next');
    const stepsOf = (keys: readonly Buffer[]): number => {
      const table = new ByteTable(seededRandom(9));
      calls.mockClear();
      for (const [value, name] of keys.entries()) table.add(name, value);
      for (const name of keys) table.get(name, 0, name.length);
      for (const value of keys.keys()) table.delete(value);
      return calls.mock.calls.length;
    };
    const steps = stepsOf(others);
    for (const low of [0, 1, 77, 128, 255]) expect(stepsOf(made(low))).toBeLessThan(1.5 * steps);
    calls.mockRestore();
  });
});
