/** What a worker says of an error that a handler threw. */
import { codeOf, messageOf } from '../core/errors.js';
import {
  type Failure,
  FAILURE_DETAIL_BYTES_MAX,
  type FailureKind,
  failureText,
  isFailureCode,
} from '../wire/failure.js';
import { isServiceError, type ServiceError } from './service-error.js';

/** Of what says nothing that could be one. */
const ANY_CODE = 'Error';

/**
 * A `ServiceError` is told as it is. Of any other error: its `code` if that is a short identifier, else the
 * name of its class, and its message.
 * @param exposeErrors false: of any other error only the code is told
 */
export function failureOf(error: unknown, exposeErrors: boolean): Failure {
  if (isServiceError(error)) {
    const { serviceCode, message } = error;
    const code = isFailureCode(serviceCode) ? serviceCode : ANY_CODE;
    return { kind: kindOf(error), code, text: cut(message), detail: detailOf(error) };
  }
  const text = exposeErrors ? cut(messageOf(error)) : '';
  return { kind: 'error', code: codeFor(error), text, detail: [] };
}

function kindOf({ retry }: ServiceError): FailureKind {
  if (retry === 'elsewhere') return 'retry';
  return retry ? 'error' : 'final';
}

/** Details that cannot be sent must not cost the failure its code and kind: they say so instead. */
function detailOf({ details, detail }: ServiceError): readonly Buffer[] {
  // One that was told this worker by another service goes on as it came.
  if (detail.length > 0) return detail;
  if (Object.keys(details).length === 0) return [];
  let json: Buffer;
  try {
    json = Buffer.from(JSON.stringify(details));
  } catch (error) {
    return [omitted(`the details are not JSON: ${messageOf(error)}`)];
  }
  if (json.length <= FAILURE_DETAIL_BYTES_MAX) return [json];
  return [omitted(`the details have ${json.length} bytes, over ${FAILURE_DETAIL_BYTES_MAX}`)];
}

function omitted(why: string): Buffer {
  return Buffer.from(JSON.stringify({ omitted: cut(why) }));
}

function codeFor(error: unknown): string {
  const code = codeOf(error);
  if (code !== undefined && isFailureCode(code)) return code;
  const name = error instanceof Object ? error.constructor.name : '';
  return isFailureCode(name) ? name : ANY_CODE;
}

function cut(text: string): string {
  return failureText(Buffer.from(text));
}
