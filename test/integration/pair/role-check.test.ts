import { linkUnlessPrimary } from '../../../src/bstar/io/role-check.js';
import type { PeerLink, PeerLinkOptions } from '../../../src/bstar/io/peer-link.js';
import { PEER_VERSION } from '../../../src/wire/pair.js';
import { fakeTimers } from '../../support/fake-timers.js';
import { freePorts } from '../../support/free-ports.js';
import { linkEvents } from '../../support/link-events.js';

const LINK: PeerLink = {
  send: () => undefined,
  flush: () => undefined,
  disconnect: () => undefined,
  holdOff: () => undefined,
  revoke: () => undefined,
  close: () => Promise.resolve(),
};
const OPTIONS: PeerLinkOptions = {
  introduction: () => ({
    pair: 'test',
    role: 'primary',
    replication: 'sync',
    heartbeatIntervalMs: 1000,
    node: 'p',
    storeId: null,
    epoch: 0,
    publicUrl: null,
  }),
  incarnation: 1,
  heartbeatIntervalMs: 1000,
  version: PEER_VERSION,
  events: linkEvents(),
};

describe('a primary that starts and asks whether its peer is a primary, too', () => {
  let endpoint: string;

  beforeEach(async () => {
    const [port] = await freePorts(1);
    endpoint = `tcp://127.0.0.1:${port}`;
  });
  fakeTimers();

  it('waits for an answer, and goes on without one', async () => {
    const never = new Promise<void>(() => undefined);
    const link = linkUnlessPrimary(LINK, endpoint, undefined, OPTIONS, never);
    await jest.advanceTimersByTimeAsync(1000);
    await (await link).close();
  });

  it('does not wait once its backup has connected: the backup and clients need it now', async () => {
    const began = Date.now();
    const link = linkUnlessPrimary(LINK, endpoint, undefined, OPTIONS, Promise.resolve());
    await (await link).close();
    // The fake clock has not advanced.
    expect(Date.now()).toBe(began);
  });
});
