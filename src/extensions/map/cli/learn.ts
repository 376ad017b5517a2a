/** Asks nodes where they serve their maps. */
import {
  type Asking,
  firstReason,
  fulfilled,
  statusByMmi,
} from '../../../cli/connection/learning.js';
import { learntPort, type SidePort } from '../../../cli/connection/learnt-address.js';
import { codeOf, MajordomoError, messageOf } from '../../../core/errors.js';

const MAP: SidePort = { option: 'map', name: 'the map', does: 'serve a map' };

/**
 * Where the nodes at these endpoints serve their maps, of those that answer.
 * @param graceMs how long to wait for others after the active node has answered
 * @throws ERR_NOT_LEARNT; what asking throws, if none answers
 */
export async function learnMaps(
  endpoints: readonly string[],
  asking: Asking,
  graceMs: number,
): Promise<readonly string[]> {
  const ended = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const asked = await Promise.allSettled(
    endpoints.map(async (endpoint) => {
      const status = await statusByMmi(endpoint, asking, ended.signal).catch((error: unknown) => {
        throw notAsked(error, endpoint);
      });
      const map = learntPort(status['map'], MAP, endpoint);
      if (status['state'] === 'active') {
        timer ??= setTimeout(() => ended.abort(), graceMs);
      }
      return map;
    }),
  );
  clearTimeout(timer);
  const found = fulfilled(asked);
  if (found.length > 0) return [...new Set(found)];
  throw firstReason(asked);
}

/** The error with the broker that was asked, and what may be wrong with its endpoint. */
function notAsked(error: unknown, endpoint: string): unknown {
  const code = codeOf(error);
  // Errors of these codes name it already.
  if (code === undefined || code === 'ERR_NOT_LEARNT') return error;
  const text =
    `cannot ask the broker at ${endpoint} where its map is: ${messageOf(error)}; ` +
    'check --endpoint (broker.listen), or give the endpoint of the map itself (map.listen) as --map';
  return new MajordomoError(code, text, { cause: error });
}
