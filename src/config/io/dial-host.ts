/** Where a program on this machine connects to what listens here. */
import { isIPv6 } from 'node:net';

import { addressesOfInterface } from '../../zmtp/sockets/names.js';

/** @param host to listen on @returns the host of an endpoint or a URL; nobody finds the address of an interface's name */
export function dialHost(host: string): string {
  const [own = host] = addressesOfInterface(host);
  if (own === '*' || own === '0.0.0.0') return '127.0.0.1';
  if (own === '[::]') return '[::1]';
  return isIPv6(own) ? `[${own}]` : own;
}
