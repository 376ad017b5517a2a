/** The topics of `events.listen`, and who may subscribe to them. */
import type { GlobSet } from '../../core/glob.js';
import type { PublishedEvent } from './event-stream.js';

/** Steps of plain requests, which are published only while somebody subscribes to them. */
export type PublishedStep = 'request.received' | 'request.dispatched' | 'request.replied';

/** All of them. Because rights and subscriptions are by prefix, none begins with another. */
const TOPICS: Readonly<Record<PublishedEvent['name'] | PublishedStep, true>> = {
  'request.received': true,
  'request.dispatched': true,
  'request.replied': true,
  'worker.registered': true,
  'worker.lost': true,
  'worker.refused': true,
  'worker.unexpected': true,
  'request.requeued': true,
  'request.returned': true,
  'request.failed': true,
  'request.expired': true,
  'request.abandoned': true,
  'request.dropped': true,
  'request.refused': true,
  'reply.dropped': true,
  'message.malformed': true,
  'client.closed': true,
  'connection.rejected': true,
  'titanic.recovered': true,
  'titanic.retried': true,
  'titanic.died': true,
  'titanic.expired': true,
  'titanic.cancelled': true,
  'titanic.reopened': true,
  'titanic.purged': true,
  'titanic.refused': true,
  'titanic.denied': true,
  'titanic.malformed': true,
  'schedule.made': true,
  'schedule.ended': true,
  'schedule.denied': true,
  'schedule.delayed': true,
  'schedule.unreadable': true,
  'store.failed': true,
  'store.healed': true,
  'store.lost': true,
  'store.returned': true,
  'store.refused': true,
  'store.locked': true,
  'store.log_held': true,
  'store.log_freed': true,
  'store.switched': true,
  'fleet.lease_lost': true,
  'fleet.lease_taken': true,
  'fleet.lease_ended': true,
  'store.set_aside': true,
  'store.known': true,
  'store.renewed': true,
  'store.kept': true,
  'ha.changed': true,
  'ha.connected': true,
  'ha.disconnected': true,
  'ha.refused': true,
  'ha.rejected': true,
  'ha.merged': true,
  'ha.unsynced': true,
  'ha.keys_differ': true,
  'ha.split': true,
  'ha.paused': true,
  'ha.failed': true,
  'stream.closed': true,
  'stream.refused': true,
  'stream.rejected': true,
  'map.loaded': true,
  'map.malformed': true,
  'map.refused': true,
  'map.denied': true,
  'map.closed': true,
  'map.stalled': true,
  'map.rejected': true,
  'map.conflicted': true,
  'map.failed': true,
  'map.healed': true,
  'fleet.peer_joined': true,
  'fleet.peer_lost': true,
  'fleet.keys_differ': true,
  'fleet.connected': true,
  'fleet.disconnected': true,
  'fleet.refused': true,
  'fleet.pack_dropped': true,
};

export const EVENT_TOPICS: readonly string[] = Object.keys(TOPICS);

/** By rights, which are replaced when they change: the topics that they do not allow. */
const hidden = new WeakMap<GlobSet, readonly string[]>();

/**
 * Whether rights allow a subscription, and so every topic that begins with it.
 * @param globs over the names of events
 */
export function maySubscribe(globs: GlobSet, topic: Buffer): boolean {
  let forbidden = hidden.get(globs);
  if (forbidden === undefined) {
    forbidden = EVENT_TOPICS.filter((name) => {
      const bytes = Buffer.from(name);
      return !globs.matches(bytes, 0, bytes.length);
    });
    hidden.set(globs, forbidden);
  }
  if (forbidden.length === 0) return true;
  const beginning = topic.toString('latin1');
  return !forbidden.some((name) => name.startsWith(beginning));
}
