/** Where a node answers HTTP, and which certificate it must show. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

import type { Config } from '../../config/config.js';
import { parseHttpListen } from '../../config/endpoint.js';
import { dialHost } from '../../config/io/dial-host.js';
import { codeOf, messageOf } from '../../core/errors.js';
import { shownUrl } from '../../core/web-address.js';
import { usage } from '../common/options.js';

export interface AdminAddress {
  /** The URL of the node; for a socket `http://localhost`. */
  readonly url: URL;
  readonly socketPath: string | null;
  /** The address as it was given, for messages. */
  readonly name: string;
  readonly trust: Trust;
}

/** Which certificates are trusted; without either key: those of the system and of Node. */
export interface Trust {
  /** PEM; instead of all others. */
  readonly ca?: string;
  /** PEM; only this certificate is trusted, whatever name it is for. */
  readonly pinned?: string;
}

const CERTIFICATE =
  /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^]*?(?:-----END [A-Z0-9 ]+-----|$)/g;
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;
const DOES = 'expected http://HOST:PORT, https://HOST:PORT or unix:PATH';

/** True for an HTTP address, which is not an MDP endpoint. */
export function isAdminUrl(text: string): boolean {
  return /^(https?|unix):/.test(text);
}

/**
 * @param option that gave it
 * @param caFile from `--admin-ca`
 * @throws ERR_USAGE
 */
export function parseAdminAddress(
  text: string,
  option: string,
  caFile: string | undefined,
): AdminAddress {
  const socket = text.startsWith('unix:') ? parseHttpListen(text) : null;
  if (socket?.ok === true && socket.value?.scheme === 'ipc') return ofSocket(socket.value.path);
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && (url.username !== '' || url.password !== '')) {
    throw usage(`${option}: must not contain a user or password; ${DOES}`);
  }
  const isWanted = url !== null && /^https?:$/.test(url.protocol);
  if (!isWanted || url.search !== '' || url.hash !== '') {
    throw usage(`${option} '${shownUrl(text)}': ${DOES}`);
  }
  return { url, socketPath: null, name: url.origin, trust: trustOf(caFile) };
}

/**
 * Where a node with this configuration answers on this machine.
 * @param instead the option that makes it unnecessary
 * @throws ERR_USAGE
 */
export function adminAddressOf(
  { http }: Config,
  caFile: string | undefined,
  instead = '--admin',
): AdminAddress {
  const listen = parseHttpListen(http.listen);
  const place = listen.ok ? listen.value : null;
  if (place?.scheme === 'ipc') return ofSocket(place.path);
  if (place === null || place.port === 0) {
    const why = `http.listen is ${http.listen}: give ${instead}`;
    throw usage(why);
  }
  const { host, port } = place;
  const { tls } = http;
  const url = new URL(`${tls === null ? 'http' : 'https'}://${dialHost(host)}:${port}`);
  // The certificate is for the node's public name.
  const pinned = tls === null || caFile !== undefined ? null : textOf(tls.certFile);
  const trust = pinned === null ? trustOf(caFile) : { pinned };
  return { url, socketPath: null, name: url.origin, trust };
}

/** True if only this machine can answer there. */
export function isLocal({ url, socketPath }: AdminAddress): boolean {
  return socketPath !== null || isLoopbackHost(url.hostname);
}

/** The option that gives it. */
export function adminLine({ url, socketPath, name }: AdminAddress): string {
  return `--admin ${socketPath === null ? url.href.replace(/\/$/, '') : name}`;
}

/** @param host as in a URL: IPv6 in brackets */
export function isLoopbackHost(host: string): boolean {
  return LOOPBACK.test(host);
}

/** True for the pinned certificate. */
export function isPinned({ pinned }: Trust, raw: Buffer): boolean {
  return pinned !== undefined && new X509Certificate(pinned).raw.equals(raw);
}

function ofSocket(path: string): AdminAddress {
  return {
    url: new URL('http://localhost'),
    socketPath: path,
    name: `unix:${path}`,
    trust: {},
  };
}

function trustOf(caFile: string | undefined): Trust {
  return caFile === undefined ? {} : { ca: authorityIn(caFile, '--admin-ca') };
}

/**
 * The certificates of a file, in PEM. They are read here because TLS leaves out, without a word, what it cannot read.
 * @throws ERR_USAGE
 */
export function authorityIn(file: string, option: string): string {
  let pem: string;
  try {
    pem = readFileSync(file, 'latin1');
  } catch (error) {
    throw usage(`${option} ${file} cannot be read: ${codeOf(error) ?? 'unknown'}`);
  }
  const found = pem.match(CERTIFICATE) ?? [];
  if (found.length === 0) throw usage(`${option} ${file} has no certificate (PEM)`);
  for (const [at, certificate] of found.entries()) {
    try {
      new X509Certificate(certificate);
    } catch (error) {
      throw usage(`${option} ${file}: certificate ${at + 1} is damaged: ${messageOf(error)}`);
    }
  }
  return pem;
}

/** `null` if this user cannot read it or it is not a certificate: then a CA must vouch for it. */
function textOf(certFile: string): string | null {
  try {
    const pem = readFileSync(certFile, 'latin1');
    new X509Certificate(pem);
    return pem;
  } catch {
    return null;
  }
}
