import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Client } from '../../../src/sdk/client.js';
import { Worker } from '../../../src/sdk/worker.js';
import { removeDaemons, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { PATIENCE_MS } from '../../support/patience.js';

afterEach(removeDaemons);

describe('a request', () => {
  it('can be followed through the log while its level is debug, which SIGHUP sets', async () => {
    const file = join(temporaryDirectory(), 'majordomo.yaml');
    writeFileSync(file, 'log: {level: info}\n');
    const daemon = await startDaemon({ file });
    const endpoints = [daemon.endpoint];
    const worker = new Worker({ endpoints, service: 'echo' }, ({ frames }) => frames);
    const client = new Client({ endpoints });
    try {
      void worker.run();
      await daemon.waitFor('worker.registered');
      await client.request('echo', 'not followed');
      writeFileSync(file, 'log: {level: debug}\n');
      daemon.signal('SIGHUP');
      await daemon.waitFor('config.reloaded');
      await client.request('echo', 'followed');
      const job = await client.submit('echo', 'stored');
      await job.result({ timeoutMs: PATIENCE_MS });
      await daemon.waitFor('titanic.ended');
      expect(daemon.log.filter(({ request }) => request === 1)).toMatchObject([
        { event: 'request.received', level: 'debug', service: 'echo' },
        { event: 'request.dispatched', worker: 1, delivery: 1 },
        { event: 'request.ended', outcome: 'replied' },
      ]);
      expect(daemon.logged('request.received')).toHaveLength(1);
      const uuid = job.uuid.slice(0, 16);
      expect(daemon.logged('titanic.ended')).toMatchObject([{ uuid, outcome: 'replied' }]);
      expect(daemon.stdout).not.toContain(job.uuid);
    } finally {
      await worker.close();
      await client.close();
    }
  });
});
