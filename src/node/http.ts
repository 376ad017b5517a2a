/** The HTTP server of this node, and its token. */
import { BlockList } from 'node:net';

import type { Config } from '../config/config.js';
import { type NamedSecret, secretsOf } from '../config/entries.js';
import { parseHttpListen } from '../config/endpoint.js';
import { OWN_TOKEN, parseNetwork, TOKEN_PREFIX, UNIX } from '../config/http-access.js';
import { hasPrograms } from '../config/http-rules.js';
import { readToken } from '../config/io/token-files.js';
import { present } from '../core/assert.js';
import { codeOf, MajordomoError, messageOf } from '../core/errors.js';
import type { Holdings } from '../core/holdings.js';
import { secureRandom } from '../core/random.js';
import type { Admits, TrustedUsers } from '../admin/http/guard.js';
import { readPage } from '../admin/io/page-folder.js';
import { type HttpServer, openHttpServer } from '../admin/io/open-server.js';
import type { Ports } from '../admin/ports.js';
import type { AdminEvent } from '../admin/operator-events.js';
import type { Log } from '../admin/log/log.js';
import { tell } from '../admin/log/process-events.js';
import type { EventSink } from '../core/event-table.js';
import type { MetricSources } from '../admin/metrics/metrics.js';
import type { Extension } from './extension.js';
import { savedToken } from './io/token-file.js';
import { identityOf, shownAddress } from '../zmtp/identity.js';
import { acceptable, accepted, reserved } from '../zmtp/sockets/descriptors.js';
import type { Names } from '../zmtp/sockets/names.js';

const TOKEN_BYTES = 32;
const CONNECTIONS_MAX = 256;
/** Connections of programs, which are also at most one in so many that the process may accept. */
const PROGRAMS_MAX = 1024;
const PROGRAMS_SHARE = 8;

/**
 * @param sources the sources of the metrics page
 * @param holdings where the memory of connections counts
 * @throws ERR_HTTP_LISTEN, ERR_CONFIG_FILE (token or TLS files), ERR_CONFIG_INVALID
 */
export async function startHttp(
  config: Config,
  dataDir: string,
  ports: Omit<Ports, 'metrics'>,
  sources: MetricSources,
  holdings: Holdings,
  names: Names,
  extensions: readonly Extension[],
  log: Log,
  events: EventSink<AdminEvent>,
): Promise<HttpServer> {
  const { http } = config;
  const listen = parseHttpListen(http.listen);
  const address = present(listen.ok ? listen.value : null, 'the schema checked it');
  const page = readPage();
  return await openHttpServer({
    address,
    admits: admitsOf(config, dataDir, log),
    requireToken: http.requireToken,
    tls: http.tls,
    idleTimeoutMs: http.idleTimeoutMs,
    // The other half is for files, the store and the pair.
    connectionsMax: Math.min(CONNECTIONS_MAX, Math.floor(reserved / 2)),
    programs: hasPrograms(config)
      ? {
          connectionsMax: Math.min(PROGRAMS_MAX, Math.floor(acceptable / PROGRAMS_SHARE)),
          descriptors: {
            get hasRoom() {
              return accepted.open < acceptable;
            },
            count: (change) => {
              accepted.open += change;
            },
          },
        }
      : null,
    routes: async () => {
      const { allRoutes } = await import('./routes.js');
      return await allRoutes(config, ports, sources, extensions, page, log);
    },
    holdings,
    names,
    identityOf: (address, token) =>
      identityOf(shownAddress(address), token === null ? null : TOKEN_PREFIX + token),
    acted: (event) => events.emit(event),
    failed: (error) => {
      const stack =
        typeof error === 'object' && error !== null && 'stack' in error ? error.stack : undefined;
      tell(log, 'http.failed', { stack }, `a request over HTTP: ${messageOf(error)}`);
    },
  });
}

/**
 * Who may use HTTP, with the texts of the tokens as their files are now.
 * @throws ERR_CONFIG_FILE, ERR_CONFIG_INVALID
 */
function admitsOf({ http }: Config, dataDir: string, log: Log): Admits {
  const own = http.token === null ? tokenIn(dataDir, log) : secretsOf(http.token);
  const tokens: NamedSecret[] = [];
  for (const each of [
    ...own.map((secret) => ({ name: OWN_TOKEN, role: 'operate', secret }) as const),
    ...http.tokens.flatMap(readToken),
  ]) {
    const same = tokens.find(({ secret }) => secret === each.secret);
    if (same !== undefined) {
      const text = `http.tokens: the token of ${each.name} equals that of ${same.name}: each needs its own`;
      throw new MajordomoError('ERR_CONFIG_INVALID', text);
    }
    tokens.push(each);
  }
  return { tokens, users: usersOf(http) };
}

function usersOf({ trustedUserHeader, trustedProxies }: Config['http']): TrustedUsers | null {
  if (trustedUserHeader === null) return null;
  const networks = new BlockList();
  for (const each of trustedProxies) {
    const network = parseNetwork(each);
    if (network !== null) networks.addSubnet(network.address, network.bits, network.family);
  }
  const isLocal = trustedProxies.includes(UNIX);
  return { header: trustedUserHeader.toLowerCase(), networks, isLocal };
}

/**
 * SIGHUP: reads the tokens again; if one is invalid, all stay as they are.
 * @returns the names of those that are others now; `null`: they were refused
 */
export function renewTokens(
  http: HttpServer,
  config: Config,
  dataDir: string,
  log: Log,
): readonly string[] | null {
  try {
    const admits = admitsOf(config, dataDir, log);
    const renewed = http.setAdmits(admits);
    if (renewed.length === 0) return [];
    const text = `other secrets, or another role: ${renewed.join(', ')}`;
    tell(log, 'http.tokens_renewed', { tokens: renewed }, text);
    return renewed;
  } catch (error) {
    const text = `the tokens of HTTP were not reloaded: ${messageOf(error)}`;
    tell(log, 'http.tokens_refused', { code: codeOf(error) }, text);
    return null;
  }
}

function tokenIn(dataDir: string, log: Log): readonly string[] {
  const { secrets, unsaved } = savedToken(dataDir, freshToken);
  if (unsaved !== null) {
    tell(
      log,
      'http.token_unsaved',
      { reason: unsaved },
      `http.token could not be written, so it is unknown to users and changes with a restart: ${unsaved}`,
    );
  }
  return secrets;
}

function freshToken(): string {
  const bytes = Buffer.alloc(TOKEN_BYTES);
  secureRandom(bytes);
  return bytes.toString('base64url');
}
