/**
 * Names of the services of 8/MMI and of this project's extensions, the statuses of refusals, the frame of `mmi.hello`,
 * and the JSON of `mmi.contract` and `mmi.fleet` (docs/protocol.md). mmi-answers.ts has the JSON that MMI and HTTP share.
 */
import type { AnnouncedContract } from './contract.js';
import { readJsonObject } from './json-object.js';

export const MMI_SERVICE = 'mmi.service';
export const MMI_SERVICES = 'mmi.services';
export const MMI_WORKERS = 'mmi.workers';
export const MMI_CONTRACT = 'mmi.contract';
/** Asks why a request for a service waits. */
export const MMI_WHY = 'mmi.why';
export const MMI_BROKER = 'mmi.broker';
export const MMI_HELLO = 'mmi.hello';
export const MMI_FLEET = 'mmi.fleet';
/** D106: the client does not want the answers of some of its requests any more. */
export const MMI_CANCEL = 'mmi.cancel';
/** Requests that one `mmi.cancel` names: each by the last frame of its envelope, of at most so many bytes. */
export const CANCEL_IDS_MAX = 100;
export const CANCEL_ID_BYTES_MAX = 255;
/** D116: which of a client's requests its broker still has, after the connection was lost: 1 to 100 ids, as in `mmi.cancel`. */
export const MMI_RESUME = 'mmi.resume';
/**
 * What `mmi.resume` says of a request. *open*: its answer will come over this connection; *answered*: its answer
 * came just before; *kept*: it has an answer, for which there was no room: ask again; *gone*: it has ended, and its
 * answer is not kept; *unknown*: it never arrived.
 */
export type ResumeState = 'open' | 'answered' | 'kept' | 'gone' | 'unknown';

/** D11: the service frame of a refusal, sent only to clients that sent `mmi.hello`. */
export const MMI_REFUSED = 'mmi.refused';

/** D62: the service frame of a failure, sent only to clients that said they understand it. */
export const MMI_FAILED = 'mmi.failed';

/** The status frame of a refusal (D11). */
export type RefusalStatus = '403' | '404' | '408' | '413' | '429' | '502' | '503' | '520';

/** What a client says about itself with `mmi.hello`. */
export interface ClientHello {
  /** Whether the client is refused, instead of waiting, if no worker serves the service (D65). */
  readonly refusesToWait: boolean;
  /** Whether the client understands `mmi.failed` (D62). */
  readonly hearsFailures: boolean;
  /** The secret name of its session, under which it goes on after it lost its connection (D116); `null`: it has none. */
  readonly session: string | null;
}

/** A session: at least 96 random bits in base64url. */
const SESSION = /^[\w-]{16,64}$/;

/** Maximum size of the frame of `mmi.hello`. */
const HELLO_BYTES_MAX = 4096;
const NO_OPTIONS: ClientHello = { refusesToWait: false, hearsFailures: false, session: null };

/** @returns `null` if the frame is neither empty nor a JSON object of valid options */
export function readHello(frame: Buffer): ClientHello | null {
  if (frame.length === 0) return NO_OPTIONS;
  const given = readJsonObject(frame, HELLO_BYTES_MAX);
  if (given === null) return null;
  // Unknown keys belong to later versions.
  const {
    noWorker = 'wait',
    failures = false,
    session = null,
  }: { noWorker?: unknown; failures?: unknown; session?: unknown } = given;
  if (noWorker !== 'wait' && noWorker !== 'refuse') return null;
  if (typeof failures !== 'boolean') return null;
  if (session !== null && (typeof session !== 'string' || !SESSION.test(session))) return null;
  return { refusesToWait: noWorker === 'refuse', hearsFailures: failures, session };
}

/** The frame of `mmi.hello` with these options. */
export function helloFrame({ refusesToWait, hearsFailures, session }: ClientHello): Buffer {
  const options = {
    ...(refusesToWait ? { noWorker: 'refuse' } : {}),
    ...(hearsFailures ? { failures: true } : {}),
    ...(session === null ? {} : { session }),
  };
  return Object.keys(options).length === 0 ? Buffer.alloc(0) : Buffer.from(JSON.stringify(options));
}

/** The JSON of `mmi.contract`. */
export interface ContractsStatus {
  /** The name of the service, percent-escaped. */
  readonly service: string;
  /** Workers that announced none. */
  readonly workersWithout: number;
  /** Workers whose contract was not kept: there are too many different ones, or no memory. */
  readonly workersNotKept: number;
  /** The different contracts, in the order in which they came. */
  readonly contracts: readonly ContractStatus[];
}

/** A contract, and the workers that announced it. */
export interface ContractStatus {
  /** How many workers announced it. */
  readonly workers: number;
  /** The names of at most ten of these workers, percent-escaped. */
  readonly names: readonly string[];
  /** The contract as its workers sent it: escape its texts before display. */
  readonly contract: AnnouncedContract;
}

/** The JSON of `mmi.fleet`. */
export interface AllBrokersStatus {
  /** `fleet.name`; `null`: `fleet.nats` is off. */
  readonly fleet: string | null;
  /** Whether this broker is connected to NATS; `null`: `fleet.nats` is off. */
  readonly connected: boolean | null;
  /** Brokers that are connected by NATS, the asked one first; empty if `fleet.nats` is off. */
  readonly brokers: readonly BrokerSeen[];
  /**
   * Requests since the start of the asked broker: sent to others, taken from others, and come back from
   * others without an answer. `null`: `fleet.nats` is off.
   */
  readonly bridged: { readonly out: number; readonly in: number; readonly returned: number } | null;
  /** The database of durable requests; `null`: they are kept in a file, or not at all. */
  readonly store: SharedStoreStatus | null;
}

/**
 * The database that several brokers share, as the asked one sees it. Where that is and what it is called is
 * for operators: `/api/v1/status` has it.
 */
export interface SharedStoreStatus {
  /** Whether it can be reached. */
  readonly up: boolean;
  /** `fleet.leaseMs`. */
  readonly leaseMs: number;
  /** Milliseconds since this broker's session was last renewed. */
  readonly renewedMs: number;
  /** Sessions of the brokers that use the database, at the last renewal; this broker first if it has one. */
  readonly sessions: readonly StoreSessionFacts[];
  /** Requests that the asked broker has stored since its start. */
  readonly accepted: number;
  /** Replies that it has stored since its start. */
  readonly completed: number;
}

export interface StoreSessionFacts {
  readonly session: number;
  readonly node: string;
  /** Whether the session is that of the asked broker. */
  readonly self: boolean;
  /** Whether it was not renewed in time: if that goes on for a whole lease, another broker ends it. */
  readonly overdue: boolean;
}

/** What the asked broker knows of itself, or of another one that it has heard. */
export interface BrokerSeen {
  /** 16 hexadecimal digits, others at each start. */
  readonly id: string;
  readonly node: string;
  readonly version: string;
  /** Whether this is the asked broker. */
  readonly self: boolean;
  /** Milliseconds since it was last heard. */
  readonly silentMs: number;
  /** Requests of the asked one that are out at it; of itself: at all others. */
  readonly requestsOut: number;
  /** Requests of it that are at workers of the asked one; of itself: of all others. */
  readonly requestsHeld: number;
  /** Whether its keys files differ from those of the asked one. */
  readonly keysDiffer: boolean;
}
