/** Whether the broker can listen at an address, and what to do if not. */
import { createServer } from 'node:net';

import { codeOf, messageOf } from '../../../core/errors.js';
import { type Finding, ok, problem } from '../../../core/finding.js';

const PRIVILEGED_PORT_MAX = 1023;
/** How long to wait for an answer before the program there counts as another one. */
export const ANSWER_MS = 3000;

export interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * @param key of the configuration that names it
 * @param who finds out what uses it; `null`: another program
 */
export async function portFinding(
  name: string,
  key: string,
  { host, port }: Address,
  who: () => Promise<Finding | null>,
): Promise<Finding> {
  const error = await bindError(host, port);
  if (error === null) return ok(name, port === 0 ? 'any free port' : 'free');
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      return (
        (await who()) ??
        problem(
          name,
          'in use by a program that is not a Majordomo broker, or does not answer',
          `find it with: ss -ltnp 'sport = :${port}'; or choose another port`,
        )
      );
    case 'EACCES':
      return problem(
        name,
        'this user may not listen there',
        port <= PRIVILEGED_PORT_MAX
          ? `choose a port above ${PRIVILEGED_PORT_MAX}, or set AmbientCapabilities=CAP_NET_BIND_SERVICE`
          : 'choose another port',
      );
    case 'EADDRNOTAVAIL':
      return problem(name, 'this machine does not have that address', 'see: ip address');
    default:
      return problem(name, messageOf(error), `correct ${key}`);
  }
}

/** Where a program on this machine connects to what listens on `host`. */
export function dialHost(host: string): string {
  return host === '*' || host === '0.0.0.0' ? '127.0.0.1' : host;
}

/** Null if the address could be bound; it is free again afterwards. */
function bindError(host: string, port: number): Promise<unknown> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', resolve);
    const at = host === '*' ? {} : { host: host.replace(/^\[(.*)\]$/, '$1') };
    server.listen({ ...at, port, exclusive: true }, () => {
      server.close(() => {
        resolve(null);
      });
    });
  });
}
