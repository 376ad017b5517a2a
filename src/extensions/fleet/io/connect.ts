/** How this node connects to NATS: the options of the library, and what its errors mean. */
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';

import { codeOf, MajordomoError, messageOf } from '../../../core/errors.js';
import type { Credentials } from './credentials.js';
import type { NatsConnection, NatsLibrary, NatsOptions } from './library.js';

export interface BusOptions {
  readonly servers: readonly string[];
  /** Read anew for each connection, so that they can be changed; `null`: none. */
  readonly credentials: () => Credentials | null;
  /** Shown by the server's monitoring. */
  readonly name: string;
}

export const CONNECT_MS = 2000;
/** Between attempts to connect again. */
const RETRY_MS = 100;
const RETRY_JITTER_MS = 100;
/** A server that answers no PING for two of these is taken for dead. */
const PING_MS = 1000;
const PINGS_OUT = 2;

export function connectionOptions(library: NatsLibrary, options: BusOptions): NatsOptions {
  const { servers, name, credentials } = options;
  const isKnown = credentials() !== null;
  return {
    servers: addresses(servers),
    name,
    noEcho: true,
    // Of the servers that a cluster names, nothing says whether they are on loopback or have TLS.
    ignoreClusterUpdates: true,
    timeout: CONNECT_MS,
    pingInterval: PING_MS,
    maxPingOut: PINGS_OUT,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RETRY_MS,
    reconnectJitter: RETRY_JITTER_MS,
    reconnectJitterTLS: RETRY_JITTER_MS,
    ignoreAuthErrorAbort: true,
    ...(isKnown ? { authenticator: (nonce) => signed(library, credentials(), nonce) } : {}),
    // Otherwise a server decides whether there is TLS.
    ...(servers.some((url) => url.startsWith('tls:'))
      ? { tls: { checkServerIdentity: identityCheck(servers) } }
      : {}),
  };
}

function addresses(servers: readonly string[]): string[] {
  return servers.map((url) => url.replace(/^(nats|tls):\/\//, ''));
}

/**
 * Until it has been connected once, the library drops each server that it does not reach, and would
 * never try it again.
 */
export function nameAllServers({ protocol }: NatsConnection, { servers }: BusOptions): void {
  const list = protocol?.servers;
  if (list === undefined) return;
  const known = new Set(list.getServers().map(({ src }) => src));
  for (const address of addresses(servers)) {
    if (known.has(address)) continue;
    list.addServer(address);
    // The library would look for the name of the connected server in the certificate of this one.
    const added = list.getServers().at(-1);
    if (added !== undefined) added.tlsName = '';
  }
}

/**
 * The library does not tell Node the address of a server whose URL has an IP address, and Node then
 * looks for `localhost` in the certificate. So a certificate has to name one of these addresses.
 */
function identityCheck(
  servers: readonly string[],
): (host: string, certificate: PeerCertificate) => Error | undefined {
  const hosts = servers.map((url) => new URL(url).hostname.replace(/^\[(.*)\]$/, '$1'));
  const addresses = hosts.filter((host) => isIP(host) !== 0);
  return (host, certificate) => {
    if (host !== 'localhost' || addresses.length === 0) {
      return checkServerIdentity(host, certificate);
    }
    const names = hosts.includes(host) ? [host, ...addresses] : addresses;
    const faults = names.map((name) => checkServerIdentity(name, certificate));
    return faults.every((fault) => fault !== undefined) ? faults[0] : undefined;
  };
}

function signed(library: NatsLibrary, known: Credentials | null, nonce?: string): unknown {
  if (known === null) return {};
  const { kind, bytes } = known;
  const authenticator =
    kind === 'creds' ? library.credsAuthenticator(bytes) : library.nkeyAuthenticator(bytes);
  return authenticator(nonce);
}

/** Codes of the system and of DNS: no server answers. TLS has others, but for EPROTO. */
const UNREACHED = /^E(?!RR|PROTO$)[A-Z0-9_]+$/;

/** The server was reached and did not let this broker in, now or later. */
export function isRefusal(error: unknown): boolean {
  // The texts of these name the host, which may be called anything.
  if (UNREACHED.test(codeOf(error) ?? '')) return false;
  const isObject = typeof error === 'object' && error !== null && 'name' in error;
  const name = isObject ? String(error.name) : '';
  return (
    /Authorization|Authentication|InvalidArgument/.test(name) ||
    /tls|ssl|certificate|credentials|nkey/i.test(messageOf(error))
  );
}

/** @param error for which `isRefusal` is true */
export function refused(error: unknown): MajordomoError {
  const text = `fleet.nats: the NATS server refused this broker: ${messageOf(error)}; ${mending(error)}`;
  return new MajordomoError('ERR_FLEET_REFUSED', text, { cause: error });
}

function mending(error: unknown): string {
  const text = messageOf(error);
  if (/does not support 'tls'|not available on this server/.test(text)) {
    return 'it has no TLS: configure TLS there, or begin its URL with nats://';
  }
  if (text.includes('altnames')) {
    return 'its certificate has to name the host of the URL, which has to begin with tls://';
  }
  if (/tls|ssl|certificate/i.test(text)) {
    return 'its certificate is not trusted: NODE_EXTRA_CA_CERTS=ca.pem makes the broker trust a private certificate authority';
  }
  return 'check fleet.natsCredsFile, and the users of the server';
}
