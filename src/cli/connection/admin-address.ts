/** Where a node answers HTTP, which certificate it must show, and which token it is given. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Config } from '../../config/config.js';
import { parseHttpListen } from '../../config/endpoint.js';
import { secretsOf } from '../../config/entries.js';
import { dialHost } from '../../config/io/dial-host.js';
import { codeOf, messageOf } from '../../core/errors.js';
import { TOKEN_FILE } from '../../core/private-file.js';
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

// ---------------------------------------------------------------- token

/** A token; with two secrets, as during a rotation, it is the first. */
export interface FoundToken {
  readonly token: string | null;
  /** What it was taken from, for the error when the node refuses it. */
  readonly from?: string;
  /** Nothing said that it is for this node: a node of the same folder left it. If it is refused, it is not sent again. */
  readonly isGuess?: boolean;
  /** Why there is no token, for the error when the node asks for one. */
  readonly why: string | null;
  /** What to do after a refusal, for commands without the options of operators. */
  readonly remedy?: string;
}

/** The options that give a token. */
export interface TokenOptions {
  readonly token?: string;
  readonly tokenFile?: string;
  /** What gave `tokenFile`, if it was no option. */
  readonly tokenFrom?: string;
}

const TOKEN = /^[\x21-\x7e]+$/;
const BEFORE = ', which comes before the token of the configuration';

/**
 * The token from the command line or the environment.
 * @throws ERR_USAGE
 */
export function givenToken(options: TokenOptions): FoundToken | null {
  const { token, tokenFile, tokenFrom = '--token-file' } = options;
  const { MAJORDOMO_TOKEN: known = '', MAJORDOMO_TOKEN_FILE: file = '' } = process.env;
  if (token !== undefined) return checked(token, '--token');
  if (tokenFile !== undefined) return ofFile(tokenFile, tokenFrom);
  if (known !== '') return checked(known, 'MAJORDOMO_TOKEN', BEFORE);
  return file === '' ? null : ofFile(file, 'MAJORDOMO_TOKEN_FILE', BEFORE);
}

function ofFile(file: string, option: string, note = ''): FoundToken {
  const place = `${option} ${file}`;
  try {
    return checked(firstIn(file), place, note);
  } catch (error) {
    if (codeOf(error) === 'ERR_USAGE') throw error;
    throw usage(`${place} cannot be read: ${codeOf(error) ?? 'unknown'}`);
  }
}

/** The first secret of a file of tokens: the one that is valid before, during and after a rotation. */
function firstIn(file: string): string {
  return readFileSync(file, 'utf8').trim().split('\n', 1)[0]?.trimEnd() ?? '';
}

function checked(token: string, place: string, note = ''): FoundToken {
  if (TOKEN.test(token)) return { token, from: place + note, why: null };
  throw usage(`${place}: a token is printable ASCII without spaces`);
}

/**
 * Finds the token of the configuration or of its data directory. A user who cannot read that can still
 * read over loopback.
 * @param isGuess see `FoundToken`
 */
export async function localToken({ http, node }: Config, isGuess = false): Promise<FoundToken> {
  const [own] = secretsOf(http.token);
  if (own !== undefined) return { token: own, from: 'http.token of the configuration', why: null };
  const file = join(node.dataDir, TOKEN_FILE);
  try {
    const token = firstIn(file);
    if (TOKEN.test(token)) return { token, from: file, isGuess, why: null };
    return { ...(await listedToken(http)), why: `${file} holds no token` };
  } catch (error) {
    const code = codeOf(error) ?? 'unknown';
    const why =
      code === 'ENOENT' || code === 'ENOTDIR'
        ? `${file} does not exist: name the broker's configuration with -c`
        : `this user cannot read ${file} (${code}): run this command as the user that runs the broker`;
    return { ...(await listedToken(http)), why };
  }
}

/** Finds a token of `http.tokens` that this user can read: an operator's, else one that only reads. */
async function listedToken({
  tokens,
}: Config['http']): Promise<Pick<FoundToken, 'token' | 'from'>> {
  const { readToken } = await import('../../config/io/token-files.js');
  for (const role of ['operate', 'read']) {
    for (const each of tokens) {
      if (each.role !== role) continue;
      try {
        const token = readToken(each)[0]?.secret ?? null;
        return { token, from: `${each.name} in http.tokens of the configuration` };
      } catch {
        // The file is for other users.
      }
    }
  }
  return { token: null };
}
