/** The content of a pair's stores, as far as both must be equal. */
import { rankedRows, sqliteContent } from './sqlite-content.js';

export interface StoredPair {
  /** Requests that the first one has. */
  readonly count: number;
  readonly pending: number;
  /** In the view of clients. */
  readonly uuids: ReadonlySet<string>;
  /** The differences, as text; empty if there are none. */
  readonly differences: readonly string[];
}

const SHOWN = 5;

/** Compares two files that no process has open. */
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

/** Without each store's own counters: numbers of requests and of transactions. */
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
  for (const { part, key, epoch, counter, body } of rankedRows(path)) {
    const fields = [epoch, counter, body.toString('hex')];
    content.set(`part ${part} ${key.toString('hex')}`, fields.map(String).join(' '));
  }
  return content;
}

/** In the view of clients (D16). */
function nameOf(uuid: Buffer): string {
  return uuid.toString('hex').toUpperCase();
}
