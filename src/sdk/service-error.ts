import { isBranded, MajordomoError } from '../core/errors.js';
import { type ClientFailure, isWorkerCode } from '../wire/failure.js';
import { readJsonObject } from '../wire/json-object.js';
import { type MajordomoError as SdkError, sdkError, type SdkErrorCode } from './errors.js';

/**
 * Options of `ServiceError`.
 *
 *     throw new ServiceError('busy', 'Try later', { retry: 'elsewhere', details: { load: 0.97 } });
 */
export interface ServiceErrorOptions {
  /**
   * Whether the broker retries a durable request: `true`, the default: after a pause; `false`: never, the
   * request is dead. `'elsewhere'`, for failures that the request did not cause: a plain request goes to
   * another worker at once; a stored one is retried after a pause, as with `true`.
   */
  readonly retry?: boolean | 'elsewhere';
  /** Details for the client program, sent as JSON: at most 64 KiB. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** The error behind this one. It stays in the worker: clients do not get it. */
  readonly cause?: unknown;
}

/**
 * A failure of a service. A handler throws it, and the client's `request`, `stream` or `job.result()`
 * rejects with an equal error:
 *
 *     throw new ServiceError('card_declined', 'The card was declined', { retry: false });
 *
 * Its `code` is always `ERR_SERVICE_FAILED`; `serviceCode` and `message` come from the service.
 */
export class ServiceError extends MajordomoError<'ERR_SERVICE_FAILED'> {
  /** Always `ServiceError`. */
  override readonly name = 'ServiceError';
  /** The error code of the service: 1 to 64 characters of `A-Z a-z 0-9 . _ -`. Codes that begin with `mdp.` are the broker's. */
  readonly serviceCode: string;
  /** The service that failed; empty in a handler. */
  readonly service: string = '';
  /** Whether the broker retries, as given in the handler's error; at a client `true`, which says nothing. */
  readonly retry: boolean | 'elsewhere';
  /** The detail frames of the failure. A handler of this SDK sends one frame, the JSON of `details`. */
  readonly detail: readonly Buffer[] = [];

  /** @throws ERR_MDP_OPTION if `serviceCode` or `retry` is invalid */
  constructor(serviceCode: string, message: string, options: ServiceErrorOptions = {}) {
    const { retry = true, details = {}, cause } = options;
    super('ERR_SERVICE_FAILED', message, cause === undefined ? { details } : { details, cause });
    if (typeof serviceCode !== 'string' || !isWorkerCode(serviceCode)) {
      const text =
        'the code of a ServiceError must be 1 to 64 characters of A-Z a-z 0-9 . _ -, ' +
        'and must not begin with mdp.';
      throw sdkError('ERR_MDP_OPTION', text, { details: { option: 'serviceCode' } });
    }
    if (retry !== 'elsewhere' && typeof retry !== 'boolean') {
      const text = "retry of a ServiceError must be true, false or 'elsewhere'";
      throw sdkError('ERR_MDP_OPTION', text, { details: { option: 'retry' } });
    }
    this.serviceCode = serviceCode;
    this.retry = retry;
  }
}

const RECEIVED = 'received';

/** The error for a failure that the broker sent to a client. */
export function serviceError(
  service: string,
  { code, text, detail }: Omit<ClientFailure, 'service'>,
): ServiceError {
  const details = detailsOf(detail);
  const error = new ServiceError(RECEIVED, text === '' ? code : text, { details });
  // The broker's own codes, which a handler cannot give, are among them.
  return Object.assign(error, { service, serviceCode: code, detail });
}

/** The keys of a single frame that is a JSON object; otherwise none. */
function detailsOf(detail: readonly Buffer[]): Readonly<Record<string, unknown>> {
  const [frame] = detail;
  if (frame?.[0] !== BRACE || detail.length > 1) return {};
  return readJsonObject(frame) ?? {};
}

const BRACE = 0x7b;

/** Whether an error is a `ServiceError`, by its fields: there may be two copies of this package in one process. */
export function isServiceError(error: unknown): error is ServiceError {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    error.code === 'ERR_SERVICE_FAILED' &&
    'serviceCode' in error &&
    typeof error.serviceCode === 'string' &&
    'message' in error &&
    typeof error.message === 'string'
  );
}

/** The error with a code: a `ServiceError` for ERR_SERVICE_FAILED. */
export type ErrorOf<Code extends SdkErrorCode> = Code extends 'ERR_SERVICE_FAILED'
  ? ServiceError
  : SdkError<Code>;

/**
 * True for an error of the SDK, with `code` if that is given; also for one of another copy of the package.
 *
 *     try {
 *       await client.request('pay', order);
 *     } catch (error) {
 *       if (isMajordomoError(error, 'ERR_SERVICE_FAILED')) console.log(error.serviceCode);
 *       else if (isMajordomoError(error, 'ERR_MDP_TIMEOUT')) console.log('no answer in time');
 *       else throw error;
 *     }
 */
export function isMajordomoError(error: unknown): error is ErrorOf<SdkErrorCode>;
export function isMajordomoError<Code extends SdkErrorCode>(
  error: unknown,
  code: Code,
): error is ErrorOf<Code>;
export function isMajordomoError(error: unknown, code?: SdkErrorCode): boolean {
  return isBranded(error) && (code === undefined || error.code === code);
}
