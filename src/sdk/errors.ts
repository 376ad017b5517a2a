import { MajordomoError as AnyMajordomoError, type MajordomoErrorOptions } from '../core/errors.js';

// Without it every request with text would fail, and say less.
if (!('isWellFormed' in String.prototype)) {
  throw new Error(`majordomo-sdk: Node.js ${process.version} is too old: install 22.17 or newer`);
}

/** Every code that the SDK throws or rejects with, and when. `docs/errors.md` is compared with it. */
export const SDK_ERRORS = {
  ERR_MAP_LIMIT: 'The shared map is larger than its option `maxBytes` allows.',
  ERR_MDP_ABORTED: 'The given AbortSignal aborted; `cause` is its reason.',
  ERR_MDP_BODY: 'A body is invalid: not bytes or text when sending, not JSON when reading.',
  ERR_MDP_CLOSED:
    'The client, the worker, the publisher or the shared map was closed, before the call or while it waited.',
  ERR_MDP_CODEC:
    'A codec or a validator threw, or returned something unusable; `details.option` names it.',
  ERR_MDP_ENDPOINT: 'The client cannot dial, or the publisher not listen on, this endpoint.',
  ERR_MDP_ENDPOINT_IN_USE:
    '`startTestBroker` or a publisher cannot listen: another process, or socket, already does.',
  ERR_MDP_FORBIDDEN:
    'The broker refused (403): the key, or the listener, gives no right to that service; `details` as in ERR_MDP_REFUSED.',
  ERR_MDP_KEY_REFUSED:
    'The broker does not admit the CURVE key of this client: two handshakes in a row were refused.',
  ERR_MDP_LIMIT:
    'A limit was reached: `maxOutstanding`, `streamBufferBytes`, or that of parts which the broker has not read.',
  ERR_MDP_NO_WORKER:
    'No worker serves that service now, and the client does not wait (`ifNoWorker: "fail"`).',
  ERR_MDP_OPTION:
    'An option or argument is unknown, of the wrong type or out of range, or needs a package that is not installed.',
  ERR_MDP_OUTCOME_UNKNOWN:
    'The request may have run, or not: the broker has neither it nor its answer any more after a lost connection, or, with `once`, a delivery ended without an answer. The message says what is known.',
  ERR_MDP_REFUSED: 'The broker refused: `details` has `status`, `service` and `reason`.',
  ERR_MDP_STREAM_BROKEN: 'A stream ended after a PARTIAL was delivered and before FINAL.',
  ERR_MDP_TIMEOUT:
    'No answer arrived in time: the message says why, if the broker knows; `details.sends` says how many times it was sent.',
  ERR_MDP_TOO_LARGE:
    'The request is too large for the broker: `details` has `bytes` and `bytesMax`, or, if it refused it (413), as in ERR_MDP_REFUSED.',
  ERR_MDP_UNREACHABLE:
    'No endpoint accepted a connection in time; nothing was sent. `cause.errors` has an error for each endpoint.',
  ERR_MDP_UNSUPPORTED:
    'The request has headers or a group, or is to run `once`, and the broker does not support that or does not say so; the request was not sent.',
  ERR_MDP_USAGE:
    'A client with `strategy: "freelance"` was asked to store a request, or for a stored one: that is safe at one broker, or pair, only.',
  ERR_SERVICE_FAILED:
    'The service reported a failure: a `ServiceError` with `service`, `serviceCode`, `message` and `details`.',
  ERR_STREAM_GAP:
    'The connection to a publisher was lost, so messages may be missing, and `onGap` is "fail".',
  ERR_STREAM_HEADER:
    'A message came without the header of a `Publisher`; the option `stamp` reads those of other programs.',
  ERR_STREAM_SHARD:
    'A shard ended: its handler threw, or its thread stopped; `details.shard` says which.',
  ERR_STREAM_TOO_SLOW:
    'A message reached its reader later than `maxDelayMs` allows: `details` has `delayMs` and `behind`.',
  ERR_TITANIC_DEAD:
    'The durable request is dead (500): no attempt was answered, and no worker reported why; see `details.text`.',
  ERR_TITANIC_KEY_REUSED:
    'The `idempotencyKey` was used for a request with another body or other options (409): nothing was stored.',
  ERR_TITANIC_PENDING:
    'No reply to the durable request arrived within `timeoutMs`; it may still arrive.',
  ERR_TITANIC_REFUSED:
    'Storing or closing a request, or a schedule, was refused (`details.text` says why), or may have been done (`outcome unknown`).',
  ERR_TITANIC_UNKNOWN: 'The durable request is unknown (400): closed, expired, or never stored.',
  ERR_TITANIC_UNSUPPORTED:
    'An option needs `titanic.submit`, headers, `backoff` or `group`, or a call needs schedules or progress, which this broker does not support.',
} as const;

/** The codes of the SDK's errors. */
export type SdkErrorCode = keyof typeof SDK_ERRORS;

/**
 * An error of the SDK: an `Error` with a stable `code`, and with `details`, facts for programs (`{}` if there
 * are none). Recognise it with `isMajordomoError`, by its `code`; `instanceof` fails if a process has two
 * copies of the package. The text of `message` is for people and may change.
 */
export type MajordomoError<Code extends SdkErrorCode = SdkErrorCode> = AnyMajordomoError<Code>;
/** The class of these errors. A program needs it only to make such an error in a test. */
export const MajordomoError: typeof AnyMajordomoError = AnyMajordomoError;

/** Lines of a stack that Node.js shows. */
const LINES_SHOWN = 10;
/** Above the line of the program that made a mistake may stand so many of this package. */
const OWN_LINES = 20;

export function sdkError(
  code: SdkErrorCode,
  message: string,
  options?: MajordomoErrorOptions,
): MajordomoError {
  const limit = Error.stackTraceLimit;
  const isRaised = limit >= LINES_SHOWN && Reflect.set(Error, 'stackTraceLimit', limit + OWN_LINES);
  const error = new MajordomoError(code, message, options);
  if (isRaised) Reflect.set(Error, 'stackTraceLimit', limit);
  return error;
}

/** ERR_MDP_OPTION: the error of a wrong option. */
export function wrong(option: string, what: string): MajordomoError {
  return sdkError('ERR_MDP_OPTION', `${option} ${what}`, { details: { option } });
}

/** @throws ERR_MDP_OPTION for text that UTF-8 cannot say: any two such texts would become the same bytes */
export function checkText(option: string, text: string): void {
  if (!text.isWellFormed()) throw wrong(option, 'must not have half of a surrogate pair');
}
