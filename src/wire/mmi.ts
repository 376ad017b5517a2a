/** Names and status frames of 8/MMI and of this project's extensions (docs/protocol.md). */
export const MMI_SERVICE = 'mmi.service';
export const MMI_SERVICES = 'mmi.services';
export const MMI_WORKERS = 'mmi.workers';
export const MMI_BROKER = 'mmi.broker';
export const MMI_HELLO = 'mmi.hello';
/** D11: the service frame of a refusal, sent only to clients that said `mmi.hello`. */
export const MMI_REFUSED = 'mmi.refused';

/** D62: the service frame of a failure, sent only to clients that said that they understand it. */
export const MMI_FAILED = 'mmi.failed';

/** The status frame of a refusal (D11). */
export type RefusalStatus = '403' | '404' | '408' | '429' | '502' | '503';

/** What a client says of itself by `mmi.hello`. */
export interface Hello {
  /** Rather than wait for a worker it is refused, where nobody serves what it asks for (D65). */
  readonly refusesToWait: boolean;
  /** It understands `mmi.failed` (D62). */
  readonly hearsFailures: boolean;
}

/** Larger than this no frame of `mmi.hello` may be. */
const HELLO_BYTES_MAX = 4096;
const NO_OPTIONS: Hello = { refusesToWait: false, hearsFailures: false };

/** @returns `null` if the frame is neither empty nor a JSON object of options as they must be */
export function readHello(frame: Buffer): Hello | null {
  if (frame.length === 0) return NO_OPTIONS;
  if (frame.length > HELLO_BYTES_MAX) return null;
  let given: unknown;
  try {
    given = JSON.parse(frame.toString('utf8'));
  } catch {
    return null;
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return null;
  // Other keys are for later versions.
  const { noWorker = 'wait', failures = false }: { noWorker?: unknown; failures?: unknown } = given;
  if (noWorker !== 'wait' && noWorker !== 'refuse') return null;
  if (typeof failures !== 'boolean') return null;
  return { refusesToWait: noWorker === 'refuse', hearsFailures: failures };
}

/** The frame of `mmi.hello` that says so. */
export function helloFrame({ refusesToWait, hearsFailures }: Hello): Buffer {
  const options = {
    ...(refusesToWait ? { noWorker: 'refuse' } : {}),
    ...(hearsFailures ? { failures: true } : {}),
  };
  return Object.keys(options).length === 0 ? Buffer.alloc(0) : Buffer.from(JSON.stringify(options));
}

/** One item of the JSON of `mmi.services`. Names are percent-escaped (D3). */
export interface ServiceStatus {
  readonly service: string;
  readonly workersWaiting: number;
  readonly workersBusy: number;
  readonly queued: number;
  /** `null`: it shares its label of metrics with others, and is not counted by itself. */
  readonly plain: PlainFigures | null;
  /** `null`: it has no stored requests, or none are stored here. */
  readonly durable: DurableFigures | null;
}

/** What a service has beside its workers and queue. */
export type ServiceFigures = Pick<ServiceStatus, 'plain' | 'durable'>;

/** Plain requests of one service in the last seconds. */
export interface PlainFigures {
  readonly requestsPerSecond: number;
  readonly repliesPerSecond: number;
  /** Failed as their worker said; expired, refused, abandoned, dropped. */
  readonly failuresPerSecond: number;
  /** Given back or lost with their worker, and put into the queue again. */
  readonly redeliveriesPerSecond: number;
  /** From request to reply; `null`: nothing was replied to. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

/** Stored requests of one service now. */
export interface DurableCounts {
  /** Not with a worker; those `delayed` and `retrying` are among them. */
  readonly pending: number;
  readonly dispatched: number;
  /** Not due yet. `null`: only the active node of a pair knows. */
  readonly delayed: number | null;
  /** Their last attempt failed. */
  readonly retrying: number;
  readonly replied: number;
  readonly dead: number;
  /** How long the oldest pending one has waited; `null`: there is none, or this node is not active. */
  readonly oldestMs: number | null;
}

/**
 * What became of stored requests of one service in the last seconds; all is `null` where it is not
 * counted by itself.
 */
export interface DurableRates {
  readonly acceptedPerSecond: number | null;
  readonly repliesPerSecond: number | null;
  readonly failedAttemptsPerSecond: number | null;
  readonly deathsPerSecond: number | null;
  /** From acceptance to reply; `null` also if nothing was replied to. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

export type DurableFigures = DurableCounts & DurableRates;

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
  /** What it calls itself (D67), percent-escaped; null: nothing. */
  readonly name: string | null;
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
  /**
   * What a peer may use: `credit` (D23), `ready-options` (D67), `hello` (D11), `submit` and `wait`
   * (D16) as offered.
   */
  readonly extensions: readonly string[];
  readonly pairHeartbeatMs: number;
  /**
   * Where it answers HTTP: `http://HOST:PORT`, `https://…`, `unix:PATH`. A HOST of `*` or `[::]` is
   * every address of the node: that by which it was reached. `null`: it answers none.
   */
  readonly http: string | null;
  /** `http.publicUrl`. */
  readonly publicUrl: string | null;
}

/** What an asker is told where peers are strangers (D74): nothing of other ways into the node. */
export type MinimalStatus = Omit<BrokerStatus, 'http' | 'publicUrl'>;

/** A listener of the broker, as `/api/v1/status` tells of it. */
export interface EndpointStatus {
  /** As in `http` of `BrokerStatus`, `tcp://*:PORT` is every address of the node. */
  readonly endpoint: string;
  /** Clients may ask for services there. */
  readonly client: boolean;
  /** Workers may offer services there. */
  readonly worker: boolean;
  /** It wants keys. */
  readonly curve: boolean;
}

/** The JSON of `/api/v1/status`. */
export interface NodeStatus extends BrokerStatus {
  /** Empty while the node starts. */
  readonly endpoints: readonly EndpointStatus[];
}
