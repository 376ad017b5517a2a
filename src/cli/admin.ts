/** The operator's side of a daemon: its HTTP API, for the commands that look at one or change it. */
import { type Command, Option } from 'commander';

import type { Config } from '../config/config.js';
import { MajordomoError } from '../core/errors.js';
import { type AdminAnswer, AdminClient } from './admin-client.js';
import { isAdminUrl, isLocal, placeGiven, placeOf } from './admin-place.js';
import { type FoundToken, givenToken, localToken } from './admin-token.js';
import type { Facts } from './ask.js';
import { addConfigOptions, type ConfigOptions, timeoutOption } from './options.js';

export interface AdminOptions extends ConfigOptions {
  readonly admin?: string;
  readonly adminCa?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly timeoutMs: number;
}

const TIMEOUT_MS = 5000;
/** Items asked for at once: the most that a page has. */
const PAGE_ITEMS = 1000;

/** `--admin`, the token, and the configuration that tells both. */
export function addAdminOptions(command: Command): Command {
  return addConfigOptions(command)
    .option(
      '--admin <url>',
      "where the daemon answers HTTP: http://…, https://… or unix:PATH (default: MAJORDOMO_URL, or the configuration's http.listen)",
    )
    .option(
      '--admin-ca <file>',
      'certificates (PEM) that vouch for it, instead of those that the system knows',
    )
    .addOption(
      new Option(
        '--token <token>',
        'the token for it; others can see it in the list of processes',
      ).conflicts(['tokenFile']),
    )
    .option(
      '--token-file <file>',
      "a file with the token (default: MAJORDOMO_TOKEN, MAJORDOMO_TOKEN_FILE, the configuration's http.token, or the file in its node.dataDir)",
    );
}

/** And how long to wait. */
export function addAdminTimeout(command: Command): Command {
  return command.addOption(timeoutOption('how long to wait for the answer', TIMEOUT_MS));
}

/**
 * A client of the daemon that the options name.
 * @throws ERR_USAGE, ERR_CONFIG_INVALID, ERR_CONFIG_FILE
 */
export async function adminClient(options: AdminOptions): Promise<AdminClient> {
  const known: { config: Config | null } = { config: null };
  const config = async (): Promise<Config> => {
    if (known.config === null) {
      const { load } = await import('./config-options.js');
      known.config = load(options).config;
    }
    return known.config;
  };
  const fromEnvironment = adminOfEnvironment();
  const isGiven = options.admin !== undefined || fromEnvironment !== null;
  const place =
    options.admin !== undefined
      ? placeGiven(options.admin, '--admin', options.adminCa)
      : fromEnvironment !== null
        ? placeGiven(fromEnvironment, 'MAJORDOMO_URL', options.adminCa)
        : placeOf(await config(), options.adminCa);
  const given = givenToken(options);
  if (given !== null) return new AdminClient(place, { token: given, why: null }, options.timeoutMs);
  const isOurs = !isGiven || options.config !== undefined || options.set !== undefined;
  // To nobody else: what another host is sent has to be given.
  const found = isOurs || isLocal(place) ? localToken(await config()) : NO_TOKEN;
  return new AdminClient(place, found, options.timeoutMs);
}

const NO_TOKEN: FoundToken = { token: null, why: null };

/** @throws ERR_USAGE if it leads to MDP alone */
function adminOfEnvironment(): string | null {
  const url = (process.env['MAJORDOMO_URL'] ?? '').trim();
  if (url === '') return null;
  if (isAdminUrl(url)) return url;
  throw new MajordomoError('ERR_USAGE', `MAJORDOMO_URL is ${url}, which is no HTTP: give --admin`);
}

/** All items of a list, page after page. @throws ERR_REQUEST_FAILED, and what asking throws */
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

/** A page of a list. @throws ERR_REQUEST_FAILED, and what asking throws */
export async function pageOf(
  client: AdminClient,
  path: string,
  query: Readonly<Record<string, string>>,
  cursor: string | null,
): Promise<{ readonly items: readonly Facts[]; readonly next: string | null }> {
  const { value } = await client.get(path, cursor === null ? query : { ...query, cursor });
  const { items, next } = factsIn(path, value);
  // One that does not go on would never end.
  if (!Array.isArray(items) || (cursor !== null && next === cursor)) throw strange(path);
  return {
    items: items.map((item) => factsIn(path, item)),
    next: typeof next === 'string' ? next : null,
  };
}

/** The object that was answered. @throws ERR_REQUEST_FAILED */
export function adminFacts(path: string, { value }: AdminAnswer): Facts {
  return factsIn(path, value);
}

function factsIn(path: string, value: unknown): Facts {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw strange(path);
  return { ...value };
}

function strange(path: string): MajordomoError {
  return new MajordomoError('ERR_REQUEST_FAILED', `the answer to ${path} is not understood`);
}
