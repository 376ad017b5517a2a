/** Answers of `titanic.*` (9/TSP): a status frame, and what follows. Accepts any answer. */
import type { MajordomoError } from '../../core/errors.js';
import { OUTCOME_UNKNOWN } from '../../core/failure-words.js';
import { NO_REPLY, readDeadStatus } from '../../wire/failure.js';
import { TITANIC_REPLY } from '../../wire/tsp.js';
import { sdkError, type SdkErrorCode } from '../errors.js';
import { serviceError } from '../service-error.js';

export interface TitanicAnswer {
  /** Three digits; `0` if there are none. */
  readonly status: number;
  /** The text after the digits, for people. */
  readonly text: string;
  readonly frames: Buffer[];
}

/** More than the code and text of a failure. */
const TEXT_MAX = 2000;

export function readAnswer([status, ...frames]: readonly Buffer[]): TitanicAnswer {
  const shown = (status ?? Buffer.alloc(0)).toString('utf8', 0, TEXT_MAX);
  const match = /^([0-9]{3})(?: (.*))?$/s.exec(shown);
  if (match === null) return { status: 0, text: `not a status: ${JSON.stringify(shown)}`, frames };
  return { status: Number(match[1]), text: match[2] ?? '', frames };
}

/** The error for `status` and `text`, about the durable request `uuid` if there is one. */
export function answerError(
  code: SdkErrorCode,
  what: string,
  { status, text }: TitanicAnswer,
  uuid?: string,
): MajordomoError {
  const details = uuid === undefined ? { status, text } : { status, text, uuid };
  const why = text === '' ? '' : ` ${text}`;
  return sdkError(code, `${what}: ${status}${why}`, { details });
}

/** The error for something that was not `done`, or may have been: only a refusal that says no more excludes it. */
export function undoneError(
  code: SdkErrorCode,
  what: string,
  done: string,
  answer: TitanicAnswer,
  uuid?: string,
): MajordomoError {
  const { status, text } = answer;
  const isUnknown = status === 0 || status === 200 || text.startsWith(OUTCOME_UNKNOWN);
  const words = isUnknown
    ? `it is not known whether ${what} was ${done}`
    : `${what} was not ${done}`;
  return answerError(code, words, answer, uuid);
}

/** The status of a key that was used for another request (D112). */
const KEY_REUSED = 409;

/** The error for a request that was not stored, or may have been. */
export function notStored(service: string, answer: TitanicAnswer): MajordomoError {
  const code = answer.status === KEY_REUSED ? 'ERR_TITANIC_KEY_REUSED' : 'ERR_TITANIC_REFUSED';
  return undoneError(code, `the request to '${service}'`, 'stored', answer);
}

/** Why a request is dead. */
interface Death {
  /** The service's code; `null`: no worker reported one. */
  readonly code: string | null;
  readonly text: string;
}

/** @returns `null` unless the answer says that the request is dead */
export function deathOf({ status, text }: TitanicAnswer): Death | null {
  const death = status === 500 ? readDeadStatus(text) : null;
  if (death === null) return null;
  return { code: death.code === NO_REPLY ? null : death.code, text: death.text };
}

/** The error for a caller that waits for the reply of a dead request. */
export function deathError(
  service: string,
  uuid: string,
  { code, text }: Death,
  answer: TitanicAnswer,
): MajordomoError {
  // A job that was made from its uuid does not know its service.
  const known = service === TITANIC_REPLY ? '' : service;
  if (code !== null) return serviceError(known, { code, text, detail: answer.frames });
  return answerError('ERR_TITANIC_DEAD', `the durable request ${uuid} failed`, answer, uuid);
}

/** Why there is no reply yet, as a broker `said` of the service, after a colon; empty: it said nothing. */
export function whyPending(uuid: string, service: string, said: string): string {
  if (said !== '' || service !== TITANIC_REPLY) return said;
  return `; only its uuid is known here: \`majordomo durable show ${uuid}\` tells its service and its state`;
}

/** The error for an answer that is neither a reply nor pending. */
export function replyError(answer: TitanicAnswer, uuid: string): MajordomoError {
  if (answer.status === 400) {
    const { status, text } = answer;
    const words = `there is no durable request ${uuid} for this client: closed, expired, never stored, or of another key`;
    return sdkError('ERR_TITANIC_UNKNOWN', words, { details: { status, text, uuid } });
  }
  if (answer.status === 500) {
    return answerError('ERR_TITANIC_DEAD', `the durable request ${uuid} failed`, answer, uuid);
  }
  return answerError('ERR_TITANIC_REFUSED', `no answer about ${uuid}`, answer, uuid);
}
