/** Finds what is open to a network without protection (D78). Only the system can resolve names. */
import { isPostgres, databaseAddressOf, shownHost } from '../../core/postgres-url.js';
import { shownUrl } from '../../core/web-address.js';
import type { Config } from '../config.js';
import type { ListenerConfig, PublisherConfig } from '../entries.js';
import { parseEndpoint, parseHttpListen } from '../endpoint.js';
import type { Problem } from '../problem.js';
import { type Published, publishedBy } from '../publishers.js';
import { broken, type Broken } from '../rule.js';
import { nearestAt, pathText, type Path } from '../tree.js';
import { invalid, type Loaded } from './load.js';
import { isLoopback } from './loopback.js';

/**
 * Everything in a configuration that is open to a network and must not be.
 * @returns each with its place and the line that corrects it
 */
export async function exposures({ config, written }: Loaded): Promise<readonly Problem[]> {
  const open = [
    ...(await ofListeners(config)),
    ...(await Promise.all(publishedBy(config).map(ofPublisher))).flat(),
    ...(await ofPair(config)),
    ...(await ofStore(config)),
    ...(await ofFleet(config)),
    ...(await ofHttp(config)),
  ];
  return open.map(({ path, message }) => ({
    place: nearestAt(written, path).origin.place,
    path: pathText(path),
    message,
  }));
}

/** @throws ERR_CONFIG_INVALID, as `loadConfig` does, if something is open that must not be */
export async function refuseExposed(loaded: Loaded): Promise<void> {
  const problems = await exposures(loaded);
  if (problems.length > 0) throw invalid(problems);
}

/** The listeners with their `mmi`: `minimal` where anyone can connect over a network. */
export async function listenersInFull({
  broker,
}: Pick<Config, 'broker'>): Promise<readonly ListenerConfig[]> {
  return await Promise.all(
    broker.listen.map(async (listener) => {
      if (listener.mmi !== null) return listener;
      return {
        ...listener,
        mmi: (await isOpenToStrangers(listener)) ? 'minimal' : 'full',
      } as const;
    }),
  );
}

/** Anyone can connect to it over a network: it does not list the services. */
export async function isOpenToStrangers({
  curve,
  endpoint,
}: Pick<PublisherConfig, 'curve' | 'endpoint'>): Promise<boolean> {
  return curve === undefined && (await isOpen(endpoint));
}

/**
 * Anyone who reaches a listener without keys may request and offer what it allows, under any name.
 */
async function ofListeners({ broker }: Config): Promise<readonly Broken[]> {
  // `broker.listen: tcp://…` is not a list yet, so the entry has to be written in full.
  const around = broker.listen.length === 1 ? ['listen: [', ']'] : ['', ''];
  const open = broker.listen.map((listener, index) =>
    ofOne(listener, ['broker', 'listen', index], 'connect', around),
  );
  return (await Promise.all(open)).flat();
}

/** Events name services, workers and addresses; programs act on what the map says. */
function ofPublisher({ section, listen, could }: Published): Promise<readonly Broken[]> {
  return ofOne(listen, [section, 'listen'], could, ['listen: ', '']);
}

async function ofOne(
  listener: PublisherConfig,
  path: Path,
  could: string,
  [before = '', after = '']: readonly string[],
): Promise<readonly Broken[]> {
  const { endpoint, insecure } = listener;
  if (insecure || !(await isOpenToStrangers(listener))) return [];
  const written = (more: string): string => `${before}{endpoint: '${endpoint}', ${more}}${after}`;
  const message =
    `${endpoint} is not on loopback: anyone who can reach it could ${could}; allow only known keys with ` +
    `${written('curve: {secretKeyFile: broker.key, keysFile: keys.yaml}')} ` +
    '(`majordomo serve --init` creates these files), ' +
    `or trust everyone who can reach it with ${written('insecure: true')}`;
  return broken(path, message);
}

/** Anyone on the link of a pair can read every body and stop the peer from serving. */
async function ofPair({ bstar }: Config): Promise<readonly Broken[]> {
  const { role, curve } = bstar;
  if (role === 'standalone' || curve !== null) return [];
  // One correction for both.
  for (const key of ['listen', 'peer'] as const) {
    const text = bstar[key];
    if (text === null || !(await isOpen(text))) continue;
    const message = `${text} is not on loopback, so the link of the pair needs keys: ${mendsPair(role)}`;
    return broken(`bstar.${key}`, message);
  }
  return [];
}

/** A database that lets this broker in without credentials lets in everybody. */
async function ofStore({ titanic }: Config): Promise<readonly Broken[]> {
  const { store, storePasswordFile } = titanic;
  const place = isPostgres(store) ? databaseAddressOf(store) : null;
  if (place === null || typeof place === 'string') return [];
  if (storePasswordFile !== null || place.certificate !== null || place.tls === 'disable') {
    return [];
  }
  for (const host of place.hosts) {
    if (host.host.startsWith('/') || (await isLoopback({ scheme: 'tcp', ...host }))) continue;
    const message =
      `${shownHost(host)} is not on loopback, so the broker needs credentials for the database: ` +
      'titanic.storePasswordFile: database.password, or ?sslcert=FILE&sslkey=FILE in the URL; ' +
      'or trust everyone who can reach the server with ?sslmode=disable';
    return broken('titanic.store', message);
  }
  return [];
}

/** Who may publish on NATS is trusted like a broker. */
async function ofFleet({ fleet }: Config): Promise<readonly Broken[]> {
  const { nats, natsCredsFile, insecure } = fleet;
  if (insecure) return [];
  for (const url of nats) {
    const { protocol, hostname, port } = new URL(url);
    const host = { scheme: 'tcp', host: hostname, port: Number(port) } as const;
    if (await isLoopback(host)) continue;
    const isSealed = protocol === 'tls:';
    if (isSealed && natsCredsFile !== null) continue;
    const missing = isSealed ? 'credentials' : 'TLS and credentials';
    const message =
      `${shownUrl(url)} is not on loopback, so the fleet needs ${missing}: ` +
      `fleet: {nats: '${shownUrl(url).replace(/^nats:/, 'tls:')}', natsCredsFile: broker.creds}, ` +
      'or trust everyone who can reach the server with fleet.insecure: true';
    return broken('fleet.nats', message);
  }
  return [];
}

/** Tokens and uuids must not cross a network unencrypted. */
async function ofHttp({ http }: Config): Promise<readonly Broken[]> {
  const { listen, tls, insecure } = http;
  const parsed = parseHttpListen(listen);
  if (tls !== null || insecure || !parsed.ok || parsed.value === null) return [];
  if (await isLoopback(parsed.value)) return [];
  const message =
    `${listen} is not on loopback, so HTTP needs TLS: ` +
    'http.tls: {certFile: server.crt, keyFile: server.key}. ' +
    'Behind a proxy with TLS or in a trusted network, set http.insecure: true';
  return broken('http.listen', message);
}

function mendsPair(role: 'primary' | 'backup'): string {
  const other = role === 'primary' ? 'backup' : 'primary';
  return (
    '`majordomo keygen --pair keys` creates the keys of both nodes and prints the line that each needs. Here: ' +
    `bstar.curve: {secretKeyFile: keys/${role}.key, keysFile: keys/keys.yaml, ` +
    `serverKey: '(the content of keys/${other}.key.pub)'}. ` +
    'To add keys to a running pair, see docs/pair.md, Adding keys to a running pair'
  );
}

async function isOpen(text: string): Promise<boolean> {
  const parsed = parseEndpoint(text);
  return parsed.ok && !(await isLoopback(parsed.value));
}
