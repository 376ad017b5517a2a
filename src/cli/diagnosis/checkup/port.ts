/** Whether the broker can listen at an address, and what to do if not. */
import { createServer } from 'node:net';

import { codeOf } from '../../../core/errors.js';
import { type Finding, ok, problem } from '../../../core/finding.js';
import type { Resolve } from '../../../zmtp/sockets/names.js';
import { listenTrouble, type ListenTrouble } from '../../../core/listen-trouble.js';

/** What uses an address and answered no question. */
export const STRANGER = 'in use by a program that is not a Majordomo broker, or does not answer';
/** How long to wait for an answer before the program there counts as another one. */
export const ANSWER_MS = 3000;

export interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * The finding for all addresses of a host: a node listens on each.
 * @param key of the configuration that names it
 * @param text the address, as it was given
 * @param who finds out what uses an address; `null`: another program
 */
export async function portFinding(
  name: string,
  key: string,
  text: string,
  { host, port }: Address,
  who: (address: string) => Promise<Finding | null>,
  resolve?: Resolve,
): Promise<Finding> {
  const { addressesOf, isAbsent, isName } = await import('../../../zmtp/sockets/names.js');
  const trouble = (error: unknown): ListenTrouble => listenTrouble(error, key, text);
  const failed = (error: unknown): Finding => {
    const { why, remedy } = trouble(error);
    return problem(name, why, remedy);
  };
  let addresses: readonly string[];
  try {
    const bare = host.replace(/^\[(.*)\]$/, '$1');
    addresses = host === '*' || !isName(bare) ? [host] : await (resolve ?? addressesOf)(host);
  } catch (error) {
    return failed(error);
  }
  const found = await Promise.all(
    addresses.map(async (address) => ({ address, error: await bindError(address, port) })),
  );
  const wrong = found.find(({ error }) => error !== null && !isAbsent(error) && !isUsed(error));
  if (wrong !== undefined) return failed(wrong.error);
  const there = found.filter(({ error }) => !isAbsent(error));
  if (there.length === 0) return failed(found[0]?.error);
  const used = there.filter(({ error }) => error !== null);
  const free = there.filter(({ error }) => error === null);
  let finding = ok(name, port === 0 ? 'any free port' : 'free');
  for (const { address, error } of used) {
    finding = (await who(address)) ?? problem(name, STRANGER, trouble(error).remedy);
    if (finding.state !== 'ok') return finding;
  }
  if (used.length > 0 && free.length > 0) {
    const none = free.map(({ address }) => address).join(' and ');
    return problem(name, `${finding.text}, but not at ${none}, which is ${host}, too`, RESTART);
  }
  const absent = found.filter(({ error }) => isAbsent(error)).map(({ address }) => address);
  const but = absent.length === 0 ? '' : `; this machine does not have ${absent.join(' and ')}`;
  return { ...finding, text: finding.text + but };
}

function isUsed(error: unknown): boolean {
  return codeOf(error) === 'EADDRINUSE';
}

const RESTART = 'restart the broker: it listens on all addresses of a name';

/** Null if the address could be bound; it is free again afterwards. */
function bindError(host: string, port: number): Promise<unknown> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', resolve);
    const at = host === '*' ? {} : { host: host.replace(/^\[(.*)\]$/, '$1') };
    server.listen({ ...at, port, exclusive: true }, () => {
      server.close(() => resolve(null));
    });
  });
}
