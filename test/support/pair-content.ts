/** What the stores of a pair have, as far as both are to have the same. */
import { sqliteContent } from './sqlite-content.js';

export interface StoredPair {
  /** Requests that the first one has. */
  readonly count: number;
  readonly pending: number;
  /** As clients know them. */
  readonly uuids: ReadonlySet<string>;
  /** What differs, in words; empty if both have the same. */
  readonly differences: readonly string[];
}

const SHOWN = 5;

/** Of two files that nobody has open. */
export function storedPair(first: string, second: string): StoredPair {
  const [a, b] = [contentOf(first), contentOf(second)];
  const names = new Set([...a.keys(), ...b.keys()]);
  const differences = [...names]
    .filter((name) => a.get(name) !== b.get(name))
    .map((name) => `${name}: ${a.get(name) ?? 'absent'} is not ${b.get(name) ?? 'absent'}`);
  const uuids = [...a.keys()].filter((name) => name.startsWith(REQUEST));
  return {
    count: uuids.length,
    pending: uuids.filter((name) => a.get(name)?.startsWith('pending') === true).length,
    uuids: new Set(uuids.map((name) => name.slice(REQUEST.length))),
    differences: differences.slice(0, SHOWN),
  };
}

const REQUEST = 'request ';

/** Without what each store counts for itself: numbers of requests and of transactions. */
function contentOf(path: string): Map<string, string> {
  const { requests, keys } = sqliteContent(path);
  const content = new Map<string, string>();
  for (const { request, key, body, reply, death } of requests) {
    const { uuid, service, state, generation, priority, acceptedAt, expiresAt } = request;
    const ladder = [state, generation, priority, acceptedAt, expiresAt];
    const bytes = [service, key, body, reply?.reply].map((each) => each?.toString('hex') ?? 'none');
    const settled = [reply?.at, death?.at, death?.reason].map(String);
    content.set(`${REQUEST}${nameOf(uuid)}`, [...ladder, ...bytes, ...settled].join(' '));
  }
  for (const { service, key, uuid, until } of keys) {
    const name = `key ${service.toString('hex')} ${key.toString('hex')}`;
    content.set(name, `${nameOf(uuid)} ${until}`);
  }
  return content;
}

/** As clients know it (D16). */
function nameOf(uuid: Buffer): string {
  return uuid.toString('hex').toUpperCase();
}
