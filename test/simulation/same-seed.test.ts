import { FreelanceWorld } from './freelance/world.js';
import { PairWorld } from './pair/world.js';
import { SharedWorld } from './shared/world.js';
import { StoredWorld } from './stored/world.js';
import type { Trace } from './world/trace.js';
import { WHOLE, World } from './world/world.js';

interface Traced {
  readonly trace: Trace;
  run(): unknown;
}

it.each<[string, () => Traced]>([
  ['clients and workers', () => new World(11, WHOLE, true)],
  ['a pair', () => new PairWorld(7, true)],
  ['stored requests', () => new StoredWorld(7, true)],
  ['brokers on one database', () => new SharedWorld(7, true)],
  ['several brokers', () => new FreelanceWorld(7, true)],
])('a world of %s is the same each time that its seed makes it', async (_name, make) => {
  const scripts: (readonly string[])[] = [];
  for (const world of [make(), make()]) {
    await world.run();
    scripts.push(world.trace.last(1000));
  }
  const [first, second] = scripts;
  expect(first?.length).toBeGreaterThan(50);
  expect(second).toEqual(first);
});
