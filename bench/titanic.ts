/**
 * Titanic's machine alone, with a store that answers at once and keeps nothing: the cost of an
 * accepted request, the memory of an open one, the cost of a delivery and its reply.
 *
 *     npm run bench:titanic [-- REQUESTS]
 */
import { noCounts } from '../src/store/record-kind.js';
import { performance } from 'node:perf_hooks';

import { NO_QUOTAS } from '../src/broker/quotas.js';
import { Frames } from '../src/core/frames.js';
import { pack, packedBytes } from '../src/core/packed.js';
import { RequestCounters } from '../src/broker/request-counters.js';
import { secureRandom } from '../src/core/random.js';
import type { BrokerHost, DeliveryPort } from '../src/broker/ports.js';
import { Standalone } from '../src/bstar/replication/standalone.js';
import type {
  Change,
  ChangeResult,
  Completion,
  RequestUuid,
  StoreCounts,
  StoredContent,
  StoredRequest,
  Transaction,
} from '../src/store/store.js';
import { setV8Flags } from '../src/cli/serve/v8-flags.js';
import { Titanic } from '../src/titanic/machine/titanic.js';
import { asker } from '../test/support/asker.js';

setV8Flags();
const OPEN = Number(process.argv[2] ?? 1_000_000);
if (!Number.isSafeInteger(OPEN) || OPEN < 1) {
  process.stderr.write('usage: npm run bench:titanic [-- REQUESTS]\n');
  process.exit(64);
}
const BODY_BYTES = 1024;
const OUTSTANDING = 64;
const WORKER = { number: 1, name: null, address: '' };
const SERVICES = 10;
const BYTES_MAX = 250;
const TITANIC_REQUEST = Buffer.from('titanic.request');

const BODY = ((): Buffer => {
  const frames = Frames.of(Buffer.alloc(BODY_BYTES, 'x'));
  const packed = Buffer.alloc(packedBytes(frames, 0, 1));
  pack(frames, 0, 1, packed, 0, false);
  return packed;
})();

/** Commits everything, keeps nothing. */
class EchoStore {
  /** What is due, in the order of the calls. */
  #answers: (() => void)[] = [];

  commit(
    _transaction: Transaction,
    changes: readonly Change[],
    completion: Completion<readonly ChangeResult[]>,
  ): void {
    this.#answers.push(() => {
      const results = changes.map(({ kind }) =>
        kind === 'sweep'
          ? ({ kind: 'swept', replied: 0, dead: 0, services: [], gone: [], more: false } as const)
          : ({ kind: 'done' } as const),
      );
      titanic.counted(counts);
      completion.done(results);
    });
  }

  load(
    uuids: readonly RequestUuid[],
    completion: Completion<readonly (StoredContent | null)[]>,
  ): void {
    this.#answers.push(() => {
      const content = { body: BODY, headers: null, backoff: null };
      completion.done(new Array<StoredContent>(uuids.length).fill(content));
    });
  }

  /** It is empty. */
  list(_after: number, completion: Completion<readonly StoredRequest[]>): void {
    this.#answers.push(() => completion.done([]));
  }

  lookUp(): void {
    throw new Error('nobody looks');
  }

  answer(): void {
    const due = this.#answers;
    this.#answers = [];
    for (const answer of due) answer();
  }
}

const counts: StoreCounts = {
  ...noCounts(),
  bytes: 0,
  nextNumber: 1,
  owners: [],
  services: [],
};
const store = new EchoStore();
let answered = 0;
let capacity = 0;
/** References of requests that are at workers. */
const out: number[] = [];

const host: BrokerHost = {
  answer: () => {
    answered++;
  },
  part: () => undefined,
  refuse: () => undefined,
  recordHello: () => ({ resumeMs: null, isKnown: false, reason: null }),
  resume: () => 'no_session',
  cancel: () => true,
};
const embedded: DeliveryPort = {
  room: () => Math.max(0, capacity - out.length),
  window: () => Infinity,
  groupRule: () => null,
  fullGroups: () => [],
  mayPrepare: () => true,
  whyHeld: () => null,
  served: () => [],
  workersOf: () => ({ isServed: true, unservedSince: null }),
  setBacklog: () => undefined,
  setPaused: () => undefined,
  setLimits: () => undefined,
  submit: (_service, reference) => out.push(reference),
  setStored: () => undefined,
  parts: () => null,
  withdraw: () => undefined,
  ownerRightsOf: () => ({ mayRequest: true, quotas: NO_QUOTAS }),
};
const titanic = new Titanic(
  {
    maxAttempts: 10,
    retryBaseMs: 500,
    retryMaxMs: 60_000,
    replyTtlMs: 1e9,
    requestTtlMs: 1e9,
    keyTtlMs: 1e9,
    maxInFlight: 1000,
    inFlightBytes: 2 ** 28,
    maxOpen: 1e9,
    maxBytes: 1e15,
  },
  store,
  new Standalone(store, 1),
  { emit: () => undefined },
  secureRandom,
  new RequestCounters().services,
);

function turn(): void {
  const now = performance.now();
  titanic.setTime(now, Date.now());
  store.answer();
  titanic.run(now, Date.now(), host, embedded);
}

/** @returns bytes of the heap and of buffers, after a full collection */
function held(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const somebody = asker();

function accept(): void {
  const names = Array.from({ length: SERVICES }, (_, index) => `service-${index}`);
  const messages = names.map((name) => Frames.of('x', name, Buffer.alloc(BODY_BYTES, 'x')));
  for (let made = 0; made < OPEN;) {
    for (let burst = 0; burst < OUTSTANDING && made < OPEN; burst++, made++) {
      const frames = messages[made % SERVICES] ?? new Frames();
      const service = TITANIC_REQUEST;
      titanic.request({
        ...{ id: made, service, frames, headers: -1, body: 1, takesParts: true },
        asker: somebody,
      });
    }
    turn();
  }
  for (let turns = 0; answered < OPEN; turns++) {
    if (turns > OPEN) throw new Error(`${answered} of ${OPEN} requests are answered`);
    turn();
  }
}

function deliver(): void {
  capacity = 256;
  for (let index = 0; index < SERVICES; index++) titanic.roomAt(Buffer.from(`service-${index}`));
  const reply = Frames.of(Buffer.alloc(BODY_BYTES, 'y'));
  for (let turns = 0; titanic.figures.counters.completed < OPEN; turns++) {
    if (turns > 10 * OPEN) {
      throw new Error(`${titanic.figures.counters.completed} of ${OPEN} are replied`);
    }
    turn();
    for (const reference of out.splice(0)) {
      titanic.dispatched(reference, WORKER);
      titanic.replied(reference, reply, 0, null);
    }
  }
}

function timed(what: string, work: () => void): void {
  const cpu = process.cpuUsage();
  const began = performance.now();
  work();
  const tookMs = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  const each = ((user + system) / OPEN).toFixed(2);
  const perSecond = Math.round(OPEN / (tookMs / 1000)).toLocaleString('en');
  process.stdout.write(`${what}: ${each} µs of processor each, ${perSecond} a second\n`);
}

titanic.counted(counts);
titanic.activate();
turn();
const before = held();
timed(`accepted (${BODY_BYTES} bytes, ${OUTSTANDING} outstanding)`, accept);
const bytes = (held() - before) / OPEN;
process.stdout.write(
  `${OPEN.toLocaleString('en')} open: ${bytes.toFixed(0)} bytes each (bound ${BYTES_MAX})\n`,
);
timed('delivered and replied', deliver);
const after = (held() - before) / OPEN;
process.stdout.write(`all replied: ${after.toFixed(1)} bytes each are left\n`);
process.exitCode = bytes < BYTES_MAX ? 0 : 1;
