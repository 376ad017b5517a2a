/**
 * The configuration, one row per key. Everything else is made from these rows: the type `Config`,
 * validation, defaults, docs/configuration.md, config/majordomo.schema.json and
 * config/majordomo.yaml.
 *
 * The rows are plain data, not zod calls, because documents, variables and messages are made from
 * them, too; `zod.ts` makes the zod schema from them.
 */

import {
  BROKER_ENDPOINT,
  HEARTBEAT_INTERVAL_MS,
  HEARTBEAT_LIVENESS,
  HTTP_ADDRESS,
  IDENTITY_SHARE,
  METRICS_SERVICES,
} from '../core/defaults.js';

/** What a key may hold. `size` takes an integer (bytes) or text such as `16MiB`. */
export type RowKind =
  | 'text'
  | 'durationMs'
  | 'count'
  | 'size'
  | 'flag'
  | 'choice'
  | 'listeners'
  | 'publisher'
  | 'endpoint'
  | 'dialEndpoint'
  | 'address'
  | 'curve'
  | 'tls'
  | 'share'
  | 'quota'
  | 'quotas'
  | 'servers'
  | 'tokens'
  | 'networks';

/** One key. A `default` of null: see `none`. */
export interface Row {
  readonly kind: RowKind;
  readonly default: string | number | boolean | null;
  /** The value of an absent key, if its default is not a constant. */
  readonly none?: string;
  /** The key may have no value. */
  readonly optional?: true;
  /** Smallest and largest value; for `text` the number of characters. */
  readonly min?: number | string;
  readonly max?: number | string;
  readonly options?: readonly string[];
  /** For `text`: `name` printable without line breaks, `path`, `file` without folders, `secret`, `url`, `header`. */
  readonly form?: 'name' | 'path' | 'file' | 'secret' | 'url' | 'header';
  /**
   * SIGHUP applies a change without a restart. `secretKeys`: only if nothing changes but the secret
   * key files of listeners with the transport `zmtp`. `tokens`: unless it brings the first token of
   * programs.
   */
  readonly live?: true | 'secretKeys' | 'tokens';
  /** For `publisher`: what anyone can do there who can connect. */
  readonly could?: string;
  readonly about: string;
}

/** One section of the file. */
export interface Section {
  readonly about: string;
  readonly keys: Readonly<Record<string, Row>>;
}

/** The rows. Sizes are written for people. */
export const SCHEMA = {
  node: {
    about: 'This process.',
    keys: {
      name: {
        kind: 'text',
        form: 'name',
        default: null,
        none: 'the host name',
        min: 1,
        max: 255,
        about: 'Name of this node in logs, metrics and on pages.',
      },
      dataDir: {
        kind: 'text',
        form: 'path',
        default: './data',
        min: 1,
        max: 4096,
        about:
          'Directory for all persistent data. Created if missing, with mode 0700; locked while in use.',
      },
    },
  },
  broker: {
    about: 'The broker: listeners, heartbeats, time limits.',
    keys: {
      listen: {
        kind: 'listeners',
        default: BROKER_ENDPOINT as string,
        live: 'secretKeys',
        about:
          'An endpoint, a list of endpoints, or a list of `{endpoint, allow, client, worker, mmi, service, public, insecure, transport, curve}`; see Listeners. A listener that is not on loopback needs `curve`, or `insecure: true`.',
      },
      transport: {
        kind: 'choice',
        options: ['zmtp', 'libzmq'],
        default: 'zmtp',
        about: 'Socket engine of listeners that do not set one.',
      },
      heartbeatIntervalMs: {
        kind: 'durationMs',
        default: HEARTBEAT_INTERVAL_MS as number,
        min: 10,
        max: 3_600_000,
        about: 'Time between heartbeats, to and from workers.',
      },
      heartbeatLiveness: {
        kind: 'count',
        default: HEARTBEAT_LIVENESS as number,
        min: 2,
        max: 100,
        about: 'A worker is lost after this many heartbeat intervals without a message from it.',
      },
      requestTtlMs: {
        kind: 'durationMs',
        default: 60_000,
        min: 1,
        max: 2_147_483_647,
        about: 'How long a request may wait for a worker.',
      },
      busyTimeoutMs: {
        kind: 'durationMs',
        default: 600_000,
        min: 1,
        max: 2_147_483_647,
        about:
          'How long one request may take at a worker that sends no heartbeats while it works, and at any pirate worker; after that the worker is lost.',
      },
      maxDeliveries: {
        kind: 'count',
        default: 3,
        min: 1,
        max: 1000,
        about:
          'How many times the broker delivers a request before it gives it up. It delivers a request again if a worker is lost or gives it back.',
      },
    },
  },
  limits: {
    about: 'Limits on the resources that peers can use.',
    keys: {
      messageBytes: {
        kind: 'size',
        default: '16MiB',
        min: '1KiB',
        max: '1GiB',
        live: true,
        about:
          'Size of one message, all frames together. The broker skips a larger one: it refuses the request, or fails the one that it was to answer. It closes the connection that sends more than 64 times this. With `libzmq` one frame that is larger than this closes the connection.',
      },
      frames: {
        kind: 'count',
        default: 256,
        min: 16,
        max: 65_536,
        live: true,
        about: 'Frames in one message.',
      },
      services: {
        kind: 'count',
        default: 10_000,
        min: 1,
        max: 1_000_000,
        live: true,
        about: 'Services known at the same time.',
      },
      workers: {
        kind: 'count',
        default: 10_000,
        min: 1,
        max: 1_000_000,
        live: true,
        about: 'Workers registered at the same time.',
      },
      queuedRequests: {
        kind: 'count',
        default: 1_000_000,
        min: 1,
        max: 16_000_000,
        live: true,
        about: 'Requests that the broker holds; above this it refuses new ones (status 429).',
      },
      queuedBytes: {
        kind: 'size',
        default: '1GiB',
        min: '1KiB',
        max: '1TiB',
        live: true,
        about:
          'Bytes that the broker holds, including copies of requests at workers and PARTIALs held back; above this it refuses new requests (status 429).',
      },
      outputBytes: {
        kind: 'size',
        default: '64MiB',
        min: '1KiB',
        max: '16GiB',
        live: true,
        about: 'Bytes of output that may wait for one peer to read them.',
      },
      connections: {
        kind: 'count',
        default: 10_000,
        min: 1,
        max: 1_000_000,
        live: true,
        about:
          'Connections per listener. The broker closes further ones at once, as it does when file descriptors run out. One address, or one CURVE key, may have at most seven eighths of this number over all listeners.',
      },
      queuedRequestsPerService: {
        kind: 'count',
        default: 100_000,
        min: 1,
        max: 16_000_000,
        live: true,
        about:
          'Requests that the broker holds for one service; above this it refuses new ones, so that one service cannot starve the others.',
      },
      mapBytes: {
        kind: 'size',
        default: null,
        none: '256MiB, or half of `limits.memoryBytes` if that is less',
        min: '1KiB',
        max: '16GiB',
        live: true,
        about:
          'Bytes of the map: keys, properties, values, and 128 for each record. Above this, new and growing values are dropped; deletions are not. The records are all in memory and count in `limits.memoryBytes`, so a node with a map accepts no more than that.',
      },
      memoryBytes: {
        kind: 'size',
        default: null,
        none: '2GiB, or a third of the memory of the machine or its cgroup if that is less',
        min: '16MiB',
        max: '16TiB',
        live: true,
        about:
          'Memory that the broker uses for all peers together: requests, output, parts, incomplete messages, data on its way to the store. Above this, the broker refuses requests (429) from identities that hold more than an equal share, and above nine eighths of it from everyone; what it has accepted is served. It also closes connections that have stalled with unread output or an incomplete message and, above nine eighths, those that hold most of these. A request is held twice while a worker reads it, and requests of a client that has gone, but chose its own routing id, stay for `broker.requestTtlMs`: so give it several times `limits.messageBytes`.',
      },
      perPeer: {
        kind: 'quota',
        default: null,
        none: `\`{share: ${IDENTITY_SHARE}}\``,
        live: true,
        about: 'Limits of one identity; see Quotas.',
      },
      quotas: {
        kind: 'quotas',
        default: null,
        none: 'none',
        live: true,
        about: 'Quotas for keys whose entry in `keysFile` has `quota: NAME`; see Quotas.',
      },
    },
  },
  titanic: {
    about: 'Durable requests (9/TSP).',
    keys: {
      enabled: {
        kind: 'flag',
        default: true,
        about: 'Whether this node offers the services `titanic.*`.',
      },
      file: {
        kind: 'text',
        form: 'file',
        default: 'titanic.db',
        min: 1,
        max: 255,
        about: 'Name of the store file in `node.dataDir`.',
      },
      store: {
        kind: 'text',
        form: 'name',
        default: 'sqlite',
        min: 1,
        max: 4096,
        about:
          'Where durable requests are kept: `sqlite`, the file of this node, or a PostgreSQL database (15 or newer): `postgresql://USER@HOST:PORT,HOST:PORT/DATABASE`, with the hosts tried in turn. Off loopback TLS with a verified certificate is required, unless `?sslmode=` says otherwise (`verify-full`, `verify-ca`, `require`, `disable`); `sslrootcert`, `sslcert` and `sslkey` name files. Several brokers may use one database. See docs/operating.md, PostgreSQL as the store.',
      },
      storePasswordFile: {
        kind: 'text',
        form: 'path',
        default: null,
        none: 'no password',
        optional: true,
        min: 1,
        max: 4096,
        about:
          'File with the password of the user in `titanic.store`; read again for each connection.',
      },
      storeTimeoutMs: {
        kind: 'durationMs',
        default: 2000,
        min: 100,
        max: 60_000,
        about:
          'With PostgreSQL: how long an operation may take, new connections and repetitions included, before `titanic.*` answers 500. Whatever a request waits for, it is answered within three times this.',
      },
      replication: {
        kind: 'choice',
        options: ['off', 'async', 'sync', 'strict'],
        default: null,
        none: '`sync` in a pair, else `off`',
        about:
          '`sync` waits for the peer, but continues alone if the peer is gone; `strict` refuses durable requests in that case; `async` does not wait; `off` does not replicate.',
      },
      maxAttempts: {
        kind: 'count',
        default: 10,
        min: 1,
        max: 1_000_000,
        about: 'Attempts at a stored request before it is dead.',
      },
      retryBaseMs: {
        kind: 'durationMs',
        default: 500,
        min: 1,
        max: 86_400_000,
        about:
          'Pause after the first failed attempt; it doubles after each further one, with jitter.',
      },
      retryMaxMs: {
        kind: 'durationMs',
        default: 60_000,
        min: 1,
        max: 86_400_000,
        about: 'Longest pause between attempts; at least `titanic.retryBaseMs`.',
      },
      replyTtlMs: {
        kind: 'durationMs',
        default: 604_800_000,
        min: 1000,
        max: 315_360_000_000,
        about:
          'How long the broker keeps a dead request, or a reply that its client does not close; then it deletes and counts it.',
      },
      requestTtlMs: {
        kind: 'durationMs',
        default: 604_800_000,
        min: 1000,
        max: 315_360_000_000,
        about:
          'How long the broker keeps a request that no worker has answered; then it deletes and counts it.',
      },
      keyTtlMs: {
        kind: 'durationMs',
        default: 86_400_000,
        min: 0,
        max: 315_360_000_000,
        about: 'How long the broker remembers an idempotency key after its request was closed.',
      },
      maxInFlight: {
        kind: 'count',
        default: 1000,
        min: 1,
        max: 1_000_000,
        about: 'Stored requests that may be at workers at the same time.',
      },
      maxOpen: {
        kind: 'count',
        default: 10_000_000,
        min: 1,
        max: 1_000_000_000,
        about:
          'Stored requests that are not closed or expired; above this new ones get status 500.',
      },
      maxBytes: {
        kind: 'size',
        default: '64GiB',
        min: '1MiB',
        max: '255TiB',
        about: 'Size of the store; above this new requests get status 500.',
      },
      showBodies: {
        kind: 'flag',
        default: false,
        about:
          'Lets holders of `http.token` read the bodies of stored requests and replies, up to 64 KiB of each: on the page, over HTTP and with `majordomo durable show --body`.',
      },
    },
  },
  bstar: {
    about: 'The pair (Binary Star).',
    keys: {
      role: {
        kind: 'choice',
        options: ['standalone', 'primary', 'backup'],
        default: 'standalone',
        about: 'Role of this node in its pair.',
      },
      pair: {
        kind: 'text',
        form: 'name',
        default: 'default',
        min: 1,
        max: 255,
        about:
          'Name of the pair. `bstar.pair`, `titanic.replication` and `bstar.heartbeatIntervalMs` must be the same on both nodes.',
      },
      listen: {
        kind: 'endpoint',
        default: null,
        optional: true,
        none: 'none',
        about: "This node's endpoint for its peer. Required in a pair.",
      },
      peer: {
        kind: 'dialEndpoint',
        default: null,
        optional: true,
        none: 'none',
        about:
          "The other node's `bstar.listen`. Required in a pair; the backup connects to the primary.",
      },
      heartbeatIntervalMs: {
        kind: 'durationMs',
        default: 1000,
        min: 10,
        max: 3_600_000,
        about:
          'Time between heartbeats of the pair; the peer is dead after two intervals without a message.',
      },
      curve: {
        kind: 'curve',
        default: null,
        optional: true,
        none: 'none',
        about:
          'CURVE on the link between the nodes: `{secretKeyFile, keysFile, serverKey}`; the backup needs `serverKey`.',
      },
    },
  },
  fleet: {
    about:
      'The fleet: brokers that send each other plain requests over NATS, and brokers that share a database.',
    keys: {
      nats: {
        kind: 'servers',
        default: 'off',
        about:
          '`off`, or the URL of a NATS server of the fleet (`nats://host:4222`, `tls://host:4222`), or a list of them. The broker then sends plain requests for which it has no worker available to other brokers of the fleet that have one. Off loopback the URLs are `tls://` and `fleet.natsCredsFile` is required.',
      },
      natsCredsFile: {
        kind: 'text',
        form: 'path',
        default: null,
        optional: true,
        none: 'none',
        min: 1,
        max: 4096,
        about:
          'File of the credentials for NATS: the `.creds` file of a user, or the seed of an NKEY (`SU…`). Only the user of the broker may read it.',
      },
      name: {
        kind: 'text',
        form: 'name',
        default: 'default',
        min: 1,
        max: 255,
        about:
          'Name of the fleet: the same on all its brokers, and another one for each fleet on the same NATS servers.',
      },
      insecure: {
        kind: 'flag',
        default: false,
        about:
          'Allows NATS servers off loopback without TLS or without credentials, in a trusted network. Who may publish there is trusted like a broker.',
      },
      leaseMs: {
        kind: 'durationMs',
        default: 10_000,
        min: 1000,
        max: 600_000,
        about:
          'How long the session of a broker with the database lasts unless it is renewed, which happens every third of it. If a broker dies, another one ends its session after one to two times this, and what its workers had is run again.',
      },
    },
  },
  http: {
    about: 'HTTP: health, metrics, API and page.',
    keys: {
      listen: {
        kind: 'address',
        default: HTTP_ADDRESS as string,
        about:
          '`host:port` or `http://host:port`, `unix:PATH` (a socket for the user and the group of the broker, mode 0660), or `off`. If it is not on loopback, `http.tls` or `http.insecure` is required.',
      },
      token: {
        kind: 'text',
        form: 'secret',
        default: null,
        optional: true,
        live: true,
        none: 'created at the first start in `node.dataDir`/http.token, mode 0600',
        min: 16,
        max: 512,
        about:
          "The node's own token, which may do what operators may; further ones: `http.tokens`. A token is required for every change over HTTP, and for reading if `http.listen` is not on loopback or `http.requireToken` is true. Printable ASCII without spaces.",
      },
      readToken: {
        kind: 'text',
        form: 'secret',
        default: null,
        optional: true,
        live: true,
        none: 'none',
        min: 16,
        max: 512,
        about:
          'A token that only reads, for Prometheus and dashboards: short for an entry of `http.tokens` with the role `read` and the name `http.readToken`.',
      },
      tokens: {
        kind: 'tokens',
        default: null,
        none: 'none',
        live: 'tokens',
        about:
          'Tokens of people and programs: a list of `{name, role, token, tokenFile, client, quota}`; see Tokens.',
      },
      requireToken: {
        kind: 'flag',
        default: false,
        about:
          'Requires a token for reading also on loopback and on a socket, except for `/livez`, `/readyz` and the files of the page.',
      },
      trustedUserHeader: {
        kind: 'text',
        form: 'header',
        default: null,
        optional: true,
        none: 'none',
        live: true,
        min: 1,
        max: 64,
        about:
          'Header in which a proxy says who its user is, such as `X-Forwarded-User`. The name appears in the events of operators. It gives no rights: the proxy sends a token, too. Believed only from `http.trustedProxies`.',
      },
      trustedProxies: {
        kind: 'networks',
        default: null,
        none: 'none',
        live: true,
        about:
          'From where `http.trustedUserHeader` is believed: addresses, networks such as `10.0.0.0/8`, and `unix` for `http.listen: unix:PATH`.',
      },
      webhookHosts: {
        kind: 'text',
        form: 'name',
        default: null,
        optional: true,
        none: 'none: no webhooks',
        live: true,
        min: 1,
        max: 4096,
        about:
          'To which hosts webhooks may go, separated by commas: `HOST` (port 443), `HOST:PORT`, `.DOMAIN` (all hosts below it), `http://HOST:PORT` (without TLS), and networks such as `10.0.0.0/8` into which their names may resolve. Needs `http.webhookSecretFile`.',
      },
      webhookSecretFile: {
        kind: 'text',
        form: 'path',
        default: null,
        optional: true,
        none: 'none',
        live: true,
        min: 1,
        max: 4096,
        about:
          'File with the secret that signs webhooks, one line `whsec_…` (24 to 64 bytes in Base64); with a second line, webhooks are signed with both. SIGHUP reads it again. Only its owner may read it (mode 0600); if it belongs to root, its group may, too (0640).',
      },
      tls: {
        kind: 'tls',
        default: null,
        optional: true,
        none: 'none: plain HTTP',
        about:
          'HTTPS: `{certFile, keyFile}`, both PEM, the certificate with its chain. SIGHUP reloads the files. Only its owner may read the key file (mode 0600); if it belongs to root, its group may, too (0640).',
      },
      insecure: {
        kind: 'flag',
        default: false,
        about:
          'Allows plain HTTP on an address that is not on loopback, for a node behind a proxy with TLS or in a trusted network.',
      },
      publicUrl: {
        kind: 'text',
        form: 'url',
        default: null,
        optional: true,
        none: 'none',
        min: 8,
        max: 1024,
        about:
          'URL at which people reach the page of this node, for example through a proxy. Shown in the log at the start, by `majordomo status`, in `/healthz`, and as a link on the page of the other node of a pair.',
      },
    },
  },
  metrics: {
    about: 'Metrics for Prometheus.',
    keys: {
      services: {
        kind: 'count',
        default: METRICS_SERVICES as number,
        min: 1,
        max: 10_000,
        live: true,
        about:
          'Services with a label of their own in `/metrics`, and with charts on the page. The others share the label `__other__`. A service has about 100 lines of text in `/metrics`, and 11 KiB of memory for its charts once it is used. See docs/metrics.md.',
      },
    },
  },
  log: {
    about: 'Logs: one line per event, on standard output.',
    keys: {
      level: {
        kind: 'choice',
        options: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
        default: 'info',
        live: true,
        about: 'Lowest level that is written.',
      },
      format: {
        kind: 'choice',
        options: ['auto', 'json', 'pretty'],
        default: 'auto',
        about: '`auto` is `pretty` on a terminal, else `json`.',
      },
    },
  },
  events: {
    about: 'The events of this node as a stream, for subscribers over ZeroMQ.',
    keys: {
      listen: {
        kind: 'publisher',
        default: 'off',
        live: 'secretKeys',
        could: 'read the events',
        about:
          'An endpoint, `{endpoint, insecure, curve}`, or `off`. The events of the broker, of stored requests and of the pair are published there as they happen, each under its name as the topic: see docs/logs.md. `curve` is as for a listener; a key may subscribe to the events whose names its `client` globs match. If the endpoint is not on loopback, `curve` or `insecure: true` is required.',
      },
    },
  },
  map: {
    about: 'The map: keys and values that many processes share (12/CHP, the Clone pattern).',
    keys: {
      listen: {
        kind: 'publisher',
        default: 'off',
        live: 'secretKeys',
        could: 'read and change the map',
        about:
          'An endpoint `tcp://HOST:PORT`, `{endpoint, insecure, curve}`, or `off`. The map takes three ports: snapshots are served at PORT, updates are published at PORT + 1, and writers connect to PORT + 2. Its records are kept in the store of durable requests, so it needs `titanic.enabled`, and in a pair `titanic.replication` other than `off`. `curve` is as for a listener; a key may read what its `client` globs match and write what its `worker` globs match, both over the keys of the map. If the endpoint is not on loopback, `curve` or `insecure: true` is required; without `curve` it then does not list the services (`/mmi/service/`).',
      },
    },
  },
  security: {
    about: 'Access for keys that are in no keys file.',
    keys: {
      authorize: {
        kind: 'text',
        form: 'name',
        default: null,
        none: 'nobody',
        optional: true,
        min: 1,
        max: 255,
        about:
          'Service that decides about keys that are in no keys file; see docs/operating.md, Keys admitted by a service.',
      },
    },
  },
  shutdown: {
    about: 'Shutdown.',
    keys: {
      graceMs: {
        kind: 'durationMs',
        default: 10_000,
        min: 0,
        max: 3_600_000,
        about: 'How long requests in flight may take to finish after SIGTERM or SIGINT.',
      },
    },
  },
} as const;

/** The rows, typed for code that iterates over them. */
export const SECTIONS: Readonly<Record<string, Section>> = SCHEMA;
