import type { Row, SCHEMA, Section } from './schema.js';

/** Who may come in through a listener. */
export type Role = 'client' | 'worker';

/** Every role, in the order in which they are shown. */
export const ROLES: readonly [Role, Role] = ['client', 'worker'];

/** Files of a listener's or a pair's CURVE keys; `serverKey` (Z85) is for the side that dials. */
export interface CurveConfig {
  readonly secretKeyFile: string;
  readonly keysFile: string;
  readonly serverKey?: string;
}

/** An engine that this version has. */
export type TransportName = (typeof SCHEMA)['broker']['keys']['transport']['options'][number];

/** One listener, in full. */
export interface ListenerConfig {
  /** `tcp://host:port` or `ipc://path`. */
  readonly endpoint: string;
  readonly allow: readonly Role[];
  readonly transport: TransportName;
  readonly curve?: CurveConfig;
}

interface KindValues {
  text: string;
  durationMs: number;
  count: number;
  /** Bytes. */
  size: number;
  flag: boolean;
  listeners: readonly ListenerConfig[];
  endpoint: string;
  dialEndpoint: string;
  address: string;
  curve: CurveConfig;
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
 * milliseconds, `broker.listen` as a list of listeners; what is optional and absent is null.
 */
export type Config = {
  readonly [Name in keyof typeof SCHEMA]: SectionValues<(typeof SCHEMA)[Name]>;
};
