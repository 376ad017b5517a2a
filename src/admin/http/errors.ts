import { codeOf, MajordomoError } from '../../core/errors.js';

export type HttpErrorCode =
  | 'ERR_HTTP_REQUEST'
  | 'ERR_HTTP_PARAMETER'
  | 'ERR_HTTP_BODY'
  | 'ERR_HTTP_TOKEN'
  | 'ERR_HTTP_READ_ONLY'
  | 'ERR_HTTP_ROLE'
  | 'ERR_HTTP_HOST'
  | 'ERR_HTTP_NOT_FOUND'
  | 'ERR_HTTP_METHOD'
  | 'ERR_HTTP_TIMEOUT'
  | 'ERR_HTTP_STATE'
  | 'ERR_HTTP_TOO_LARGE'
  | 'ERR_HTTP_EXPECTATION'
  | 'ERR_HTTP_HEADERS'
  | 'ERR_HTTP_INTERNAL'
  | 'ERR_HTTP_BUSY'
  | 'ERR_HTTP_STORE'
  | 'ERR_HTTP_NOT_READY'
  | 'ERR_HTTP_FORBIDDEN'
  | 'ERR_HTTP_NO_WORKER'
  | 'ERR_HTTP_FAILED'
  | 'ERR_HTTP_KEY_REUSED'
  | 'ERR_HTTP_LIMIT'
  | 'ERR_HTTP_NO_REPLY'
  | 'ERR_HTTP_OUTCOME_UNKNOWN'
  | 'ERR_HTTP_EXPIRED';

/** The status and description of each error. docs/errors.md has the same rows. */
export const HTTP_ERRORS: Readonly<Record<HttpErrorCode, readonly [status: number, when: string]>> =
  {
    ERR_HTTP_REQUEST: [400, 'The request is not valid HTTP.'],
    ERR_HTTP_PARAMETER: [400, 'A parameter is unknown or has a wrong value; the message names it.'],
    ERR_HTTP_BODY: [
      400,
      'The body is not a JSON object with the known fields, or its chunks are too small.',
    ],
    ERR_HTTP_TOKEN: [401, 'The token is missing or wrong (`Authorization: Bearer …`).'],
    ERR_HTTP_READ_ONLY: [
      403,
      'The token has `role: read`; changes and bodies need one with `role: operate`.',
    ],
    ERR_HTTP_ROLE: [
      403,
      'Only tokens with `role: request` send requests to services, and they do nothing else.',
    ],
    ERR_HTTP_FORBIDDEN: [403, 'The token has no right to send requests to this service.'],
    ERR_HTTP_HOST: [403, 'On loopback the Host header must name loopback.'],
    ERR_HTTP_NOT_FOUND: [
      404,
      'There is nothing at this path, no request with this uuid, or no contract of this service.',
    ],
    ERR_HTTP_NO_WORKER: [404, 'No worker serves this service.'],
    ERR_HTTP_METHOD: [405, 'The path does not have this method; `Allow` lists the methods it has.'],
    ERR_HTTP_TIMEOUT: [408, 'The request did not arrive in time.'],
    ERR_HTTP_STATE: [409, 'This is not possible in the current state; the message says why.'],
    ERR_HTTP_TOO_LARGE: [413, 'The body is over the limit, which the message names.'],
    ERR_HTTP_EXPECTATION: [417, 'The Expect header asks for something unknown.'],
    ERR_HTTP_FAILED: [
      422,
      'The worker reports that the request failed; `serviceCode` and the message are its own.',
    ],
    ERR_HTTP_KEY_REUSED: [
      422,
      'The `Idempotency-Key` is that of a request with another body, other headers or other options.',
    ],
    ERR_HTTP_LIMIT: [429, 'A limit or a quota is used up; the message names it.'],
    ERR_HTTP_HEADERS: [431, 'The head is over 16 KiB, or has over 128 header fields.'],
    ERR_HTTP_INTERNAL: [500, 'A bug of the broker; its log has the stack.'],
    ERR_HTTP_NO_REPLY: [
      502,
      'The broker gave the request up: workers were lost with it, or their answer was not usable, or had no room.',
    ],
    ERR_HTTP_OUTCOME_UNKNOWN: [
      502,
      'The request may run once only (`Majordomo-Once`), and nobody knows whether it has; the message says what is known.',
    ],
    ERR_HTTP_BUSY: [
      503,
      'Too many clients wait for this already, or too much that was answered waits to be read; try again later.',
    ],
    ERR_HTTP_STORE: [503, 'The store cannot be read or written now; the message says why.'],
    ERR_HTTP_NOT_READY: [503, 'This node does not serve clients now; the message says why.'],
    ERR_HTTP_EXPIRED: [504, 'There was no reply in time.'],
  };

/** An error that is sent to the client. */
export function httpError(code: HttpErrorCode, message: string): MajordomoError {
  return new MajordomoError(code, message);
}

/** A parameter is wrong; the message names it. */
export function wrongParameter(name: string, why: string): MajordomoError {
  return new MajordomoError('ERR_HTTP_PARAMETER', `${name}: ${why}`, {
    details: { parameter: name },
  });
}

/** The code to answer with; `null` for errors that are not of `httpError`. */
export function httpCodeOf(error: unknown): HttpErrorCode | null {
  const code = codeOf(error) ?? '';
  return isHttpCode(code) ? code : null;
}

function isHttpCode(code: string): code is HttpErrorCode {
  return Object.hasOwn(HTTP_ERRORS, code);
}
