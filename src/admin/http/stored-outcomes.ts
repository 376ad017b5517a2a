/** What routes about stored requests answer if there is no answer of the operator API. */
import type { OperatorApi, OperatorResult } from '../../titanic/operator/operator-api.js';
import type { Ports } from '../ports.js';
import { type HttpErrorCode, httpError } from './errors.js';

/** @throws ERR_HTTP_NOT_FOUND, ERR_HTTP_NOT_READY */
export function requireOperatorApi(operatorApi: ReturnType<Ports['operatorApi']>): OperatorApi {
  switch (operatorApi) {
    case 'off':
      throw httpError(
        'ERR_HTTP_NOT_FOUND',
        'durable requests are switched off: titanic.enabled is false',
      );
    case 'not_ready':
      throw httpError(
        'ERR_HTTP_NOT_READY',
        'the store is not open: the node is starting or stopping',
      );
    default:
      return operatorApi;
  }
}

const CODES = {
  unknown: 'ERR_HTTP_NOT_FOUND',
  state: 'ERR_HTTP_STATE',
  trouble: 'ERR_HTTP_STORE',
} as const satisfies Record<string, HttpErrorCode>;

/** @throws ERR_HTTP_NOT_FOUND, ERR_HTTP_STATE, ERR_HTTP_STORE */
export function requireDone<Value>(outcome: OperatorResult<Value>): Value {
  if (outcome.kind === 'done') return outcome.value;
  throw httpError(CODES[outcome.kind], outcome.text);
}
