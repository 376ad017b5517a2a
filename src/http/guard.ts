import { createHash, timingSafeEqual } from 'node:crypto';

import { httpError } from './errors.js';
import type { Access } from './route.js';

const BEARER = /^Bearer +([\x21-\x7e]+) *$/i;
const LOOPBACK_V4 = /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/;
/** A name, an IPv4 address or [IPv6], and any port: a tunnel may lead here from another one. */
const HOST = /^(\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/i;

/** True for an address that only this machine can reach. */
export function isLoopbackAddress(address: string): boolean {
  const plain = address.toLowerCase().replace(/^::ffff:/, '');
  return plain === '::1' || LOOPBACK_V4.test(plain);
}

/** Who is let in. */
export class Guard {
  readonly #token: Buffer;
  readonly #isLoopback: boolean;

  /** @param isLoopback the server listens on loopback only */
  constructor(token: string, isLoopback: boolean) {
    this.#token = digest(token);
    this.#isLoopback = isLoopback;
  }

  /** @throws ERR_HTTP_TOKEN */
  checkToken(access: Access, authorization: string | undefined): void {
    if (access === 'open' || (access === 'reader' && this.#isLoopback)) return;
    const given = BEARER.exec(authorization ?? '')?.[1];
    // Of digests, which are of one length: how long it takes tells nothing of the token.
    if (given !== undefined && timingSafeEqual(digest(given), this.#token)) return;
    const what = given === undefined ? 'a token is needed' : 'the token is wrong';
    throw httpError('ERR_HTTP_TOKEN', `${what}: Authorization: Bearer …`);
  }

  /**
   * A page of another site whose name was made to lead here (DNS rebinding) gives itself away by it.
   * @throws ERR_HTTP_HOST
   */
  checkHost(host: string | undefined): void {
    if (!this.#isLoopback) return;
    const name = HOST.exec(host ?? '')?.[1]?.toLowerCase() ?? '';
    const plain = name.replace(/\.$/, '').replace(/^\[(.*)\]$/, '$1');
    if (plain === 'localhost' || plain.endsWith('.localhost') || isLoopbackAddress(plain)) return;
    throw httpError('ERR_HTTP_HOST', 'the Host header does not name loopback');
  }
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
