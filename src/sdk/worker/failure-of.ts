/** What a worker reports about an error that a handler threw. */
import { causeOf, codeOf, fieldOf, messageOf, readOf } from '../../core/errors.js';
import { oneLine } from '../../core/escape.js';
import {
  type Failure,
  FAILURE_DETAIL_BYTES_MAX,
  FAILURE_DETAIL_FRAMES_MAX,
  FAILURE_TEXT_BYTES_MAX,
  type FailureKind,
  failureText,
  isWorkerCode,
} from '../../wire/failure.js';
import { isServiceError, type ServiceError } from '../service-error.js';

/** The code of an error without a usable one. */
const ANY_CODE = 'Error';

/**
 * A `ServiceError` is reported unchanged. Of any other error: its `code` if that is a short
 * identifier, else the name of its class, and its message.
 * @param exposeErrors false: of any other error only the code
 */
export function failureOf(error: unknown, exposeErrors: boolean): Failure {
  const failure = readOf(() => (isServiceError(error) ? failureOfServiceError(error) : null), null);
  if (failure !== null) return failure;
  const text = exposeErrors ? cut(messageOf(error)) : '';
  return { kind: 'error', code: readOf(() => codeFor(error), ANY_CODE), text, detail: [] };
}

/** More than everything in a FAIL that is not its text and detail: envelope, token, kind, code. */
const HEAD_BYTES = 256;

/**
 * The failure as the broker accepts it: if all of it were too large, the broker would skip it, and
 * a request that may be tried again would be dead.
 * @param messageBytesMax the largest message that the broker accepts; at least 1 KiB
 */
export function fittingFailure(failure: Failure, messageBytesMax: number): Failure {
  const room = messageBytesMax - HEAD_BYTES;
  const text = Buffer.from(failure.text);
  const bytes = failure.detail.reduce((sum, frame) => sum + frame.length, 0);
  if (text.length + bytes <= room) return failure;
  const why = omitted(
    `the details have ${bytes} bytes, the broker accepts messages of at most ${messageBytesMax}`,
  );
  const detail = text.length + why.length <= room ? [why] : [];
  return { ...failure, text: failureText(text.subarray(0, room)), detail };
}

function failureOfServiceError(error: ServiceError): Failure {
  const { serviceCode, message } = error;
  const code = isWorkerCode(serviceCode) ? serviceCode : ANY_CODE;
  return { kind: kindOf(error), code, text: cut(message), detail: detailOf(error) };
}

function kindOf({ retry }: Pick<ServiceError, 'retry'>): FailureKind {
  if (retry === 'elsewhere') return 'retry';
  return !retry ? 'final' : 'error';
}

/**
 * Details that cannot be sent must not lose the failure's code and kind; the detail says what was
 * wrong.
 */
function detailOf(error: Partial<ServiceError>): readonly Buffer[] {
  try {
    const { details, detail } = error;
    // Detail that another service sent to this worker is passed on unchanged.
    if (Array.isArray(detail) && detail.length > 0) {
      return whole(detail.filter((frame) => Buffer.isBuffer(frame)));
    }
    const isEmpty = typeof details !== 'object' || Object.keys(details).length === 0;
    return isEmpty ? [] : whole([Buffer.from(JSON.stringify(details))]);
  } catch (reason) {
    return [omitted(`the details are not JSON: ${messageOf(reason)}`)];
  }
}

function whole(detail: readonly Buffer[]): readonly Buffer[] {
  const bytes = detail.reduce((sum, frame) => sum + frame.length, 0);
  if (bytes <= FAILURE_DETAIL_BYTES_MAX && detail.length <= FAILURE_DETAIL_FRAMES_MAX) {
    return detail;
  }
  return [
    omitted(`the details have ${bytes} bytes, at most ${FAILURE_DETAIL_BYTES_MAX} are allowed`),
  ];
}

function omitted(why: string): Buffer {
  return Buffer.from(JSON.stringify({ omitted: cut(why) }));
}

const FRAMES_MAX = 10;
const CAUSES_MAX = 3;

/**
 * Where an error was thrown and what caused it, for people: the lines of its stack, without those of Node. A `ServiceError`
 * is an answer, of which nothing is told.
 */
export function stackOf(error: unknown, causes: number = CAUSES_MAX): string[] {
  if (readOf(() => isServiceError(error), false)) return [];
  const stack = fieldOf(error, 'stack');
  const frames = typeof stack === 'string' ? stack.split('\n') : [];
  const lines = frames
    .filter((line) => /^ +at /.test(line) && !line.includes('node:internal'))
    .slice(0, FRAMES_MAX);
  const cause = causeOf(error);
  if (cause !== undefined && causes > 0) {
    lines.push(`caused by: ${messageOf(cause)}`, ...stackOf(cause, causes - 1));
  }
  return lines.map(oneLine);
}

function codeFor(error: unknown): string {
  const code = codeOf(error);
  if (code !== undefined && isWorkerCode(code)) return code;
  const name: unknown = error instanceof Object ? error.constructor.name : '';
  return typeof name === 'string' && isWorkerCode(name) ? name : ANY_CODE;
}

/** The first KiB: every character takes at least a byte. */
function cut(text: string): string {
  return failureText(Buffer.from(text.slice(0, FAILURE_TEXT_BYTES_MAX)));
}
