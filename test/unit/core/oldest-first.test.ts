import { OldestFirst } from '../../../src/core/oldest-first.js';

function keysOf(map: OldestFirst<number, string>): number[] {
  return [...map].map(({ key }) => key);
}

it('keeps the order in which keys were added; a key that is set again keeps its place', () => {
  const map = new OldestFirst<number, string>();
  for (const key of [3, 1, 2]) map.set(key, 'first');
  map.set(3, 'again');
  expect([keysOf(map), map.get(3), map.oldest?.value]).toEqual([[3, 1, 2], 'again', 'again']);
  expect([map.delete(3), map.delete(3), map.has(3)]).toEqual([true, false, false]);
  map.set(3, 'last');
  expect([keysOf(map), map.size]).toEqual([[1, 2, 3], 3]);
  map.shift();
  expect(map.oldest?.key).toBe(2);
  map.clear();
  map.shift();
  expect([keysOf(map), map.size, map.oldest]).toEqual([[], 0, null]);
});

it('goes on after an entry that was deleted while it was looked at', () => {
  const map = new OldestFirst<number, string>();
  for (const key of [1, 2, 3]) map.set(key, '');
  for (const { key } of map) if (key < 3) map.delete(key);
  expect(keysOf(map)).toEqual([3]);
});
