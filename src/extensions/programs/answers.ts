/** What becomes of a program's request, as an answer of HTTP. */
import { type Answer, failure, type Headers, json, laterAfter } from '../../admin/http/answer.js';
import { HTTP_ERRORS, type HttpErrorCode } from '../../admin/http/errors.js';
import { frameJson } from '../../core/frame-json.js';
import { codedReason, readDeadStatus } from '../../wire/failure.js';
import type { RefusalStatus } from '../../wire/mmi.js';
import type { TspExisted } from '../../wire/tsp.js';
import type { EndedBy } from './call.js';
import type { Body, Message } from './message.js';

type Refused = Extract<Message, { readonly kind: 'refused' }>;
type Failed = Extract<Message, { readonly kind: 'failed' }>;

/** How error codes of the broker itself begin, about a worker's answer. */
const OF_BROKER = 'mdp.';

/** The refusals of the broker (D11). docs/http.md has the same table. */
const REFUSALS: Readonly<Record<RefusalStatus, HttpErrorCode>> = {
  403: 'ERR_HTTP_FORBIDDEN',
  404: 'ERR_HTTP_NO_WORKER',
  408: 'ERR_HTTP_EXPIRED',
  413: 'ERR_HTTP_TOO_LARGE',
  429: 'ERR_HTTP_LIMIT',
  502: 'ERR_HTTP_NO_REPLY',
  520: 'ERR_HTTP_OUTCOME_UNKNOWN',
  503: 'ERR_HTTP_NOT_READY',
};

function refusedAnswer(code: HttpErrorCode, text: string, headers: Headers = {}): Answer {
  return failure(code, text, { ...laterAfter(code), ...headers });
}

export function refusalCode({ status }: Refused): HttpErrorCode {
  const known: Readonly<Record<string, HttpErrorCode | undefined>> = REFUSALS;
  return known[status] ?? 'ERR_HTTP_NO_REPLY';
}

/** The error of a failure; `detail` is for programs. */
export function failedError({ code, text, detail }: Failed): {
  readonly code: HttpErrorCode;
  readonly error: Readonly<Record<string, unknown>>;
} {
  if (code.startsWith(OF_BROKER)) {
    const message = codedReason({ code, text });
    return { code: 'ERR_HTTP_NO_REPLY', error: { code: 'ERR_HTTP_NO_REPLY', message } };
  }
  const message = text === '' ? code : text;
  const error = {
    code: 'ERR_HTTP_FAILED',
    message,
    serviceCode: code,
    detail: detail.map(frameJson),
  };
  return { code: 'ERR_HTTP_FAILED', error };
}

function failedAnswer(failed: Failed): Answer {
  const { code, error } = failedError(failed);
  // The worker has handled it: so nothing says that it may be sent again.
  return { ...json({ error }, HTTP_ERRORS[code][0]), withoutRoom: ENDS.memory };
}

/** A message that ends a request without a reply. */
export function endAnswer(message: Refused | Failed): Answer {
  return message.kind === 'failed'
    ? failedAnswer(message)
    : refusedAnswer(refusalCode(message), message.text);
}

export const EXPIRED: Answer = failure('ERR_HTTP_EXPIRED', 'there was no reply in time');
/** The next try would end like this one: so nothing says that the request may be sent again. */
function noRoom(why: string): Answer {
  return failure('ERR_HTTP_NO_REPLY', why, { connection: 'close' });
}

export const ENDS: Readonly<Record<EndedBy, Answer>> = {
  right: failure('ERR_HTTP_FORBIDDEN', 'the right to send requests to this service was withdrawn'),
  overrun: noRoom(
    'the parts of the reply are larger than limits.outputBytes: ask for text/event-stream, which sends each part at once',
  ),
  output: noRoom('replies that were not read take more than the quota `outputBytes` of this token'),
  memory: noRoom('there is no room for the reply: limits.memoryBytes is reached'),
};
export const CLOSED: Answer = refusedAnswer(
  'ERR_HTTP_NOT_READY',
  'the broker ended the request: it is stopping, or its memory is used up',
);

/**
 * Why a request ended here that may run once only (D117). If nothing came of a worker, it may be run by now, or not: that
 * is another answer than that of a request which no worker has begun.
 */
export function endOfOnce(answer: Answer): Answer {
  if (answer.status === HTTP_ERRORS.ERR_HTTP_NO_REPLY[0]) return answer;
  const { error } = JSON.parse(String(answer.body)) as { readonly error: { message: string } };
  return failure('ERR_HTTP_OUTCOME_UNKNOWN', `outcome unknown: ${error.message}`);
}

// ---------------------------------------------------------------- durable requests

/** The answer of a service `titanic.*`: its status, the text behind it, and what follows. */
export interface TitanicAnswer {
  readonly status: number;
  readonly text: string;
  readonly rest: Body;
}

export function titanicAnswer({ frames, body }: Body): TitanicAnswer {
  const first = frames.view(body).toString('utf8');
  const [, status = '500', text = ''] = /^(\d{3})(?: (.*))?$/s.exec(first) ?? [];
  return { status: Number(status), text, rest: { frames, body: body + 1 } };
}

/** Why it was not done, or what the end of the request is. */
export function titanicFailure({ status, text, rest }: TitanicAnswer): Answer {
  const dead = readDeadStatus(text);
  if (dead !== null) {
    return failedAnswer({ kind: 'failed', ...dead, detail: rest.frames.copyFrom(rest.body) });
  }
  if (status === 409) return refusedAnswer('ERR_HTTP_KEY_REUSED', text);
  if (status < 500) {
    return text === 'unknown'
      ? refusedAnswer('ERR_HTTP_NOT_FOUND', 'there is no such request, or it is of another client')
      : refusedAnswer('ERR_HTTP_PARAMETER', text);
  }
  // The quota of this token is its own affair; all else concerns everybody.
  const code = text.startsWith('the quota ') ? 'ERR_HTTP_LIMIT' : 'ERR_HTTP_STORE';
  const uuid = frameOf(rest, 0);
  // It may be stored all the same: this tells (D105).
  const where = uuid === undefined ? {} : { location: resultPath(uuid.toString('latin1')) };
  return refusedAnswer(code, text, where);
}

/** The frame so many behind the status; `undefined`: there are fewer. */
export function frameOf({ frames, body }: Body, index: number): Buffer | undefined {
  return body + index < frames.count ? Buffer.from(frames.view(body + index)) : undefined;
}

/** What is said of a request that has ended before its key was used again. */
const NOTES: Readonly<Partial<Record<TspExisted['state'], string>>> = {
  dead:
    'the request of this key is dead: its result says why. To begin anew, use another key, or have an operator ' +
    'retry it (majordomo durable retry UUID)',
  closed:
    'the request of this key has ended, and nothing is kept of it but the key. To begin anew, use another key',
};

/** @param told the frame behind the uuid, as `titanic.submit` answers whoever asks whether it existed */
export function storedAnswer(uuid: string, told: Buffer | undefined, headers: Headers): Answer {
  const { existed, state } = JSON.parse(String(told)) as TspExisted;
  const note = NOTES[state] ?? null;
  return json({ uuid, state, existed, note }, 202, { location: resultPath(uuid), ...headers });
}

export function resultPath(uuid: string): string {
  return `/api/v1/titanic/requests/${uuid}/result`;
}
