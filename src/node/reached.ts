/** The addresses of this node, as far as it knows them, for `mmi.broker` and HTTP. */
import { resolve } from 'node:path';

import type { Status } from '../admin/api/node-answers.js';
import type { ListenerConfig } from '../config/entries.js';

/**
 * A bound address in the form for clients that reached the node by another one: `*` for every IPv4
 * address, and an absolute path.
 * @param bound `http://…`, `https://…`, `unix:PATH`, `tcp://…` or `ipc://PATH`, ports filled in
 */
function reachedAt(bound: string): string {
  const socket = /^(unix:|ipc:\/\/)(.*)$/s.exec(bound);
  if (socket === null) return bound.replace(/^([a-z]+:\/\/)0\.0\.0\.0(?=:\d+$)/, '$1*');
  const [, scheme = '', path = ''] = socket;
  // `@name` is not a file but a Linux abstract socket.
  return scheme + (path.startsWith('@') ? path : resolve(path));
}

/** @param bound `null`: there is no such address */
export function reachedOrNull(bound: string | null): string | null {
  return bound === null ? null : reachedAt(bound);
}

/** @param endpoints of the listeners, in their order */
export function endpointStatuses(
  endpoints: readonly string[],
  listeners: readonly ListenerConfig[],
): Status['endpoints'] {
  return listeners.flatMap(({ client, worker, curve, service }, index) => {
    const bound = endpoints[index];
    // A listener for one service is of no use to clients that speak MDP.
    if (bound === undefined || service !== null) return [];
    return [
      {
        endpoint: reachedAt(bound),
        client: client.length > 0,
        worker: worker.length > 0,
        curve: curve !== undefined,
      },
    ];
  });
}
