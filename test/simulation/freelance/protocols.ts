/** What a client of the SDK writes and reads, over MDP and over 10/FLP, with what it means by it. */
import { int32At } from '../../../src/core/bytes.js';
import type { Frames } from '../../../src/core/frames.js';
import { frameList } from '../../../src/sdk/body.js';
import { BrokerFacts } from '../../../src/sdk/broker-facts.js';
import type { BrokerRefusal, Call } from '../../../src/sdk/client/call.js';
import { correlation, CORRELATION_BYTES, PROBE_ID } from '../../../src/sdk/client/correlation.js';
import type { LearntBroker } from '../../../src/sdk/client/delivery-strategy.js';
import {
  clientRequest,
  clientRequestWithHeaders,
  readClientReply,
} from '../../../src/wire/client-side.js';
import { PING, readFreelanceReply } from '../../../src/wire/flp-client.js';
import { EMPTY, type MdpVersion } from '../../../src/wire/mdp.js';
import { helloFrame, MMI_BROKER, MMI_HELLO, MMI_REFUSED } from '../../../src/wire/mmi.js';
import type { RequestIntent, Sent } from '../model/intent.js';
import { violated } from '../world/failure.js';

/** What a message from a server says. */
export type Heard =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'learnt'; readonly broker: LearntBroker }
  | {
      readonly kind: 'refused';
      readonly id: number;
      readonly send: number;
      readonly refusal: BrokerRefusal;
    }
  | {
      readonly kind: 'part' | 'final';
      readonly id: number;
      readonly send: number;
      /** The index of the body's first frame. */
      readonly body: number;
    };

export interface ClientTongue {
  /** The first messages on a connection. */
  greeting(): Sent[];
  /** Asks for a sign of life with a message. */
  ping(): Sent;
  request(call: Call, remainingMs: number): Sent;
  read(frames: Frames): Heard;
}

const NOTHING: Heard = { kind: 'nothing' };

/** The request's name, and the number of the send: the model of the broker tells sends apart by it. */
function bodyOf(call: Call): Buffer[] {
  const [name = EMPTY, ...others] = frameList(call.body);
  return [
    Buffer.from(`${Buffer.from(name).toString()}.${call.attempt}`),
    ...others.map((frame) => Buffer.from(frame)),
  ];
}

export class MdpTongue implements ClientTongue {
  readonly #version: MdpVersion;
  readonly #refusesToWait: boolean;

  constructor(version: MdpVersion, refusesToWait: boolean) {
    this.#version = version;
    this.#refusesToWait = refusesToWait;
  }

  greeting(): Sent[] {
    const hello = helloFrame({
      refusesToWait: this.#refusesToWait,
      hearsFailures: true,
      session: null,
    });
    return [this.#asking(null, MMI_HELLO, hello), this.ping()];
  }

  ping(): Sent {
    return this.#asking(correlation(PROBE_ID, 0), MMI_BROKER, EMPTY);
  }

  #asking(id: Buffer | null, service: string, argument: Buffer): Sent {
    const frames = clientRequest(this.#version, id, Buffer.from(service), [argument]);
    return { frames, intent: this.#intent(id, service, [argument]) };
  }

  #intent(id: Buffer | null, service: string, body: readonly Buffer[]): RequestIntent {
    const envelope = id === null ? [] : [id];
    const enveloped = this.#version === 1 || id !== null;
    return { kind: 'request', version: this.#version, enveloped, envelope, service, body };
  }

  request(call: Call, remainingMs: number): Sent {
    const { service, name, headers } = call.target;
    const id = correlation(call.id, call.attempt);
    const body = bodyOf(call);
    const intent = this.#intent(id, service, body);
    if (headers === null) return { frames: clientRequest(this.#version, id, name, body), intent };
    // As `Client` does: a stream has no deadline.
    const deadlineMs = call.streams ? 0 : Math.max(1, Math.ceil(remainingMs));
    const metadata = { deadlineMs, headers };
    const frames = clientRequestWithHeaders(id, name, metadata, body);
    return { frames, intent: { ...intent, metadata } };
  }

  read(frames: Frames): Heard {
    const reply = readClientReply(frames);
    if (reply.kind === 'malformed') violated(`a client cannot read a reply: ${reply.reason}`);
    if (reply.envelopeFrames <= 0) return NOTHING;
    if (reply.envelopeFrames !== 1 || frames.size(0) !== CORRELATION_BYTES) {
      violated('a client gets the reply of another');
    }
    const id = int32At(frames.buffer(0), frames.start(0));
    const send = frames.buffer(0)[frames.start(0) + 4] ?? 0;
    const service = frames.view(reply.service).toString('latin1');
    if (id === PROBE_ID) {
      if (service !== MMI_BROKER) return NOTHING;
      const { offers, pairHeartbeatMs } = new BrokerFacts(frames, reply.body);
      return {
        kind: 'learnt',
        broker: {
          ...{ takesHeaders: offers.headers, takesOptions: offers.options, takesGroups: false },
          ...{ tellsWhy: false, pairHeartbeatMs, instance: '' },
        },
      };
    }
    if (service === MMI_REFUSED) {
      const [status, , reason] = frames.copyFrom(reply.body).map(String);
      return { kind: 'refused', id, send, refusal: { status: status ?? '', reason: reason ?? '' } };
    }
    return { kind: reply.kind === 'final' ? 'final' : 'part', id, send, body: reply.body };
  }
}

export class FlpTongue implements ClientTongue {
  greeting(): Sent[] {
    // Nothing goes before PING.
    return [];
  }

  ping(): Sent {
    return { frames: [PING], intent: { kind: 'ping' } };
  }

  request(call: Call): Sent {
    const control = correlation(call.id, call.attempt);
    const body = bodyOf(call);
    const { service } = call.target;
    const intent: RequestIntent = {
      kind: 'request',
      version: 'flp',
      enveloped: true,
      envelope: [control],
      service,
      body,
    };
    return { frames: [control, ...body], intent };
  }

  read(frames: Frames): Heard {
    const kind = readFreelanceReply(frames);
    if (kind === 'pong') return NOTHING;
    if (kind === 'malformed' || frames.size(0) !== CORRELATION_BYTES) {
      violated('a client of 10/FLP cannot read a reply');
    }
    const id = int32At(frames.buffer(0), frames.start(0));
    const send = frames.buffer(0)[frames.start(0) + 4] ?? 0;
    return { kind: 'final', id, send, body: 1 };
  }
}
