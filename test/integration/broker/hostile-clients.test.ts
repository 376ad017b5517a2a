import { afterEach, describe, expect } from '@jest/globals';

import { python } from '../../interop/support/program.js';
import { RawPeer } from '../../interop/support/raw-peer.js';
import { itWithTool } from '../../support/tools.js';
import { Siege } from './siege.js';
import { cleanUp, occurrences, rawWorker, type ServiceSeen, untilLogged } from './support.js';

const TOOL = 'python3-zmq';
const KIB = 1024;
const GROWTH_MAX = 2;

function untilOnlySteady(watcher: RawPeer): Promise<unknown> {
  return watcher.untilMmi<ServiceSeen[]>('mmi.services', (services) => services.length === 1);
}

describe('a client', () => {
  afterEach(cleanUp);

  itWithTool(TOOL, 'that never reads is closed, and its replies are dropped', async () => {
    const siege = await Siege.begin('limits.messageBytes=512KiB', 'limits.outputBytes=1MiB');
    python('worker', siege.endpoint, 'echo', '--credit', 10);
    const body = Buffer.alloc(64 * KIB, 'x');
    const flood = async (): Promise<void> => {
      const deaf = new RawPeer(siege.endpoint, { reads: false });
      for (let sent = 0; sent < 400; sent++) {
        await deaf.send('id', '', 'MDPC02', '\x01', 'echo', body);
      }
      const before = occurrences(siege.daemon, 'client.closed');
      await untilLogged(siege.daemon, 'client.closed', {}, before + 1);
      await siege.served();
      deaf.close();
    };
    await flood();
    await untilLogged(siege.daemon, 'reply.dropped', { reason: 'slow_client' });
    const before = siege.residentBytes();
    for (let rounds = 0; rounds < 3; rounds++) await flood();
    expect(siege.residentBytes()).toBeLessThan(before * GROWTH_MAX);
    await siege.end();
  });

  itWithTool(TOOL, 'that vanishes, and the hundred after it, leave nothing (D26)', async () => {
    const siege = await Siege.begin();
    const watcher = new RawPeer(siege.endpoint);
    const round = async (rounds: number): Promise<void> => {
      const clients = Array.from({ length: 100 }, () => new RawPeer(siege.endpoint));
      for (const [number, client] of clients.entries()) {
        for (let sent = 0; sent < 10; sent++) {
          await client.send('MDPC02', '\x01', `none-${number % 7}`, Buffer.alloc(KIB));
        }
        await client.send('', 'MDPW01', '\x01', `gone-${number % 7}`);
      }
      for (const client of clients) {
        await client.settle();
        client.close();
      }
      await untilOnlySteady(watcher);
      await untilLogged(siege.daemon, 'request.dropped', {}, 1000 * rounds);
    };
    await round(1);
    const before = siege.residentBytes();
    const descriptors = siege.openDescriptors();
    for (let rounds = 2; rounds <= 5; rounds++) await round(rounds);
    expect(siege.residentBytes()).toBeLessThan(before * GROWTH_MAX);
    expect(siege.openDescriptors()).toBeLessThan(descriptors + 50);
    await siege.end();
  });

  itWithTool(TOOL, 'that floods one service: the others are served, the rest refused', async () => {
    const siege = await Siege.begin('limits.queuedRequestsPerService=1000');
    const peer = new RawPeer(siege.endpoint);
    const watcher = new RawPeer(siege.endpoint);
    const body = Buffer.alloc(KIB);
    const flood = async (): Promise<void> => {
      for (let sent = 0; sent < 10_000; sent++) await peer.send('MDPC02', '\x01', 'none', body);
      await peer.settle();
    };
    await flood();
    const seen = await watcher.untilMmi<ServiceSeen[]>('mmi.services', () => true);
    expect(seen.find(({ service }) => service === 'none')?.queued).toBe(1000);
    const before = siege.residentBytes();
    await flood();
    await flood();
    expect(siege.residentBytes()).toBeLessThan(before * GROWTH_MAX);
    await siege.served();
    peer.close();
    await untilOnlySteady(watcher);
    await siege.end();
    expect(occurrences(siege.daemon, 'request.refused', { reason: 'limit' })).toBe(29_000);
  });

  itWithTool(
    TOOL,
    'that asks for ever new services: names are bounded, and forgotten',
    async () => {
      const siege = await Siege.begin('limits.services=500', 'broker.requestTtlMs=1000');
      const peer = new RawPeer(siege.endpoint);
      const watcher = new RawPeer(siege.endpoint);
      const round = async (rounds: number): Promise<void> => {
        for (let sent = 0; sent < 5000; sent++) {
          await peer.send('MDPC02', '\x01', `round ${rounds} name ${sent}`, 'x');
        }
        await peer.settle();
        await untilOnlySteady(watcher);
      };
      await round(1);
      const before = siege.residentBytes();
      for (let rounds = 2; rounds <= 4; rounds++) await round(rounds);
      expect(siege.residentBytes()).toBeLessThan(before * GROWTH_MAX);
      await siege.end();
      expect(occurrences(siege.daemon, 'request.refused')).toBeGreaterThanOrEqual(3 * 4500);
    },
  );

  itWithTool(TOOL, 'that floods mmi.* and does not read the answers', async () => {
    const siege = await Siege.begin('limits.messageBytes=512KiB', 'limits.outputBytes=1MiB');
    const idle = await Promise.all(
      Array.from({ length: 50 }, (_, number) =>
        rawWorker(siege.endpoint, `idle-${number}-${'x'.repeat(200)}`),
      ),
    );
    for (const worker of idle) await worker.settle();
    const flood = async (): Promise<void> => {
      const deaf = new RawPeer(siege.endpoint, { reads: false });
      for (let sent = 0; sent < 2000; sent++) {
        await deaf.send('id', '', 'MDPC02', '\x01', 'mmi.services', '');
      }
      await siege.served();
      deaf.close();
    };
    await flood();
    await untilLogged(siege.daemon, 'client.closed');
    const before = siege.residentBytes();
    await flood();
    await flood();
    expect(siege.residentBytes()).toBeLessThan(before * GROWTH_MAX);
    await siege.end();
  });
});
