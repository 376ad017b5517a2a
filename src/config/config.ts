import type { PerPeerConfig, QuotaConfig } from './quotas.js';
import type { Row, SCHEMA, Section } from './schema.js';

/** What a listener or a key may be used for. */
export type MdpRole = 'client' | 'worker';

/** Every role, in the order in which they are shown. */
export const MDP_ROLES: readonly [MdpRole, MdpRole] = ['client', 'worker'];

/** Files of the pair's CURVE keys; the side that dials has `serverKey` (Z85). */
export interface CurveConfig {
  readonly secretKeyFile: string;
  readonly keysFile: string;
  readonly serverKey?: string;
}

/** Files (PEM) of the HTTP server's certificate and its key. */
export interface TlsConfig {
  readonly certFile: string;
  readonly keyFile: string;
}

/** What the bearer of a token may do over HTTP: read; read and change; send requests to services. */
export type TokenRole = 'read' | 'operate' | 'request';

/** One of `http.tokens`. */
export interface TokenConfig {
  /** Who acted, in events; for `request`, the identity `token:NAME`. */
  readonly name: string;
  readonly role: TokenRole;
  /** Either this or `tokenFile`. */
  readonly token: string | null;
  readonly tokenFile: string | null;
  /** For `request`: globs over the services that it may request. */
  readonly client: readonly string[];
  /** For `request`: a name from `limits.quotas`; `null`: `limits.perPeer`. */
  readonly quota: string | null;
}

/** Files of a listener's CURVE keys; with two secret keys, clients may use either public key. */
export interface ListenerCurveConfig {
  readonly secretKeyFile: string | readonly string[];
  readonly keysFile: string;
}

/** The files, the current key's first. */
export function secretKeyFilesOf({ secretKeyFile }: ListenerCurveConfig): readonly string[] {
  return typeof secretKeyFile === 'string' ? [secretKeyFile] : secretKeyFile;
}

/** How much of `mmi.*` a listener answers (D74). */
export type MmiExtent = 'full' | 'minimal';

/** A transport of this version. */
export type TransportName = (typeof SCHEMA)['broker']['keys']['transport']['options'][number];

/** One listener, in full. */
export interface ListenerConfig {
  /** `tcp://host:port` or `ipc://path`. */
  readonly endpoint: string;
  /** Globs over the services that clients may request there; empty: no clients. */
  readonly client: readonly string[];
  /** Globs over the services that workers may offer there; empty: no workers. */
  readonly worker: readonly string[];
  /** `null`: `minimal` on a listener that is not on loopback and has no CURVE, else `full`. */
  readonly mmi: MmiExtent | null;
  /** Open to a network without CURVE on purpose. */
  readonly insecure: boolean;
  /**
   * The one service that its peers use, which speak no MDP: plain clients and Freelance ones, or
   * Simple and Paranoid Pirate workers; `null`: it speaks MDP.
   */
  readonly service: string | null;
  /** What Freelance clients connect to; `null`: they cannot use it. */
  readonly public: string | null;
  readonly transport: TransportName;
  readonly curve?: ListenerCurveConfig;
}

/** A publisher of this node. */
export interface PublisherConfig {
  /** `tcp://host:port` or `ipc://path`. */
  readonly endpoint: string;
  /** Open to a network without CURVE on purpose. */
  readonly insecure: boolean;
  readonly curve?: ListenerCurveConfig;
}

interface KindValues {
  text: string;
  durationMs: number;
  count: number;
  /** Bytes. */
  size: number;
  flag: boolean;
  listeners: readonly ListenerConfig[];
  /** `null`: off. */
  publisher: PublisherConfig | null;
  endpoint: string;
  dialEndpoint: string;
  address: string;
  curve: CurveConfig;
  tls: TlsConfig;
  share: number;
  quota: PerPeerConfig;
  quotas: Readonly<Record<string, QuotaConfig>>;
  /** URLs; empty: off. */
  servers: readonly string[];
  tokens: readonly TokenConfig[];
  /** Addresses, networks, `unix`. */
  networks: readonly string[];
}

type RowValue<R extends Row> = R extends { readonly options: readonly (infer Option)[] }
  ? Option
  : R extends { readonly kind: infer Kind extends keyof KindValues }
    ? KindValues[Kind]
    : never;

type Value<R extends Row> = R extends { readonly optional: true }
  ? RowValue<R> | null
  : RowValue<R>;

type SectionValues<S extends Section> = {
  readonly [Key in keyof S['keys']]: S['keys'][Key] extends Row ? Value<S['keys'][Key]> : never;
};

/**
 * The effective configuration: every key of every section, sizes in bytes, durations in
 * milliseconds, `broker.listen` as a list of listeners; absent optional keys are null.
 */
export type Config = {
  readonly [Name in keyof typeof SCHEMA]: SectionValues<(typeof SCHEMA)[Name]>;
};
