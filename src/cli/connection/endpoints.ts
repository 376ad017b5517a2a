/** The addresses of a broker or of a pair, as options and `MAJORDOMO_URL` name them. */
import { parseDialEndpoint } from '../../config/endpoint.js';
import type { MajordomoError } from '../../core/errors.js';
import { hasLogin, shownUrl } from '../../core/web-address.js';
import { isAdminUrl, parseAdminAddress } from './admin-address.js';
import { type ConfigOptions, usage } from '../common/options.js';

interface NodeUrl {
  /** `tcp://…`, `ipc://…` */
  readonly endpoints: readonly string[];
  /** `http://…`, `https://…`, `unix:PATH` */
  readonly addresses: readonly string[];
}

export const NODE_URL = 'MAJORDOMO_URL';

const PARTS_MAX = 64;
const EXPECTED =
  'expected tcp://HOST:PORT, ipc://PATH, http://HOST:PORT, https://HOST:PORT or unix:PATH';
/** Separates the addresses of a list: a path may contain spaces and commas. */
const BETWEEN = /(?<![\s,])[\s,]+(?=(?:tcp|ipc|https?|unix):)/;

/**
 * The value of the variable; `null`: it is not set.
 * @throws ERR_USAGE if a part of it is not an address
 */
export function nodeUrl(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): NodeUrl | null {
  const text = (environment[NODE_URL] ?? '').trim().replace(/(?<![\s,])[\s,]+$/, '');
  if (text === '') return null;
  const parts = [...new Set(text.split(BETWEEN))];
  if (parts.length > PARTS_MAX) throw wrong(`more than ${PARTS_MAX} addresses`);
  for (const part of parts) checkPart(part);
  return {
    endpoints: parts.filter((part) => !isAdminUrl(part)),
    addresses: parts.filter(isAdminUrl),
  };
}

function checkPart(part: string): void {
  if (hasLogin(part)) throw wrong(`must not contain a user or password; ${EXPECTED}`);
  if (isAdminUrl(part)) {
    parseAdminAddress(part, NODE_URL, undefined);
    return;
  }
  const parsed = parseDialEndpoint(part);
  if (parsed.ok) return;
  const isMdp = /^(tcp|ipc):/.test(part);
  const hint = parseDialEndpoint(`tcp://${part}`).ok ? `; did you mean tcp://${part}` : '';
  throw wrong(`'${shownUrl(part)}': ${isMdp ? parsed.why : EXPECTED + hint}`);
}

function wrong(text: string): MajordomoError {
  return usage(`${NODE_URL}: ${text}`);
}

/** True if the options name the node by its configuration. */
export function namesNode({ config, set }: ConfigOptions): boolean {
  return config !== undefined || set?.some((each) => each.startsWith('http.listen=')) === true;
}

/**
 * The endpoints given by options or environment; `null`: none.
 * @throws ERR_USAGE if one cannot be dialled, or `MAJORDOMO_URL` is not an address
 */
export function checkEndpoints({
  endpoint: given,
}: Readonly<{ endpoint?: readonly string[] }>): readonly string[] | null {
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
  if (endpoints.length > PARTS_MAX) {
    throw usage(`${place}: more than ${PARTS_MAX} endpoints`);
  }
  return [...new Set(endpoints)];
}
