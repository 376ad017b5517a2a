import { afterEach, describe, expect, it } from '@jest/globals';

import { dialPeer } from '../../../src/bstar/io/peer-dialler.js';
import type { PeerLink } from '../../../src/bstar/io/peer-link.js';
import { type Daemon, removeDaemons, startDaemon } from '../../support/daemon.js';
import { freePorts } from '../../support/free-ports.js';
import { ask, httpOf } from '../../support/http.js';

const HEARTBEAT_MS = 500;

const links: PeerLink[] = [];

afterEach(async () => {
  await Promise.all(links.splice(0).map((link) => link.close()));
  await removeDaemons();
});

interface Ha {
  readonly peer: { readonly up: boolean; readonly publicUrl: string | null };
}

async function primary(own: number, peer: number): Promise<Daemon> {
  const sets = [
    'http.listen=127.0.0.1:0',
    'bstar.role=primary',
    `bstar.heartbeatIntervalMs=${HEARTBEAT_MS}`,
    `bstar.listen=tcp://127.0.0.1:${own}`,
    `bstar.peer=tcp://127.0.0.1:${peer}`,
  ];
  return await startDaemon({ sets });
}

describe('where people reach the page of the peer (issue 12.6)', () => {
  it.each([
    [null, null],
    ['https://right.example/majordomo/', 'https://right.example/majordomo/'],
    ['https://right.example/"><b>', 'https://right.example/%22%3E%3Cb%3E'],
    ['javascript:alert(1)', null],
    ['https://user:secret@right.example', null],
    ['\u0000\u001b[31m\ufffd', null],
  ])('is told as it is checked, if the peer says %j', async (said, shown) => {
    const [own = 0, peer = 0] = await freePorts(2);
    const daemon = await primary(own, peer);
    let stands = (): void => undefined;
    const stood = new Promise<void>((resolve) => {
      stands = resolve;
    });
    const link = dialPeer(`tcp://127.0.0.1:${own}`, undefined, {
      introduction: () => ({
        pair: 'default',
        role: 'backup',
        replication: 'sync',
        heartbeatIntervalMs: HEARTBEAT_MS,
        node: 'right',
        storeId: Buffer.alloc(16, 7),
        epoch: 0,
        publicUrl: said,
      }),
      incarnation: 1,
      heartbeatIntervalMs: HEARTBEAT_MS,
      events: {
        connected: stands,
        objectionTo: () => null,
        message: () => undefined,
        receiving: () => undefined,
        disconnected: () => undefined,
        refused: () => undefined,
        rejected: () => undefined,
        refusedByPeer: () => undefined,
      },
    });
    links.push(link);
    await stood;
    await daemon.waitFor('ha.connected');
    const { peer: seen } = (await ask(`${httpOf(daemon)}/api/v1/ha`)).json as Ha;
    expect(seen.publicUrl).toBe(shown);
    const overview = (await ask(`${httpOf(daemon)}/api/v1/overview`)).json as Ha;
    expect(overview.peer.publicUrl).toBe(shown);
  });
});
