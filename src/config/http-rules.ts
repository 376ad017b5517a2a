/** Rules between the keys of `http`, and what follows from them. */
import type { Config } from './config.js';
import { secretsOf, type TokenConfig } from './entries.js';
import { OWN_TOKEN, READ_TOKEN } from './http-access.js';
import { broken, type Broken, rule, type Rule } from './rule.js';

/** Whether programs may send requests over HTTP. */
export function hasPrograms({ http }: Pick<Config, 'http'>): boolean {
  return http.listen !== 'off' && http.tokens.some(({ role }) => role === 'request');
}

/** Whether webhooks may be sent. */
export function hasWebhooks({ http }: Pick<Config, 'http'>): boolean {
  return http.webhookHosts !== null;
}

/** Names and texts of tokens are unique: each tells who acted, and what it may do. */
function tokensDiffer({ http }: Config): readonly Broken[] {
  const names = new Set([OWN_TOKEN]);
  const known = new Set<string>();
  const isTwice = (token: TokenConfig['token']): boolean =>
    secretsOf(token).filter((secret) => known.size === known.add(secret).size).length > 0;
  const own = broken('http.token', isTwice(http.token) ? 'has the same secret twice' : null);
  const others = http.tokens.flatMap(({ name, token }, index) => {
    const isReadToken =
      name === READ_TOKEN && index === http.tokens.length - 1 && http.readToken !== null;
    const path = ['http', 'tokens', index];
    const whose =
      name === OWN_TOKEN ? "is the name of the node's own token" : 'is already the name of another';
    const found = [
      ...broken([...path, 'name'], names.has(name) && !isReadToken ? whose : null),
      ...broken(
        isReadToken ? READ_TOKEN : [...path, 'token'],
        isTwice(token) ? 'is the same as another token' : null,
      ),
    ];
    names.add(name);
    return found;
  });
  return [...own, ...others];
}

export const HTTP_RULES: readonly Rule[] = [
  rule(['http.tls', 'http.listen'], ({ http: { listen, tls } }) => {
    if (tls === null) return listen.startsWith('https:') ? `${listen}: https needs http.tls` : null;
    return listen.startsWith('http:') ? `${listen}: with http.tls it is https` : null;
  }),
  { about: ['http.token', 'http.readToken', 'http.tokens'], check: tokensDiffer },
  {
    about: ['http.tokens', 'limits.quotas'],
    check: ({ http, limits }) =>
      http.tokens.flatMap(({ quota }, index) =>
        broken(
          ['http', 'tokens', index, 'quota'],
          quota === null || Object.hasOwn(limits.quotas, quota)
            ? null
            : `limits.quotas has no ${quota}`,
        ),
      ),
  },
  rule(['http.trustedUserHeader', 'http.trustedProxies'], ({ http }) =>
    http.trustedProxies.length > 0 && http.trustedUserHeader === null
      ? 'has no effect without http.trustedUserHeader'
      : null,
  ),
  rule(['http.trustedProxies', 'http.trustedUserHeader'], ({ http }) =>
    http.trustedUserHeader !== null && http.trustedProxies.length === 0
      ? 'needs http.trustedProxies: from there it is believed'
      : null,
  ),
];
