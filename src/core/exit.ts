import { codeOf } from './errors.js';

/** Exit statuses of the `majordomo` command; they are defined only here (contract §2). */
export const EXIT = {
  done: 0,
  /** The request failed, or `doctor` found a problem. */
  failed: 1,
  /** The service was reached and reported a failure. */
  serviceFailed: 2,
  /** The request may have run, or not. */
  outcomeUnknown: 3,
  /** Wrong usage. */
  usage: 64,
  /** Port taken, data directory in use, no endpoint accepted a connection. */
  unavailable: 69,
  /** A bug. */
  internal: 70,
  /** Disk error: not readable, not writable, damaged, missing. */
  disk: 74,
  /** Connected, but no reply in time. */
  noReply: 75,
  /** Wrong or missing configuration. */
  config: 78,
  /** A second SIGINT; the first one, where it ends a long order between two steps. */
  interrupted: 130,
  /** A second SIGTERM. */
  terminated: 143,
} as const;

export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

/** `128 + signal`: a second signal ended the process before it had drained. */
export const EXIT_SIGNALLED: Readonly<Record<'SIGINT' | 'SIGTERM', ExitStatus>> = {
  SIGINT: EXIT.interrupted,
  SIGTERM: EXIT.terminated,
};

const STATUS_OF_CODE: ReadonlyMap<string, ExitStatus> = new Map<string, ExitStatus>([
  ['ERR_BSTAR_DISK', EXIT.disk],
  ['ERR_BSTAR_EPOCH', EXIT.config],
  ['ERR_BSTAR_ROLE', EXIT.config],
  ['ERR_CONFIG_FILE', EXIT.config],
  ['ERR_CONFIG_INVALID', EXIT.config],
  ['ERR_DATA_DIR', EXIT.disk],
  ['ERR_DATA_DIR_IN_USE', EXIT.unavailable],
  ['ERR_DATA_DIR_OPEN', EXIT.config],
  ['ERR_FLEET_REFUSED', EXIT.config],
  ['ERR_HTTP_LISTEN', EXIT.unavailable],
  ['ERR_HTTP_NO_ANSWER', EXIT.noReply],
  ['ERR_HTTP_UNREACHABLE', EXIT.unavailable],
  ['ERR_MAP_LIMIT', EXIT.failed],
  ['ERR_MDP_BODY', EXIT.usage],
  ['ERR_MDP_ENDPOINT', EXIT.unavailable],
  ['ERR_MDP_ENDPOINT_IN_USE', EXIT.unavailable],
  ['ERR_MDP_FORBIDDEN', EXIT.failed],
  ['ERR_MDP_KEY_REFUSED', EXIT.failed],
  ['ERR_MDP_LIMIT', EXIT.failed],
  ['ERR_MDP_NO_WORKER', EXIT.failed],
  ['ERR_MDP_OPTION', EXIT.usage],
  ['ERR_MDP_OUTCOME_UNKNOWN', EXIT.outcomeUnknown],
  ['ERR_MDP_REFUSED', EXIT.failed],
  ['ERR_MDP_STREAM_BROKEN', EXIT.failed],
  ['ERR_MDP_TIMEOUT', EXIT.noReply],
  ['ERR_MDP_TOO_LARGE', EXIT.failed],
  ['ERR_MDP_UNREACHABLE', EXIT.unavailable],
  ['ERR_MDP_UNSUPPORTED', EXIT.failed],
  ['ERR_NATIVE_MODULE', EXIT.config],
  ['ERR_NOT_LEARNT', EXIT.unavailable],
  ['ERR_OUTPUT', EXIT.disk],
  ['ERR_REQUEST_FAILED', EXIT.failed],
  ['ERR_SERVICE_FAILED', EXIT.serviceFailed],
  ['ERR_STREAM_GAP', EXIT.failed],
  ['ERR_STREAM_HEADER', EXIT.failed],
  ['ERR_STREAM_TOO_SLOW', EXIT.noReply],
  ['ERR_TITANIC_BUSY', EXIT.unavailable],
  ['ERR_TITANIC_DEAD', EXIT.failed],
  ['ERR_TITANIC_DISK', EXIT.disk],
  ['ERR_TITANIC_FILE', EXIT.config],
  ['ERR_TITANIC_FULL', EXIT.disk],
  ['ERR_TITANIC_KEY_REUSED', EXIT.failed],
  ['ERR_TITANIC_LOST', EXIT.disk],
  ['ERR_TITANIC_MIGRATE', EXIT.config],
  ['ERR_TITANIC_MOVED', EXIT.config],
  ['ERR_TITANIC_PENDING', EXIT.noReply],
  ['ERR_TITANIC_REFUSED', EXIT.failed],
  ['ERR_TITANIC_UNKNOWN', EXIT.failed],
  ['ERR_TITANIC_UNSUPPORTED', EXIT.failed],
  ['ERR_TITANIC_STORE', EXIT.config],
  ['ERR_TITANIC_STORE_AWAY', EXIT.unavailable],
  ['ERR_TITANIC_TARGET', EXIT.usage],
  ['ERR_TITANIC_VERSION', EXIT.config],
  ['ERR_USAGE', EXIT.usage],
]);

/** The exit status for a command's error; an unknown code is a bug in this program. */
export function exitStatusOf(error: unknown): ExitStatus {
  return STATUS_OF_CODE.get(codeOf(error) ?? '') ?? EXIT.internal;
}
