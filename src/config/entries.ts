/** Entries of lists and maps of the configuration, in full, and the words in them. */
import type { WrittenLimits } from '../core/run-limits.js';

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

/** What the bearer of a token may do over HTTP: read; read and change; send requests to services. */
export type TokenRole = 'read' | 'operate' | 'request';

/** An entry of `http.tokens`. */
export interface TokenConfig {
  /** Who acted, in events; for `request`, the identity `token:NAME`. */
  readonly name: string;
  readonly role: TokenRole;
  /** Either this or `tokenFile`; two secrets while one takes the place of the other. */
  readonly token: string | readonly string[] | null;
  /** With two files, the bearer may use the secret of either. */
  readonly tokenFile: string | readonly string[] | null;
  /** Globs over the services that a token with the role `request` may request. */
  readonly client: readonly string[];
  /** The quota of the role `request`: a name from `limits.quotas`; `null`: `limits.perPeer`. */
  readonly quota: string | null;
}

/** A secret of a token; a token may have two. */
export interface NamedSecret {
  readonly name: string;
  readonly role: TokenRole;
  readonly secret: string;
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

/** The secrets of a token, the current one first. */
export function secretsOf(token: TokenConfig['token']): readonly string[] {
  return [token ?? []].flat();
}

/** How much of `mmi.*` a listener answers (D74). */
type MmiExtent = 'full' | 'minimal';

/** The transports of this version. */
export const TRANSPORTS = ['zmtp', 'libzmq'] as const;

export type TransportName = (typeof TRANSPORTS)[number];

/** A listener, in full. */
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

/** An entry of `broker.services`. */
export interface ServiceLimitsConfig extends WrittenLimits {
  /** A glob over names of services. */
  readonly match: string;
}
