/** Listens for HTTP on an address, or on a socket in the file system. */
import { lstatSync, unlinkSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect } from 'node:net';

import { codeOf, MajordomoError } from '../../core/errors.js';
import { listenText } from '../../core/listen-trouble.js';
import { isLoopbackAddress } from '../http/guard.js';

export type ListenAddress =
  { readonly host: string; readonly port: number } | { readonly path: string };

export interface Listening {
  /** `http://HOST:PORT` with the actual port; `https://…`; `unix:PATH`. */
  readonly url: string;
  /** Whether only this machine can reach it. */
  readonly isLocal: boolean;
  /** Whether it has a network address, which the host name of a web page can resolve to. */
  readonly hasAddress: boolean;
}

/** Owner and group may read and write the socket. */
const SOCKET_UMASK = 0o117;

/** @throws ERR_HTTP_LISTEN */
export async function listen(
  server: Server,
  wanted: ListenAddress,
  isTls: boolean,
): Promise<Listening> {
  const name = 'path' in wanted ? `unix:${wanted.path}` : `${wanted.host}:${wanted.port}`;
  try {
    if ('path' in wanted) {
      await takeOver(wanted.path);
      await bound(server, { path: wanted.path });
      return { url: name, isLocal: true, hasAddress: false };
    }
    const host = wanted.host === '*' ? '0.0.0.0' : wanted.host.replace(/^\[(.*)\]$/, '$1');
    await bound(server, { host, port: wanted.port });
  } catch (error) {
    throw new MajordomoError('ERR_HTTP_LISTEN', listenText(error, 'http.listen', name), {
      cause: error,
    });
  }
  const at = server.address();
  const { address, port } = typeof at === 'object' && at !== null ? at : { address: '', port: 0 };
  const shown = address.includes(':') ? `[${address}]` : address;
  const url = `${isTls ? 'https' : 'http'}://${shown}:${port}`;
  return { url, isLocal: isLoopbackAddress(address), hasAddress: true };
}

function bound(
  server: Server,
  where: { readonly path: string } | { readonly host: string; readonly port: number },
): Promise<void> {
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
      // Its queue is full, so a process listens.
      else if (code === 'EAGAIN') resolve(true);
      else reject(error);
    });
  });
}
