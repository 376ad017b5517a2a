/** `POST /api/v1/services/{service}/requests`: a program sends a request. */
import type { Answer, Stream } from '../../admin/http/answer.js';
import { OPERATIONS } from '../../admin/api/operations.js';
import { SUBMIT_PARAMETERS } from '../../admin/api/parameters.js';
import { httpCodeOf, httpError, wrongParameter } from '../../admin/http/errors.js';
import { type CheckedRequest, route, type Route } from '../../admin/http/route.js';
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
  prefersAsync,
  refuseOptions,
  wantedBy,
  webhookIn,
} from './headers.js';
import { addParts, boundaryIn } from './parts.js';
import { Reply } from './reply.js';
import { ReplyEvents } from './sse.js';

const SUBMIT: Buffer = Buffer.from(TITANIC_SUBMIT);
const OWN_SERVICE = /^(mmi|titanic)\./;

type Request = CheckedRequest<typeof OPERATIONS.request>;

/** @param isStored whether this node stores requests */
export function requestRoute(callers: () => Callers, isStored: boolean): Route {
  return route(OPERATIONS.request, async (request) => {
    const { parts, incoming, token } = request;
    const { service } = parts;
    if (OWN_SERVICE.test(service.toString('latin1'))) {
      throw wrongParameter('service', 'mmi.* and titanic.* are not for requests over HTTP');
    }
    const isDurable = request.query.durable || prefersAsync(incoming.headers);
    if (isDurable) checkStored(isStored);
    const order = isDurable ? submission(request, service) : plain(request, service);
    const port = callers();
    const call = port.take(token, incoming, isDurable ? null : service);
    const send = await received(request, call, port, order, service);
    return await answered(request, call, isDurable, send);
  });
}

/** What stands before the body. */
function plain({ query, incoming: { headers } }: Request, service: Buffer): readonly Uint8Array[] {
  const given = SUBMIT_PARAMETERS.find(({ name }) => query[name] !== null);
  if (given !== undefined) throw wrongParameter(given.name, 'only for requests that are stored');
  idempotencyKey(headers, false);
  webhookIn(headers, false);
  // A stream may go on for longer than its first event may take.
  const deadlineMs = wantedBy(headers).kind === 'events' ? 0 : query.timeoutMs;
  const metadata = { deadlineMs, headers: headersFrame(headers) };
  return clientRequestWithHeaders(REQUEST_ID, service, metadata, []).slice(0, -1);
}

function submission({ query, incoming: { headers } }: Request, service: Buffer): Uint8Array[] {
  refuseOptions(headers);
  const key = idempotencyKey(headers, true);
  const webhook = webhookIn(headers, true);
  const passed = headersFrame(headers);
  const options = {
    ...(key === null ? {} : { key }),
    existed: true,
    ...(webhook === null ? {} : { webhook }),
    ...Object.fromEntries(SUBMIT_PARAMETERS.map(({ name }) => [name, query[name] ?? undefined])),
    ...(passed.length === 0 ? {} : { headers: JSON.parse(passed.toString('utf8')) as unknown }),
  };
  return clientRequest(2, null, SUBMIT, [Buffer.from(JSON.stringify(options)), service]);
}

/** Reads the body. @returns what sends the whole request */
async function received(
  { incoming }: Request,
  call: Call,
  { messageBytesMax, framesMax }: Callers,
  order: readonly Uint8Array[],
  service: Buffer,
): Promise<(listener: CallListener) => void> {
  const head = order.reduce((bytes, frame) => bytes + frame.length, 0);
  const most = Math.max(0, messageBytesMax - head);
  const boundary = boundaryIn(incoming.headers);
  try {
    const body = await incoming.bytes(most, (bytes) => {
      call.keep(bytes);
    });
    const frames = Frames.of(...order);
    if (boundary === null) {
      frames.push(body, 0, body.length);
      return (listener) => {
        call.send(frames, listener);
      };
    }
    const client = { isGone: false };
    incoming.onClosed(() => {
      client.isGone = true;
    });
    const areAll = await addParts(body, boundary, frames, framesMax);
    // Another request may use the call by now.
    if (client.isGone) throw httpError('ERR_HTTP_BODY', 'the client has gone');
    if (!areAll) {
      const reason = `more than ${framesMax - order.length} parts: limits.frames is ${framesMax}`;
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

async function answered(
  { query: { timeoutMs }, incoming: { headers } }: Request,
  call: Call,
  isDurable: boolean,
  send: (listener: CallListener) => void,
): Promise<Answer | Stream> {
  const wanted = wantedBy(headers);
  if (wanted.kind === 'events' && !isDurable) {
    const events = new ReplyEvents(call, timeoutMs);
    send(events);
    const first = await events.first();
    if ('type' in first) return first;
    return 'frames' in first ? events.stream() : endAnswer(first);
  }
  const reply = new Reply(wanted);
  const outcome = await outcomeOf(timeoutMs, call, send, reply);
  if ('type' in outcome) return outcome;
  if (outcome.kind !== 'reply') return endAnswer(outcome);
  if (!isDurable) return reply.answer(outcome);
  const answer = titanicAnswer(outcome);
  const uuid = frameOf(answer.rest, 0);
  if (answer.status !== 200 || uuid === undefined) return titanicFailure(answer);
  const applied = prefersAsync(headers) ? { 'preference-applied': 'respond-async' } : {};
  return storedAnswer(uuid.toString('latin1'), frameOf(answer.rest, 1), applied);
}
