/** What a key may read and write of the map: the globs of its rights, over the map's keys. */
import { GlobSet } from '../../core/glob.js';
import { HUGZ } from '../../wire/chp-client.js';

/** By rights, which are replaced when they change: those globs that end in a star. */
const openEnded = new WeakMap<GlobSet, GlobSet>();

/** Whether rights cover every key that begins with this prefix. */
export function coversPrefix(globs: GlobSet, prefix: Buffer): boolean {
  if (globs.isAll) return true;
  let open = openEnded.get(globs);
  if (open === undefined) {
    open = GlobSet.of(globs.patterns.filter((pattern) => pattern.endsWith('*')));
    openEnded.set(globs, open);
  }
  // A pattern that matches the prefix and ends in a star matches whatever follows.
  return open.matches(prefix, 0, prefix.length);
}

/** Whether rights cover a subscription. Whoever may subscribe to anything hears HUGZ. */
export function maySubscribeToMap(globs: GlobSet, topic: Buffer): boolean {
  return topic.equals(HUGZ) || coversPrefix(globs, topic);
}

/** Whether rights allow a change of this key. */
export function mayWriteMap(globs: GlobSet, key: Buffer): boolean {
  // Whoever subscribes to HUGZ would read it, whatever he may read.
  if (key.subarray(0, HUGZ.length).equals(HUGZ)) return false;
  return globs.matches(key, 0, key.length);
}
