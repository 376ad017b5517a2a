/** The operator's side of a daemon: its HTTP API, for the commands that look at one or change it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';

import type { Config } from '../config/config.js';
import { parseAddress } from '../config/endpoint.js';
import { codeOf, MajordomoError } from '../core/errors.js';
import { TOKEN_FILE } from '../core/private-file.js';
import { type AdminAnswer, AdminClient } from './admin-client.js';
import type { Facts } from './ask.js';
import { addConfigOptions, type ConfigOptions, timeoutOption } from './options.js';

export interface AdminOptions extends ConfigOptions {
  readonly admin?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly timeoutMs: number;
}

const TIMEOUT_MS = 5000;
/** Items asked for at once: the most that a page has. */
const PAGE_ITEMS = 1000;
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;
const TOKEN = /^[\x21-\x7e]+$/;

/** `--admin`, the token, and the configuration that tells both. */
export function addAdminOptions(command: Command): Command {
  return addConfigOptions(command)
    .option(
      '--admin <url>',
      "where the daemon answers HTTP (default: the configuration's http.listen)",
    )
    .addOption(
      new Option(
        '--token <token>',
        'the token for it; others can see it in the list of processes',
      ).conflicts(['tokenFile']),
    )
    .option(
      '--token-file <file>',
      "a file with the token (default: MAJORDOMO_TOKEN, the configuration's http.token, or the file in its node.dataDir)",
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
  const url = options.admin === undefined ? urlOf(await config()) : parsed(options.admin);
  const isOurs =
    options.admin === undefined || options.config !== undefined || options.set !== undefined;
  const token =
    givenToken(options) ??
    // To nobody else: what another host is sent has to be given.
    (isOurs || LOOPBACK.test(url.hostname) ? localToken(await config()) : null);
  return new AdminClient(url, token, options.timeoutMs);
}

function parsed(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isWanted = url !== null && /^https?:$/.test(url.protocol) && url.username === '';
  if (isWanted && url.search === '' && url.hash === '') return url;
  throw new MajordomoError('ERR_USAGE', `--admin '${text}': expected http://HOST:PORT`);
}

/** Where a daemon of this configuration answers, as seen from this machine. */
function urlOf({ http }: Config): URL {
  const address = parseAddress(http.listen);
  if (!address.ok || address.value.port === 0) {
    const why = `http.listen is ${http.listen}: give --admin`;
    throw new MajordomoError('ERR_USAGE', why);
  }
  const { host, port } = address.value;
  const from = host === '*' || host === '0.0.0.0' ? '127.0.0.1' : host === '[::]' ? '[::1]' : host;
  return new URL(`http://${from}:${port}`);
}

function givenToken({ token, tokenFile }: AdminOptions): string | null {
  const fromEnvironment = process.env['MAJORDOMO_TOKEN'] ?? '';
  if (token !== undefined) return checked(token, '--token');
  if (tokenFile !== undefined) return checked(fileText(tokenFile), `--token-file ${tokenFile}`);
  return fromEnvironment === '' ? null : checked(fromEnvironment, 'MAJORDOMO_TOKEN');
}

function checked(token: string, place: string): string {
  if (TOKEN.test(token)) return token;
  throw new MajordomoError('ERR_USAGE', `${place}: a token is printable ASCII without spaces`);
}

function fileText(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    const why = codeOf(error) ?? 'unknown';
    throw new MajordomoError('ERR_USAGE', `--token-file ${file} cannot be read: ${why}`);
  }
}

/** Of the configuration or its data directory; who may not read that can still look at loopback. */
function localToken({ http, node }: Config): string | null {
  if (http.token !== null) return http.token;
  try {
    const token = readFileSync(join(node.dataDir, TOKEN_FILE), 'utf8').trim();
    return TOKEN.test(token) ? token : null;
  } catch {
    return null;
  }
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
