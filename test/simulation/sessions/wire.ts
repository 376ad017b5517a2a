/** What a client with a session writes and reads, as `MdpExchange` of the SDK does. */
import { int32At } from '../../../src/core/bytes.js';
import type { Frames } from '../../../src/core/frames.js';
import { BrokerFacts } from '../../../src/sdk/broker-facts.js';
import type { BrokerRefusal, Call } from '../../../src/sdk/client/call.js';
import { correlation, PROBE_ID } from '../../../src/sdk/client/correlation.js';
import {
  type LearntBroker,
  NO_SESSION,
  type SessionState,
} from '../../../src/sdk/client/delivery-strategy.js';
import { whyLeadMs } from '../../../src/sdk/client/whys.js';
import { frameList } from '../../../src/sdk/body.js';
import {
  clientRequest,
  clientRequestWithHeaders,
  clientRequestWithOptions,
  readClientReply,
} from '../../../src/wire/client-side.js';
import { readJsonObject } from '../../../src/wire/json-object.js';
import { EMPTY } from '../../../src/wire/mdp.js';
import {
  helloFrame,
  MMI_BROKER,
  MMI_CANCEL,
  MMI_FAILED,
  MMI_HELLO,
  MMI_REFUSED,
  MMI_RESUME,
  type ResumeState,
} from '../../../src/wire/mmi.js';
import { requestOptionsFrame } from '../../../src/wire/request-options.js';
import { violated } from '../world/failure.js';

type Sends = readonly (readonly [id: number, send: number])[];

/** What a message says. */
export type Heard =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'greeted'; readonly session: SessionState | null }
  | { readonly kind: 'resumed'; readonly states: readonly ResumeState[] | null }
  | { readonly kind: 'learnt'; readonly broker: LearntBroker }
  | {
      readonly kind: 'refused';
      readonly id: number;
      readonly send: number;
      readonly refusal: BrokerRefusal;
    }
  | {
      readonly kind: 'final' | 'failed';
      readonly id: number;
      readonly send: number;
      readonly body: readonly string[];
    };

/** Without a correlation id: it applies to the whole connection. */
function uncorrelated(service: string, body: readonly Buffer[]): Uint8Array[] {
  return [EMPTY, ...clientRequest(2, null, Buffer.from(service), body)];
}

function ids(sends: Sends): Buffer[] {
  return sends.map(([id, send]) => correlation(id, send));
}

export const hello = (session: string): Uint8Array[] =>
  uncorrelated(MMI_HELLO, [helloFrame({ refusesToWait: false, hearsFailures: true, session })]);

export const probe = (): Uint8Array[] =>
  clientRequest(2, correlation(PROBE_ID, 0), Buffer.from(MMI_BROKER), [EMPTY]);

export const cancel = (sends: Sends): Uint8Array[] => uncorrelated(MMI_CANCEL, ids(sends));

export const resume = (sends: Sends): Uint8Array[] => uncorrelated(MMI_RESUME, ids(sends));

/** @param once said on the wire */
export function request(
  call: Call,
  once: boolean,
  leftMs: number,
  group: string,
): readonly Uint8Array[] {
  const { name } = call.target;
  const id = correlation(call.id, call.attempt);
  const body = frameList(call.body);
  const isPlain = !once && group === '';
  if (isPlain && !call.saidTime) return clientRequest(2, id, name, body);
  const deadlineMs = Math.max(1, Math.floor(leftMs - (once ? whyLeadMs(leftMs) : 0)));
  const saysTime = once || call.saidTime;
  const metadata = { deadlineMs: saysTime ? deadlineMs : 0, headers: EMPTY };
  if (isPlain) return clientRequestWithHeaders(id, name, metadata, body);
  const options = once ? requestOptionsFrame({ once }) : EMPTY;
  return clientRequestWithOptions(id, name, options, metadata, body, Buffer.from(group));
}

export function read(frames: Frames): Heard {
  const reply = readClientReply(frames);
  if (reply.kind === 'malformed') violated(`a client cannot read a reply: ${reply.reason}`);
  const service = frames.view(reply.service).toString();
  const body = frames.copyFrom(reply.body);
  const [status = '', subject = '', reason = ''] = body.map(String);
  if (reply.envelopeFrames <= 0) {
    if (service === MMI_HELLO) return { kind: 'greeted', session: sessionOf(body[1]) };
    if (service === MMI_RESUME) {
      const states = body.slice(1).map(String) as ResumeState[];
      return { kind: 'resumed', states: status === '200' ? states : null };
    }
    if (service === MMI_REFUSED && subject === MMI_HELLO) return { kind: 'greeted', session: null };
    if (service === MMI_REFUSED && subject === MMI_RESUME) {
      return { kind: 'resumed', states: null };
    }
    return { kind: 'nothing' };
  }
  const id = int32At(frames.buffer(0), frames.start(0));
  const send = frames.buffer(0)[frames.start(0) + 4] ?? 0;
  if (id === PROBE_ID) {
    if (service !== MMI_BROKER) return { kind: 'nothing' };
    const { offers, pairHeartbeatMs, instance } = new BrokerFacts(frames, reply.body);
    const { headers: takesHeaders, options: takesOptions } = offers;
    const broker = {
      takesHeaders,
      takesOptions,
      takesGroups: false,
      tellsWhy: false,
      pairHeartbeatMs,
      instance,
    };
    return { kind: 'learnt', broker };
  }
  if (service === MMI_REFUSED) return { kind: 'refused', id, send, refusal: { status, reason } };
  return { kind: service === MMI_FAILED ? 'failed' : 'final', id, send, body: body.map(String) };
}

function sessionOf(frame: Buffer | undefined): SessionState {
  const { resumeMs, known } = frame === undefined ? {} : (readJsonObject(frame) ?? {});
  const isGiven = typeof resumeMs === 'number' && resumeMs > 0;
  return isGiven ? { resumeMs, isKnown: known === true } : NO_SESSION;
}
