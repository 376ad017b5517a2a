/** Finds the map of a broker, for `majordomo map`, and connects to it. */
import { parseDialEndpoint } from '../../../config/endpoint.js';
import { codeOf, MajordomoError } from '../../../core/errors.js';
import { shownUrl } from '../../../core/web-address.js';
import type { CurveClientKeys } from '../../../sdk/dials.js';
import type { SharedMap } from '../../../sdk/map.js';
import { besides, UPDATES } from '../../../sdk/map/map-links.js';
import { curveOf, keyHint, keyRemedy, publisherFault } from '../../../cli/connection/curve.js';
import { usage } from '../../../cli/common/options.js';
import { printable } from '../../../cli/common/output.js';
import { Broker } from '../../../cli/connection/broker.js';
import type { AskOptions } from '../../../cli/connection/options.js';

export interface MapCommandOptions extends AskOptions {
  /** Endpoints of `map.listen`, separated by commas. */
  readonly map?: string;
}

/** How long other nodes of a pair may take when the one that serves has answered. */
const GRACE_MS = 300;

/**
 * The endpoints of the map, separated by commas: as given, or as the brokers say.
 * @param graceMs how long to wait for other nodes when the one that serves has answered
 */
export async function mapEndpointsOf(options: MapCommandOptions, graceMs: number): Promise<string> {
  const { map: given, timeoutMs } = options;
  if (given === undefined) {
    const endpoints = await new Broker(options).endpoints();
    const { curve } = curveOf(options);
    const { learnMaps } = await import('./learn.js');
    const asking = { timeoutMs, curve, caFile: undefined };
    return (await learnMaps(endpoints, asking, graceMs)).join(',');
  }
  for (const endpoint of given.split(',')) {
    const parsed = parseDialEndpoint(endpoint);
    if (!parsed.ok) {
      throw usage(`--map '${printable(shownUrl(endpoint))}': ${parsed.why}`);
    }
  }
  return given;
}

/** Runs `use` when the map is known. */
export async function withMap(
  options: MapCommandOptions,
  subtree: string,
  use: (map: SharedMap) => Promise<void>,
): Promise<void> {
  const { timeoutMs } = options;
  const endpoints = await mapEndpointsOf(options, GRACE_MS);
  const keys = curveOf(options);
  const { SharedMap } = await import('../../../sdk/map.js');
  const map = new SharedMap({ endpoints, subtree, timeoutMs, ...keys });
  try {
    await known(map, endpoints, timeoutMs, keys.curve);
    await use(map);
  } catch (error) {
    if (codeOf(error) !== 'ERR_MDP_KEY_REFUSED') throw error;
    const text = `the map at ${endpoints} ${keyRemedy(keys.curve, 'client')}`;
    throw new MajordomoError('ERR_MDP_KEY_REFUSED', text, { cause: error });
  } finally {
    await map.close();
  }
}

async function known(
  map: SharedMap,
  endpoints: string,
  timeoutMs: number,
  curve: CurveClientKeys | undefined,
): Promise<void> {
  const timer = setTimeout(() => {
    void map.close();
  }, timeoutMs);
  try {
    await map.synced;
  } catch (error) {
    if (codeOf(error) !== 'ERR_MDP_CLOSED') throw error;
    const causes = await Promise.all(
      endpoints.split(',').map(async (each) => {
        const updates = besides(each, UPDATES);
        const fault = await publisherFault(updates, curve);
        return `${updates}: ${fault ?? 'it accepts connections but sent no map: it is not the active node, not a map.listen, or slow'}`;
      }),
    );
    const text = `no node served the map at ${endpoints} within ${timeoutMs} ms: ${causes.join('; ')}${keyHint(curve)}; name another one with --map, or its broker with --endpoint or MAJORDOMO_URL`;
    throw new MajordomoError('ERR_MDP_UNREACHABLE', text);
  } finally {
    clearTimeout(timer);
  }
}
