/** The topics of `events.listen`, and who may subscribe to them. */
import type { GlobSet } from '../../core/glob.js';

/** Steps of plain requests, which are published only while somebody subscribes to them. */
export const STEP_TOPICS = ['request.received', 'request.dispatched', 'request.replied'] as const;
export type PublishedStep = (typeof STEP_TOPICS)[number];

/** By rights, which are replaced when they change: the topics that they do not allow. */
const hidden = new WeakMap<GlobSet, readonly string[]>();

/**
 * Whether rights allow a subscription, and so every topic that begins with it.
 * @param globs over the names of events
 * @param topics all of them, always the same. Because rights and subscriptions are by beginning, none
 * begins with another
 */
export function maySubscribe(globs: GlobSet, topic: Buffer, topics: readonly string[]): boolean {
  let forbidden = hidden.get(globs);
  if (forbidden === undefined) {
    forbidden = topics.filter((name) => {
      const bytes = Buffer.from(name);
      return !globs.matches(bytes, 0, bytes.length);
    });
    hidden.set(globs, forbidden);
  }
  if (forbidden.length === 0) return true;
  const beginning = topic.toString('latin1');
  return !forbidden.some((name) => name.startsWith(beginning));
}
