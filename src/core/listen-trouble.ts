/** Why a node cannot listen at an address of its configuration, and what to do. `doctor` says it too. */
import { causeOf, codeOf, detailsOf, MajordomoError, messageOf } from './errors.js';

export interface ListenTrouble {
  readonly why: string;
  readonly remedy: string;
}

const PRIVILEGED_PORT_MAX = 1023;

/**
 * @param error of the system
 * @param key of the configuration that has the address
 * @param address as it was given: `tcp://HOST:PORT`, `HOST:PORT`, `ipc://PATH` or `unix:PATH`
 */
export function listenTrouble(error: unknown, key: string, address: string): ListenTrouble {
  const [, before = '', port = null] = /^(.*:)(\d+)$/s.exec(address) ?? [];
  const path = port === null ? address.replace(/^\w+:(\/\/(?=\/))?/, '') : '';
  // YAML and shells give brackets and asterisks a meaning.
  const other = /[[*]/.test(before) ? `'${key}="${before}PORT"'` : `${key}=${before}PORT`;
  const another =
    port === null ? `choose another path in ${key}` : `choose another port: --set ${other}`;
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      return {
        why: 'another process uses it, perhaps another broker',
        remedy: `find it with: ${port === null ? `ss -lxp src ${path}` : `ss -ltnp 'sport = :${port}'`}; or ${another}`,
      };
    case 'EACCES':
      return {
        // A path in a directory that does not exist is reported so, too.
        why: `this user may not listen there${port === null ? ', or there is no such directory' : ''}`,
        remedy:
          port !== null && Number(port) <= PRIVILEGED_PORT_MAX
            ? `choose a port above ${PRIVILEGED_PORT_MAX}, or set AmbientCapabilities=CAP_NET_BIND_SERVICE`
            : another,
      };
    case 'EADDRNOTAVAIL':
      return { why: 'this machine does not have that address', remedy: 'see: ip address' };
    default:
      return { why: messageOf(error), remedy: `correct ${key}` };
  }
}

/** The text of an error about it. */
export function listenText(error: unknown, key: string, address: string, use = ''): string {
  const { why, remedy } = listenTrouble(error, key, address);
  return `cannot listen on ${key} ${address}${use}: ${why}; ${remedy}`;
}

/**
 * Opens the sockets of a key: the transport, which does not know the key, names only the endpoint.
 * @param use what the endpoint is for, if the key is for several
 */
export async function listenFor<T>(key: string, open: () => Promise<T>, use = ''): Promise<T> {
  try {
    return await open();
  } catch (error) {
    const { endpoint } = detailsOf(error);
    const code = codeOf(error);
    const cause = code === 'ERR_MDP_ENDPOINT_IN_USE' ? { code: 'EADDRINUSE' } : causeOf(error);
    if (code === undefined || typeof endpoint !== 'string' || codeOf(cause) === undefined) {
      throw error;
    }
    throw new MajordomoError(code, listenText(cause, key, endpoint, use), { cause: error });
  }
}
