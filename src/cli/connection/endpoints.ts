/** Finds the broker, for the commands that speak MDP. */
import { parseDialEndpoint } from '../../config/endpoint.js';
import { BROKER_ENDPOINT } from '../../core/defaults.js';
import { shownUrl } from '../../core/web-address.js';
import { adminAddressOf, parseAdminAddress } from './admin-address.js';
import { givenToken, localToken } from './admin-token.js';
import { namesNode, NODE_URL, nodeUrl } from './node-url.js';
import type { Want } from './learnt-address.js';
import { type ConfigOptions, usage } from '../common/options.js';
import type { EndpointOptions } from './options.js';

/** What the endpoints are for. */
export type EndpointRole = 'client' | 'worker' | 'both';

const ENDPOINTS_MAX = 64;
const LEARN_MS = 5000;

/**
 * Takes endpoints from the options, else the environment, else the default. If the options name a configuration, or
 * `MAJORDOMO_URL` is an HTTP address, asks the node there.
 * @throws ERR_USAGE if one cannot be dialled; what learning and reading the configuration throw
 */
export async function endpointsOf(
  options: EndpointOptions & ConfigOptions,
  role: EndpointRole = 'client',
): Promise<readonly string[]> {
  if (options.endpoint === undefined && namesNode(options)) return await configured(options, role);
  const written = checkEndpoints(options);
  if (written !== null) return written;
  const places = (nodeUrl()?.addresses ?? []).map((text) =>
    parseAdminAddress(text, NODE_URL, undefined),
  );
  if (places.length === 0) return [BROKER_ENDPOINT];
  const remedy = 'put it into a file and name the file in MAJORDOMO_TOKEN_FILE, or give --endpoint';
  const token = { ...(givenToken({}) ?? { token: null, why: null }), remedy };
  const { learnEndpoints } = await import('./learning.js');
  return await learnEndpoints(places, NODE_URL, token, wanted(options, role), LEARN_MS);
}

/** What the node with this configuration reports; `http.listen` says where it is. */
async function configured(
  options: EndpointOptions & ConfigOptions,
  role: EndpointRole,
): Promise<readonly string[]> {
  const { load } = await import('../common/load-config.js');
  const { config } = load(options);
  const place = adminAddressOf(config, undefined, '--endpoint');
  const token = givenToken({}) ?? (await localToken(config));
  const { learnEndpoints } = await import('./learning.js');
  return await learnEndpoints([place], 'http.listen', token, wanted(options, role), LEARN_MS);
}

function wanted({ curveServerKey }: EndpointOptions, role: EndpointRole): Want {
  return {
    client: role !== 'worker',
    worker: role !== 'client',
    curve: curveServerKey !== undefined,
  };
}

/**
 * The endpoints given by options or environment; `null`: none.
 * @throws ERR_USAGE if one cannot be dialled, or `MAJORDOMO_URL` is not an address
 */
export function checkEndpoints({ endpoint: given }: EndpointOptions): readonly string[] | null {
  if (given !== undefined) return checked(given.flatMap(listOf), '--endpoint');
  const listed = listOf(process.env['MAJORDOMO_ENDPOINT'] ?? '');
  if (listed.length > 0) return checked(listed, 'MAJORDOMO_ENDPOINT');
  const { endpoints } = nodeUrl() ?? { endpoints: [] };
  return endpoints.length > 0 ? endpoints : null;
}

/**
 * The endpoints in the text of an option.
 * @throws ERR_USAGE if one cannot be dialled
 */
export function checkedList(text: string, option: string): readonly string[] {
  return checked(listOf(text), option);
}

/** Separated by commas or blanks, which the path of a socket may have, too. */
function listOf(text: string): string[] {
  return text
    .split(/(?<![\s,])[\s,]+(?=\w+:\/\/)/)
    .flatMap((part) => (part.startsWith('ipc://') ? [part] : part.split(/[\s,]+/)))
    .filter(Boolean);
}

function checked(endpoints: readonly string[], place: string): readonly string[] {
  if (endpoints.length === 0) throw usage(`${place} names no endpoint`);
  for (const endpoint of endpoints) {
    const parsed = parseDialEndpoint(endpoint);
    if (!parsed.ok) {
      throw usage(`${place} '${shownUrl(endpoint)}': ${parsed.why}`);
    }
  }
  if (endpoints.length > ENDPOINTS_MAX) {
    throw usage(`${place}: more than ${ENDPOINTS_MAX} endpoints`);
  }
  return [...new Set(endpoints)];
}
