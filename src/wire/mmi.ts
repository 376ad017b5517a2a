/** Names and status frames of 8/MMI and of this project's extensions (docs/protocol.md). */
export const MMI_SERVICE = 'mmi.service';
export const MMI_SERVICES = 'mmi.services';
export const MMI_WORKERS = 'mmi.workers';
export const MMI_BROKER = 'mmi.broker';
export const MMI_HELLO = 'mmi.hello';
/** D11: the service frame of a refusal, sent only to clients that said `mmi.hello`. */
export const MMI_REFUSED = 'mmi.refused';

/** The status frame of a refusal (D11). */
export type RefusalStatus = '403' | '408' | '429' | '502' | '503';

/** One item of the JSON of `mmi.services`. Names are percent-escaped (D3). */
export interface ServiceStatus {
  readonly service: string;
  readonly workersWaiting: number;
  readonly workersBusy: number;
  readonly queued: number;
}

/** One item of the JSON of `mmi.workers`. */
export interface WorkerStatus {
  readonly service: string;
  /** `busy`: a request is out at it. */
  readonly state: 'waiting' | 'busy';
  readonly version: '0.1' | '0.2';
  readonly inFlight: number;
  readonly credit: number;
  /** Milliseconds since it registered. */
  readonly sinceMs: number;
  /** The name of its key; null: it came in by none, or by libzmq, which does not tell. */
  readonly key: string | null;
}

/** The JSON of `mmi.broker`. */
export interface BrokerStatus {
  readonly version: string;
  readonly uptimeMs: number;
  readonly node: string;
  readonly role: 'standalone' | 'primary' | 'backup';
  readonly state: string;
  readonly epoch: number;
  readonly limits: Readonly<Record<string, number>>;
  /** What a peer may use: `credit` (D23), `hello` (D11), `submit` and `wait` (D16) as offered. */
  readonly extensions: readonly string[];
  readonly pairHeartbeatMs: number;
}
