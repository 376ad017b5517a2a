import { createHash, timingSafeEqual } from 'node:crypto';

import { httpError } from './errors.js';
import type { Access, Caller } from './route.js';

const BEARER = /^Bearer +([\x21-\x7e]+) *$/i;
const LOOPBACK_V4 = /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/;
/** A name, an IPv4 address or [IPv6], and any port: a tunnel may use another port than ours. */
const HOST = /^(\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/i;

/** True for an address that only this machine can reach. */
export function isLoopbackAddress(address: string): boolean {
  const plain = address.toLowerCase().replace(/^::ffff:/, '');
  return plain === '::1' || LOOPBACK_V4.test(plain);
}

export interface Trust {
  readonly token: string;
  /** `http.readToken`; `null`: not set. */
  readonly readToken: string | null;
  /** Reading needs no token. */
  readonly readsOpenly: boolean;
  /** The Host header has to name loopback. */
  readonly checksHost: boolean;
}

/** Decides which requests are admitted, and with which rights. */
export class Guard {
  readonly #token: Buffer;
  readonly #readToken: Buffer | null;
  readonly #readsOpenly: boolean;
  readonly #checksHost: boolean;

  constructor({ token, readToken, readsOpenly, checksHost }: Trust) {
    this.#token = digest(token);
    this.#readToken = readToken === null ? null : digest(readToken);
    this.#readsOpenly = readsOpenly;
    this.#checksHost = checksHost;
  }

  /** @throws ERR_HTTP_TOKEN, ERR_HTTP_READ_ONLY */
  admit(access: Access, authorization: string | undefined): Caller {
    // Probes and the files of the page are served even with a wrong token.
    if (access === 'open') return 'anyone';
    const given = BEARER.exec(authorization ?? '')?.[1];
    if (given === undefined) {
      if (access === 'reader' && this.#readsOpenly) return 'anyone';
      throw wrongToken('a token is needed');
    }
    // Digests have equal length, so the time of the comparison reveals nothing about the token.
    const bytes = digest(given);
    if (timingSafeEqual(bytes, this.#token)) return 'changer';
    if (this.#readToken === null || !timingSafeEqual(bytes, this.#readToken)) {
      throw wrongToken('the token is wrong');
    }
    if (access !== 'changer') return 'reader';
    throw httpError(
      'ERR_HTTP_READ_ONLY',
      'this token is read-only: changes and bodies need http.token',
    );
  }

  /**
   * Refuses web pages of other sites whose host name resolves to loopback (DNS rebinding).
   * @throws ERR_HTTP_HOST
   */
  checkHost(host: string | undefined): void {
    if (!this.#checksHost) return;
    const name = HOST.exec(host ?? '')?.[1]?.toLowerCase() ?? '';
    const plain = name.replace(/\.$/, '').replace(/^\[(.*)\]$/, '$1');
    if (plain === 'localhost' || plain.endsWith('.localhost') || isLoopbackAddress(plain)) return;
    throw httpError('ERR_HTTP_HOST', 'the Host header does not name a loopback address');
  }
}

/** @param what what is wrong */
export function wrongToken(what: string): Error {
  return httpError('ERR_HTTP_TOKEN', `${what}: Authorization: Bearer …`);
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
