/** The identity of a connection, as far as the network reveals it (D70). */
import { isIPv4 } from 'node:net';

import { encodeZ85 } from '../core/z85.js';

const MAPPED = '::ffff:';
/** How many characters of a key to show. */
const KEY_SHOWN = 8;
const GROUPS = 8;
/**
 * Groups of an IPv6 address that identify a site: it has at least a /64, and may use any address in
 * it.
 */
const SITE_GROUPS = 4;

/** The address of a peer over ipc: Node does not report the peer's uid. */
const IPC_ADDRESS = 'ipc';

/**
 * A source address for people, in the form of `net.Socket.remoteAddress`; IPv4 in IPv6 as IPv4.
 * `undefined` means a peer over ipc, or one that has already left.
 */
export function shownAddress(remoteAddress: string | undefined): string {
  if (remoteAddress === undefined || remoteAddress === '') return IPC_ADDRESS;
  const address = remoteAddress.toLowerCase();
  const mapped = address.startsWith(MAPPED) ? address.slice(MAPPED.length) : '';
  if (isIPv4(mapped)) return mapped;
  // Without the zone of a link-local address, which only this machine understands.
  return address.split('%', 1)[0] ?? address;
}

/**
 * The identity of a connection: its key, else its source address. Everything that a peer owns
 * belongs to its identity.
 * @param address as `shownAddress` returns it
 */
export function identityOf(address: string, key: string | null): string {
  if (key !== null) return `key:${key}`;
  if (address === IPC_ADDRESS) return IPC_ADDRESS;
  return address.includes(':') ? `ip:${siteOf(address)}` : `ip:${address}`;
}

/** The /64 of an IPv6 address: its first four groups. */
function siteOf(address: string): string {
  const [head = '', tail] = address.split('::');
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, GROUPS - first.length - last.length);
  const groups = [...first, ...new Array<string>(zeros).fill('0'), ...last];
  return `${groups.slice(0, SITE_GROUPS).join(':')}::/64`;
}

/** What is shown of a public key that has no name. */
export function keyShown(publicKey: Buffer): string {
  return encodeZ85(publicKey).slice(0, KEY_SHOWN);
}
