import { python } from '../../interop/support/program.js';
import { type Daemon, startDaemon } from '../../support/daemon.js';
import { itWithTool } from '../../support/tools.js';
import { cleanUp, registeredWorker } from './support.js';

const SETS = ['broker.heartbeatIntervalMs=300'];

async function killed(daemon: Daemon): Promise<void> {
  const { signal } = await daemon.kill();
  expect(signal).toBe('SIGKILL');
}

/** On the same port and data directory, whose lock the kernel has released. */
function startAgain(daemon: Daemon): Promise<Daemon> {
  return startDaemon({ endpoint: daemon.endpoint, dataDir: daemon.dataDir, sets: SETS });
}

describe('a broker that is killed and started again on its port', () => {
  afterEach(cleanUp);

  itWithTool('python3-zmq', 'gets its Lazy Pirate clients and workers back', async () => {
    for (const version of ['0.1', '0.2']) {
      const daemon = await startDaemon({ sets: SETS });
      const speaks = ['--version', version];
      const worker = await registeredWorker(daemon, 1, '--heartbeat-ms', 300, ...speaks);
      const client = python('lazy_pirate', daemon.endpoint, 'work', ...speaks);
      client.tell('before');
      expect(await client.waitFor('reply')).toMatchObject({ frames: ['before'] });
      await killed(daemon);
      const [retries, silences] = [
        client.said('retry').length,
        worker.said('broker-silent').length,
      ];
      client.tell('meanwhile');
      await client.waitFor('retry', retries + 1);
      await worker.waitFor('broker-silent', silences + 1);
      const again = await startAgain(daemon);
      expect(await client.waitFor('reply', 2)).toMatchObject({ frames: ['meanwhile'] });
      await client.finished();
      expect(await again.stop()).toMatchObject({ status: 0 });
      await worker.kill();
    }
  });
});
