import { python } from '../../interop/support/program.js';
import { RawPeer } from '../../interop/support/raw-peer.js';
import { startDaemon } from '../../support/daemon.js';
import { itWithTool } from '../../support/tools.js';
import {
  cleanUp,
  occurrences,
  registeredWorker,
  type ServiceSeen,
  untilLogged,
} from './support.js';

const TOOL = 'python3-zmq';

describe('a client that is killed', () => {
  afterEach(cleanUp);

  itWithTool(TOOL, 'leaves nothing behind: its waiting requests are dropped (D26)', async () => {
    const daemon = await startDaemon();
    const watcher = new RawPeer(daemon.endpoint);
    const client = python('dealer_client', daemon.endpoint, 'work', '--count', 20);
    await watcher.untilMmi<ServiceSeen[]>('mmi.services', ([seen]) => seen?.queued === 20);
    const other = watcher.ask('other', 'work', 'mine');
    await client.kill();
    await untilLogged(daemon, 'request.dropped', { reason: 'client_gone' }, 20);
    const worker = await registeredWorker(daemon, 1);
    expect((await other).at(-1)).toBe('mine');
    await worker.waitFor('request');
    expect(worker.said('request')).toHaveLength(1);
    expect(occurrences(daemon, 'request.dropped')).toBe(20);
  });
});
