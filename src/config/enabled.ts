/** Which extensions a configuration enables. */
import { isPostgres } from '../core/postgres-url.js';
import type { Config } from './config.js';
import { hasPrograms, hasWebhooks } from './http-rules.js';

/** Each extension, with the key that enables it. */
const ENABLED_BY = {
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

export type ExtensionName = keyof typeof ENABLED_BY;

/** @returns each extension that the configuration enables, with the key that does */
export function enabledExtensions(config: Config): ReadonlyMap<ExtensionName, string> {
  const names = Object.keys(ENABLED_BY) as ExtensionName[];
  return new Map(
    names.filter((name) => ENABLED_BY[name][1](config)).map((name) => [name, ENABLED_BY[name][0]]),
  );
}
