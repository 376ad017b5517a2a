/** What must be true of a pair after any fault. */
import type { PairOfDaemons } from './pair-daemons.js';
import type { PairLoad } from './pair-load.js';

/** Both nodes are in sync again: every receipt is valid at both nodes and on both disks. */
export async function expectNothingLost(pair: PairOfDaemons, load: PairLoad): Promise<void> {
  await load.stop();
  await pair.atBoth(() => load.check());
  expect(load.errors).toEqual([]);
  await load.close();
  const { differences, uuids } = await pair.rest();
  expect(differences).toEqual([]);
  expect([...load.open.keys()].filter((uuid) => !uuids.has(uuid))).toEqual([]);
  expect([...load.closed].filter((uuid) => uuids.has(uuid))).toEqual([]);
}
