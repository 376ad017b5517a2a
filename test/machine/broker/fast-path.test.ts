/**
 * Which messages the broker handles packed. (Every stage compares what it does with a broker that
 * takes all messages apart.)
 */
import fc from 'fast-check';

import type { Broker } from '../../../src/broker/broker.js';
import { NO_QUOTAS } from '../../../src/broker/quotas.js';
import { Holdings } from '../../../src/core/holdings.js';
import { TestKey } from '../../support/rights.js';
import { endStages, stage, type Stage, type StageOptions } from '../../support/stage.js';
import type { ClientActor, WorkerActor } from '../../support/stage-peers.js';

afterEach(endStages);

interface Scene {
  readonly s: Stage;
  readonly client: ClientActor;
  readonly worker: WorkerActor;
  /** Messages that were taken packed since the last call. */
  taken(): number;
}

function holds(worker: WorkerActor): boolean {
  try {
    return worker.token().length > 0;
  } catch {
    return false;
  }
}

/** A client whose first request was answered, so that the next one is known by its form. */
function scene(options: StageOptions = {}, version: 1 | 2 = 2): Scene {
  const s = stage(options);
  const worker = s.worker('worker', { version }).ready('echo', { credit: 2 });
  const client = s.client('client', { version }).request('echo', 'first');
  worker.final('done');
  let before = s.packed;
  const taken = (): number => {
    const since = s.packed - before;
    before = s.packed;
    return since;
  };
  return { s, client, worker, taken };
}

describe('A message is handled packed', () => {
  it.each([1, 2] as const)(
    'in 0.%d: the next request for the service, and its reply',
    (version) => {
      const { client, worker, taken } = scene({}, version);
      client.inbox();
      client.request('echo', 'again');
      expect(taken()).toBe(1);
      worker.final('done again');
      expect(taken()).toBe(1);
      const kind = version === 1 ? 'REPLY' : 'FINAL';
      expect(client.inbox()).toEqual([`${kind} echo done again`]);
    },
  );

  it('also if the request has to wait', () => {
    const { client, worker, taken } = scene();
    for (let at = 0; at < 5; at++) client.request('echo', String(at));
    expect(taken()).toBe(5);
    for (let at = 0; at < 5; at++) worker.final(String(at));
    expect(taken()).toBe(5);
  });

  it('also with a deadline or headers, and without by turns', () => {
    const { client, worker, taken } = scene();
    client.requestWithHeaders('echo', 5000, '', 'a').request('echo', 'b');
    client.requestWithHeaders('echo', 0, '{}', 'c').requestWithHeaders('echo', 5000, '{}', 'd');
    expect(taken()).toBe(4);
    for (let at = 0; at < 4; at++) worker.final('done');
    expect(worker.inbox().slice(-4)).toEqual(['a', 'b', 'c', 'd'].map((body) => `REQUEST ${body}`));
    client.requestWithHeaders('echo', 0, '', 'x').requestWithHeaders('echo', 0, '{}', 'x', 'y');
    client.requestWithHeaders('echo', 0, 'x'.repeat(256), 'x');
    expect(taken()).toBe(4);
  });

  it('also while requests are followed, with the same steps', () => {
    const { s, client, worker, taken } = scene();
    const steps = new Map<Broker, unknown[]>();
    s.input((broker) => {
      const of: unknown[] = [];
      steps.set(broker, of);
      broker.tracer.start((request, step) => of.push([request, { ...step }]));
    });
    client.request('echo', 'x').request('echo', 'y').request('echo', 'z');
    for (const body of ['x', 'y', 'z']) worker.final(body);
    expect(taken()).toBe(6);
    const [packed, apart] = [...steps.values()];
    expect(packed).toHaveLength(9);
    expect(packed).toEqual(apart);
  });
});

describe('A request is taken apart', () => {
  it('if it is for another service than the one before', () => {
    const { s, client, taken } = scene();
    s.worker('other').ready('other');
    client.request('other', 'x');
    expect(taken()).toBe(0);
    client.request('other', 'x').request('mmi.service', 'other').request('other', 'x');
    expect(taken()).toBe(2);
    client.request('echo', 'x');
    expect(taken()).toBe(0);
  });

  it('if its body has several frames', () => {
    const { client, taken } = scene();
    client.request('echo', 'x', 'y');
    expect(taken()).toBe(0);
  });

  it('if the service has no worker any more', () => {
    const { client, worker, taken } = scene();
    worker.disconnect();
    client.request('echo', 'x');
    expect(taken()).toBe(0);
  });

  it('while the broker does not serve, or drains', () => {
    for (const close of ['refusing', 'voting', 'holding', 'drain'] as const) {
      const { s, client, taken } = scene();
      s.input((broker, now) => {
        if (close === 'drain') broker.drain(now);
        else broker.setAdmission(close, now);
      });
      client.request('echo', 'x');
      expect([close, taken()]).toEqual([close, 0]);
      s.input((broker, now) => {
        if (close !== 'drain') broker.setAdmission('serving', now);
      });
    }
  });

  it.each([
    ['queuedRequests', { queuedRequests: 1 }],
    ['queuedRequestsPerService', { queuedRequestsPerService: 1 }],
    ['queuedBytes', { queuedBytes: 20 }],
  ])('if it is over limits.%s, and is then refused', (_, limits) => {
    const { s, client, worker, taken } = scene({ limits });
    client.hello();
    for (let at = 0; at < 4; at++) client.request('echo', 'x'.repeat(15));
    expect(taken()).toBeLessThan(4);
    expect(s.broker.counters.requestsRefused.limit).toBeGreaterThan(0);
    worker.disconnect();
  });

  it.each([
    ['outstanding', { ...NO_QUOTAS, outstanding: 1 }],
    ['queuedBytes', { ...NO_QUOTAS, queuedBytes: 200 }],
  ])('if it is over the quota %s, and is then refused', (_, quotas) => {
    const { s, client, taken } = scene({ quotasOf: () => quotas });
    for (let at = 0; at < 4; at++) client.request('echo', 'x'.repeat(15));
    expect(taken()).toBeLessThan(4);
    expect(s.broker.counters.requestsRefused.quota).toBeGreaterThan(0);
  });

  it('if its identity may send so many in a second', () => {
    const { client, taken } = scene({
      quotasOf: () => ({ ...NO_QUOTAS, requestsPerSecond: 1000 }),
    });
    client.request('echo', 'x');
    expect(taken()).toBe(0);
  });

  it('if memory runs out, and is then refused', () => {
    const { s, client, taken } = scene({ holdings: new Holdings(300) });
    for (let at = 0; at < 4; at++) client.request('echo', 'x'.repeat(15));
    expect(taken()).toBeLessThan(4);
    expect(s.broker.counters.requestsRefused.limit).toBeGreaterThan(0);
  });

  it('once the right to the service was taken away', () => {
    const rights = new TestKey(['echo'], false);
    const { s, taken } = scene({ rightsOf: () => rights });
    const bob = s.client('bob', { key: 'bob' });
    bob.request('echo', 'x').request('echo', 'y');
    expect(taken()).toBe(1);
    rights.may(['other'], false);
    s.input((broker, now) => broker.connections.rightsChanged('bob', now));
    bob.request('echo', 'z');
    expect(taken()).toBe(0);
    expect(s.broker.counters.requestsRefused.rights).toBe(1);
  });

  it('from a client that the broker has closed', () => {
    const { s, client, taken } = scene();
    s.input((broker) => broker.outputFull(client.connection.peer));
    s.message(
      client.connection.peer,
      ['MDPC02', '\x01', 'echo', 'x'].map((f) => Buffer.from(f)),
    );
    expect(taken()).toBe(0);
  });
});

describe('A reply is taken apart', () => {
  it('if it is a PARTIAL, a RETURN, a failure, or has several frames', () => {
    const { client, worker, taken } = scene();
    client.request('echo', '1').request('echo', '2');
    taken();
    worker.partial('part');
    worker.final(['a', 'b']);
    worker.returns('busy');
    worker.final('x');
    expect(taken()).toBe(1);
  });

  it('if the request was lost with this worker and is elsewhere, or was answered', () => {
    const { s, client, worker, taken } = scene();
    client.request('echo', 'x');
    const late = worker.token();
    s.after(600_000);
    taken();
    worker.final('late', { token: late });
    expect(taken()).toBe(0);
  });
});

describe('Packed or not', () => {
  it('any mixture of messages and losses has the same effects', () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.constant('request' as const) },
      { weight: 4, arbitrary: fc.constant('final' as const) },
      fc.constantFrom('partial', 'return', 'other', 'wait', 'lose', 'batch', 'two', 'timed'),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom(1, 2), (steps, version) => {
        const s = stage({ limits: { queuedRequestsPerService: 6 }, requestTtlMs: 5000 });
        const v = version === 1 ? 1 : 2;
        const make = (at: number): WorkerActor =>
          s
            .worker(`worker ${at}`, { version: v })
            .ready('echo', { credit: 3, headers: at % 2 === 0 });
        let made = 0;
        let worker = make(made++);
        const client = s.client('client', { version: v }).hello();
        for (const [at, what] of steps.entries()) {
          if (what === 'request') client.request('echo', `body ${at}`);
          else if (what === 'timed') client.requestWithHeaders('echo', 3000, '', 'x');
          else if (what === 'two') client.request('echo', 'a', 'b');
          else if (what === 'other') client.request('nobody', 'x');
          else if (what === 'wait') s.after(2000);
          else if (what === 'batch') {
            s.batch(() => {
              for (let each = 0; each < 5; each++) client.request('echo', `${at} ${each}`);
            });
          } else if (what === 'lose') {
            worker.connection.disconnect();
            worker = make(made++);
          } else if (!holds(worker)) continue;
          else if (what === 'final') worker.final('done');
          else if (what === 'return') worker.returns('busy');
          else worker.partial('part');
        }
        s.end();
      }),
      { numRuns: 200 },
    );
  });
});
