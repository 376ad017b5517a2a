/** The broker machine without sockets, its clients and its workers: what the machine's benches run. */
import { Broker } from '../../src/broker/broker.js';
import type { BrokerEvents } from '../../src/broker/broker-events.js';
import type { BrokerOptions } from '../../src/broker/options.js';
import type { BrokerSink, MessageSink } from '../../src/broker/sink.js';
import { TOKEN_BYTES } from '../../src/broker/state/tokens.js';
import { Words } from '../../src/core/bytes.js';
import { Frames } from '../../src/core/frames.js';
import { packedStart } from '../../src/core/packed.js';
import { secureRandom } from '../../src/core/random.js';
import type { SentMessage } from '../../src/wire/outbound.js';
import { asRead } from '../../test/support/packed-frames.js';
import { Mmi } from '../../src/mmi/mmi.js';
import { rules } from '../../test/support/rights.js';

const options: BrokerOptions = {
  heartbeatIntervalMs: 2500,
  heartbeatLiveness: 3,
  requestTtlMs: 60_000,
  busyTimeoutMs: 600_000,
  maxDeliveries: 3,
  resumeMs: 10_000,
  listeners: [{ ...rules(true, true), resumes: true }],
  limits: {
    services: 20_000,
    workers: 20_000,
    queuedRequests: 2_000_000,
    queuedBytes: 2 ** 32,
    queuedRequestsPerService: 2_000_000,
    messageBytes: 2 ** 24,
    frames: 256,
  },
};

/** Keeps whom a request went to, and under which token. */
class TokenSink implements BrokerSink {
  readonly messages: MessageSink = this;
  readonly tokens: Buffer[] = [];
  readonly peers: number[] = [];
  count = 0;
  replies = 0;

  request(peer: number, _version: 1 | 2, { bytes }: Words): void {
    const slot = (this.tokens[this.count] ??= Buffer.alloc(bytes.length));
    bytes.copy(slot);
    this.peers[this.count++] = peer;
  }

  requestWithHeaders(peer: number, version: 1 | 2, token: Words): void {
    this.request(peer, version, token);
  }

  requestWithGroup(peer: number, version: 1 | 2, token: Words): void {
    this.request(peer, version, token);
  }

  heartbeat(): void {
    this.replies += 0;
  }

  askRuns(): void {
    throw new Error('no service has limits');
  }

  cancel(): void {
    throw new Error('nothing is cancelled');
  }

  disconnect(): void {
    throw new Error('a worker was sent away');
  }

  reply(): SentMessage {
    this.replies++;
    return SENT;
  }

  whole(): void {
    this.replies++;
  }

  close(): void {
    throw new Error('a client was closed');
  }

  vote(): void {
    throw new Error('a broker that serves asked for a vote');
  }
}

export interface Setting {
  readonly workers: number;
  readonly services: number;
  readonly credit: number;
  /** Requests that wait all the while, for a service without workers. */
  readonly queued: number;
  /** Workers answer with FAIL, and every client said that it understands that. */
  readonly fails?: boolean;
  /** Messages are given packed, as our own engine gives them. */
  readonly packed?: boolean;
  /** Every client has a session (D116). */
  readonly sessions?: boolean;
  /** So many different requests have headers, which are empty. */
  readonly headed?: number;
  /** Each of them is of another group. */
  readonly grouped?: boolean;
  /** Who is told what happens; without it, nobody. */
  readonly events?: BrokerEvents;
}

const NOBODY: BrokerEvents = { emit: () => undefined };

export const BATCH = 500;
export const CLIENTS = 32;
export const BODY = Buffer.alloc(16, 'x');

const REPLY = Frames.of('MDPW02', Buffer.from([4]), '', '', BODY);
const PACKED_REPLY = asRead(
  Frames.of('MDPW02', Buffer.from([4]), Buffer.alloc(TOKEN_BYTES), '', BODY),
);
const PACKED_REPLY_WORDS = new Words(PACKED_REPLY.buffer(0));

const SENT: SentMessage = {
  words: PACKED_REPLY_WORDS,
  start: 0,
  end: PACKED_REPLY_WORDS.bytes.length,
};

const FAIL = Frames.of(
  'MDPW02',
  Buffer.from([8]),
  '',
  '',
  'error',
  'card_declined',
  'The card was declined',
);
const HELLO = Frames.of('id', '', 'MDPC02', Buffer.from([1]), 'mmi.hello', '{"failures":true}');

const WITH_HEADERS = Buffer.from([4]);
const WITH_OPTIONS = Buffer.from([5]);

function helloOf(session: string): Frames {
  return Frames.of('', 'MDPC02', Buffer.from([1]), 'mmi.hello', JSON.stringify({ session }));
}

export class Stage {
  readonly sink = new TokenSink();
  readonly broker: Broker;
  readonly #requests: Frames[];
  /** The same, packed; empty if messages are not given so. */
  readonly #packed: Words[];
  readonly #answer: Frames;
  #now = 0;
  #sent = 0;

  constructor(setting: Setting) {
    this.broker = new Broker(options, this.sink, setting.events ?? NOBODY, secureRandom);
    this.#answer = setting.fails === true ? FAIL : REPLY;
    for (let peer = 0; peer < CLIENTS + setting.workers; peer++) {
      const routingId = Buffer.alloc(5);
      this.broker.connected(
        peer,
        {
          listener: 0,
          routingId,
          ownRoutingId: false,
          key: null,
          address: '127.0.0.1',
          identity: 'ip:127.0.0.1',
        },
        this.#now,
      );
    }
    for (let peer = 0; peer < CLIENTS && setting.fails === true; peer++) {
      this.broker.message(peer, HELLO, 0);
    }
    if (setting.sessions === true) this.#beginSessions();
    for (let index = 0; index < setting.workers; index++) {
      const service = `service-${index % setting.services}`;
      const ready = Frames.of('MDPW02', Buffer.from([1]), service, String(setting.credit));
      this.broker.message(CLIENTS + index, ready, 0);
    }
    const waiting = Frames.of('id', '', 'MDPC02', Buffer.from([1]), 'nobody', BODY);
    for (let index = 0; index < setting.queued; index++) {
      this.broker.message(index % CLIENTS, waiting, 0);
    }
    const headed = setting.headed ?? 0;
    const kinds = Math.max(setting.services, headed);
    this.#requests = Array.from({ length: kinds }, (_, index) => {
      const service = `service-${index % setting.services}`;
      const head = [Buffer.alloc(4), '', 'MDPC02'];
      if (setting.grouped === true) {
        return asRead(Frames.of(...head, WITH_OPTIONS, service, '', `g-${index}`, '', '', BODY));
      }
      if (headed > 0) return asRead(Frames.of(...head, WITH_HEADERS, service, '', '', BODY));
      return asRead(Frames.of(...head, Buffer.from([1]), service, BODY));
    });
    const isPacked = setting.packed === true;
    this.#packed = isPacked ? this.#requests.map((frames) => new Words(frames.buffer(0))) : [];
  }

  #beginSessions(): void {
    const status = (): never => {
      throw new Error('nobody asks for it');
    };
    this.broker.internals.all.push(new Mmi(this.broker.listing, status));
    for (let peer = 0; peer < CLIENTS; peer++) {
      this.broker.message(peer, helloOf(`the-session-of-client-${peer}`), 0);
    }
  }

  /** One batch of requests, dispatched and answered. Returns how many were answered. */
  turn(): number {
    this.#now += 0.5;
    for (let index = 0; index < BATCH; index++) {
      this.#request(index % CLIENTS, this.#sent++ % this.#requests.length);
    }
    this.broker.run(this.#now);
    const answered = this.sink.count;
    for (let index = 0; index < answered; index++) {
      const token = this.sink.tokens[index];
      if (token === undefined) break;
      this.#reply(this.sink.peers[index] ?? 0, token);
    }
    this.sink.count = 0;
    return answered;
  }

  #request(peer: number, service: number): void {
    const request = this.#requests[service];
    if (request === undefined) return;
    // The ids of a session grow.
    request.buffer(0).writeUInt32BE(this.#sent, request.start(0));
    if (this.#isTaken(peer, request, this.#packed[service])) return;
    this.broker.message(peer, request, this.#now);
  }

  #isTaken(peer: number, message: Frames, words: Words | undefined): boolean {
    if (words === undefined) return false;
    const end = message.end(message.count - 1);
    return this.broker.packed(peer, words, packedStart(message, 0), end, this.#now) > 0;
  }

  #reply(peer: number, token: Buffer): void {
    if (this.#packed.length > 0) {
      token.copy(PACKED_REPLY_WORDS.bytes, PACKED_REPLY.start(2));
      if (this.#isTaken(peer, PACKED_REPLY, PACKED_REPLY_WORDS)) return;
      throw new Error('a reply was not taken packed');
    }
    this.#answer.buffers[2] = token;
    this.#answer.ends[2] = token.length;
    this.broker.message(peer, this.#answer, this.#now);
  }
}
