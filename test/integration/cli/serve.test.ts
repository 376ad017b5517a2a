import { afterEach, describe, expect, it } from '@jest/globals';

import { removeDaemons, startDaemon } from '../../support/daemon.js';

afterEach(removeDaemons);

describe('majordomo serve', () => {
  it('says where it listens and on which node when clients are served (contract §6)', async () => {
    const daemon = await startDaemon({ sets: ['node.name=left'] });
    expect(daemon.endpoint).toMatch(/^tcp:\/\/127\.0\.0\.1:[1-9]\d+$/);
    expect(daemon.logged('broker.ready')[0]).toMatchObject({ level: 'info', node: 'left' });
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('drains at %s and exits with 0', async (signal) => {
    const daemon = await startDaemon();
    daemon.signal(signal);
    expect(await daemon.finished()).toMatchObject({ status: 0, signal: null });
    expect(daemon.log.map(({ event }) => event)).toEqual([
      'broker.ready',
      'broker.draining',
      'broker.stopped',
    ]);
  });
});
