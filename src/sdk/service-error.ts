import { MajordomoError } from '../core/errors.js';
import type { ClientFailure } from '../wire/failure.js';
import { sdkError } from './errors.js';

/** Options of `ServiceError`. */
export interface ServiceErrorOptions {
  /**
   * Whether a stored request is tried again: `true`, the default, after a pause; `false`: never, it is
   * dead. `'elsewhere'`: it is not the request's fault, so another worker tries it, a plain request as well.
   */
  readonly retry?: boolean | 'elsewhere';
  /** Facts for the client's program, sent as JSON: at most 64 KiB. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

const CODE = /^[A-Za-z0-9._-]{1,64}$/;

/**
 * A service says that it could not do what it was asked. A handler throws it, and the client's
 * `request`, `stream` or `job.result()` rejects with one that says the same:
 *
 *     throw new ServiceError('card_declined', 'The card was declined', { retry: false });
 *
 * Its `code` is always `ERR_SERVICE_FAILED`; what the service said is `serviceCode` and `message`.
 */
export class ServiceError extends MajordomoError {
  override readonly name = 'ServiceError';
  /** The service's own word for what went wrong: 1 to 64 characters of `A-Z a-z 0-9 . _ -`. */
  readonly serviceCode: string;
  /** The service that failed; empty where a handler has just made the error. */
  readonly service: string = '';
  readonly retry: boolean | 'elsewhere';
  /** What came with it, frame by frame: of a handler in this SDK one frame, the JSON of `details`. */
  readonly detail: readonly Buffer[] = [];

  /** @throws ERR_MDP_OPTION if the code is not one */
  constructor(serviceCode: string, message: string, options: ServiceErrorOptions = {}) {
    const { retry = true, details = {}, cause } = options;
    super('ERR_SERVICE_FAILED', message, cause === undefined ? { details } : { details, cause });
    if (typeof serviceCode !== 'string' || !CODE.test(serviceCode)) {
      const text = 'the code of a ServiceError must be 1 to 64 characters of A-Z a-z 0-9 . _ -';
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

/** The error of a failure that a client was told. */
export function serviceError(
  service: string,
  { code, text, detail }: Omit<ClientFailure, 'service'>,
): ServiceError {
  const details = detailsOf(detail);
  const error = new ServiceError(code, text === '' ? code : text, {
    details,
  });
  return Object.assign(error, { service, detail });
}

/** Of one frame that is a JSON object, its keys; else none. */
function detailsOf(detail: readonly Buffer[]): Readonly<Record<string, unknown>> {
  const [frame] = detail;
  if (frame?.[0] !== BRACE || detail.length > 1) return {};
  try {
    const given: unknown = JSON.parse(frame.toString('utf8'));
    return typeof given === 'object' && given !== null ? { ...given } : {};
  } catch {
    return {};
  }
}

const BRACE = 0x7b;

/** By its fields: there may be two copies of this package in one process. */
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
