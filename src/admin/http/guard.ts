import { hash, timingSafeEqual } from 'node:crypto';
import type { BlockList } from 'node:net';

import { headerText } from './check.js';
import { httpError } from './errors.js';
import type { Caller } from './route.js';
import type { Access } from '../api/operation.js';
import type { NamedSecret, TokenRole } from '../../config/entries.js';
import { oneLine } from '../../core/escape.js';

const BEARER = /^Bearer +([\x21-\x7e]+) *$/i;
const LOOPBACK_V4 = /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/;
/** A name, an IPv4 address or [IPv6], and any port: a tunnel may use another port than ours. */
const HOST = /^(\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/i;
const USER_CHARACTERS_MAX = 128;
const REPLACEMENT = '\ufffd';

const CALLERS = {
  read: 'reader',
  operate: 'changer',
  request: 'requester',
} as const satisfies Record<TokenRole, Caller>;

/** True for an address that only this machine can reach. */
export function isLoopbackAddress(address: string): boolean {
  const plain = plainAddress(address);
  return plain === '::1' || LOOPBACK_V4.test(plain);
}

function plainAddress(address: string): string {
  return address.toLowerCase().replace(/^::ffff:/, '');
}

/** The places from where a header is believed that names the user. */
export interface TrustedUsers {
  /** The name of the header, in lower case. */
  readonly header: string;
  readonly networks: BlockList;
  /** Whether peers on a socket in the file system are believed, too. */
  readonly isLocal: boolean;
}

/** Who is let in, and how they are called. It may change while the server runs. */
export interface Admits {
  readonly tokens: readonly NamedSecret[];
  /** `null`: nobody is believed. */
  readonly users: TrustedUsers | null;
}

/** Where the server listens decides on these. */
interface Openness {
  /** Reading needs no token. */
  readonly readsOpenly: boolean;
  /** The Host header has to name loopback. */
  readonly checksHost: boolean;
}

/** What is known of a request besides its token. */
interface RequestSource {
  readonly address: string | null;
  readonly values: (header: string) => readonly string[];
}

/** A secret that is valid; it stays this object while that is so. */
export interface ValidSecret {
  /** The name of its token. */
  readonly name: string;
  readonly caller: Caller;
  readonly digest: Buffer;
}

/** What has become of the secrets that were valid before. */
interface Replaced {
  /** Secrets that are no longer valid, or may do something else. */
  readonly gone: ReadonlySet<ValidSecret>;
  /** The names of tokens that are still there, with other secrets or another role. */
  readonly renewed: readonly string[];
}

/** Decides which requests are admitted, and with which rights. */
export class Guard {
  #secrets: readonly ValidSecret[] = [];
  #users: TrustedUsers | null = null;
  readonly #openness: Openness;

  constructor(admits: Admits, openness: Openness) {
    this.#openness = openness;
    this.replace(admits);
  }

  replace({ tokens, users }: Admits): Replaced {
    const before = this.#secrets;
    const now = tokens.map(({ name, role, secret }) => {
      const next = { name, caller: CALLERS[role], digest: digest(secret) };
      return before.find((was) => isSame(was, next)) ?? next;
    });
    this.#secrets = now;
    this.#users = users;
    const gone = before.filter((was) => !now.includes(was));
    const changed = [...gone, ...now.filter((each) => !before.includes(each))];
    const names = [...new Set(changed.map(({ name }) => name))];
    const isIn = (all: readonly ValidSecret[], name: string): boolean =>
      all.some((each) => each.name === name);
    return {
      gone: new Set(gone),
      renewed: names.filter((name) => isIn(before, name) && isIn(now, name)),
    };
  }

  /**
   * Admits to what is open, also with a wrong token or a foreign Host header, as probes send them: whoever may read
   * the node counts as a reader there, with a token or without, and all others as anyone.
   */
  admitToOpen(host: string | undefined, authorization: string | undefined): Caller {
    const given = tokenIn(authorization);
    const caller = given === undefined ? null : (this.#find(given)?.caller ?? 'requester');
    const mayRead = caller === null ? this.#openness.readsOpenly : caller !== 'requester';
    return mayRead && this.#acceptsHost(host) ? 'reader' : 'anyone';
  }

  /** @throws ERR_HTTP_TOKEN, ERR_HTTP_READ_ONLY, ERR_HTTP_ROLE */
  admit(
    access: Exclude<Access, 'open'>,
    authorization: string | undefined,
  ): { readonly caller: Caller; readonly secret: ValidSecret | null } {
    const nobody = { caller: 'anyone', secret: null } as const;
    const given = tokenIn(authorization);
    if (given === undefined) {
      if (access === 'reader' && this.#openness.readsOpenly) return nobody;
      throw wrongToken('a token is needed', access);
    }
    const secret = this.#find(given);
    if (secret === null) throw wrongToken('the token is wrong', access);
    const { caller } = secret;
    if ((access === 'requester') !== (caller === 'requester')) {
      const why =
        caller === 'requester'
          ? 'this token only sends requests to services'
          : 'requests to services need a token with role: request';
      throw httpError('ERR_HTTP_ROLE', why);
    }
    if (access !== 'changer' || caller === 'changer') return { caller, secret };
    throw httpError(
      'ERR_HTTP_READ_ONLY',
      'this token is read-only: changes and bodies need http.token, or one with role: operate',
    );
  }

  /** Takes the same time for each token, whether it is valid or not. */
  #find(given: string): ValidSecret | null {
    // Digests have equal length, so the time of the comparison reveals nothing about the token.
    const bytes = digest(given);
    let found: ValidSecret | null = null;
    for (const secret of this.#secrets) if (timingSafeEqual(bytes, secret.digest)) found = secret;
    return found;
  }

  /**
   * The user whom a trusted proxy names; `null`: it names nobody, or the header is not believed.
   * @throws ERR_HTTP_REQUEST if it is no name: nobody acts under a doubtful one
   */
  userOf({ address, values }: RequestSource): string | null {
    const users = this.#users;
    if (users === null || !isFromProxy(users, address)) return null;
    const given = values(users.header);
    if (given.length === 0) return null;
    const name = headerText(given[0] ?? '') ?? REPLACEMENT;
    const isPrintable = oneLine(name) === name && !name.includes(REPLACEMENT);
    const isName = isPrintable && name.length > 0 && name.length <= USER_CHARACTERS_MAX;
    if (given.length === 1 && isName) return name;
    const text = `the header ${users.header} is not one name of 1 to ${USER_CHARACTERS_MAX} printable characters`;
    throw httpError('ERR_HTTP_REQUEST', text);
  }

  /**
   * Refuses web pages of other sites whose host name resolves to loopback (DNS rebinding).
   * @throws ERR_HTTP_HOST
   */
  checkHost(host: string | undefined): void {
    if (this.#acceptsHost(host)) return;
    throw httpError('ERR_HTTP_HOST', 'the Host header does not name a loopback address');
  }

  #acceptsHost(host: string | undefined): boolean {
    if (!this.#openness.checksHost) return true;
    const name = HOST.exec(host ?? '')?.[1]?.toLowerCase() ?? '';
    const plain = name.replace(/\.$/, '').replace(/^\[(.*)\]$/, '$1');
    return plain === 'localhost' || plain.endsWith('.localhost') || isLoopbackAddress(plain);
  }
}

function tokenIn(authorization: string | undefined): string | undefined {
  return BEARER.exec(authorization ?? '')?.[1];
}

function isSame(one: ValidSecret, other: ValidSecret): boolean {
  return one.name === other.name && one.caller === other.caller && one.digest.equals(other.digest);
}

function isFromProxy({ networks, isLocal }: TrustedUsers, address: string | null): boolean {
  if (address === null) return isLocal;
  const plain = plainAddress(address).split('%', 1)[0] ?? '';
  return networks.check(plain, plain.includes(':') ? 'ipv6' : 'ipv4');
}

export const TOKEN_GONE = 'the token has been removed or replaced';

/** @param what what is wrong */
export function wrongToken(what: string, access: Exclude<Access, 'open'> = 'reader'): Error {
  const source =
    access === 'requester'
      ? 'an entry of http.tokens with role: request'
      : 'http.token, or the file http.token in the data directory';
  return httpError('ERR_HTTP_TOKEN', `${what}: Authorization: Bearer … (${source})`);
}

function digest(token: string): Buffer {
  return hash('sha256', token, 'buffer');
}
