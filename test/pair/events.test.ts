import { closePeers, RawPeer } from '../interop/support/raw-peer.js';
import { closeWatchers, eventsOf, PUBLISHES, Watcher } from '../support/events.js';
import {
  otherOf,
  type PairOfDaemons,
  type PairRole,
  removePairs,
  startPairOfDaemons,
} from '../support/pair-daemons.js';

afterEach(async () => {
  await closeWatchers();
  closePeers();
  await removePairs();
});

async function watch(pair: PairOfDaemons, role: PairRole): Promise<Watcher> {
  const watcher = new Watcher(eventsOf(pair.node(role)), ['worker.registered', 'ha.'], {});
  return await watcher.sync({ endpoint: pair.endpointOf(role) });
}

describe('the events of a pair (D46)', () => {
  it('are those of each node alone', async () => {
    const pair = await startPairOfDaemons({ sets: [PUBLISHES] });
    const active = await pair.inSync();
    const passive = otherOf(active);
    const first = await watch(pair, active);
    const second = await watch(pair, passive);
    await new RawPeer(pair.endpointOf(active)).send('MDPW02', '\x01', 'here');
    await first.waitFor('worker.registered');
    await new RawPeer(pair.endpointOf(passive)).send('MDPW02', '\x01', 'there');
    await second.waitFor('worker.registered');
    expect(first.named('worker.registered')).toMatchObject([{ service: 'here' }]);
    expect(second.named('worker.registered')).toMatchObject([{ service: 'there' }]);
    expect(second.messages[0]?.publisher).not.toBe(first.messages[0]?.publisher);
    await pair.node(active).kill();
    await second.waitFor('ha.disconnected');
  });
});
