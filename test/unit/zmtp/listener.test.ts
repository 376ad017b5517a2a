/** How connections are refused before they have a socket, if Node works differently (docs/adr/0002). */
import type { Server } from 'node:net';

import { Shortcut } from '../../../src/core/shortcut.js';
import { refuseEarly } from '../../../src/zmtp/sockets/listener.js';

/** A server whose handle may be anything, and what is told about its connections. */
function serverOf(handle: unknown) {
  const refusing = new Shortcut();
  const asked: string[] = [];
  const early = {
    admits: (address: string) => asked.push(address) > 0 && address === 'friend',
    reported: () => undefined,
  };
  const server: object = { _handle: handle };
  refuseEarly(server as Server, early, refusing);
  return { refusing, asked };
}

/** A handle that notes which connections Node reports. */
function listening() {
  const reported: unknown[][] = [];
  const handle = {
    onconnection(...args: unknown[]) {
      reported.push(args);
    },
  };
  return { handle, reported };
}

function thrown(): never {
  throw new Error('not to be read');
}

function connection(address: unknown, closed: string[] = []) {
  return {
    close: () => closed.push('closed'),
    getpeername: (found: { address?: unknown }) => {
      found.address = address;
      return 0;
    },
  };
}

it('a connection that is not admitted is closed, and Node does not report it', () => {
  const { handle, reported } = listening();
  const { refusing, asked } = serverOf(handle);
  const closed: string[] = [];
  const friend = connection('friend');
  handle.onconnection(0, connection('stranger', closed));
  handle.onconnection(0, friend);
  // An error of the system has no connection.
  handle.onconnection(-24, undefined);
  expect(asked).toEqual(['stranger', 'friend']);
  expect(closed).toEqual(['closed']);
  expect(reported).toEqual([
    [0, friend],
    [-24, undefined],
  ]);
  expect(refusing.reason).toBeNull();
});

it.each([
  ['null', null],
  ['absent', undefined],
  ['a number', 7],
  ['without onconnection', {}],
  ['with an onconnection that is no function', { onconnection: null }],
  ['fixed', Object.freeze({ onconnection: () => undefined })],
  ['with an onconnection that throws', Object.defineProperty({}, 'onconnection', { get: thrown })],
])('a handle of a server that is %s leaves all connections to Node', (_what, handle) => {
  expect(serverOf(handle).refusing.isOff).toBe(true);
});

it.each([
  ['null', null],
  ['a number', 7],
  ['a string', 'stranger'],
  ['without close', { ...connection('stranger'), close: undefined }],
  ['with an address that is no text', connection(7)],
  ['with an address that is null', connection(null)],
  ['whose address is not to be read', { ...connection(''), getpeername: thrown }],
  ['whose close throws', { ...connection('stranger'), close: thrown }],
  ['whose getpeername is no function', { ...connection(''), getpeername: 7 }],
])('a connection that is %s is reported by Node, and so are all later ones', (_what, odd) => {
  const { handle, reported } = listening();
  const { refusing } = serverOf(handle);
  const later = connection('stranger');
  handle.onconnection(0, odd);
  handle.onconnection(0, later);
  expect(reported).toEqual([
    [0, odd],
    [0, later],
  ]);
  expect(refusing.reason).toMatch(/^a connection is /);
});
