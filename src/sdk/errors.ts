import { MajordomoError, type MajordomoErrorOptions } from '../core/errors.js';

/** Every code that the SDK throws or rejects with, and when. `docs/errors.md` is compared with it. */
export const SDK_ERRORS = {
  ERR_MDP_ABORTED: 'The AbortSignal that was given aborted; `cause` is its reason.',
  ERR_MDP_BODY: 'A body is not what it must be: not bytes or text to send, not JSON to read.',
  ERR_MDP_CLOSED: 'The client was closed, before the call or while it waited.',
  ERR_MDP_ENDPOINT: 'An endpoint is not one that can be dialled.',
  ERR_MDP_FORBIDDEN:
    'The broker refused (403): the key, or the listener, gives no right to that service; `details` as in ERR_MDP_REFUSED.',
  ERR_MDP_KEY_REFUSED:
    'The broker does not let the CURVE key of this client in: two handshakes in a row were refused.',
  ERR_MDP_LIMIT: 'A bound of this client was reached: `maxOutstanding` or `streamBufferBytes`.',
  ERR_MDP_NO_WORKER:
    'Nobody serves that service now, and the client does not wait (`ifNoWorker: "fail"`).',
  ERR_MDP_OPTION: 'An option or argument is unknown, of the wrong type or out of range.',
  ERR_MDP_REFUSED: 'The broker refused: `details` has `status`, `service` and `reason`.',
  ERR_MDP_STREAM_BROKEN: 'A stream ended after a PARTIAL had been delivered and before FINAL.',
  ERR_MDP_TIMEOUT: 'No answer came in time; `details.sends` says how often it was sent.',
  ERR_MDP_UNREACHABLE: 'No endpoint accepted a connection in time: nothing was sent.',
  ERR_SERVICE_FAILED:
    'The service failed, and says why: a `ServiceError` with `service`, `serviceCode`, `message` and `details`.',
  ERR_TITANIC_DEAD:
    'The stored request is dead (500): no attempt was answered, and no worker said why; see `details.text`.',
  ERR_TITANIC_PENDING: 'No reply to the stored request came within `timeoutMs`; it may come yet.',
  ERR_TITANIC_REFUSED: 'A submit or close was refused: `details` has `status` and `text`.',
  ERR_TITANIC_UNKNOWN: 'The stored request is unknown (400): closed, expired, or never stored.',
  ERR_TITANIC_UNSUPPORTED: 'An option of submit needs `titanic.submit`; this broker has it not.',
} as const;

export type SdkErrorCode = keyof typeof SDK_ERRORS;

export function sdkError(
  code: SdkErrorCode,
  message: string,
  options?: MajordomoErrorOptions,
): MajordomoError {
  return new MajordomoError(code, message, options);
}
