/**
 * The configuration, one row a key. Everything else is made from these rows: the type `Config`,
 * validation, defaults, docs/configuration.md, config/majordomo.schema.json and
 * config/majordomo.yaml.
 *
 * The rows are plain data, not calls of zod, because a declaration file can be written from data
 * alone (`isolatedDeclarations`); `validate.ts` makes the zod schema of them.
 */

/** What a key may hold. `size` takes an integer (bytes) or text such as `16MiB`. */
export type RowKind =
  | 'text'
  | 'durationMs'
  | 'count'
  | 'size'
  | 'flag'
  | 'choice'
  | 'listeners'
  | 'endpoint'
  | 'dialEndpoint'
  | 'address'
  | 'curve'
  | 'tls'
  | 'share'
  | 'quota'
  | 'quotas';

/** One key. A `default` of null: see `none`. */
export interface Row {
  readonly kind: RowKind;
  readonly default: string | number | boolean | null;
  /** What holds when the key is absent, for keys whose default is not a constant. */
  readonly none?: string;
  /** The key may stay without a value. */
  readonly optional?: true;
  /** Smallest and largest value; for `text` the number of characters. */
  readonly min?: number | string;
  readonly max?: number | string;
  readonly options?: readonly string[];
  /** For `text`: `name` printable without line breaks, `path`, `file` without folders, `secret`, `url`. */
  readonly form?: 'name' | 'path' | 'file' | 'secret' | 'url';
  /** SIGHUP applies a change without a restart. */
  readonly live?: true;
  readonly about: string;
}

/** One section of the file. */
export interface Section {
  readonly about: string;
  readonly keys: Readonly<Record<string, Row>>;
}

/** The rows. Sizes are written as a person would write them. */
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
        about: 'Shown in logs, metrics and pages.',
      },
      dataDir: {
        kind: 'text',
        form: 'path',
        default: './data',
        min: 1,
        max: 4096,
        about:
          'Everything that must survive a restart. Made if absent, with mode 0700, and locked while in use.',
      },
    },
  },
  broker: {
    about: 'The broker: where it listens, and how long it waits for whom.',
    keys: {
      listen: {
        kind: 'listeners',
        default: 'tcp://127.0.0.1:5555',
        about:
          'An endpoint, a list of endpoints, or a list of `{endpoint, allow, client, worker, mmi, insecure, transport, curve}`; see Listeners. Off loopback a listener needs `curve`, or `insecure: true`.',
      },
      transport: {
        kind: 'choice',
        options: ['zmtp', 'libzmq'],
        default: 'zmtp',
        about: 'The engine of listeners that name none.',
      },
      heartbeatIntervalMs: {
        kind: 'durationMs',
        default: 2500,
        min: 10,
        max: 3_600_000,
        about: 'Between heartbeats, to and from workers.',
      },
      heartbeatLiveness: {
        kind: 'count',
        default: 3,
        min: 2,
        max: 100,
        about: 'Silent intervals before a worker is lost.',
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
          'How long a worker that does not heartbeat while it works may hold a request before it is lost.',
      },
      maxDeliveries: {
        kind: 'count',
        default: 3,
        min: 1,
        max: 1000,
        about:
          'How many workers a request is given to, one after the other was lost, before it is abandoned.',
      },
    },
  },
  limits: {
    about: 'What peers can make the broker spend.',
    keys: {
      messageBytes: {
        kind: 'size',
        default: '16MiB',
        min: '1KiB',
        max: '1GiB',
        live: true,
        about:
          'One message, all frames together; a larger one costs its sender the connection. With `libzmq` the limit is per frame, and the whole message is dropped.',
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
        about: 'Services known at once.',
      },
      workers: {
        kind: 'count',
        default: 10_000,
        min: 1,
        max: 1_000_000,
        live: true,
        about: 'Workers registered at once.',
      },
      queuedRequests: {
        kind: 'count',
        default: 1_000_000,
        min: 1,
        max: 16_000_000,
        live: true,
        about: 'Requests held by the broker; beyond it new ones are refused (status 429).',
      },
      queuedBytes: {
        kind: 'size',
        default: '1GiB',
        min: '1KiB',
        max: '1TiB',
        live: true,
        about:
          'Bytes held by the broker, also copies of what is at workers and PARTIALs held back; beyond it new requests are refused (status 429).',
      },
      outputBytes: {
        kind: 'size',
        default: '64MiB',
        min: '1KiB',
        max: '16GiB',
        live: true,
        about: 'Output waiting for one peer to read.',
      },
      connections: {
        kind: 'count',
        default: 10_000,
        min: 1,
        max: 1_000_000,
        live: true,
        about:
          'Connections per listener; whoever comes beyond, or when file descriptors run out, is closed at once. One address, and one CURVE key, may have seven eighths of them, over all listeners.',
      },
      queuedRequestsPerService: {
        kind: 'count',
        default: 100_000,
        min: 1,
        max: 16_000_000,
        live: true,
        about: 'Requests held for one service, so that it cannot starve the others.',
      },
      memoryBytes: {
        kind: 'size',
        default: null,
        none: '2GiB, or a third of the memory that the machine or its cgroup allows if that is less',
        min: '16MiB',
        max: '16TiB',
        live: true,
        about:
          'All that peers make the broker hold, together: requests, output, parts, incomplete messages, what is on its way to the store. Over it, the identity that holds most pays first.',
      },
      perPeer: {
        kind: 'quota',
        default: null,
        none: '`{share: 0.875}`',
        live: true,
        about: 'What one identity may use at most; see Quotas.',
      },
      quotas: {
        kind: 'quotas',
        default: null,
        none: 'none',
        live: true,
        about:
          'Quotas of their own for keys whose entry in `keysFile` says `quota: NAME`; see Quotas.',
      },
    },
  },
  titanic: {
    about: 'Durable requests (9/TSP).',
    keys: {
      enabled: {
        kind: 'flag',
        default: true,
        about: 'Hosts the services `titanic.*`.',
      },
      file: {
        kind: 'text',
        form: 'file',
        default: 'titanic.db',
        min: 1,
        max: 255,
        about: 'The store, a file in `node.dataDir`.',
      },
      replication: {
        kind: 'choice',
        options: ['off', 'async', 'sync', 'strict'],
        default: null,
        none: '`sync` in a pair, else `off`',
        about:
          '`sync` waits for the peer and degrades when it is gone, `strict` refuses then, `async` does not wait.',
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
        about: 'Wait after the first failed attempt; doubles, with jitter.',
      },
      retryMaxMs: {
        kind: 'durationMs',
        default: 60_000,
        min: 1,
        max: 86_400_000,
        about: 'Longest wait between attempts; at least `titanic.retryBaseMs`.',
      },
      replyTtlMs: {
        kind: 'durationMs',
        default: 604_800_000,
        min: 1000,
        max: 315_360_000_000,
        about: 'Replies that nobody closed are dropped after it, and counted.',
      },
      requestTtlMs: {
        kind: 'durationMs',
        default: 604_800_000,
        min: 1000,
        max: 315_360_000_000,
        about: 'Requests that nobody served are dropped after it, and counted.',
      },
      keyTtlMs: {
        kind: 'durationMs',
        default: 86_400_000,
        min: 0,
        max: 315_360_000_000,
        about: 'How long an idempotency key is remembered after its request was closed.',
      },
      maxInFlight: {
        kind: 'count',
        default: 1000,
        min: 1,
        max: 1_000_000,
        about: 'Stored requests at workers at once.',
      },
      maxOpen: {
        kind: 'count',
        default: 10_000_000,
        min: 1,
        max: 1_000_000_000,
        about: 'Requests not yet closed or expired; beyond it new ones are answered 500.',
      },
      maxBytes: {
        kind: 'size',
        default: '64GiB',
        min: '1MiB',
        max: '256TiB',
        about: 'Size of the store; beyond it new requests are answered 500.',
      },
      showBodies: {
        kind: 'flag',
        default: false,
        about:
          'Shows the bodies of stored requests and their replies, up to 64 KiB of each, to holders of `http.token`: on the page, over HTTP and by `majordomo titanic show --body`.',
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
        about: 'What this node is in its pair.',
      },
      pair: {
        kind: 'text',
        form: 'name',
        default: 'default',
        min: 1,
        max: 255,
        about:
          'Name of the pair. Both nodes must agree in it, in `titanic.replication` and in `bstar.heartbeatIntervalMs`.',
      },
      listen: {
        kind: 'endpoint',
        default: null,
        optional: true,
        none: 'none',
        about: "This node's endpoint for its peer. Needed in a pair.",
      },
      peer: {
        kind: 'dialEndpoint',
        default: null,
        optional: true,
        none: 'none',
        about: "The other node's `bstar.listen`. Needed in a pair; the backup dials.",
      },
      heartbeatIntervalMs: {
        kind: 'durationMs',
        default: 1000,
        min: 10,
        max: 3_600_000,
        about: 'Between heartbeats of the pair; the peer is dead after two.',
      },
      curve: {
        kind: 'curve',
        default: null,
        optional: true,
        none: 'none',
        about:
          'CURVE on the link of the pair: `{secretKeyFile, keysFile, serverKey}`; the backup needs `serverKey`.',
      },
    },
  },
  http: {
    about: 'Health, metrics, API and page.',
    keys: {
      listen: {
        kind: 'address',
        default: '127.0.0.1:5580',
        about:
          '`host:port`, `unix:PATH` (a socket for the user and the group of the broker, mode 0660), or `off`. Off loopback `http.tls` or `http.insecure` is needed.',
      },
      token: {
        kind: 'text',
        form: 'secret',
        default: null,
        optional: true,
        none: 'made at the first start, in `node.dataDir`/http.token, mode 0600',
        min: 16,
        max: 512,
        about:
          'Needed for every change over HTTP, and for reading when `http.listen` is not loopback or `http.requireToken` is true. Printable ASCII without spaces.',
      },
      readToken: {
        kind: 'text',
        form: 'secret',
        default: null,
        optional: true,
        none: 'none',
        min: 16,
        max: 512,
        about:
          'A second token, for those who only read: Prometheus, dashboards. Printable ASCII without spaces.',
      },
      requireToken: {
        kind: 'flag',
        default: false,
        about:
          'Reading needs a token on loopback and on a socket, too, but for `/livez`, `/readyz` and the files of the page.',
      },
      tls: {
        kind: 'tls',
        default: null,
        optional: true,
        none: 'none: plain HTTP',
        about:
          'HTTPS: `{certFile, keyFile}`, both PEM, the certificate with its chain. The files are read again at SIGHUP. The key may be used by its owner alone, or, if that is root, also by its group.',
      },
      insecure: {
        kind: 'flag',
        default: false,
        about:
          'Allows plain HTTP off loopback: for where something before this node brings TLS, or the network has no strangers.',
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
          'Where people reach the page of this node, through a proxy for instance: shown in the log at the start, by `majordomo status` and in `/healthz`, and by the other node of a pair, whose page links to it.',
      },
    },
  },
  log: {
    about: 'Logs: one line an event, on standard output.',
    keys: {
      level: {
        kind: 'choice',
        options: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
        default: 'info',
        live: true,
        about: 'The least grave level that is written.',
      },
      format: {
        kind: 'choice',
        options: ['auto', 'json', 'pretty'],
        default: 'auto',
        about: '`auto` is `pretty` on a terminal, else `json`.',
      },
    },
  },
  security: {
    about: 'Who comes in beside the keys of the keys files.',
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
          'A service of this broker that is asked about keys that are in no keys file; see docs/operating.md, Keys by a service.',
      },
    },
  },
  shutdown: {
    about: 'The end.',
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

/** The rows again, as what code that walks over them sees. */
export const SECTIONS: Readonly<Record<string, Section>> = SCHEMA;
