/**
 * Whether an endpoint is on loopback: every address of its host is in 127/8 or is ::1 (D78). So is
 * a socket in the file system, because no network leads to it.
 */
import { BlockList, isIP } from 'node:net';

import { addressesOfHost, addressesOfInterface, type Resolve } from '../../zmtp/sockets/names.js';
import type { Endpoint } from '../endpoint.js';

const LOOPBACK = new BlockList();
// Also matches IPv4 addresses written as IPv6.
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

function isLoopbackAddress(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && LOOPBACK.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

/**
 * `*` and unknown names are not on loopback: it is unknown who can reach them.
 * A name may be listened on or connected to, so it counts as that of an interface and of a host.
 * @param resolve the system's resolver, unless a test passes another
 */
export async function isLoopback(
  endpoint: Endpoint,
  resolve: Resolve = addressesOfHost,
): Promise<boolean> {
  if (endpoint.scheme === 'ipc') return true;
  // Without brackets and zone.
  const host = endpoint.host.replace(/^\[([^\]%]*)(%[^\]]*)?\]$/, '$1');
  if (host === '*') return false;
  if (isIP(host) !== 0) return isLoopbackAddress(host);
  const addresses = [...addressesOfInterface(host), ...(await resolve(host).catch(() => []))];
  return addresses.length > 0 && addresses.every(isLoopbackAddress);
}
