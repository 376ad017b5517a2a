/** Finds the broker, for the commands that speak MDP. */
import { parseDialEndpoint } from '../config/endpoint.js';
import { BROKER_ENDPOINT } from '../core/defaults.js';
import { MajordomoError } from '../core/errors.js';
import { parseAdminAddress } from './admin-address.js';
import { givenToken } from './admin-token.js';
import { NODE_URL, nodeUrl } from './node-url.js';
import type { EndpointOptions } from './options.js';

/** What the endpoints are for. */
export type Role = 'client' | 'worker' | 'both';

const ENDPOINTS_MAX = 64;
const LEARN_MS = 5000;

/**
 * From the options, else the environment, else the default. If `MAJORDOMO_URL` is an HTTP address,
 * asks the node there.
 * @throws ERR_USAGE if one cannot be dialled; what learning throws
 */
export async function endpointsOf(
  options: EndpointOptions,
  role: Role = 'client',
): Promise<readonly string[]> {
  const written = checkEndpoints(options);
  if (written !== null) return written;
  const places = (nodeUrl()?.addresses ?? []).map((text) =>
    parseAdminAddress(text, NODE_URL, undefined),
  );
  if (places.length === 0) return [BROKER_ENDPOINT];
  const want = {
    client: role !== 'worker',
    worker: role !== 'client',
    curve: options.curveServerKey !== undefined,
  };
  const remedy = 'put it into a file and name the file in MAJORDOMO_TOKEN_FILE, or give --endpoint';
  const token = { token: givenToken({}), why: null, remedy };
  const { learnEndpoints } = await import('./learning.js');
  return await learnEndpoints(places, token, want, LEARN_MS);
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

/** Separated by commas or blanks, which the path of a socket may have, too. */
function listOf(text: string): string[] {
  return text
    .split(/[\s,]+(?=\w+:\/\/)/)
    .flatMap((part) => (part.startsWith('ipc://') ? [part] : part.split(/[\s,]+/)))
    .filter(Boolean);
}

function checked(endpoints: readonly string[], place: string): readonly string[] {
  if (endpoints.length === 0) throw new MajordomoError('ERR_USAGE', `${place} names no endpoint`);
  for (const endpoint of endpoints) {
    const parsed = parseDialEndpoint(endpoint);
    if (!parsed.ok) {
      throw new MajordomoError('ERR_USAGE', `${place} '${endpoint}': ${parsed.why}`);
    }
  }
  if (endpoints.length > ENDPOINTS_MAX) {
    throw new MajordomoError('ERR_USAGE', `${place}: more than ${ENDPOINTS_MAX} endpoints`);
  }
  return [...new Set(endpoints)];
}
