/** Which extensions a configuration asks for. */
import { isPostgres } from '../core/postgres-url.js';
import type { Config } from './config.js';
import { hasPrograms, hasWebhooks } from './http-access.js';

/** Each extension, and the key that asks for it. */
const ASKED = {
  events: ['events.listen', ({ events }) => events.listen !== null],
  map: ['map.listen', ({ map }) => map.listen !== null],
  fleet: ['fleet.nats', ({ fleet }) => fleet.nats.length > 0],
  libzmq: [
    'broker.listen[].transport',
    ({ broker }) => broker.listen.some(({ transport }) => transport === 'libzmq'),
  ],
  programs: [
    'http.tokens or http.webhookHosts',
    (config) => hasPrograms(config) || hasWebhooks(config),
  ],
  postgres: ['titanic.store', ({ titanic }) => titanic.enabled && isPostgres(titanic.store)],
} as const satisfies Readonly<Record<string, readonly [key: string, (config: Config) => boolean]>>;

export type ExtensionName = keyof typeof ASKED;

/** The key of the configuration that asks for each extension that it asks for. */
export function askedExtensions(config: Config): ReadonlyMap<ExtensionName, string> {
  const names = Object.keys(ASKED) as ExtensionName[];
  return new Map(
    names.filter((name) => ASKED[name][1](config)).map((name) => [name, ASKED[name][0]]),
  );
}
