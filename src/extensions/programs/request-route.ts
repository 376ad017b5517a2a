/** `POST /api/v1/services/{service}/requests`: a program sends a request. */
import type { Answer, Stream } from '../../admin/http/answer.js';
import { OPERATIONS } from '../../admin/api/operations.js';
import { SUBMIT_PARAMETERS } from '../../admin/api/parameters.js';
import { httpCodeOf, wrongParameter } from '../../admin/http/errors.js';
import {
  type Begin,
  type CheckedRequest,
  type HeaderValues,
  type Incoming,
  route,
  type Route,
} from '../../admin/http/route.js';
import { Frames } from '../../core/frames.js';
import { clientRequest, clientRequestWithHeaders } from '../../wire/client-side.js';
import { TITANIC_SUBMIT } from '../../wire/tsp.js';
import { endAnswer, frameOf, storedAnswer, titanicAnswer, titanicFailure } from './answers.js';
import { outcomeOf } from './ask.js';
import { type Call, type CallListener, REQUEST_ID } from './call.js';
import type { Callers } from './callers.js';
import { checkStored } from './durable-routes.js';
import {
  headersFrame,
  idempotencyKey,
  mayDiffer,
  prefersAsync,
  refuseOptions,
  type Wanted,
  wantedBy,
  webhookIn,
} from './headers.js';
import { addParts, boundaryIn } from './parts.js';
import { Reply } from './reply.js';
import { ReplyEvents } from './sse.js';

const SUBMIT: Buffer = Buffer.from(TITANIC_SUBMIT);
const OWN_SERVICE = /^(mmi|titanic)\./;

type Request = CheckedRequest<typeof OPERATIONS.request>;

/** Whether the store has this key of a token for a service. */
export type HasKey = (token: string, service: Buffer, key: string) => Promise<boolean>;

/** @param isStored whether this node stores requests */
export function requestRoute(callers: () => Callers, hasKey: HasKey, isStored: boolean): Route {
  return route(OPERATIONS.request, async (request) => {
    const { parts, incoming, tokenName } = request;
    const { service } = parts;
    if (OWN_SERVICE.test(service.toString('latin1'))) {
      throw wrongParameter('service', 'mmi.* and titanic.* are not for requests over HTTP');
    }
    const isDurable = request.query.durable || prefersAsync(incoming.headers);
    if (isDurable) checkStored(isStored);
    const headOf: typeof submission = isDurable ? submission : plain;
    const quoted = isDurable ? quotedKey(incoming.headers) : null;
    const isOld = quoted !== null && (await hasKey(tokenName ?? '', service, quoted));
    const head = headOf(request, service, incoming.headers, isOld);
    const port = callers();
    const call = port.take(tokenName, incoming, isDurable ? null : service);
    const boundary = boundaryIn(incoming.headers);
    const wanted = wantedBy(incoming.headers);
    const { timeoutMs } = request.query;
    const how = { wanted, timeoutMs, isDurable, isAsync: prefersAsync(incoming.headers) };
    const isStreamed = wanted.kind === 'events' && !isDurable;
    if (boundary === null && !isStreamed) {
      incoming.repeats(repeated(callers, request, { head, headOf }, how), mayDiffer);
    }
    const send = await received(incoming, call, port, head, service, boundary);
    return isStreamed ? await streamed(call, timeoutMs, send) : await answered(call, how, send);
  });
}

function quotedKey(headers: HeaderValues): string | null {
  return idempotencyKey(headers, true)?.quoted ?? null;
}

/** How a request is answered. */
interface How {
  readonly wanted: Wanted;
  readonly timeoutMs: number;
  readonly isDurable: boolean;
  /** The header `Prefer` has it stored. */
  readonly isAsync: boolean;
}

/**
 * Further requests that differ only in their bodies and in what `mayDiffer`. What there is no room for, and what is
 * refused, is left to the usual way, which says why.
 */
function repeated(
  callers: () => Callers,
  { tokenName, query, parts: { service }, incoming: { headers } }: Request,
  { head: first, headOf }: { readonly head: Frames; readonly headOf: typeof submission },
  how: How,
): Begin {
  const calledService = how.isDurable ? null : service;
  return (body, connected, values) => {
    let call: Call;
    let head: Frames;
    try {
      const isFirst = Object.keys(values).length === 0;
      const given = { ...headers, ...values };
      // The store is asked for it first.
      if (!isFirst && how.isDurable && quotedKey(given) !== null) return null;
      head = isFirst ? first : headOf({ query }, service, given, false);
      const port = callers();
      if (body.length > bodyBytesMax(port, head)) return null;
      call = port.take(tokenName, connected, calledService);
      call.keep(body.length);
    } catch {
      return null;
    }
    const frames = withBody(head, body);
    return answered(call, how, (listener) => {
      call.send(frames, listener);
    });
  };
}

function bodyBytesMax({ messageBytesMax }: Callers, head: Frames): number {
  let bytes = messageBytesMax;
  for (let index = 0; index < head.count; index++) bytes -= head.size(index);
  return Math.max(0, bytes);
}

function withBody(head: Frames, body: Buffer): Frames {
  const frames = new Frames();
  for (let index = 0; index < head.count; index++) {
    frames.push(head.buffer(index), head.start(index), head.end(index));
  }
  frames.push(body, 0, body.length);
  return frames;
}

/** What stands before the body. */
function plain({ query }: Pick<Request, 'query'>, service: Buffer, headers: HeaderValues): Frames {
  const given = SUBMIT_PARAMETERS.find(({ name }) => query[name] !== null);
  if (given !== undefined) throw wrongParameter(given.name, 'only for requests that are stored');
  idempotencyKey(headers, false);
  webhookIn(headers, false);
  // A stream may go on for longer than its first event may take.
  const deadlineMs = wantedBy(headers).kind === 'events' ? 0 : query.timeoutMs;
  const metadata = { deadlineMs, headers: headersFrame(headers) };
  return Frames.of(...clientRequestWithHeaders(REQUEST_ID, service, metadata, []).slice(0, -1));
}

/** @param isOld 0.1.0 stored its key with the quotation marks */
function submission(
  { query }: Pick<Request, 'query'>,
  service: Buffer,
  headers: HeaderValues,
  isOld: boolean,
): Frames {
  refuseOptions(headers);
  const given = idempotencyKey(headers, true);
  const key = (isOld ? given?.quoted : given?.key) ?? null;
  const webhook = webhookIn(headers, true);
  const passed = headersFrame(headers);
  const options = {
    ...(key === null ? {} : { key }),
    existed: true,
    ...(webhook === null ? {} : { webhook }),
    ...Object.fromEntries(SUBMIT_PARAMETERS.map(({ name }) => [name, query[name] ?? undefined])),
    ...(passed.length === 0 ? {} : { headers: JSON.parse(passed.toString('utf8')) as unknown }),
  };
  const first = Buffer.from(JSON.stringify(options));
  return Frames.of(...clientRequest(2, null, SUBMIT, [first, service]));
}

/** Reads the body. @returns what sends the whole request */
async function received(
  incoming: Incoming,
  call: Call,
  port: Callers,
  head: Frames,
  service: Buffer,
  boundary: string | null,
): Promise<(listener: CallListener) => void> {
  const { messageBytesMax, framesMax } = port;
  const most = bodyBytesMax(port, head);
  try {
    const body = await incoming.bytes(most, (bytes) => {
      call.keep(bytes);
    });
    if (boundary === null) {
      const frames = withBody(head, body);
      return (listener) => {
        call.send(frames, listener);
      };
    }
    const frames = Frames.of(...head.copyFrom(0));
    const areAll = await addParts(body, boundary, frames, framesMax);
    if (!areAll) {
      const reason = `more than ${framesMax - head.count} parts: limits.frames is ${framesMax}`;
      return (listener) => {
        call.sendTooLarge(service, reason, listener);
      };
    }
    return (listener) => {
      call.send(frames, listener);
    };
  } catch (error) {
    if (httpCodeOf(error) !== 'ERR_HTTP_TOO_LARGE') throw error;
    const reason = `a body of more than ${most} bytes: limits.messageBytes is ${messageBytesMax}`;
    return (listener) => {
      call.sendTooLarge(service, reason, listener);
    };
  }
}

async function streamed(
  call: Call,
  timeoutMs: number,
  send: (listener: CallListener) => void,
): Promise<Answer | Stream> {
  const events = new ReplyEvents(call, timeoutMs);
  send(events);
  const first = await events.first();
  if ('type' in first) return first;
  return 'frames' in first ? events.stream() : endAnswer(first);
}

async function answered(
  call: Call,
  { wanted, timeoutMs, isDurable, isAsync }: How,
  send: (listener: CallListener) => void,
): Promise<Answer> {
  const reply = new Reply(wanted);
  const outcome = await outcomeOf(timeoutMs, call, send, reply);
  if ('type' in outcome) return outcome;
  if (outcome.kind !== 'reply') return endAnswer(outcome);
  if (!isDurable) return reply.answer(outcome);
  const answer = titanicAnswer(outcome);
  const uuid = frameOf(answer.rest, 0);
  if (answer.status !== 200 || uuid === undefined) return titanicFailure(answer);
  const applied = isAsync ? { 'preference-applied': 'respond-async' } : {};
  return storedAnswer(uuid.toString('latin1'), frameOf(answer.rest, 1), applied);
}
