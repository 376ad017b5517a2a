/**
 * A broker that is flooded, beside quiet clients: how long they wait, compared with how long they
 * wait while the broker rests.
 */
import { afterEach, describe, expect, it } from '@jest/globals';

import { cleanUp } from '../process/broker/support.js';
import { destroySockets, RawSocket } from '../support/raw-socket.js';
import { closePeers, RawPeer } from '../interop/support/raw-peer.js';
import { Attacker } from '../support/attacker.js';
import { startDaemon } from '../support/daemon.js';
import { until } from '../support/until.js';
import { greetingOf, HANDSHAKE } from '../unit/zmtp/wire.js';

const ASKED = 200;
/** A quiet client waits no longer (issue 11); with the noise of a machine that tests share. */
const WAIT_MS_MAX = 1000;

async function waits(client: RawPeer, count: number): Promise<number[]> {
  const all: number[] = [];
  for (let asked = 0; asked < count; asked++) {
    const before = performance.now();
    const answer = await client.ask('id', 'mmi.service', 'mmi.service');
    expect(answer.at(-1)).toBe('200');
    all.push(performance.now() - before);
  }
  return all.sort((a, b) => a - b);
}

describe('a quiet client', () => {
  afterEach(async () => {
    destroySockets();
    closePeers();
    await cleanUp();
  });

  it('is answered at once beside eight connections that flood cheap messages (D76)', async () => {
    const daemon = await startDaemon({});
    const client = new RawPeer(daemon.endpoint);
    await waits(client, ASKED);
    const flooders = await Attacker.prepare('cheap', daemon.endpoint, { count: 8 });
    try {
      await flooders.begin();
      const flooded = await waits(client, ASKED);
      expect(flooded.at(-1)).toBeLessThan(WAIT_MS_MAX);
    } finally {
      await flooders.end();
    }
  });

  it('can connect beside 5,000 idle and 1,000 half-open connections', async () => {
    const daemon = await startDaemon({});
    const idle = Array.from({ length: 5000 }, () =>
      new RawSocket(daemon.endpoint).write(HANDSHAKE),
    );
    await until(() => idle.every(({ received }) => received.length >= 107), 'all to be in');
    const half = Array.from({ length: 1000 }, () =>
      new RawSocket(daemon.endpoint).write(greetingOf().subarray(0, 20)),
    );
    await until(() => half.every(({ isConnected }) => isConnected), 'the half-open ones');
    const before = performance.now();
    await waits(new RawPeer(daemon.endpoint), 1);
    expect(performance.now() - before).toBeLessThan(WAIT_MS_MAX);
  });
});
