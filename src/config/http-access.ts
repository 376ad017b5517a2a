/** Who may use HTTP: `http.tokens`, and the proxies that say who their user is. */
import { isIP } from 'node:net';
import { z } from 'zod';

import type { TokenConfig, TokenRole } from './entries.js';
import { globs } from './grants.js';
import {
  choice,
  expected,
  keysOf,
  list,
  map,
  NAME_PATTERN,
  pathOf,
  secrets,
  once,
} from './kinds.js';

/** The name of the node's own token, which is in no list. */
export const OWN_TOKEN = 'http.token';
/** The name of the token that `http.readToken` sets. */
export const READ_TOKEN = 'http.readToken';
/**
 * The prefix of the identity of a program with a token of `http.tokens`: `token:NAME`. No name in a keys file begins
 * with it.
 */
export const TOKEN_PREFIX = 'token:';
/** Peers on `http.listen: unix:PATH`, which have no address. */
export const UNIX = 'unix';

const TOKEN_ROLES = ['read', 'operate', 'request'] as const satisfies TokenRole[];

const TOKENS_MAX = 1000;
const NETWORKS_MAX = 100;

const NAME = 'a name of 1 to 64 characters without spaces';
/** A secret may be in the wrong place: no value is shown but the role. */
const isSecret = true;

const TOKEN_FILES = 'the path of a file with the token, or a list of two';
const TOKEN_FILES_MAX = 2;
const tokenFile = pathOf('the path of a file with the token', isSecret);

const token = () =>
  map(
    {
      name: z.string({ error: expected(NAME, { isSecret, isText: true }) }).regex(NAME_PATTERN),
      role: choice(TOKEN_ROLES),
      token: secrets.exactOptional(),
      tokenFile: z
        .union([tokenFile, list(tokenFile, TOKEN_FILES, TOKEN_FILES_MAX, { min: 1, isSecret })], {
          error: expected(TOKEN_FILES, { isSecret }),
        })
        .exactOptional(),
      client: globs({ isSecret }).exactOptional(),
      quota: z.string({ error: 'expected a name from limits.quotas' }).exactOptional(),
    },
    { isSecret },
  ).superRefine((written, context) => {
    const { role, tokenFile, client, quota } = written;
    const fault = (message: string, ...path: string[]): void => {
      context.addIssue({ code: 'custom', path, message });
    };
    if (written.token === undefined) {
      if (tokenFile === undefined) fault('needs token or tokenFile');
    } else if (tokenFile !== undefined) {
      fault('contradicts token: remove one of the two', 'tokenFile');
    }
    if (role === 'request') {
      if (client !== undefined) return;
      fault('role request needs client: a list of the services that it may request');
    } else {
      const message = `is only for role request, not for ${role}`;
      if (client !== undefined) fault(message, 'client');
      if (quota !== undefined) fault(message, 'quota');
    }
  });

/** `http.tokens` */
export const tokens = once(() => {
  const one = token();
  return list(one, `a list of ${keysOf(one.shape)}`, TOKENS_MAX, { isSecret })
    .transform((written) => written.map(inFull))
    .default([])
    .meta({ none: 'none', live: 'tokens', secret: true });
});

/** `http.readToken` as one of the tokens. */
export function readTokenOf(token: string | string[] | null): TokenConfig[] {
  return token === null ? [] : [inFull({ name: READ_TOKEN, role: 'read', token })];
}

function inFull({ name, role, ...rest }: z.output<ReturnType<typeof token>>): TokenConfig {
  return { name, role, token: null, tokenFile: null, client: [], quota: null, ...rest };
}

/** An address with the number of its first bits that count. */
export interface Network {
  readonly address: string;
  readonly bits: number;
  readonly family: 'ipv4' | 'ipv6';
}

/** @returns `null` if the text is neither an address nor a network */
export function parseNetwork(text: string): Network | null {
  const [, address = '', given] = /^([\da-f.:]+)(?:\/(\d{1,3}))?$/i.exec(text) ?? [];
  const version = isIP(address);
  if (version === 0) return null;
  const bitsMax = version === 4 ? 32 : 128;
  const bits = given === undefined ? bitsMax : Number(given);
  return bits > bitsMax ? null : { address, bits, family: version === 4 ? 'ipv4' : 'ipv6' };
}

const network = () =>
  z
    .string({ error: expected('an address, a network such as 10.0.0.0/8, or unix') })
    .refine((text) => text === UNIX || parseNetwork(text) !== null);

const NETWORKS = 'an address, a network, unix, or a list of these';

/** `http.trustedProxies` */
export const networks = once(() =>
  z
    .union([network(), list(network(), NETWORKS, NETWORKS_MAX)], { error: expected(NETWORKS) })
    .transform((written) => [written].flat())
    .default([])
    .meta({ value: NETWORKS, none: 'none' }),
);
