/** What this node publishes beside its listeners: the keys of the kind `publisher`. */
import type { Config, PublisherConfig } from './config.js';
import { SECTIONS } from './schema.js';

/** The `listen` of a section. */
export interface Publisher {
  readonly section: string;
  /** What anyone can do there who can connect. */
  readonly could: string;
}

export const PUBLISHERS: readonly Publisher[] = Object.entries(SECTIONS).flatMap(
  ([section, { keys }]) => {
    const { kind, could = '' } = keys['listen'] ?? {};
    return kind === 'publisher' ? [{ section, could }] : [];
  },
);

export interface Published extends Publisher {
  readonly listen: PublisherConfig;
}

/** Those that are on. */
export function publishedBy(config: Config): readonly Published[] {
  const values: Readonly<Record<string, object>> = config;
  return PUBLISHERS.flatMap((each) => {
    const { listen } = values[each.section] as { readonly listen: PublisherConfig | null };
    return listen === null ? [] : [{ ...each, listen }];
  });
}
