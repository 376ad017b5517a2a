/**
 * Finds names that several keys files give to different keys: an identity is a name, on every
 * listener.
 */
import type { KeyEntry } from './keys-file.js';
import type { Problem } from '../problem.js';

/**
 * A name with another key in another file is usually a mistake: both keys are one client.
 * @param lists the entries of the keys files of all listeners
 * @returns one problem for each entry that shares no key with an earlier entry of the same name
 */
export function sharedNames(lists: readonly (readonly KeyEntry[])[]): readonly Problem[] {
  const known = new Map<string, { readonly place: string; readonly keys: Set<string> }>();
  const problems: Problem[] = [];
  for (const { name, publicKeys, place } of lists.flat()) {
    const keys = publicKeys.map((key) => key.toString('hex'));
    const before = known.get(name);
    if (before === undefined) {
      known.set(name, { place, keys: new Set(keys) });
      continue;
    }
    if (!keys.some((key) => before.keys.has(key))) {
      problems.push({ place, path: name, message: duplicateMessage(before.place) });
    }
    for (const key of keys) before.keys.add(key);
  }
  return problems;
}

function duplicateMessage(before: string): string {
  return (
    `is also the name of the key at ${before}: the broker treats both keys as one client with shared routing ids, ` +
    'quota and durable requests. Give two clients two names'
  );
}
