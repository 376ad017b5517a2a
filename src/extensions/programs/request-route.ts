/** `POST /api/v1/services/{service}/requests`: a program sends a request. */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';

import type { Answer, Stream } from '../../admin/http/answer.js';
import { OPERATIONS } from '../../admin/api/operations.js';
import { SUBMIT_PARAMETERS } from '../../admin/api/parameters.js';
import { httpCodeOf, httpError, wrongParameter } from '../../admin/http/errors.js';
import {
  type Begin,
  type CheckedRequest,
  type Connected,
  type HeaderValues,
  type Incoming,
  route,
  type Route,
} from '../../admin/http/route.js';
import { monotonicMs } from '../../core/clock.js';
import { Frames } from '../../core/frames.js';
import { pack, packedBytes, packedFrameBytes, putFrameHead, unpack } from '../../core/packed.js';
import { Piece, pieceOf } from '../../core/piece.js';
import {
  clientRequest,
  clientRequestWithHeaders,
  clientRequestWithOptions,
} from '../../wire/client-side.js';
import { EMPTY } from '../../wire/mdp.js';
import { requestOptionsFrame } from '../../wire/request-options.js';
import { TITANIC_SUBMIT } from '../../wire/tsp.js';
import {
  CLOSED,
  endAnswer,
  endOfOnce,
  EXPIRED,
  frameOf,
  refusalCode,
  storedAnswer,
  titanicAnswer,
  titanicFailure,
} from './answers.js';
import { type Outcome, outcomeOf } from './ask.js';
import { type Call, type CallListener, REQUEST_ID } from './call.js';
import type { Callers } from './callers.js';
import { checkStored } from './durable-routes.js';
import {
  groupIn,
  headersFrame,
  idempotencyKey,
  mayDiffer,
  onceIn,
  prefersAsync,
  refuseOptions,
  sameHeaders,
  type Wanted,
  wantedBy,
  webhookIn,
} from './headers.js';
import { type KeyedRequests, type KeyOf, Lease } from './keyed.js';
import { addParts, boundaryIn } from './parts.js';
import { Reply } from './reply.js';
import { ReplyEvents } from './sse.js';

const NO_STREAM =
  'not with Accept: text/event-stream: events that were sent once are not kept for who comes back';
/** How much of a body goes into its digest before others have their turn; a frame takes as long as so many bytes. */
const DIGESTED_AT_ONCE = 262_144;
const FRAME_BYTES = 1024;
const ONCE: Buffer = requestOptionsFrame({ once: true });
const SUBMIT: Buffer = Buffer.from(TITANIC_SUBMIT);
const OWN_SERVICE = /^(mmi|titanic)\./;

type Request = CheckedRequest<typeof OPERATIONS.request>;

/** Whether the store has this key of a token for a service. */
export type HasKey = (token: string, service: Buffer, key: string) => Promise<boolean>;

/** @param isStored whether this node stores requests */
export function requestRoute(
  callers: () => Callers,
  keyed: () => KeyedRequests,
  hasKey: HasKey,
  isStored: boolean,
): Route {
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
    const lease = new Lease(incoming);
    const call = port.take(tokenName, lease, isDurable ? null : service);
    const boundary = boundaryIn(incoming.headers);
    const wanted = wantedBy(incoming.headers);
    const { timeoutMs } = request.query;
    const once = onceIn(incoming.headers, isDurable);
    const how = { wanted, timeoutMs, once, isDurable, isAsync: prefersAsync(incoming.headers) };
    const isStreamed = wanted.kind === 'events' && !isDurable;
    const key = isDurable ? null : idempotencyKey(incoming.headers);
    if (boundary === null && !isStreamed && key === null) {
      incoming.repeats(repeated(callers, request, { head, headOf }, how), mayDiffer);
    }
    const whole = await received(incoming, call, port, head, boundary);
    const send = (listener: CallListener): void => {
      if (typeof whole === 'string') {
        call.sendTooLarge(service, whole, listener);
        return;
      }
      const piece = pieceOf(whole.buffer(whole.count - 1));
      call.send(whole, listener);
      // The broker holds it as long as it needs it.
      piece?.release();
    };
    if (isStreamed) return await streamed(call, how, send);
    const of = key === null ? null : { token: tokenName ?? '', service, key: key.key };
    // Who has lost the right to the service is told so by the broker.
    if (of === null || typeof whole === 'string' || !keyed().tokens.mayRequest(of.token, service)) {
      return await answered(call, how, send);
    }
    const digest = await digestOf(sameHeaders(incoming.headers), whole, head.count);
    return await keyedAnswer(keyed(), of, digest, incoming, { lease, call, how, send });
  });
}

/** A request that was received, and the call that it is to use. */
interface Received {
  readonly lease: Lease;
  readonly call: Call;
  readonly how: How;
  readonly send: (listener: CallListener) => void;
}

/** The answer to the request that has the key: this one, if there is none. @throws ERR_HTTP_KEY_REUSED, ERR_HTTP_LIMIT */
async function keyedAnswer(
  keyed: KeyedRequests,
  of: KeyOf,
  digest: string,
  client: Connected,
  { lease, call, how, send }: Received,
): Promise<Answer> {
  const known = keyed.find(of, digest);
  if (known !== null) {
    lease.end();
    const { timeoutMs, once } = how;
    return await known.wait(client, { timeoutMs, answer: once ? endOfOnce(EXPIRED) : EXPIRED });
  }
  // Its client has gone.
  if (lease.hasEnded) return CLOSED;
  const unsureMs = keyed.unsureMs(monotonicMs());
  if (how.once && unsureMs > 0) throw unknownBefore(keyed, unsureMs);
  const begun = keyed.begin(of, digest, lease, call.memory, unsureMs > 0);
  const run = async (): Promise<void> => {
    const reply = new Reply(how.wanted);
    const outcome = await outcomeOf(how.timeoutMs, call, send, reply);
    begun.end(plainAnswer(outcome, reply, how.once), mayHaveRun(outcome));
  };
  const [answer] = await Promise.all([begun.wait(client, null), run()]);
  return answer;
}

function quotedKey(headers: HeaderValues): string | null {
  return idempotencyKey(headers)?.quoted ?? null;
}

/** How a request is answered. */
interface How {
  readonly wanted: Wanted;
  readonly timeoutMs: number;
  /** At most one worker may run it. */
  readonly once: boolean;
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
    return answered(call, how, (listener) => call.send(frames, listener));
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

/** A request whose body is read to where the broker keeps it: behind its head, as frames that are packed. */
class LargeRequest {
  readonly piece: Piece;
  readonly frames: Frames = new Frames();
  readonly body: Buffer;

  constructor(head: Frames, bodyBytes: number) {
    this.piece = new Piece(packedBytes(head, 0, head.count) + packedFrameBytes(bodyBytes));
    const { bytes } = this.piece.words;
    const at = pack(head, 0, head.count, bytes, 0, true);
    const start = putFrameHead(bytes, at, bodyBytes, false);
    const end = start + bodyBytes;
    this.body = bytes.subarray(start, end);
    unpack(bytes, 0, end, this.frames);
    this.frames.isPacked = true;
    this.frames.isLasting = true;
  }
}

/** What stands before the body. */
function plain({ query }: Pick<Request, 'query'>, service: Buffer, headers: HeaderValues): Frames {
  const given = SUBMIT_PARAMETERS.find(({ name }) => query[name] !== null);
  if (given !== undefined) throw wrongParameter(given.name, 'only for requests that are stored');
  webhookIn(headers, false);
  const isStream = wantedBy(headers).kind === 'events';
  if (isStream && idempotencyKey(headers) !== null) {
    throw wrongParameter('Idempotency-Key', NO_STREAM);
  }
  // A stream may go on for longer than its first event may take.
  const deadlineMs = isStream ? 0 : query.timeoutMs;
  const metadata = { deadlineMs, headers: headersFrame(headers) };
  const options = onceIn(headers, false) ? ONCE : EMPTY;
  const group = Buffer.from(groupIn(headers) ?? '');
  const frames =
    options.length + group.length > 0
      ? clientRequestWithOptions(REQUEST_ID, service, options, metadata, [], group)
      : clientRequestWithHeaders(REQUEST_ID, service, metadata, []);
  return Frames.of(...frames.slice(0, -1));
}

/** @param isOld 0.1.0 stored its key with the quotation marks */
function submission(
  { query }: Pick<Request, 'query'>,
  service: Buffer,
  headers: HeaderValues,
  isOld: boolean,
): Frames {
  refuseOptions(headers);
  onceIn(headers, true);
  const given = idempotencyKey(headers);
  const key = (isOld ? given?.quoted : given?.key) ?? null;
  const webhook = webhookIn(headers, true);
  const group = groupIn(headers);
  const passed = headersFrame(headers);
  const options = {
    ...(key === null ? {} : { key }),
    existed: true,
    ...(webhook === null ? {} : { webhook }),
    ...(group === null ? {} : { group }),
    ...Object.fromEntries(SUBMIT_PARAMETERS.map(({ name }) => [name, query[name] ?? undefined])),
    ...(passed.length === 0 ? {} : { headers: JSON.parse(passed.toString('utf8')) as unknown }),
  };
  const first = Buffer.from(JSON.stringify(options));
  return Frames.of(...clientRequest(2, null, SUBMIT, [first, service]));
}

/** Reads the body. @returns the whole request; a text: why it is over the limits */
async function received(
  incoming: Incoming,
  call: Call,
  port: Callers,
  head: Frames,
  boundary: string | null,
): Promise<Frames | string> {
  const { messageBytesMax, framesMax } = port;
  const most = bodyBytesMax(port, head);
  const large: LargeRequest[] = [];
  const placeFor = (bytes: number): Buffer => {
    const request = new LargeRequest(head, bytes);
    large.push(request);
    return request.body;
  };
  const keep = (bytes: number): void => call.keep(bytes);
  try {
    const body = await incoming.bytes(most, keep, boundary === null ? placeFor : undefined);
    const [placed] = large;
    if (placed?.body === body) return placed.frames;
    if (boundary === null) return withBody(head, body);
    const frames = Frames.of(...head.copyFrom(0));
    const areAll = await addParts(body, boundary, frames, framesMax);
    if (areAll) return frames;
    return `more than ${framesMax - head.count} parts: limits.frames is ${framesMax}`;
  } catch (error) {
    large[0]?.piece.release();
    if (httpCodeOf(error) !== 'ERR_HTTP_TOO_LARGE') throw error;
    return `a body of more than ${most} bytes: limits.messageBytes is ${messageBytesMax}`;
  }
}

async function streamed(
  call: Call,
  { timeoutMs, once }: How,
  send: (listener: CallListener) => void,
): Promise<Answer | Stream> {
  const events = new ReplyEvents(call, timeoutMs, once ? endOfOnce : undefined);
  send(events);
  const first = await events.first();
  if ('type' in first) return first;
  return 'frames' in first ? events.stream() : endAnswer(first);
}

async function answered(
  call: Call,
  { wanted, timeoutMs, once, isDurable, isAsync }: How,
  send: (listener: CallListener) => void,
): Promise<Answer> {
  const reply = new Reply(wanted);
  const outcome = await outcomeOf(timeoutMs, call, send, reply);
  if (!isDurable) return passing(plainAnswer(outcome, reply, once), reply);
  if ('type' in outcome) return outcome;
  if (outcome.kind !== 'reply') return endAnswer(outcome);
  const answer = titanicAnswer(outcome);
  const uuid = frameOf(answer.rest, 0);
  if (answer.status !== 200 || uuid === undefined) return titanicFailure(answer);
  const applied = isAsync ? { 'preference-applied': 'respond-async' } : {};
  return storedAnswer(uuid.toString('latin1'), frameOf(answer.rest, 1), applied);
}

/** An answer that is sent once: then a large body is nobody's any more. */
function passing(answer: Answer, { piece }: Reply): Answer {
  return piece === undefined ? answer : { ...answer, sent: () => piece.release() };
}

/** @param reply has the parts before the last */
function plainAnswer(outcome: Outcome | Answer, reply: Reply, once: boolean): Answer {
  if ('type' in outcome) return once ? endOfOnce(outcome) : outcome;
  return outcome.kind === 'reply' ? reply.answer(outcome) : endAnswer(outcome);
}

/** The request of a key may have run before, and may not run again. */
function unknownBefore(keyed: KeyedRequests, unsureMs: number): Error {
  const rest = 'cannot know whether a request of this key ran before';
  if (unsureMs < Infinity) {
    const seconds = Math.ceil(unsureMs / 1000);
    const text = `outcome unknown: this node has just begun to serve and ${rest}; in ${seconds} s the key is a new one`;
    return httpError('ERR_HTTP_OUTCOME_UNKNOWN', text);
  }
  keyed.voted();
  const text = `outcome unknown: this node does not serve now and ${rest}`;
  return httpError('ERR_HTTP_OUTCOME_UNKNOWN', text);
}

/** False if the broker has refused it: the same request may be sent again. */
function mayHaveRun(outcome: Outcome | Answer): boolean {
  if ('type' in outcome || outcome.kind !== 'refused') return true;
  const code = refusalCode(outcome);
  return code === 'ERR_HTTP_NO_REPLY' || code === 'ERR_HTTP_OUTCOME_UNKNOWN';
}

/** @param from the index of the first frame of the body */
async function digestOf(headers: string, frames: Frames, from: number): Promise<string> {
  const hash = createHash('sha256').update(headers);
  let done = 0;
  for (let index = from; index < frames.count; index++) {
    const frame = frames.view(index);
    hash.update(`\n${frame.length}\n`);
    done += FRAME_BYTES;
    for (let at = 0; at === 0 || at < frame.length; at += DIGESTED_AT_ONCE) {
      const piece = frame.subarray(at, at + DIGESTED_AT_ONCE);
      hash.update(piece);
      done += piece.length;
      if (done < DIGESTED_AT_ONCE) continue;
      done = 0;
      await setImmediate();
    }
  }
  return hash.digest('base64');
}
