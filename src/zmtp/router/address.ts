import type { TcpNetConnectOpts, IpcNetConnectOpts } from 'node:net';

import { IPC_PATH_BYTES_MAX } from '../../core/system.js';
import { endpointError } from '../endpoints.js';
import type { Place } from '../sockets/listener.js';

const TCP = /^tcp:\/\/(?:([^;]+);)?(?:\[([^\]]+)\]|([^:;[\]]+)):([0-9]{1,5}|\*)$/;
const SOURCE = /^(?:\[([^\]]+)\]|([0-9.]+)):([0-9]{1,5}|\*)$/;
const IPC = 'ipc://';

/** An abstract socket's name begins with a zero byte in the system and with `@` in an endpoint. */
function ipcPath(endpoint: string): string {
  const path = endpoint.slice(IPC.length);
  if (Buffer.byteLength(path) > IPC_PATH_BYTES_MAX) {
    throw endpointError(endpoint, `a path of more than ${IPC_PATH_BYTES_MAX} bytes`);
  }
  return path.startsWith('@') ? `\0${path.slice(1)}` : path;
}

/** The address for listening on a checked endpoint. */
export function bindAddress(endpoint: string): Place {
  const tcp = TCP.exec(endpoint);
  if (tcp === null) return { path: ipcPath(endpoint) };
  const [, source, v6, host, port] = tcp;
  if (source !== undefined) throw endpointError(endpoint, 'only who dials has a source address');
  const portNumber = port === '*' ? 0 : Number(port);
  if (v6 !== undefined) return { host: v6 === '*' ? '::' : v6, port: portNumber };
  return { host: host === '*' ? '0.0.0.0' : (host ?? ''), port: portNumber };
}

/** The address for dialling a checked endpoint. */
export function dialAddress(endpoint: string): TcpNetConnectOpts | IpcNetConnectOpts {
  const tcp = TCP.exec(endpoint);
  if (tcp === null) return { path: ipcPath(endpoint) };
  const [, source, v6, host, port] = tcp;
  const target = { host: v6 ?? host ?? '', port: Number(port) };
  if (source === undefined) return target;
  const from = SOURCE.exec(source);
  if (from === null) throw endpointError(endpoint, 'the source is not an address and a port');
  const [, from6, from4 = '', fromPort] = from;
  const localPort = fromPort === '*' ? 0 : Number(fromPort);
  return { ...target, localAddress: from6 ?? from4, localPort };
}

/** The endpoint with the port that the system assigned. */
export function boundEndpoint(endpoint: string, port: number | null): string {
  return port === null ? endpoint : endpoint.replace(/:(?:[0-9]+|\*)$/, `:${port}`);
}
