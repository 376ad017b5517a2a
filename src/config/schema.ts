/**
 * The configuration: one zod schema. The type `Config`, validation, messages, defaults,
 * docs/configuration.md, config/majordomo.schema.json and config/majordomo.yaml are made from it.
 * A default is written as people write it, such as `16MiB`.
 */
import type { z } from 'zod';

import {
  BROKER_ENDPOINT,
  HEARTBEAT_INTERVAL_MS,
  HEARTBEAT_LIVENESS,
  HTTP_ADDRESS,
  METRICS_SERVICES,
} from '../core/defaults.js';
import { TRANSPORTS } from './entries.js';
import { networks, readTokenOf, tokens } from './http-access.js';
import {
  choice,
  count,
  durationMs,
  fileName,
  flag,
  header,
  line,
  lineOrList,
  map,
  maybe,
  once,
  path,
  rowOf,
  type Row,
  secrets,
  size,
  url,
} from './kinds.js';
import {
  httpListen,
  dialEndpoint,
  endpoint,
  listeners,
  peerCurve,
  publisher,
  servers,
  tls,
} from './listeners.js';
import { perPeer, quotas } from './quota-keys.js';
import { serviceLimits } from './service-limits.js';

/** zod compiles no functions, which takes longer than to check one configuration without them. */
export const ONCE = { jitless: true } as const;

/** The schema of a section, which is made when it is first asked for. */
class Section<Schema extends z.ZodType> {
  readonly schema: () => Schema;

  constructor(make: () => Schema) {
    this.schema = once(make);
  }

  transform<Out>(
    change: (given: z.output<Schema>) => Out,
  ): Section<z.ZodPipe<Schema, z.ZodTransform<Awaited<Out>, z.output<Schema>>>> {
    return new Section(() => this.schema().transform(change));
  }
}

/** A section. If it has no value, because all its keys are commented out, it is empty. */
function section<Keys extends z.ZodRawShape>(about: string, keys: () => Keys) {
  return new Section(() => {
    const whole = map(keys(), { value: 'a map of keys' });
    return whole
      .nullish()
      .transform((given) => given ?? whole.parse({}, ONCE))
      .describe(about);
  });
}

const LIVE = { live: true } as const;

const PARTS = {
  node: section('This process.', () => ({
    name: line(255)
      .optional()
      .meta({ none: 'the host name' })
      .describe('Name of this node in logs, metrics and on pages.'),
    dataDir: path
      .prefault('./data')
      .describe(
        'Directory for all persistent data. Created if missing, with mode 0700; locked while in use.',
      ),
  })),
  broker: section('The broker: listeners, heartbeats, time limits.', () => ({
    listen: listeners()
      .prefault(BROKER_ENDPOINT)
      .meta({ live: 'secretKeys' })
      .describe(
        'An endpoint, a list of endpoints, or a list of `{endpoint, allow, client, worker, mmi, service, public, insecure, transport, curve}`; see Listeners. A listener that is not on loopback needs `curve`, or `insecure: true`.',
      ),
    transport: choice(TRANSPORTS)
      .prefault('zmtp')
      .describe('Socket engine of listeners that do not set one.'),
    heartbeatIntervalMs: durationMs(10, 3_600_000)
      .prefault(HEARTBEAT_INTERVAL_MS)
      .describe('Time between heartbeats, to and from workers.'),
    heartbeatLiveness: count(2, 100)
      .prefault(HEARTBEAT_LIVENESS)
      .describe('A worker is lost after this many heartbeat intervals without a message from it.'),
    requestTtlMs: durationMs(1, 2_147_483_647)
      .prefault(60_000)
      .describe('How long a request may wait for a worker.'),
    busyTimeoutMs: durationMs(1, 2_147_483_647)
      .prefault(600_000)
      .describe(
        'How long one request may take at a worker that sends no heartbeats while it works, and at any pirate worker; after that the worker is lost.',
      ),
    resumeMs: durationMs(0, 600_000)
      .prefault(10_000)
      .describe(
        'How long a client that lost its connection may take to come back for its requests and their answers, over HTTP with an `Idempotency-Key`. 0: its waiting requests are dropped at once.',
      ),
    services: serviceLimits().describe(
      'Limits of services, and of each of their groups: a list of `{match, running, perSecond, burst, group: {running, perSecond, burst, onFailure}}`; see Limits of services. The first entry whose `match` matches the name of a service holds for it.',
    ),
    maxDeliveries: count(1, 1000)
      .prefault(3)
      .describe(
        'How many times the broker delivers a request before it gives it up. It delivers a request again if a worker is lost or gives it back.',
      ),
  })).transform(({ listen, transport, ...rest }) => ({
    ...rest,
    transport,
    listen: listen.map((each) => ({ ...each, transport: each.transport ?? transport })),
  })),
  limits: section('Limits on the resources that peers can use.', () => ({
    messageBytes: size('1KiB', '1GiB')
      .prefault('16MiB')
      .meta(LIVE)
      .describe(
        'Size of one message, all frames together. The broker skips a larger one: it refuses the request, or fails the one that it was to answer. It closes the connection that sends more than 64 times this. With `libzmq` one frame that is larger than this closes the connection.',
      ),
    frames: count(16, 65_536).prefault(256).meta(LIVE).describe('Frames in one message.'),
    services: count(1, 1_000_000)
      .prefault(10_000)
      .meta(LIVE)
      .describe('Services known at the same time.'),
    workers: count(1, 1_000_000)
      .prefault(10_000)
      .meta(LIVE)
      .describe('Workers registered at the same time.'),
    queuedRequests: count(1, 16_000_000)
      .prefault(1_000_000)
      .meta(LIVE)
      .describe('Requests that the broker holds; above this it refuses new ones (status 429).'),
    queuedBytes: size('1KiB', '1TiB')
      .prefault('1GiB')
      .meta(LIVE)
      .describe(
        'Bytes that the broker holds, including copies of requests at workers and PARTIALs held back; above this it refuses new requests (status 429).',
      ),
    outputBytes: size('1KiB', '16GiB')
      .prefault('64MiB')
      .meta(LIVE)
      .describe(
        'Bytes of output that may wait for one peer. A client over it is closed once it has not read for a second; one that reads a sixteenth of it each second is served, until what waits for its identity reaches half of `limits.memoryBytes`. With `transport: libzmq` it is closed at once.',
      ),
    connections: count(1, 1_000_000)
      .prefault(10_000)
      .meta(LIVE)
      .describe(
        'Connections per listener. The broker closes further ones at once, as it does when file descriptors run out. One address, or one CURVE key, may have at most seven eighths of this number over all listeners.',
      ),
    queuedRequestsPerService: count(1, 16_000_000)
      .prefault(100_000)
      .meta(LIVE)
      .describe(
        'Requests that the broker holds for one service; above this it refuses new ones, so that one service cannot starve the others.',
      ),
    mapBytes: size('1KiB', '16GiB')
      .optional()
      .meta({ ...LIVE, none: '256MiB, or half of `limits.memoryBytes` if that is less' })
      .describe(
        'Bytes of the map: keys, properties, values, and 128 for each record. Above this, new and growing values are dropped; deletions are not. The records are all in memory and count in `limits.memoryBytes`, so a node with a map accepts no more than that.',
      ),
    memoryBytes: size('16MiB', '16TiB')
      .optional()
      .meta({
        ...LIVE,
        none: '2GiB, or a third of the memory of the machine or its cgroup if that is less',
      })
      .describe(
        'Memory that the broker uses for all peers together: requests, output, parts, incomplete messages, connections of HTTP and answers that were not read, data on its way to the store. Above this, the broker refuses requests (429) from identities that hold more than an equal share, and above nine eighths of it from everyone; what it has accepted is served. It also closes connections: at the limit those with the largest incomplete messages, and those that have stalled with unread output; above nine eighths those that hold most of these. A request is held twice while a worker reads it, and requests of a client that has gone, but chose its own routing id, stay for `broker.requestTtlMs`: so give it several times `limits.messageBytes`. Beside this, at most an eighth of it stays free for the next large messages, for one or two seconds.',
      ),
    perPeer: perPeer().meta(LIVE).describe('Limits of one identity; see Quotas.'),
    quotas: quotas()
      .meta(LIVE)
      .describe('Quotas for keys whose entry in `keysFile` has `quota: NAME`; see Quotas.'),
  })),
  titanic: section('Durable requests (9/TSP).', () => ({
    enabled: flag.prefault(true).describe('Whether this node offers the services `titanic.*`.'),
    file: fileName.prefault('titanic.db').describe('Name of the store file in `node.dataDir`.'),
    store: line(4096)
      .prefault('sqlite')
      .describe(
        'Where durable requests are kept: `sqlite`, the file of this node, or a PostgreSQL database (15 or newer): `postgresql://USER@HOST:PORT,HOST:PORT/DATABASE`, with the hosts tried in turn. Off loopback TLS with a verified certificate is required, unless `?sslmode=` says otherwise (`verify-full`, `verify-ca`, `require`, `disable`); `sslrootcert`, `sslcert` and `sslkey` name files. Several brokers may use one database. See docs/postgresql.md.',
      ),
    storePasswordFile: maybe(path, 'no password').describe(
      'File with the password of the user in `titanic.store`; read again for each connection.',
    ),
    storeTimeoutMs: durationMs(100, 60_000)
      .prefault(2000)
      .describe(
        'With PostgreSQL: how long an operation may take, new connections and repetitions included, before `titanic.*` answers 500. Whatever a request waits for, it is answered within three times this.',
      ),
    replication: choice(['off', 'async', 'sync', 'strict'])
      .optional()
      .meta({ none: '`sync` in a pair, else `off`' })
      .describe(
        '`sync` waits for the peer, but continues alone if the peer is gone; `strict` refuses durable requests in that case; `async` does not wait; `off` does not replicate.',
      ),
    maxAttempts: count(1, 1_000_000)
      .prefault(10)
      .describe('Attempts at a durable request before it is dead.'),
    retryBaseMs: durationMs(1, 86_400_000)
      .prefault(500)
      .describe(
        'Pause after the first failed attempt; it doubles after each further one, with jitter.',
      ),
    retryMaxMs: durationMs(1, 86_400_000)
      .prefault(60_000)
      .describe('Longest pause between attempts; at least `titanic.retryBaseMs`.'),
    replyTtlMs: durationMs(1000, 315_360_000_000)
      .prefault(604_800_000)
      .describe(
        'How long the broker keeps a dead request, or a reply that its client does not close; then it deletes and counts it.',
      ),
    requestTtlMs: durationMs(1000, 315_360_000_000)
      .prefault(604_800_000)
      .describe(
        'How long the broker keeps a request that no worker has answered, from the time at which it may first run; then it deletes and counts it.',
      ),
    keyTtlMs: durationMs(0, 315_360_000_000)
      .prefault(86_400_000)
      .describe('How long the broker remembers an idempotency key after its request was closed.'),
    maxInFlight: count(1, 1_000_000)
      .prefault(1000)
      .describe(
        'Durable requests that may be at workers at the same time, or are prepared for them; with webhooks that are being sent. A service that has none there gets a place in any case, as webhooks do.',
      ),
    inFlightBytes: size('1KiB', '16TiB')
      .prefault('256MiB')
      .describe(
        'Bytes that the bodies of these may have together, in memory. Each may be larger. The first place of a service is given beyond this, too: up to twice as many bytes and one body, and then for bodies of up to 64 KiB.',
      ),
    maxOpen: count(1, 1_000_000_000)
      .prefault(10_000_000)
      .describe(
        'Durable requests that are not closed or expired; above this new ones get status 500.',
      ),
    maxBytes: size('1MiB', '255TiB')
      .prefault('64GiB')
      .describe('Size of the store; above this new requests get status 500.'),
    showBodies: flag
      .prefault(false)
      .describe(
        'Lets holders of `http.token` read the bodies of durable requests and replies, up to 64 KiB of each: on the page, over HTTP and with `majordomo durable show --body`.',
      ),
  })),
  bstar: section('The pair (Binary Star).', () => ({
    role: choice(['standalone', 'primary', 'backup'])
      .prefault('standalone')
      .describe('Role of this node in its pair.'),
    pair: line(255)
      .prefault('default')
      .describe(
        'Name of the pair. `bstar.pair`, `titanic.replication` and `bstar.heartbeatIntervalMs` must be the same on both nodes.',
      ),
    listen: maybe(endpoint).describe("This node's endpoint for its peer. Required in a pair."),
    peer: maybe(dialEndpoint).describe(
      "The other node's `bstar.listen`. Required in a pair; the backup connects to the primary.",
    ),
    heartbeatIntervalMs: durationMs(10, 3_600_000)
      .prefault(1000)
      .describe(
        'Time between heartbeats of the pair; the peer is dead after two intervals without a message.',
      ),
    curve: maybe(peerCurve()).describe(
      'CURVE on the link between the nodes: `{secretKeyFile, keysFile, serverKey}`; the backup needs `serverKey`.',
    ),
  })),
  fleet: section(
    'The fleet: brokers that send each other plain requests over NATS, and brokers that share a database.',
    () => ({
      nats: servers()
        .prefault('off')
        .describe(
          '`off`, or the URL of a NATS server of the fleet (`nats://host:4222`, `tls://host:4222`), or a list of them. The broker then sends plain requests for which it has no worker available to other brokers of the fleet that have one. Off loopback the URLs are `tls://` and `fleet.natsCredsFile` is required.',
        ),
      natsCredsFile: maybe(path).describe(
        'File of the credentials for NATS: the `.creds` file of a user, or the seed of an NKEY (`SU…`). Only the user of the broker may read it.',
      ),
      name: line(255)
        .prefault('default')
        .describe(
          'Name of the fleet: the same on all its brokers, and another one for each fleet on the same NATS servers.',
        ),
      insecure: flag
        .prefault(false)
        .describe(
          'Allows NATS servers off loopback without TLS or without credentials, in a trusted network. Who may publish there is trusted like a broker.',
        ),
      leaseMs: durationMs(1000, 600_000)
        .prefault(10_000)
        .describe(
          'How long the session of a broker with the database lasts unless it is renewed, which happens every third of it. If a broker dies, another one ends its session after one to two times this, and what its workers had is run again.',
        ),
    }),
  ),
  http: section('HTTP: health, metrics, API and page.', () => ({
    listen: httpListen
      .prefault(HTTP_ADDRESS)
      .describe(
        '`host:port` or `http://host:port`, `unix:PATH` (a socket for the user and the group of the broker, mode 0660), or `off`. If it is not on loopback, `http.tls` or `http.insecure` is required.',
      ),
    token: maybe(secrets, 'created at the first start in `node.dataDir`/http.token, mode 0600')
      .meta(LIVE)
      .describe(
        "The node's own token, which may do what operators may; further ones: `http.tokens`. A token is required for every change over HTTP, and for reading if `http.listen` is not on loopback or `http.requireToken` is true. With a second secret, in a list or as a second line of the file, both are valid: see Tokens.",
      ),
    readToken: maybe(secrets)
      .meta(LIVE)
      .describe(
        'A token that only reads, for Prometheus and dashboards: short for an entry of `http.tokens` with the role `read` and the name `http.readToken`.',
      ),
    tokens: tokens().describe(
      'Tokens of people and programs: a list of `{name, role, token, tokenFile, client, quota}`; see Tokens.',
    ),
    requireToken: flag
      .prefault(false)
      .describe(
        'Requires a token for reading also on loopback and on a socket, except for `/livez`, `/readyz`, `/servez` and the files of the page.',
      ),
    trustedUserHeader: maybe(header)
      .meta(LIVE)
      .describe(
        'Header in which a proxy says who its user is, such as `X-Forwarded-User`. The name appears in the events of operators. It gives no rights: the proxy sends a token, too. Believed only from `http.trustedProxies`.',
      ),
    trustedProxies: networks()
      .meta(LIVE)
      .describe(
        'From where `http.trustedUserHeader` is believed: addresses, networks such as `10.0.0.0/8`, and `unix` for `http.listen: unix:PATH`.',
      ),
    webhookHosts: maybe(lineOrList(4096, 256), 'none: no webhooks')
      .meta({ live: 'webhooks' })
      .describe(
        'To which hosts webhooks may go, as a list, or separated by commas: `HOST` (port 443), `HOST:PORT`, `.DOMAIN` (all hosts below it), `http://HOST:PORT` (without TLS), and networks such as `10.0.0.0/8` into which their names may resolve. At most 4 webhooks at a time are sent to one host, 256 in all. Needs `http.webhookSecretFile`.',
      ),
    webhookSecretFile: maybe(path)
      .meta(LIVE)
      .describe(
        'File with the secret that signs webhooks, one line `whsec_…` (24 to 64 bytes in Base64); with a second line, webhooks are signed with both. SIGHUP reads it again. Only its owner may read it (mode 0600); if it belongs to root, its group may, too (0640).',
      ),
    tls: maybe(tls(), 'none: plain HTTP').describe(
      'HTTPS: `{certFile, keyFile}`, both PEM, the certificate with its chain. SIGHUP reloads the files. Only its owner may read the key file (mode 0600); if it belongs to root, its group may, too (0640).',
    ),
    idleTimeoutMs: durationMs(1000, 3_600_000)
      .prefault(75_000)
      .describe(
        'How long a connection may wait for its next request; after that the node closes it. Give it more than the proxy in front of the node keeps an idle connection (60 s with nginx and most load balancers), or the proxy sends requests into connections that end, which it answers 502.',
      ),
    insecure: flag
      .prefault(false)
      .describe(
        'Allows plain HTTP on an address that is not on loopback, for a node behind a proxy with TLS or in a trusted network.',
      ),
    publicUrl: maybe(url).describe(
      'URL at which people reach the page of this node, for example through a proxy. Shown in the log at the start, by `majordomo status`, in `/healthz`, and as a link on the page of the other node of a pair.',
    ),
  })).transform(({ tokens, readToken, ...rest }) => ({
    ...rest,
    readToken,
    tokens: [...tokens, ...readTokenOf(readToken)],
  })),
  metrics: section('Metrics for Prometheus.', () => ({
    services: count(1, 10_000)
      .prefault(METRICS_SERVICES)
      .meta(LIVE)
      .describe(
        'Services with a label of their own in `/metrics`, and with charts on the page. The others share the label `__other__`. A service has about 100 lines of text in `/metrics`, and 12 KiB of memory for its charts once it is used. All together have at most 32 MiB of text, whatever this says. See docs/metrics.md.',
      ),
  })),
  log: section('Logs: one line per event, on standard output.', () => ({
    level: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
      .prefault('info')
      .meta(LIVE)
      .describe('Lowest level that is written.'),
    format: choice(['auto', 'json', 'pretty'])
      .prefault('auto')
      .describe('`auto` is `pretty` on a terminal, else `json`.'),
  })),
  events: section('The events of this node as a stream, for subscribers over ZeroMQ.', () => ({
    listen: publisher()
      .meta({ could: 'read the events' })
      .describe(
        'An endpoint, `{endpoint, insecure, curve}`, or `off`. The events of the broker, of durable requests and of the pair are published there as they happen, each under its name as the topic: see docs/logs.md. `curve` is as for a listener; a key may subscribe to the events whose names its `client` globs match. If the endpoint is not on loopback, `curve` or `insecure: true` is required.',
      ),
  })),
  map: section(
    'The map: keys and values that many processes share (12/CHP, the Clone pattern).',
    () => ({
      listen: publisher()
        .meta({ could: 'read and change the map' })
        .describe(
          'An endpoint `tcp://HOST:PORT`, `{endpoint, insecure, curve}`, or `off`. The map takes three ports: snapshots are served at PORT, updates are published at PORT + 1, and writers connect to PORT + 2. Its records are kept in the store of durable requests, so it needs `titanic.enabled`, and in a pair `titanic.replication` other than `off`. `curve` is as for a listener; a key may read what its `client` globs match and write what its `worker` globs match, both over the keys of the map. If the endpoint is not on loopback, `curve` or `insecure: true` is required; without `curve` it then does not list the services (`/mmi/service/`).',
        ),
    }),
  ),
  security: section('Access for keys that are in no keys file.', () => ({
    authorize: maybe(line(255), 'nobody').describe(
      'Service that decides about keys that are in no keys file; see docs/operating.md, Keys admitted by a service.',
    ),
  })),
  shutdown: section('Shutdown.', () => ({
    graceMs: durationMs(0, 3_600_000)
      .prefault(10_000)
      .describe('How long requests in flight may take to finish after SIGTERM or SIGINT.'),
  })),
};

type Schemas = { [Name in keyof typeof PARTS]: ReturnType<(typeof PARTS)[Name]['schema']> };
type Whole = z.ZodObject<Schemas, z.core.$strict>;

/** The schema of some sections. */
export function schemaOf(names: readonly (keyof Schemas)[]): z.ZodType<Partial<z.output<Whole>>> {
  return map(Object.fromEntries(names.map((name) => [name, PARTS[name].schema()])));
}

const NAMES = Object.keys(PARTS) as (keyof Schemas)[];

/** The schema of the whole configuration. */
export const wholeSchema: () => Whole = once(() => schemaOf(NAMES) as z.ZodType as Whole);

/** What the schema says of the keys of a section. */
export function rowsOfSection(name: string): Row['keys'] {
  return isSection(name) ? rowOf(PARTS[name].schema()).keys : {};
}

export function isSection(name: string): name is keyof Schemas {
  return Object.hasOwn(PARTS, name);
}
