/** `MAJORDOMO_URL`: a node or the nodes of a pair, by their MDP or HTTP addresses. */
import { parseDialEndpoint } from '../../config/endpoint.js';
import type { MajordomoError } from '../../core/errors.js';
import { hasLogin, shownUrl } from '../../core/web-address.js';
import { isAdminUrl, parseAdminAddress } from './admin-address.js';
import { type ConfigOptions, usage } from '../common/options.js';

export interface NodeUrl {
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
  for (const part of parts) check(part);
  return {
    endpoints: parts.filter((part) => !isAdminUrl(part)),
    addresses: parts.filter(isAdminUrl),
  };
}

function check(part: string): void {
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
