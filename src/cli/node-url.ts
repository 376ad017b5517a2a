/** `MAJORDOMO_URL`: a node, or those of a pair, by where they answer MDP or by where they answer HTTP. */
import { parseDialEndpoint } from '../config/endpoint.js';
import { MajordomoError } from '../core/errors.js';
import { isAdminUrl, placeGiven } from './admin-place.js';

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
/** Before the next address of a list: a path may have blanks and commas. */
const BETWEEN = /[\s,]+(?=(?:tcp|ipc|https?|unix):)/;
/** Names of sockets may have an `@`. */
const WITH_USER = /^(?!ipc:|unix:)([a-z]+:\/\/)?[^/]*@/i;

/**
 * What the variable says; `null`: it is not set.
 * @throws ERR_USAGE if a part of it is no address
 */
export function nodeUrl(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): NodeUrl | null {
  const text = (environment[NODE_URL] ?? '').trim().replace(/[\s,]+$/, '');
  if (text === '') return null;
  const parts = [...new Set(text.split(BETWEEN))];
  if (parts.length > PARTS_MAX) throw usage(`more than ${PARTS_MAX} addresses`);
  for (const part of parts) check(part);
  return {
    endpoints: parts.filter((part) => !isAdminUrl(part)),
    addresses: parts.filter(isAdminUrl),
  };
}

function check(part: string): void {
  // It is not shown: others may see the terminal, or the log of a script.
  if (WITH_USER.test(part)) throw usage(`must not contain a user or password; ${EXPECTED}`);
  if (isAdminUrl(part)) {
    placeGiven(part, NODE_URL, undefined);
    return;
  }
  const parsed = parseDialEndpoint(part);
  if (parsed.ok) return;
  const isMdp = /^(tcp|ipc):/.test(part);
  const hint = parseDialEndpoint(`tcp://${part}`).ok ? `; did you mean tcp://${part}` : '';
  throw usage(`'${part}': ${isMdp ? parsed.why : EXPECTED + hint}`);
}

function usage(text: string): MajordomoError {
  return new MajordomoError('ERR_USAGE', `${NODE_URL}: ${text}`);
}
