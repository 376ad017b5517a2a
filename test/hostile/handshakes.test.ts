import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { dialZmtp } from '../../src/zmtp/link.js';
import { loadSodium } from '../../src/zmtp/curve/sodium.js';
import { FACTORY, LIMITS, LinkRecord, Server } from '../support/transport-fixture.js';
import { until } from '../support/until.js';
import { destroySockets, RawSocket } from '../support/raw-socket.js';

const MANY = { connectionsMax: 20_000, connectionsPerIdentityMax: 20_000 };

const open: (() => unknown)[] = [];

afterEach(async () => {
  destroySockets();
  for (const close of open.splice(0).reverse()) await close();
});

async function serve(options: Parameters<typeof Server.open>[2]): Promise<Server> {
  const server = await Server.open(FACTORY, ['tcp://127.0.0.1:0'], options);
  open.push(() => server.transport.close(0));
  return server;
}

/** Resolves when it is connected, or has ended. */
async function opened(socket: Socket): Promise<void> {
  if (!socket.connecting) return;
  await new Promise<void>((resolve) => {
    socket.once('connect', resolve).once('close', () => resolve());
  });
}

describe('with CURVE', () => {
  it('800 silent connections a second do not keep an honest one out at its first try', async () => {
    const crypto = await loadSodium();
    const [own, alice] = [crypto.keyPair(), crypto.keyPair()];
    const authorise = () => ({ kind: 'allowed', name: 'alice' }) as const;
    const curve = { secretKeys: [own.secretKey], authorise };
    const server = await serve({ limits: MANY, curve });
    const idle = await serve({ limits: MANY, curve });
    const over = new AbortController();
    const silent = (async () => {
      for (let span = 0; !over.signal.aborted && span < 500; span++) {
        const some = Array.from({ length: 16 }, () => new RawSocket(server.endpoint).socket);
        // A slow machine slows the attack, too: else the kernel's queue of connections overflows.
        await Promise.all([delay(20), ...some.map((socket) => opened(socket))]);
      }
      over.abort();
    })();
    const keys = { serverKey: own.publicKey, ...alice };
    let [judged, failures] = [0, 0];
    for (let tries = 0; judged < 10 && !over.signal.aborted && tries < 100; tries++) {
      const [attacked, control] = [server, idle].map(({ endpoint }) => {
        const events = new LinkRecord();
        const link = dialZmtp({ limits: LIMITS, curve: keys })(endpoint, events);
        open.push(() => link.close(0));
        return events;
      });
      const began = performance.now();
      const isIn = (events?: LinkRecord): boolean => events?.told.includes('connected') === true;
      await until(() => isIn(control), 'an honest one to be in at the idle server');
      const controlMs = performance.now() - began;
      await until(() => isIn(attacked), 'an honest one to be in');
      // A handshake has 3 s. Where even the idle server needs a tenth of it, the machine is too slow
      // to judge by.
      if (controlMs < 300) {
        judged++;
        failures += attacked?.failures ?? 0;
      }
      await delay(100);
    }
    over.abort();
    await silent;
    expect(failures).toBe(0);
    expect(judged).toBeGreaterThan(2);
  });
});
