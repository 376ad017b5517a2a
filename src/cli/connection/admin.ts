/** The node's HTTP API, for the commands of operators. */
import { type Command, Option } from 'commander';

import type { Config } from '../../config/config.js';
import { codeOf } from '../../core/errors.js';
import { AdminClient } from './admin-client.js';
import {
  adminLine,
  type AdminAddress,
  isLocal,
  parseAdminAddress,
  adminAddressOf,
} from './admin-address.js';
import { type FoundToken, givenToken, localToken, type TokenOptions } from './admin-token.js';
import { type Facts, isFacts } from '../common/facts.js';
import { addOutputOption, type OutputOptions } from '../common/formats.js';
import { curveOf } from './curve.js';
import { namesNode, NODE_URL, nodeUrl } from './node-url.js';
import { addConfigOptions, addTimeoutOptions, type ConfigOptions } from '../common/options.js';
import { addContextOption, addCurveOptions, type CurveOptions } from './options.js';
import { say } from '../common/output.js';
import type { LearntAddress } from './learnt-address.js';

export interface AdminOptions extends ConfigOptions, CurveOptions, TokenOptions {
  readonly admin?: string;
  readonly adminCa?: string;
  readonly timeoutMs: number;
}

const TIMEOUT_MS = 5000;
/** Items per request: the largest page. */
const PAGE_ITEMS = 1000;

/** Adds `--admin`, the token, and the options from which both can be found. */
export function addAdminOptions(command: Command): Command {
  return addCurveOptions(addAdminOnly(command));
}

/** Does what `addAdminOptions` does, for commands that already have the options for keys. */
export function addAdminOnly(command: Command): Command {
  return addConfigOptions(addContextOption(command))
    .option(
      '--admin <url>',
      "HTTP address of the daemon: http://…, https://… or unix:PATH (default: http.listen from -c or --set; else MAJORDOMO_URL, which may also be the broker's endpoint; else http.listen of the configuration)",
    )
    .option(
      '--admin-ca <file>',
      'PEM file of the authorities that sign its certificate, instead of those of the system',
    )
    .addOption(
      new Option(
        '--token <token>',
        'token for HTTP; other users can see it in the process list',
      ).conflicts(['tokenFile']),
    )
    .option(
      '--token-file <file>',
      "file with the token on its first line (default: MAJORDOMO_TOKEN, MAJORDOMO_TOKEN_FILE, the configuration's http.token, or the file in its node.dataDir)",
    );
}

export interface OperatorOptions extends AdminOptions, OutputOptions {}

/**
 * What every command of operators has: how to reach the node, how long to wait, and `-o`.
 * @param more see `addOutputOption`
 */
export function addOperatorOptions(
  command: Command,
  more: 'list' | null = null,
  timeoutMs: number = TIMEOUT_MS,
): Command {
  const about = 'how long to wait for an answer';
  return addTimeoutOptions(addOutputOption(addAdminOptions(command), more), about, timeoutMs);
}

/** Asks the node. @throws what finding and asking it throw */
export async function getFrom(options: AdminOptions, path: string): Promise<Facts> {
  return await (await adminClient(options)).get(path);
}

/** Gives the node an order. @throws see `getFrom` */
export async function postTo(options: AdminOptions, path: string): Promise<Facts> {
  return await (await adminClient(options)).post(path);
}

/**
 * A client of the node that the options name.
 * @throws ERR_USAGE, ERR_CONFIG_INVALID, ERR_CONFIG_FILE; what learning throws
 */
export async function adminClient(options: AdminOptions): Promise<AdminClient> {
  const where = await whereOf(options);
  const found = await tokenFor(where, options);
  if (where.learnt === null || where.learnt.isTrusted) {
    return new AdminClient(where.place, found, options.timeoutMs);
  }
  const { by } = where.learnt;
  const line = adminLine(where.place);
  if (found.token !== null) {
    say(
      `the token is not sent to ${where.place.name}, because that address comes from ${by}: to send it, use ${line}`,
    );
  }
  const remedy = `no token is sent to an address that comes from ${by}: use ${line}`;
  return new AdminClient(where.place, { token: null, why: null, remedy }, options.timeoutMs);
}

/**
 * The node that the endpoints in `MAJORDOMO_URL` name, if it answers; `null`: ask by MDP.
 * @throws ERR_USAGE; what asking over MDP throws
 */
export async function learntAdmin(options: AdminOptions): Promise<AdminClient | null> {
  try {
    const where = await whereOf(options);
    if (where.learnt?.isTrusted !== true) return null;
    const found = await tokenFor(where, options);
    // Another machine answers nothing without a token, and a firewall may drop the question.
    if (found.token === null && !isLocal(where.place)) return null;
    const client = new AdminClient(where.place, found, options.timeoutMs);
    await client.get('/api/v1/status');
    return client;
  } catch (error) {
    if (NOT_LEARNT.has(codeOf(error) ?? '')) return null;
    throw error;
  }
}

const NOT_LEARNT: ReadonlySet<string> = new Set([
  'ERR_HTTP_NO_ANSWER',
  'ERR_HTTP_UNREACHABLE',
  'ERR_NOT_LEARNT',
  'ERR_REQUEST_FAILED',
]);

interface Where {
  readonly place: AdminAddress;
  /** The address comes from the configuration, so the configuration's token is for it. */
  readonly isOurs: boolean;
  /** The node that reported it; `null`: it was given. */
  readonly learnt: LearntAddress | null;
}

/**
 * `--admin`, else the configuration that is named, else `MAJORDOMO_URL`, else the default
 * configuration.
 */
async function whereOf(options: AdminOptions): Promise<Where> {
  const { admin, adminCa } = options;
  const hasConfig = options.config !== undefined || options.set !== undefined;
  const given = (place: AdminAddress): Where => ({ place, isOurs: hasConfig, learnt: null });
  if (admin !== undefined) return given(parseAdminAddress(admin, '--admin', adminCa));
  const url = namesNode(options) ? null : nodeUrl();
  if (url === null) {
    return { place: adminAddressOf(await configOf(options), adminCa), isOurs: true, learnt: null };
  }
  const { activeAddress, learnAddress } = await import('./learning.js');
  const { timeoutMs } = options;
  if (url.addresses.length > 0) {
    const places = url.addresses.map((text) => parseAdminAddress(text, NODE_URL, adminCa));
    const ask = (place: AdminAddress): Promise<FoundToken> => tokenFor(given(place), options);
    return given(await activeAddress(places, ask, timeoutMs));
  }
  const { curve } = curveOf(options);
  const learnt = await learnAddress(url.endpoints, { timeoutMs, curve, caFile: adminCa });
  return { place: learnt.place, isOurs: hasConfig, learnt };
}

async function tokenFor({ place, isOurs }: Where, options: AdminOptions): Promise<FoundToken> {
  const given = givenToken(options);
  if (given !== null) return given;
  // The token of this machine is not sent to another host: give that host's token.
  if (!isOurs && !isLocal(place)) return NO_TOKEN;
  const isGuess = options.config === undefined && options.set === undefined;
  return await localToken(await configOf(options), isGuess);
}

async function configOf(options: ConfigOptions): Promise<Config> {
  const { load } = await import('../common/load-config.js');
  return load(options).config;
}

const NO_TOKEN: FoundToken = {
  token: null,
  why: 'it is in the file http.token of the data directory there, unless http.token of its configuration is set',
};

/** All items of a list, page by page. @throws ERR_REQUEST_FAILED, and what asking throws */
export async function allOf(
  client: AdminClient,
  path: string,
  filters: Readonly<Record<string, string>> = {},
): Promise<readonly Facts[]> {
  const items: Facts[] = [];
  for (let cursor: string | null = null; ;) {
    const page = await pageOf(client, path, { limit: String(PAGE_ITEMS), ...filters }, cursor);
    items.push(...page.items);
    if (page.next === null) return items;
    cursor = page.next;
  }
}

export interface AdminPage {
  readonly items: readonly Facts[];
  readonly next: string | null;
  /** How many were examined for it; 0 in lists that do not say. */
  readonly scanned: number;
}

/** Reads one page of a list. @throws ERR_REQUEST_FAILED, and what asking throws */
export async function pageOf(
  client: AdminClient,
  path: string,
  query: Readonly<Record<string, string>>,
  cursor: string | null,
): Promise<AdminPage> {
  const asked = cursor === null ? query : { ...query, cursor };
  const { items, next, scanned } = await client.get(path, asked);
  const isList = Array.isArray(items) && items.every(isFacts);
  // A cursor that does not advance would never end.
  if (!isList || (cursor !== null && next === cursor)) throw client.unexpected(path);
  return {
    items,
    next: typeof next === 'string' ? next : null,
    scanned: typeof scanned === 'number' ? scanned : 0,
  };
}
