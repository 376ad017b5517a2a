/** What a reread of the configuration (SIGHUP) can apply, and what needs a restart. */
import type { Config, ListeningSection } from './config.js';
import type { ListenerConfig, PublisherConfig } from './entries.js';
import { hasPrograms, hasWebhooks } from './http-rules.js';
import { shown } from './explain.js';
import type { Row } from './kinds.js';
import { SECTIONS } from './schema-data.js';

/** A key whose value has changed; secrets are masked. */
export interface Change {
  readonly key: string;
  readonly from: unknown;
  readonly to: unknown;
}

/** Changes, by what they need. */
export interface Difference {
  readonly live: readonly Change[];
  readonly restart: readonly Change[];
}

type Values = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/**
 * True if the listeners of a section differ only in files of secret keys, which the transport `zmtp`
 * can replace while it runs.
 */
export function onlyKeysDiffer(section: ListeningSection, from: Config, to: Config): boolean {
  return withoutKeys(section, from) === withoutKeys(section, to);
}

function withoutKeys(section: ListeningSection, config: Config): string {
  const listeners: readonly (ListenerConfig | PublisherConfig | null)[] = [
    config[section].listen,
  ].flat();
  return JSON.stringify(
    listeners.map((listener) => {
      const isFixed =
        listener !== null && 'transport' in listener && listener.transport === 'libzmq';
      if (listener?.curve === undefined || isFixed) return listener;
      return { ...listener, curve: { ...listener.curve, secretKeyFile: null } };
    }),
  );
}

/** Compares two effective configurations, key by key. */
export function diff(from: Config, to: Config): Difference {
  const before: Values = from;
  const after: Values = to;
  const live: Change[] = [];
  const restart: Change[] = [];
  for (const [section, { keys }] of Object.entries(SECTIONS)) {
    for (const [key, row] of Object.entries(keys)) {
      const [old, now] = [before[section]?.[key], after[section]?.[key]];
      if (JSON.stringify(old) === JSON.stringify(now)) continue;
      const change: Change = {
        key: `${section}.${key}`,
        from: shown(section, key, old),
        to: shown(section, key, now),
      };
      (isLive(section, row, from, to) ? live : restart).push(change);
    }
  }
  return { live, restart };
}

/** The configuration after a reread: `to` for the keys that can change while running, else `from`. */
export function withLiveKeys(from: Config, to: Config): Config {
  const before: Values = from;
  const after: Values = to;
  const sections = Object.entries(SECTIONS).map(([section, { keys }]) => [
    section,
    Object.fromEntries(
      Object.entries(keys).map(([key, row]) => [
        key,
        (isLive(section, row, from, to) ? after : before)[section]?.[key],
      ]),
    ),
  ]);
  return Object.fromEntries(sections) as Config;
}

function isLive(section: string, { live }: Row, from: Config, to: Config): boolean {
  if (live === 'tokens') return hasPrograms(from) || !hasPrograms(to);
  if (live === 'webhooks') return hasPrograms(from) || hasWebhooks(from) || !hasWebhooks(to);
  if (live !== 'secretKeys') return live === true;
  // Only `listen` of these sections is so.
  return onlyKeysDiffer(section as ListeningSection, from, to);
}
