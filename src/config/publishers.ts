/** What this node publishes beside its listeners. */
import type { Config, ListeningSection } from './config.js';
import type { PublisherConfig } from './entries.js';
import { SECTIONS } from './schema-data.js';

/** The `listen` of a section. */
interface Publisher {
  readonly section: Exclude<ListeningSection, 'broker'>;
  /** What anyone can do there who can connect. */
  readonly could: string;
}

export const PUBLISHERS: readonly Publisher[] = Object.entries(SECTIONS).flatMap(
  ([section, { keys }]) => {
    const could = keys['listen']?.could;
    return could === undefined ? [] : [{ section: section as Publisher['section'], could }];
  },
);

export interface Published extends Publisher {
  readonly listen: PublisherConfig;
}

/** Returns the publishers that are on. */
export function publishedBy(config: Config): readonly Published[] {
  return PUBLISHERS.flatMap((each) => {
    const { listen } = config[each.section];
    return listen === null ? [] : [{ ...each, listen }];
  });
}
