/** Endpoints of this adapter: what may be bound and dialled, and what failed about them. */
import { lstat } from 'node:fs/promises';
import { connect } from 'node:net';
import { MajordomoError, codeOf, messageOf } from '../../core/errors.js';

const IPC = 'ipc://';
const TCP = 'tcp://';
const TCP_DIALLED = /^tcp:\/\/(?:[^;]+;)?(?:\[[^\]]+\]|[^:[\]*]+):([0-9]{1,5})$/;
const PORT_MAX = 65_535;

/** @param endpoint as the user wrote it: messages name it */
export function endpointError(endpoint: string, what: string, cause?: unknown): MajordomoError {
  return new MajordomoError('ERR_MDP_ENDPOINT', `${endpoint}: ${what}`, {
    cause,
    details: { endpoint },
  });
}

function inUseError(endpoint: string, cause?: unknown): MajordomoError {
  return new MajordomoError('ERR_MDP_ENDPOINT_IN_USE', `${endpoint}: already in use`, {
    cause,
    details: { endpoint },
  });
}

/** What `bind` threw, as an error of this package. */
export function bindError(endpoint: string, cause: unknown): MajordomoError {
  if (codeOf(cause) === 'EADDRINUSE') return inUseError(endpoint, cause);
  return endpointError(endpoint, `cannot listen there: ${messageOf(cause)}`, cause);
}

export function needsIpv6(endpoint: string): boolean {
  return endpoint.includes('[');
}

/** Throws `ERR_MDP_ENDPOINT` unless the endpoint is one that a link can dial. */
export function checkDialled(endpoint: string): void {
  if (endpoint.startsWith(IPC) && endpoint.length > IPC.length) return;
  const port = Number(TCP_DIALLED.exec(endpoint)?.[1] ?? 0);
  if (port >= 1 && port <= PORT_MAX) return;
  throw endpointError(endpoint, 'not an endpoint to connect to (tcp://HOST:PORT or ipc://PATH)');
}

/**
 * Throws unless the endpoint is one of the two transports and, for ipc, free: libzmq removes
 * whatever is at the path, also the socket on which another process listens, and also a file that
 * is no socket at all.
 */
export async function checkBound(endpoint: string): Promise<void> {
  if (endpoint.startsWith(TCP)) return;
  if (!endpoint.startsWith(IPC)) {
    throw endpointError(endpoint, 'not an endpoint to listen on (tcp://HOST:PORT or ipc://PATH)');
  }
  const path = endpoint.slice(IPC.length);
  if (path === '*' || path.startsWith('@')) return;
  try {
    if (!(await lstat(path)).isSocket()) {
      throw endpointError(endpoint, 'there is a file at that path that is not a socket');
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
