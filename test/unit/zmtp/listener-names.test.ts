/** A name with several addresses is listened on at all of them, or at none. */
import dns from 'node:dns';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';

import { codeOf } from '../../../src/core/errors.js';
import { type Listening, listen } from '../../../src/zmtp/sockets/listener.js';
import { addressesOf } from '../../../src/zmtp/sockets/names.js';
import { freePorts } from '../../support/free-ports.js';
import { until } from '../../support/until.js';

const FIRST = '127.0.0.1';
const SECOND = '127.0.0.2';

const open: (Listening | Server)[] = [];
const sockets: Socket[] = [];

afterEach(() => {
  jest.restoreAllMocks();
  for (const each of open.splice(0)) each.close();
  for (const each of sockets.splice(0)) each.destroy();
});

/** A peer tries to come to the first address while the second one is not bound yet. */
async function halfBound(port: number) {
  let goOn = (): void => undefined;
  const { lookup } = dns;
  jest.spyOn(dns, 'lookup').mockImplementation((host: string, ...others: unknown[]) => {
    const look = (): void => {
      Reflect.apply(lookup, dns, [host, ...others]);
    };
    if (host === SECOND) goOn = look;
    else look();
  });
  const accepted: string[] = [];
  const listener = listen(
    { host: 'here.example', port },
    { connectionsMax: 10, hasReserve: true },
    {
      admits: () => true,
      accepted: ({ socket }, address) => {
        sockets.push(socket);
        accepted.push(address);
      },
      full: () => undefined,
      failed: () => undefined,
    },
    { resolve: () => Promise.resolve([FIRST, SECOND]) },
  );
  const told = { connected: 0, closed: 0 };
  const comes = (): void => {
    const peer = connect(port, FIRST, () => {
      told.connected++;
    });
    sockets.push(peer);
    peer.on('error', () => undefined);
    peer.on('close', () => {
      if (told.connected > 0) told.closed++;
      if (told.closed === 0) comes();
    });
    peer.resume();
  };
  comes();
  await until(() => told.closed > 0, 'the peer is sent away');
  expect(accepted).toEqual([]);
  return { listener, accepted, comes, goOn: () => goOn() };
}

it('a peer that comes before all are bound is sent away, and served when it comes again', async () => {
  const [port = 0] = await freePorts(1);
  const { listener, accepted, comes, goOn } = await halfBound(port);
  goOn();
  open.push(await listener);
  comes();
  await until(() => accepted.length > 0, 'the peer is accepted');
  expect(accepted).toEqual([FIRST]);
});

it('if one is in use, whoever has come to another is not served, and the error is told', async () => {
  const taken = createServer();
  open.push(taken);
  await new Promise<void>((resolve) => taken.listen(0, SECOND, resolve));
  const at = taken.address();
  const port = typeof at === 'object' && at !== null ? at.port : 0;
  const { listener, accepted, goOn } = await halfBound(port);
  const refusal = listener.catch((error: unknown) => codeOf(error));
  goOn();
  expect(await refusal).toBe('EADDRINUSE');
  expect(accepted).toEqual([]);
});

it('the name of an interface is that before it is the name of a host', async () => {
  const own = Object.entries(networkInterfaces()).find(([, all]) =>
    all?.some(({ internal }) => internal),
  );
  const [name = '', addresses = []] = own ?? [];
  expect(await addressesOf(name)).toEqual(addresses.map(({ address }) => address));
  expect(await addressesOf('localhost')).toContain(FIRST);
});
