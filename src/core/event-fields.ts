/** Fields that mean the same in the events of several machines, and what they say of connections that were ended. */
import { field, type ValueOf, type ValuesOf } from './event-table.js';

export const service = field.string('the name of the service, percent-escaped');
export const worker = field.number(
  'the number of the worker, counted from the start of the process',
);
export const workerName = field.orNull(
  field.string('the name that the worker gave itself, percent-escaped, or `null`'),
);
export const key = field.orNull(
  field.string("the name of the peer's CURVE key, or `null`", 'peer'),
);
export const address = field.string('the source address of the peer', 'peer');
export const who = field.string(
  'the operator: the user whom a [trusted proxy](http.md#who-acted) names, else the name of the token',
  'operator',
);

export const uuid = field.string(
  'the beginning of the uuid of a stored request, because all of it is a credential',
);
export const schedule = field.string('the name that its owner gave a schedule', 'client');
export const reason = field.string('why, for people; or one of [a few](#reasons-and-kinds)');
export const text = field.string('what is wrong, for people');

export const closeReason = field.oneOf({
  slow: 'too much waits for it: it does not read, or its identity has most subscriptions and the copies for all fell behind',
  limit: 'more than 10,000 topics, or one of more than 255 bytes',
});
/** Why a subscriber was closed: too much waited for it, or it subscribed beyond a limit. */
export type CloseReason = ValueOf<typeof closeReason>;

export function closedText(reason: CloseReason): string {
  return reason === 'slow' ? 'too much waits for it' : 'it subscribed to too much';
}

/** Why a listener ended a connection, or did not accept it: the values of `kind` in the events `*.rejected`. */
export const REJECTIONS = {
  accept: 'the system could not accept it, or file descriptors run out',
  connections: '`limits.connections` is reached, or the share of one address or key',
  greeting: 'its greeting is not ZMTP, or of a version that is not supported',
  mechanism: 'it uses NULL where the broker uses CURVE, or the other way round',
  handshake: 'its handshake was invalid or took too long',
  handshakes: 'too many handshakes were in progress',
  key: 'its key is not admitted, or was removed',
  keys: 'the service in `security.authorize` has not answered about its key',
  identity: 'a peer that lives has the routing id that it gave itself',
  protocol: 'a frame or command was invalid, or there were too many commands',
  too_large: 'a message is over 64 times a limit (smaller ones: `message.malformed`)',
  cut: 'the peer disconnected in the middle of a message',
  handshake_cut: 'the peer disconnected in the middle of its handshake, as a health check does',
  silent: 'the peer was silent for longer than its PING says, or answered no PING',
  memory: '`limits.memoryBytes` is reached, and it used most of it',
  incomplete: 'the limit for incomplete messages is reached, and it had most of them',
  output: 'the quota `outputBytes` of its identity is used up, and it did not read for a second',
} as const;
export type RejectionKind = keyof typeof REJECTIONS;

export const REJECTED = {
  kind: field.oneOf<RejectionKind>(REJECTIONS),
  reason,
  address,
  key: field.orNull(
    field.string(
      'the first 8 characters of the public key that was presented, the name of a removed key, or `null`',
      'peer',
    ),
  ),
} as const;
type Rejection = ValuesOf<typeof REJECTED>;

/** @param what `a connection to …` */
export function rejectedText(what: string, { address, reason }: Rejection): string {
  return `${what} from ${address || UNKNOWN} was closed: ${reason}`;
}

const UNKNOWN = 'an unknown address';
/** A health check comes and leaves every second or two. */
const CUT_SILENT_MS = 600_000;

export const REJECTED_RULES = {
  by: ['kind'],
  who: ({ address }: Rejection): string => address || UNKNOWN,
  silentMs: ({ kind }: Rejection): number | undefined =>
    kind === 'handshake_cut' ? CUT_SILENT_MS : undefined,
} as const;

interface Peer {
  readonly key: string | null;
  readonly address: string;
}

/** Who provoked an event: lines are limited for each of them. */
export function peerOf({ key, address }: Peer): string {
  return key ?? address;
}

/** Who provoked an event, for people. */
export function whoseOf({ key, address }: Peer): string {
  return key === null ? `address ${address}` : `key ${key}`;
}
