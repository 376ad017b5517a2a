/** 100,000 sessions (D116): what they take, and that it is bounded. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { Broker } from '../../../src/broker/broker.js';
import type { BrokerSink, MessageSink } from '../../../src/broker/sink.js';
import { NO_QUOTAS } from '../../../src/broker/quotas.js';
import type { Words } from '../../../src/core/bytes.js';
import { Frames } from '../../../src/core/frames.js';
import { Holdings } from '../../../src/core/holdings.js';
import { Mmi } from '../../../src/mmi/mmi.js';
import { MessageWriter } from '../../../src/wire/outbound.js';
import { rules } from '../../support/rights.js';
import { seededRandom } from '../../support/stage-random.js';

const MANY = 100_000;
const REQUEST = Buffer.from([1]);
const PARTIAL = Buffer.from([3]);
const FINAL = Buffer.from([4]);
const LIMITS = {
  services: 10,
  workers: 10,
  queuedRequests: MANY,
  queuedBytes: 1e9,
  queuedRequestsPerService: MANY,
  messageBytes: 1e6,
  frames: 256,
};

/** A broker, one worker, and many clients; what it sends to clients is only counted. */
class Crowd {
  readonly holdings = new Holdings();
  readonly broker: Broker;
  closed = 0;
  replies = 0;
  readonly #tokens: Buffer[] = [];

  constructor(sessions: number) {
    const messages: MessageSink = Object.assign(new MessageWriter(), {
      request: (_peer: number, _dialect: number, token: Words) => {
        this.#tokens.push(Buffer.from(token.bytes));
      },
      reply: () => {
        this.replies++;
      },
      whole: () => {
        this.replies++;
      },
    });
    const sink: BrokerSink = {
      messages,
      close: () => {
        this.closed++;
      },
      vote: () => undefined,
    };
    const options = {
      heartbeatIntervalMs: 1000,
      heartbeatLiveness: 1e6,
      requestTtlMs: 60_000,
      busyTimeoutMs: 600_000,
      maxDeliveries: 3,
      resumeMs: 10_000,
      listeners: [{ ...rules(true, true), resumes: true }],
      limits: LIMITS,
      holdings: this.holdings,
      quotasOf: () => ({ ...NO_QUOTAS, sessions }),
    };
    this.broker = new Broker(options, sink, { emit: () => undefined }, seededRandom(1));
    this.broker.internals.all.push(
      new Mmi(this.broker.listing, () => {
        throw new Error('nobody asks for it');
      }),
    );
    this.connect(0);
    this.#says(0, 'MDPW02', REQUEST, 'echo', '10000');
  }

  connect(peer: number, address = '10.0.0.1'): void {
    const identity = `ip:${address}`;
    const from = { listener: 0, key: null, address, identity };
    this.broker.connected(peer, { ...from, routingId: Buffer.alloc(5), ownRoutingId: false }, 0);
  }

  hello(peer: number, session: number): void {
    const hello = { failures: true, session: `the-session-of-${100_000 + session}` };
    this.#says(peer, '', 'MDPC02', REQUEST, 'mmi.hello', JSON.stringify(hello));
  }

  /** A hello that names no session. */
  plainHello(peer: number): void {
    this.#says(peer, '', 'MDPC02', REQUEST, 'mmi.hello', '{"failures":true}');
  }

  request(peer: number, id: string): void {
    this.#says(peer, id, '', 'MDPC02', REQUEST, 'echo', 'hi');
  }

  /** The worker answers all that it has. */
  answerAll(now: number, commands = [FINAL]): void {
    this.run(now);
    while (this.#tokens.length > 0) {
      for (const token of this.#tokens.splice(0)) {
        for (const command of commands) this.#says(0, 'MDPW02', command, token, '', 'hi');
      }
      this.run(now);
    }
  }

  run(now: number): void {
    for (let more = true; more;) more = this.broker.run(now);
  }

  #says(peer: number, ...frames: (string | Buffer)[]): void {
    this.broker.message(peer, Frames.of(...frames), 0);
  }
}

function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  // What is finalised by the first one is freed by the second.
  gc();
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Heap of each client that has been answered, and is idle since. */
function heapOfIdle(hello: (crowd: Crowd, peer: number) => void): number {
  const crowd = new Crowd(MANY);
  const before = heapBytes();
  for (let peer = 1; peer <= MANY; peer++) {
    crowd.connect(peer);
    hello(crowd, peer);
    crowd.request(peer, 'id-01');
    crowd.answerAll(0);
  }
  crowd.run(20_000);
  crowd.run(40_000);
  const bytes = (heapBytes() - before) / MANY;
  // It is here until then.
  expect(crowd.broker.load.clients).toBe(MANY);
  return bytes;
}

it('an idle client with a session takes at most 400 bytes more, and they are counted', () => {
  const without = heapOfIdle((crowd, peer) => crowd.plainHello(peer));
  let counted = 0;
  const withOne = heapOfIdle((crowd, peer) => {
    crowd.hello(peer, peer);
    counted = crowd.holdings.bytes / peer;
  });
  expect(withOne - without).toBeLessThanOrEqual(400);
  expect(withOne - without).toBeLessThanOrEqual(counted);
});

it('100,000 are opened, left, taken over and ended, and nothing is left', () => {
  const crowd = new Crowd(MANY);
  const { broker, holdings } = crowd;
  for (let peer = 1; peer <= MANY; peer++) {
    crowd.connect(peer);
    crowd.hello(peer, peer);
    crowd.request(peer, '1');
  }
  expect(broker.load).toMatchObject({ sessions: MANY, requests: MANY });
  // Half of them leave, and their answers come; from the others their sessions are taken over.
  for (let peer = 1; peer <= MANY; peer += 2) broker.disconnected(peer, 0);
  crowd.answerAll(0);
  for (let peer = 1; peer <= MANY; peer++) {
    crowd.connect(MANY + peer);
    crowd.hello(MANY + peer, peer);
  }
  expect(broker.load).toMatchObject({
    sessions: MANY,
    sessionsAway: 0,
    clients: MANY,
    requests: 0,
  });
  expect(crowd.closed).toBe(MANY / 2);
  for (let peer = 2; peer <= MANY; peer += 2) broker.disconnected(peer, 0);
  expect(broker.load).toMatchObject({ peers: MANY + 1, sessions: MANY });
  for (let peer = 1; peer <= MANY; peer++) broker.disconnected(MANY + peer, 0);
  expect(broker.load).toMatchObject({ peers: 1, sessions: MANY, sessionsAway: MANY });
  crowd.run(10_000);
  expect(broker.load).toMatchObject({ sessions: 0, clients: 0 });
  broker.disconnected(0, 10_000);
  expect(holdings.bytes).toBe(0);
});

it('those over the quota are refused, a stranger takes none over, and parts for them are not kept', () => {
  const { sessions } = NO_QUOTAS;
  const crowd = new Crowd(sessions);
  const { broker, holdings } = crowd;
  for (let peer = 1; peer <= MANY; peer++) {
    crowd.connect(peer);
    crowd.hello(peer, peer);
    crowd.request(peer, '1');
    broker.disconnected(peer, 0);
    crowd.run(0);
  }
  expect(broker.load).toMatchObject({ sessions, sessionsAway: sessions, clients: sessions });
  expect(broker.counters.quotas.sessions).toBe(MANY - sessions);
  const before = holdings.bytes;
  crowd.answerAll(0, [PARTIAL, FINAL]);
  expect(holdings.bytes).toBeLessThanOrEqual(before);
  for (let peer = 1; peer <= sessions; peer++) {
    crowd.connect(MANY + peer, '10.0.0.2');
    crowd.hello(MANY + peer, peer);
    broker.disconnected(MANY + peer, 0);
  }
  expect(broker.load.sessionsAway).toBe(sessions);
  expect(broker.counters.quotas.sessions).toBe(MANY - sessions);
  crowd.run(10_000);
  expect(broker.load).toMatchObject({ peers: 1, sessions: 0, clients: 0 });
});
