/**
 * The same load on a pair that nobody hurts, at the heartbeat that it has by default: neither node may
 * take the other one for dead.
 */
import { setTimeout as pause } from 'node:timers/promises';

import type { SimRandom } from '../simulation/world/random.js';
import { type PairOfDaemons, ROLES, startPairOfDaemons } from '../support/pair-daemons.js';
import { Load, SERVICES } from './load.js';
import { checkAll, SETS } from './pair-faults.js';
import { Workers } from './workers.js';

const HEARTBEAT_MS = 1000;
const PROGRESS_MS = 60_000;
const LAG = 'majordomo_event_loop_lag_seconds';
/** Reported, but not a failure: a busy machine delays heartbeats, too. */
const SIGNS = ['ha.paused', 'ha.disconnected', 'ha.unsynced'] as const;

/** The event loop's delay, from the node's own metrics at the end. */
async function lagOf(pair: PairOfDaemons): Promise<string> {
  const said = await Promise.all(
    ROLES.map(async (role) => {
      const page = await (await fetch(`${pair.httpOf(role)}/metrics`)).text();
      const lines = page.split('\n').filter((line) => line.startsWith(LAG));
      return `${role} ${lines.map((line) => line.slice(LAG.length)).join(' ')}`;
    }),
  );
  return said.join('; ');
}

export async function loadPair(
  forMs: number,
  random: SimRandom,
  say: (text: string) => void,
): Promise<string> {
  const options = { heartbeatIntervalMs: HEARTBEAT_MS, sets: SETS, direct: true };
  const pair = await startPairOfDaemons(options);
  const changes = pair.logged('ha.changed').length;
  const load = new Load(pair.endpoints, random);
  const workers = new Workers(pair.endpoints, SERVICES, random);
  const began = Date.now();
  load.start();
  workers.start();
  while (Date.now() - began < forMs) {
    await pause(Math.min(PROGRESS_MS, forMs - (Date.now() - began)));
    load.receipts.throwIfLost();
    say(`${Math.round((Date.now() - began) / 1000)} s: ${load.receipts.told}`);
  }
  const since = pair.logged('ha.changed').slice(changes);
  if (since.length > 0) {
    const lines = since.map((line) => JSON.stringify(line)).join('\n');
    throw new Error(`nobody hurt the pair, and it changed\n${lines}`);
  }
  const signs = SIGNS.map((event) => `${pair.logged(event).length} × ${event}`).join(', ');
  say(`lag of the loops: ${await lagOf(pair)}`);
  await load.stop();
  await workers.settle();
  const disks = await checkAll(pair, load);
  await load.close();
  await workers.close();
  return (
    `no failover in ${Math.round(forMs / 1000)} s of load, ${signs}, ${workers.answered} runs; ` +
    `${disks}: ${load.receipts.count} receipts checked at both nodes, and none was lost`
  );
}
