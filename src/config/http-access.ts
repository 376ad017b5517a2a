/** Who may use HTTP: `http.tokens`, and the proxies that say who their user is. */
import { isIP } from 'node:net';
import { z } from 'zod';

import type { Config, TokenConfig, TokenRole } from './config.js';
import { globs } from './grants.js';
import type { Broken } from './rules.js';

/** The name of the node's own token, which is in no list. */
export const OWN_TOKEN = 'http.token';
/** The name of the token that has a key of its own. */
const READ_KEY = 'readToken';
const READ_TOKEN = `http.${READ_KEY}`;
/** Before the name of a token of programs, in the name of the key that stands for it. */
export const TOKEN_PREFIX = 'token:';
/** Peers on `http.listen: unix:PATH`, which have no address. */
export const UNIX = 'unix';

export const TOKEN_ROLES = ['read', 'operate', 'request'] as const satisfies TokenRole[];

const TOKENS_MAX = 1000;
const NETWORKS_MAX = 100;
const PATH_CHARACTERS_MAX = 4096;

const NAME_ERROR = 'expected a name of 1 to 64 characters without spaces';
const SECRET_ERROR = 'expected 16 to 512 characters of printable ASCII without spaces';
const FILE_ERROR = 'expected the path of a file with the token';
const TOKEN = '{name, role, token, tokenFile, client, quota}';
const TOKEN_ERROR = `expected ${TOKEN}`;

const token = z
  .strictObject(
    {
      name: z.string({ error: NAME_ERROR }).regex(/^[\x21-\x7e]{1,64}$/, NAME_ERROR),
      role: z.enum(TOKEN_ROLES, { error: 'expected read, operate or request' }),
      token: z
        .string({ error: SECRET_ERROR })
        .regex(/^[\x21-\x7e]{16,512}$/, SECRET_ERROR)
        .optional(),
      tokenFile: z
        .string({ error: FILE_ERROR })
        .min(1, FILE_ERROR)
        .max(PATH_CHARACTERS_MAX, FILE_ERROR)
        .optional(),
      client: globs.optional(),
      quota: z.string({ error: 'expected a name from limits.quotas' }).optional(),
    },
    { error: TOKEN_ERROR },
  )
  .superRefine((written, context) => {
    for (const { key, message } of faultsOf(written)) {
      context.addIssue({ code: 'custom', path: key === null ? [] : [key], message });
    }
  });

type WrittenToken = Pick<TokenConfig, 'name' | 'role'> & {
  readonly [Key in 'token' | 'tokenFile' | 'client' | 'quota']?: TokenConfig[Key] | undefined;
};

interface Fault {
  readonly key: keyof TokenConfig | null;
  readonly message: string;
}

function faultsOf({ role, token: secret, tokenFile, client, quota }: WrittenToken): Fault[] {
  const faults: Fault[] = [];
  if (secret === undefined && tokenFile === undefined) {
    faults.push({ key: null, message: 'needs token or tokenFile' });
  } else if (secret !== undefined && tokenFile !== undefined) {
    faults.push({ key: 'tokenFile', message: 'contradicts token: remove one of the two' });
  }
  if (role === 'request') {
    if (client === undefined) {
      const message = 'role request needs client: a list of the services that it may request';
      faults.push({ key: null, message });
    }
    return faults;
  }
  const message = `is only for role request, not for ${role}`;
  if (client !== undefined) faults.push({ key: 'client', message });
  if (quota !== undefined) faults.push({ key: 'quota', message });
  return faults;
}

const TOKENS_ERROR = `expected a list of ${TOKEN}`;

/** `http.tokens`, as written. */
export const TOKENS: z.ZodType<WrittenToken[]> = z
  .array(token, { error: TOKENS_ERROR })
  .max(TOKENS_MAX, `expected at most ${TOKENS_MAX} tokens`);

export const TOKEN_KEYS: string[] = Object.keys(token.shape);

/** @param readToken `http.readToken`: it comes last */
export function tokensOf(value: unknown, readToken: unknown): TokenConfig[] {
  const written: WrittenToken[] = value === null || value === undefined ? [] : TOKENS.parse(value);
  const short: WrittenToken[] =
    typeof readToken === 'string' ? [{ name: READ_TOKEN, role: 'read', token: readToken }] : [];
  return [...written, ...short].map(({ name, role, ...rest }) => ({
    ...{ name, role },
    token: rest.token ?? null,
    tokenFile: rest.tokenFile ?? null,
    client: rest.client ?? [],
    quota: rest.quota ?? null,
  }));
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

const NETWORK_ERROR = 'expected an address, a network such as 10.0.0.0/8, or unix';
const network = z
  .string({ error: NETWORK_ERROR })
  .refine((text) => text === UNIX || parseNetwork(text) !== null, NETWORK_ERROR);
const NETWORKS_ERROR = 'expected an address, a network, unix, or a list of these';

/** `http.trustedProxies`, in both its forms. */
export const NETWORKS: z.ZodType<string | string[]> = z.union(
  [
    network,
    z
      .array(network, { error: NETWORKS_ERROR })
      .max(NETWORKS_MAX, `expected at most ${NETWORKS_MAX} networks`),
  ],
  { error: NETWORKS_ERROR },
);

export function networksOf(value: unknown): readonly string[] {
  if (value === null || value === undefined) return [];
  const given = NETWORKS.parse(value);
  return typeof given === 'string' ? [given] : given;
}

/** Whether programs may send requests over HTTP. */
export function hasPrograms({ http }: Pick<Config, 'http'>): boolean {
  return http.listen !== 'off' && http.tokens.some(({ role }) => role === 'request');
}

/** Names and texts of tokens are unique: each tells who acted, and what it may do. */
export function tokensDiffer({ http }: Config): readonly Broken[] {
  const broken: Broken[] = [];
  const names = new Set([OWN_TOKEN]);
  const secrets = new Set(http.token === null ? [] : [http.token]);
  http.tokens.forEach(({ name, token: secret }, index) => {
    const isShort =
      name === READ_TOKEN && index === http.tokens.length - 1 && http.readToken !== null;
    const path = ['http', 'tokens', index];
    if (names.has(name) && !isShort) {
      const message =
        name === OWN_TOKEN
          ? "is the name of the node's own token"
          : 'is already the name of another';
      broken.push({ path: [...path, 'name'], message });
    }
    names.add(name);
    if (secret === null) return;
    if (secrets.has(secret)) {
      const at = isShort ? ['http', READ_KEY] : [...path, 'token'];
      broken.push({ path: at, message: 'is the same as another token' });
    }
    secrets.add(secret);
  });
  return broken;
}

export function quotasExist({ http, limits }: Config): readonly Broken[] {
  return http.tokens.flatMap(({ quota }, index) =>
    quota === null || Object.hasOwn(limits.quotas, quota)
      ? []
      : [{ path: ['http', 'tokens', index, 'quota'], message: `limits.quotas has no ${quota}` }],
  );
}

export function proxiesAreNamed({ http }: Config): readonly Broken[] {
  const { trustedUserHeader, trustedProxies } = http;
  if ((trustedUserHeader !== null) === trustedProxies.length > 0) return [];
  return trustedUserHeader === null
    ? [
        {
          path: ['http', 'trustedProxies'],
          message: 'has no effect without http.trustedUserHeader',
        },
      ]
    : [
        {
          path: ['http', 'trustedUserHeader'],
          message: 'needs http.trustedProxies: from there it is believed',
        },
      ];
}
