/** Answers of `titanic.*` (9/TSP, D16): a status frame, and what follows. Total: brokers may say anything. */
import type { MajordomoError } from '../core/errors.js';
import { sdkError, type SdkErrorCode } from './errors.js';

export interface TitanicAnswer {
  /** Three digits; `0` if there are none. */
  readonly status: number;
  /** What follows the digits: for people. */
  readonly text: string;
  readonly frames: Buffer[];
}

const TEXT_MAX = 1000;

export function readAnswer([status, ...frames]: readonly Buffer[]): TitanicAnswer {
  const shown = (status ?? Buffer.alloc(0)).toString('utf8', 0, TEXT_MAX);
  const match = /^([0-9]{3})(?: (.*))?$/s.exec(shown);
  if (match === null) return { status: 0, text: `not a status: ${JSON.stringify(shown)}`, frames };
  return { status: Number(match[1]), text: match[2] ?? '', frames };
}

/** The error of `status` and `text`, about the stored request `uuid` if there is one. */
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

/** The error that the answer to a question for a reply is, if it is neither one nor pending. */
export function replyError(answer: TitanicAnswer, uuid: string): MajordomoError {
  if (answer.status === 400) {
    return answerError('ERR_TITANIC_UNKNOWN', `no stored request ${uuid}`, answer, uuid);
  }
  if (answer.status === 500) {
    return answerError('ERR_TITANIC_DEAD', `the stored request ${uuid} failed`, answer, uuid);
  }
  return answerError('ERR_TITANIC_REFUSED', `no answer about ${uuid}`, answer, uuid);
}
