/**
 * Listens on a name: on every address that it has, as `localhost` has one of IPv4 and one of IPv6. (libzmq 4.3.5 binds
 * one: the first of the interface of that name, if there is one, or else of the host.)
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

import { codeOf } from '../../core/errors.js';

/** Finds the addresses of a name. Rejects, or finds none, if it is unknown. */
export type Resolve = (name: string) => Promise<readonly string[]>;

export interface BoundName {
  /** `HOST:PORT`, with the real port. */
  readonly name: string;
  readonly addresses: readonly string[];
  /** Addresses of the name that this machine does not have. */
  readonly absent: readonly string[];
}

export interface Names {
  readonly resolve: Resolve;
  /** Told of each name that is listened on. */
  readonly bound?: (name: BoundName) => void;
}

/** What listens on one address. */
interface Bound {
  readonly port: number;
  close(): unknown;
}

/** How often a port is looked for that is free on all addresses. */
const ATTEMPTS_MAX = 50;
/** A machine without IPv6 has no such addresses. */
const ABSENT: ReadonlySet<unknown> = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT']);

/** What a name stands for where a node listens: an interface of this machine, or else a host. (The SDK knows hosts.) */
export async function addressesOf(name: string): Promise<readonly string[]> {
  const own = addressesOfInterface(name);
  return own.length > 0 ? own : await addressesOfHost(name);
}

/** The addresses of an interface of this machine; empty if there is none of this name, or the system does not tell. */
export function addressesOfInterface(name: string): readonly string[] {
  try {
    return usable(networkInterfaces()[name] ?? []);
  } catch {
    return [];
  }
}

export async function addressesOfHost(name: string): Promise<readonly string[]> {
  return usable(await lookup(name, { all: true }));
}

/** (A link-local address is none without its zone, which a look-up does not tell: hosts' own names often have one.) */
function usable(found: readonly { readonly address: string }[]): readonly string[] {
  const all = [...new Set(found.map(({ address }) => address))];
  const others = all.filter((address) => !/^fe[89ab][\da-f]:[^%]*$/i.test(address));
  return others.length === 0 ? all : others;
}

/** Whether an address cannot be listened on because this machine does not have it. */
export function isAbsent(error: unknown): boolean {
  return ABSENT.has(codeOf(error));
}

/** False for an address, with or without its zone. */
export function isName(host: string): boolean {
  return isIP(host.replace(/%.*/s, '')) === 0;
}

/**
 * Listens on every address of a host, with one port on all of them. Addresses that this machine does not have are left
 * out, if it has another one.
 * @param bind `isOfName`: another address of the name may be the same one of IPv4
 * @throws what `bind` throws, or looking for the name; nothing stays open
 */
export async function bindEach<Each extends Bound>(
  host: string,
  port: number,
  names: Names,
  bind: (address: string, port: number, isOfName: boolean) => Promise<Each>,
): Promise<readonly Each[]> {
  if (!isName(host)) return [await bind(host, port, false)];
  const addresses = await names.resolve(host);
  for (let attempt = 1; ; attempt++) {
    const open: Each[] = [];
    const absent: string[] = [];
    let failure: unknown = new Error(`${host} has no address`);
    try {
      for (const address of addresses) {
        try {
          open.push(await bind(address, open[0]?.port ?? port, true));
        } catch (error) {
          failure = error;
          if (!isAbsent(error)) throw error;
          absent.push(address);
        }
      }
      const [first] = open;
      if (first === undefined) throw failure;
      const bound = addresses.filter((address) => !absent.includes(address));
      names.bound?.({ name: `${host}:${first.port}`, addresses: bound, absent });
      return open;
    } catch (error) {
      for (const each of open) await each.close();
      const isTaken = port === 0 && open.length > 0 && codeOf(error) === 'EADDRINUSE';
      if (!isTaken || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}
