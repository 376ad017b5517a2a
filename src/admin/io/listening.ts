/** Listens for HTTP on an address, or on a socket in the file system. */
import { lstatSync, unlinkSync } from 'node:fs';
import type { Server } from 'node:http';
import {
  connect,
  createServer,
  type ListenOptions,
  type Server as Acceptor,
  type ServerOpts,
} from 'node:net';

import { codeOf, MajordomoError } from '../../core/errors.js';
import { listenText } from '../../core/listen-trouble.js';
import { addressesOf, bindEach, type Names } from '../../zmtp/sockets/names.js';
import { isLoopbackAddress } from '../http/guard.js';

export type ListenAddress =
  { readonly host: string; readonly port: number } | { readonly path: string };

interface Listening {
  /** `http://HOST:PORT` with the actual port, of a name its first address; `https://…`; `unix:PATH`. */
  readonly url: string;
  /** Whether only this machine can reach it. */
  readonly isLocal: boolean;
  /** Whether it has a network address, which the host name of a web page can resolve to. */
  readonly hasAddress: boolean;
}

/** Owner and group may read and write the socket. */
const SOCKET_UMASK = 0o117;

/**
 * Listens on each address of a name: the server also gets the connections to the others, and its `close` ends all.
 * @param sockets options of its sockets
 * @throws ERR_HTTP_LISTEN
 */
export async function listen(
  server: Server,
  wanted: ListenAddress,
  isTls: boolean,
  sockets: ServerOpts,
  names: Names = { resolve: addressesOf },
): Promise<Listening> {
  let addresses: readonly string[];
  const name = 'path' in wanted ? `unix:${wanted.path}` : `${wanted.host}:${wanted.port}`;
  try {
    if ('path' in wanted) {
      await takeOver(wanted.path);
      await bound(server, { path: wanted.path });
      return { url: name, isLocal: true, hasAddress: false };
    }
    const host = wanted.host === '*' ? '0.0.0.0' : wanted.host.replace(/^\[(.*)\]$/, '$1');
    addresses = await boundEach(server, host, wanted.port, sockets, names);
  } catch (error) {
    throw new MajordomoError('ERR_HTTP_LISTEN', listenText(error, 'http.listen', name), {
      cause: error,
    });
  }
  const at = server.address();
  const { address, port } = typeof at === 'object' && at !== null ? at : { address: '', port: 0 };
  const shown = address.includes(':') ? `[${address}]` : address;
  const url = `${isTls ? 'https' : 'http'}://${shown}:${port}`;
  return { url, isLocal: addresses.every(isLoopbackAddress), hasAddress: true };
}

/** @returns the addresses */
async function boundEach(
  server: Server,
  host: string,
  port: number,
  sockets: ServerOpts,
  names: Names,
): Promise<readonly string[]> {
  const others: Acceptor[] = [];
  const { allowHalfOpen } = server as { readonly allowHalfOpen?: boolean };
  const all = await bindEach(host, port, names, async (address, at, ipv6Only) => {
    const isFirst = !server.listening;
    const acceptor = isFirst ? server : createServer({ ...sockets, allowHalfOpen });
    await bound(acceptor, { host: address, port: at, ipv6Only });
    if (!isFirst) {
      others.push(acceptor);
      acceptor.on('connection', (socket) => server.emit('connection', socket));
      // Accepting fails while the process has no free descriptors, and resumes by itself.
      acceptor.on('error', () => undefined);
    }
    const given = acceptor.address();
    const real = typeof given === 'object' && given !== null ? given : { address, port: at };
    const end = (): void => {
      acceptor.close();
      server.closeAllConnections();
    };
    return { ...real, close: end };
  });
  if (others.length > 0) closeTogether(server, others);
  return all.map(({ address }) => address);
}

/** A server waits only for connections that it has accepted itself. */
function closeTogether(server: Server, others: readonly Acceptor[]): void {
  const close = server.close.bind(server);
  server.close = (done) => {
    const gone = others.map((each) => new Promise((resolve) => each.close(resolve)));
    return close((error) => {
      void Promise.all(gone).then(() => done?.(error));
    });
  };
}

function bound(server: Acceptor, where: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // The call creates the file, so it never has a looser mode.
    const before = 'path' in where ? process.umask(SOCKET_UMASK) : null;
    server.listen(where, () => {
      server.removeAllListeners('error');
      resolve();
    });
    if (before !== null) process.umask(before);
  });
}

/** Removes the socket that a process left behind when it died, and nothing else. */
async function takeOver(path: string): Promise<void> {
  try {
    if (!lstatSync(path).isSocket()) throw new Error('the path exists and is not a socket');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  // If a process answers, listening fails with the right error.
  if (!(await answers(path))) unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      const code = codeOf(error);
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve(false);
      // The queue of the socket is full, so a process listens.
      else if (code === 'EAGAIN') resolve(true);
      else reject(error);
    });
  });
}
