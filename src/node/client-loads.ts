/** Which clients use most of this node: what the broker counts of each identity, and what it owns in the store. */
import type { ClientLoad, Clients } from '../admin/api/node-answers.js';
import { rounded } from '../admin/metrics/rates.js';
import type { ClientQuery } from '../admin/ports.js';
import type { ClientSeen } from '../broker/listing.js';
import { TOKEN_PREFIX } from '../config/http-access.js';
import { ANONYMOUS, type OwnerCount } from '../store/store.js';

const KEY = 'key:';
const ADDRESS = 'ip:';

const NOTHING_USED = {
  connections: 0,
  workers: 0,
  requestsPerSecond: 0,
  refusedPerSecond: 0,
  outstanding: 0,
  heldBytes: 0,
  heldBy: [],
  quota: null,
};

const FIGURES: Readonly<Record<ClientQuery['by'], (load: ClientLoad) => number>> = {
  requests: ({ requestsPerSecond }) => requestsPerSecond,
  outstanding: ({ outstanding }) => outstanding,
  stored: ({ storedBytes }) => storedBytes ?? 0,
  held: ({ heldBytes }) => heldBytes,
};

/**
 * Returns at most `limit` clients, those that use most first. The work is bounded by how many clients there are.
 * @param owners what the store holds; of a peer without a key it does not say whose it is
 */
export function clientLoads(
  seen: Iterable<ClientSeen>,
  owners: Iterable<OwnerCount>,
  { by, limit }: ClientQuery,
): Clients {
  const stored = new Map<string, OwnerCount>([...owners].map((count) => [count.owner, count]));
  const first = FIGURES[by];
  const order = (one: ClientLoad, other: ClientLoad): number =>
    first(other) - first(one) ||
    other.requestsPerSecond - one.requestsPerSecond ||
    other.outstanding - one.outstanding ||
    (other.storedBytes ?? 0) - (one.storedBytes ?? 0);
  let [items, total] = [[] as ClientLoad[], 0];
  const add = (load: ClientLoad): void => {
    total++;
    items.push(load);
    // Sorted now and then: there may be as many as connections, and few are shown.
    if (items.length >= 2 * limit + 100) items = items.sort(order).slice(0, limit);
  };
  for (const { identity, requestsPerSecond, refusedPerSecond, ...used } of seen) {
    const owned = stored.get(identity);
    stored.delete(identity);
    add({
      ...namedBy(identity),
      ...used,
      requestsPerSecond: rounded(requestsPerSecond),
      refusedPerSecond: rounded(refusedPerSecond),
      ...storedOf(identity, owned),
    });
  }
  // Clients that are not connected now.
  for (const owned of stored.values()) {
    add({ ...namedBy(owned.owner), ...NOTHING_USED, ...storedOf(owned.owner, owned) });
  }
  return { items: items.sort(order).slice(0, limit), total };
}

function namedBy(identity: string): Pick<ClientLoad, 'kind' | 'name'> {
  if (identity === ANONYMOUS) return { kind: 'anonymous', name: null };
  if (!identity.startsWith(KEY)) {
    const name = identity.startsWith(ADDRESS) ? identity.slice(ADDRESS.length) : identity;
    return { kind: 'address', name };
  }
  const key = identity.slice(KEY.length);
  if (!key.startsWith(TOKEN_PREFIX)) return { kind: 'key', name: key };
  return { kind: 'token', name: key.slice(TOKEN_PREFIX.length) };
}

/** Without a key, a peer owns nothing: what it stores belongs to everybody (D71). */
function storedOf(
  identity: string,
  owned: OwnerCount | undefined,
): Pick<ClientLoad, 'stored' | 'storedBytes'> {
  if (!identity.startsWith(KEY) && identity !== ANONYMOUS) {
    return { stored: null, storedBytes: null };
  }
  return { stored: owned?.stored ?? 0, storedBytes: owned?.bytes ?? 0 };
}
