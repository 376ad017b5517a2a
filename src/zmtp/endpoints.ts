/** Endpoints of this adapter: which can be bound and dialled, and the errors about them. */
import { lstat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { MajordomoError, codeOf, messageOf } from '../core/errors.js';
import { shownUrl } from '../core/web-address.js';

const IPC = 'ipc://';
const TCP_DIALLED = /^tcp:\/\/(?:[^;]+;)?(?:\[[^\]]+\]|[^:[\]*]+):([0-9]{1,5})$/;
const TCP_BOUND = /^tcp:\/\/(?:\[[^\]]+\]|[^:[\]]+):(?:([0-9]{1,5})|\*)$/;
const PORT_MAX = 65_535;

/** @param endpoint as the user wrote it */
export function endpointError(endpoint: string, what: string, cause?: unknown): MajordomoError {
  const shown = shownUrl(endpoint);
  return new MajordomoError('ERR_MDP_ENDPOINT', `${shown}: ${what}`, {
    cause,
    details: { endpoint: shown },
  });
}

function inUseError(endpoint: string, cause?: unknown): MajordomoError {
  return new MajordomoError('ERR_MDP_ENDPOINT_IN_USE', `${endpoint}: already in use`, {
    cause,
    details: { endpoint },
  });
}

/** Converts an error thrown by `bind` into an error of this package. */
export function bindError(endpoint: string, cause: unknown): MajordomoError {
  if (codeOf(cause) === 'EADDRINUSE') return inUseError(endpoint, cause);
  return endpointError(endpoint, `cannot listen: ${messageOf(cause)}`, cause);
}

export function needsIpv6(endpoint: string): boolean {
  return endpoint.includes('[');
}

/** Throws `ERR_MDP_ENDPOINT` unless a link can dial the endpoint. */
export function checkDialled(endpoint: string): void {
  if (endpoint.startsWith(IPC) && endpoint.length > IPC.length) return;
  const port = Number(TCP_DIALLED.exec(endpoint)?.[1] ?? 0);
  if (port >= 1 && port <= PORT_MAX) return;
  throw endpointError(endpoint, 'not an endpoint to connect to (tcp://HOST:PORT or ipc://PATH)');
}

/**
 * Throws unless the endpoint uses one of the two transports and, for ipc, is free: libzmq removes
 * whatever is at the path, even a socket on which another process listens or a file that is not a
 * socket.
 */
export async function checkBound(endpoint: string): Promise<void> {
  const tcp = TCP_BOUND.exec(endpoint);
  // libzmq takes port 99999 for 34463.
  if (tcp !== null && Number(tcp[1] ?? 0) <= PORT_MAX) return;
  if (!endpoint.startsWith(IPC) || endpoint.length === IPC.length) {
    throw endpointError(endpoint, 'not an endpoint to listen on (tcp://HOST:PORT or ipc://PATH)');
  }
  const path = socketPath(endpoint);
  if (path === undefined) return;
  try {
    if (!(await lstat(path)).isSocket()) {
      throw endpointError(endpoint, 'the path exists and is not a socket');
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw codeOf(error) === 'ERR_MDP_ENDPOINT' ? error : bindError(endpoint, error);
  }
  if (await listens(path)) throw inUseError(endpoint);
}

/** True if a process accepts connections there; false if it died and left its socket behind. */
function listens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error) => {
      resolve(codeOf(error) !== 'ECONNREFUSED' && codeOf(error) !== 'ENOENT');
    });
  });
}

/** The file of an ipc endpoint; none for abstract names and names that libzmq chooses. */
function socketPath(endpoint: string): string | undefined {
  const path = endpoint.slice(IPC.length);
  return !endpoint.startsWith(IPC) || path === '*' || path.startsWith('@') ? undefined : path;
}

/**
 * A socket file that is ours; its inode distinguishes it from one that another process made later.
 */
export interface SocketFile {
  readonly path: string;
  readonly inode: number;
}

/** The file that binding this endpoint created. */
export async function socketFileOf(endpoint: string): Promise<SocketFile | undefined> {
  const path = socketPath(endpoint);
  if (path === undefined) return undefined;
  return { path, inode: (await lstat(path)).ino };
}

/**
 * Removes the file, which libzmq leaves behind; called while we still listen, so it is still ours.
 */
export async function removeSocketFile(file: SocketFile): Promise<void> {
  try {
    if ((await lstat(file.path)).ino === file.inode) await unlink(file.path);
  } catch {
    // The file, its directory or our permission was removed: the next start replaces a stale file.
  }
}
