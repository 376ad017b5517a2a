/** Chapter 4: Binary Star. */
import type { Daemon } from '../../../support/daemon.js';
import { until } from '../../../support/until.js';
import type { Case } from '../support/case.js';
import { clientsAt, type Place } from '../support/place.js';

const LINK = ['tcp://127.0.0.1:5003', 'tcp://127.0.0.1:5004'] as const;

/** A node with the client port of the Guide's server of that role. */
function node(place: Place, role: 'primary' | 'backup'): Promise<Daemon> {
  const isPrimary = role === 'primary';
  const [listen, peer] = isPrimary ? LINK : [LINK[1], LINK[0]];
  return place.broker({
    listen: [clientsAt(isPrimary ? 5001 : 5002)],
    sets: [`bstar.role=${role}`, `bstar.listen=${listen}`, `bstar.peer=${peer}`],
  });
}

async function failOver(place: Place): Promise<void> {
  const nodes = [await node(place, 'primary'), await node(place, 'backup')] as const;
  const [primary, backup] = nodes;
  await until(() => isIn(primary, 'active') && isIn(backup, 'passive'), 'a pair that serves');
  await place.worker(nodes, ({ frames }) => frames);
  for (const each of nodes) await place.untilWorkers(each, 1);
  const client = place.program('bstarcli');
  await client.waitFor('I: server replied OK (2)');
  await primary.kill();
  await client.waitFor('I: connecting to server at tcp://localhost:5002...');
  const replies = (): number =>
    client.lines.filter(({ event }) => event.startsWith('I: server replied OK')).length;
  const before = replies();
  await until(() => replies() > before, 'a reply of the backup');
}

export function isIn(daemon: Daemon, state: string): boolean {
  return daemon.logged('ha.changed').at(-1)?.['to'] === state;
}

export const PAIR: readonly Case[] = [
  {
    programs: ['bstarcli'],
    shows: 'is answered by the backup of a pair after the primary was killed',
    run: failOver,
  },
];
