/** The broker that a command is for: where it is, and how it is reached over MDP and over HTTP. */
import type { Config } from '../../config/config.js';
import { BROKER_ENDPOINT } from '../../core/defaults.js';
import { codeOf } from '../../core/errors.js';
import type { Client, ClientOptions } from '../../sdk/client.js';
import { CLIENT_OPTIONS } from '../../sdk/option-tables.js';
import { type ConfigOptions, usage } from '../common/options.js';
import { say } from '../common/output.js';
import {
  type AdminAddress,
  adminAddressOf,
  adminLine,
  type FoundToken,
  givenToken,
  isLocal,
  localToken,
  parseAdminAddress,
} from './admin-address.js';
import { AdminClient } from './admin-client.js';
import { curveOf, explainedAsking } from './curve.js';
import { checkEndpoints, namesNode, NODE_URL, nodeUrl } from './endpoints.js';
import type { LearntAddress } from './learnt-address.js';
import { type BrokerOptions, TIMEOUT_MS } from './options.js';
import { byHttp, byMmi, type StateSource } from './state.js';

/** When a person who waits is told that there is no connection yet, in milliseconds. */
const SLOW_MS = 2000;

/** The broker that options, the environment or this machine's configuration name, in this order. */
export class Broker {
  readonly #options: BrokerOptions;

  constructor(options: BrokerOptions) {
    this.#options = options;
  }

  /**
   * The endpoints that are named, or else the default. If the options name a configuration, or `MAJORDOMO_URL` is an
   * HTTP address, those that the node there reports.
   * @throws ERR_USAGE if one cannot be dialled; what learning and reading the configuration throw
   */
  async endpoints(role: 'client' | 'worker' | 'both' = 'client'): Promise<readonly string[]> {
    const options = this.#options;
    const want = {
      client: role !== 'worker',
      worker: role !== 'client',
      curve: options.curveServerKey !== undefined,
    };
    if (options.endpoint === undefined && namesNode(options)) {
      const config = await configOf(options);
      const place = adminAddressOf(config, undefined, '--endpoint');
      const token = givenToken({}) ?? (await localToken(config));
      const { learnEndpoints } = await import('./learning.js');
      return await learnEndpoints([place], 'http.listen', token, want, TIMEOUT_MS);
    }
    const named = checkEndpoints(options);
    if (named !== null) return named;
    const places = (nodeUrl()?.addresses ?? []).map((text) =>
      parseAdminAddress(text, NODE_URL, undefined),
    );
    if (places.length === 0) return [BROKER_ENDPOINT];
    const remedy =
      'put it into a file and name the file in MAJORDOMO_TOKEN_FILE, or give --endpoint';
    const token = { ...(givenToken({}) ?? { token: null, why: null }), remedy };
    const { learnEndpoints } = await import('./learning.js');
    return await learnEndpoints(places, NODE_URL, token, want, TIMEOUT_MS);
  }

  /**
   * Runs `use` with a client of its endpoints; each endpoint gets one chance to answer.
   * @param more options of the client, instead
   */
  async client<T>(
    use: (client: Client) => Promise<T>,
    more: Partial<ClientOptions> = {},
  ): Promise<T> {
    const endpoints = await this.endpoints();
    const { Client } = await import('../../sdk/client.js');
    const { timeoutMs = CLIENT_OPTIONS.timeoutMs.default } = this.#options;
    const curve = curveOf(this.#options);
    const shareMs = Math.ceil(timeoutMs / endpoints.length);
    const resendMs = Math.min(CLIENT_OPTIONS.resendMs.default, shareMs);
    // The default is not named: then requests are told of no deadline.
    const named = timeoutMs === CLIENT_OPTIONS.timeoutMs.default ? {} : { timeoutMs };
    const client = new Client({ endpoints, resendMs, ...named, ...curve, ...more });
    const slow = setTimeout(() => {
      say(`no connection to ${endpoints.join(', ')} yet; trying until --timeout-ms is over`);
    }, SLOW_MS).unref();
    client.on('connected', () => clearTimeout(slow));
    try {
      return await use(client);
    } catch (error) {
      throw explainedAsking(error, client.endpoint ?? endpoints.join(', '), curve.curve);
    } finally {
      clearTimeout(slow);
      await client.close();
    }
  }

  /**
   * A client of its HTTP API. The token is sent only to an address that the user named, or that may get it.
   * @throws ERR_USAGE, ERR_CONFIG_INVALID, ERR_CONFIG_FILE; what learning throws
   */
  async admin(): Promise<AdminClient> {
    const where = await whereOf(this.#options);
    const { place, learnt } = where;
    const found = await tokenFor(where, this.#options);
    const { timeoutMs = TIMEOUT_MS } = this.#options;
    if (learnt === null || learnt.isTrusted) return new AdminClient(place, found, timeoutMs);
    const { by } = learnt;
    const line = adminLine(place);
    if (found.token !== null) {
      say(
        `the token is not sent to ${place.name}, because that address comes from ${by}: to send it, use ${line}`,
      );
    }
    const remedy = `no token is sent to an address that comes from ${by}: use ${line}`;
    return new AdminClient(place, { token: null, why: null, remedy }, timeoutMs);
  }

  /** Asks for its state, by the first way that `WHERE_TEXT` names. @throws ERR_USAGE, and whatever asking throws */
  async state<T>(use: (broker: StateSource) => Promise<T>): Promise<T> {
    const { admin, endpoint } = this.#options;
    if (admin !== undefined && endpoint !== undefined) {
      throw usage('give either --endpoint or --admin, not both');
    }
    const way = wayOf(this.#options);
    const client =
      way === 'http' ? await this.admin() : way === 'learnt' ? await this.#learntAdmin() : null;
    if (client !== null) return await use(byHttp(client));
    return await this.client((asked) => use(byMmi(asked)));
  }

  /** `null`: what the endpoints in `MAJORDOMO_URL` report is of no use; ask over MDP. @throws what asking over MDP throws */
  async #learntAdmin(): Promise<AdminClient | null> {
    try {
      const where = await whereOf(this.#options);
      const { place, learnt } = where;
      if (learnt?.isTrusted !== true) return null;
      const found = await tokenFor(where, this.#options);
      // Another machine answers nothing without a token, and a firewall may drop the question.
      if (found.token === null && !isLocal(place)) return null;
      const client = new AdminClient(place, found, this.#options.timeoutMs ?? TIMEOUT_MS);
      await client.get('/api/v1/status');
      return client;
    } catch (error) {
      if (NOT_LEARNT.has(codeOf(error) ?? '')) return null;
      throw error;
    }
  }
}

/** `learnt`: by HTTP if the endpoints of `MAJORDOMO_URL` report an HTTP address, else by MMI. */
function wayOf(options: BrokerOptions): 'mmi' | 'http' | 'learnt' {
  if (options.endpoint !== undefined) return 'mmi';
  if (options.admin !== undefined || namesNode(options)) return 'http';
  if ((process.env['MAJORDOMO_ENDPOINT'] ?? '').trim() !== '') return 'mmi';
  const url = nodeUrl();
  return url === null || url.addresses.length > 0 ? 'http' : 'learnt';
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
async function whereOf(options: BrokerOptions): Promise<Where> {
  const { admin, adminCa } = options;
  const hasConfig = options.config !== undefined || options.set !== undefined;
  const given = (place: AdminAddress): Where => ({ place, isOurs: hasConfig, learnt: null });
  if (admin !== undefined) return given(parseAdminAddress(admin, '--admin', adminCa));
  const url = namesNode(options) ? null : nodeUrl();
  if (url === null) {
    return { place: adminAddressOf(await configOf(options), adminCa), isOurs: true, learnt: null };
  }
  const { activeAddress, learnAddress } = await import('./learning.js');
  const { timeoutMs = TIMEOUT_MS } = options;
  if (url.addresses.length > 0) {
    const places = url.addresses.map((text) => parseAdminAddress(text, NODE_URL, adminCa));
    const ask = (place: AdminAddress): Promise<FoundToken> => tokenFor(given(place), options);
    return given(await activeAddress(places, ask, timeoutMs));
  }
  const { curve } = curveOf(options);
  const learnt = await learnAddress(url.endpoints, { timeoutMs, curve, caFile: adminCa });
  return { place: learnt.place, isOurs: hasConfig, learnt };
}

async function tokenFor({ place, isOurs }: Where, options: BrokerOptions): Promise<FoundToken> {
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
