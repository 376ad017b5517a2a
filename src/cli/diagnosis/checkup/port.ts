/** Whether the broker can listen at an address, and what to do if not. */
import { createServer } from 'node:net';

import { codeOf } from '../../../core/errors.js';
import { type Finding, ok, problem } from '../../../core/finding.js';
import { listenTrouble } from '../../../core/listen-trouble.js';

/** What uses an address and answered no question. */
export const STRANGER = 'in use by a program that is not a Majordomo broker, or does not answer';
/** How long to wait for an answer before the program there counts as another one. */
export const ANSWER_MS = 3000;

export interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * @param key of the configuration that names it
 * @param text the address, as it was given
 * @param who finds out what uses it; `null`: another program
 */
export async function portFinding(
  name: string,
  key: string,
  text: string,
  { host, port }: Address,
  who: () => Promise<Finding | null>,
): Promise<Finding> {
  const error = await bindError(host, port);
  if (error === null) return ok(name, port === 0 ? 'any free port' : 'free');
  const { why, remedy } = listenTrouble(error, key, text);
  if (codeOf(error) !== 'EADDRINUSE') return problem(name, why, remedy);
  return (await who()) ?? problem(name, STRANGER, remedy);
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
