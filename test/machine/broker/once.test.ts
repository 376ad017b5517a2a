/** Options of a plain request: with `once`, at most one worker runs it (D117). */
import { Holdings } from '../../../src/core/holdings.js';
import { rules } from '../../support/rights.js';
import { SessionClient } from '../../support/stage-sessions.js';
import { endStages, stage, type Stage } from '../../support/stage.js';
import type { ClientActor, WorkerActor } from '../../support/stage-peers.js';

afterEach(endStages);

const UNBEGUN = 'mdp.not-begun: it closes';

/** What its client is told of a request whose worker did not answer. */
function unknown(what: string): string {
  return `FINAL mmi.refused 520|echo|outcome unknown: delivered to ${what}`;
}

interface Scene {
  readonly s: Stage;
  /** Has the request. */
  readonly w1: WorkerActor;
  /** Waits, and may get no request. */
  readonly w2: WorkerActor;
  readonly c1: ClientActor;
}

/** A request with `once` is out at one of two workers. */
function scene(options: Parameters<typeof stage>[0] = {}): Scene {
  const s = stage(options);
  const w1 = s.worker('w1').ready('echo', { credit: 9, name: 'gpu-3' });
  const c1 = s.client('c1').hello().once('hi');
  const w2 = s.worker('w2').ready('echo', { credit: 9 });
  expect(w1.inbox()).toEqual(['REQUEST hi']);
  return { s, w1, w2, c1 };
}

const setAdmission = (s: Stage, state: 'serving' | 'refusing'): void => {
  s.input((broker, now) => broker.setAdmission(state, now));
};

describe('A request with options', () => {
  it('arrives as one without, with its headers and its deadline (D67)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { headers: true, credit: 9 });
    const c1 = s.client('c1', { envelope: ['proxy', 'id'] });
    for (const options of ['', '{}', '{"once":false}', ' {"once" : true} ']) {
      c1.requestWithOptions('echo', options, 'hi', '');
      expect(w1.inbox()).toEqual(['REQUEST hi|']);
      w1.final('ho');
    }
    c1.once('hi', 5000, '{"a":"b"}');
    expect(w1.inbox()).toEqual(['REQUEST 5000 {"a":"b"} hi']);
    w1.final('ho');
    expect(c1.inbox()).toEqual(Array.from({ length: 5 }, () => 'FINAL echo ho'));
  });

  it.each([
    ['{"once":true,"group":"a"}', "a request has no option 'group'"],
    ['{"\\u001b[2J":1}', "a request has no option '%1B[2J'"],
    ['{"__proto__":1}', "a request has no option '__proto__'"],
    [`{"${'x'.repeat(100)}":1}`, `a request has no option '${'x'.repeat(64)}'`],
    ['{"once":1}', 'the option `once` of a request must be a boolean'],
    ['{"once":null}', 'the option `once` of a request must be a boolean'],
    ...['{', '[]', 'true', `{"once":true${' '.repeat(1012)}}`].map(
      (given) =>
        [given, 'the options of a request must be a JSON object of at most 1 KiB'] as const,
    ),
  ])('is refused with 400 if these are %j', (options, why) => {
    const s = stage();
    s.worker('w1').ready('echo');
    const c1 = s.client('c1').hello().requestWithOptions('echo', options, 'hi');
    expect(c1.inbox()).toEqual([`FINAL mmi.refused 400|echo|${why}`]);
    expect(s.broker.counters.malformed.client).toBe(1);
    expect(s.events('message.malformed')).toMatchObject([
      { kind: 'client', reason: why, command: 'REQUEST', frame: 4 },
    ]);
    expect(s.client('c2').requestWithOptions('echo', options, 'hi').inbox()).toEqual([]);
    expect(s.broker.load.requests).toBe(0);
  });

  it('is refused with 400 if it is for a service of the broker', () => {
    const s = stage();
    const c1 = s.client('c1').hello().requestWithOptions('mmi.service', '{"once":true}', 'echo');
    const why = 'a request to a service of the broker has neither options nor a group';
    expect(c1.inbox()).toEqual([`FINAL mmi.refused 400|mmi.service|${why}`]);
  });

  it('is refused to a session that is away with an answer that is kept (D116)', () => {
    const s = stage({ resumeMs: 10_000, listeners: [{ ...rules(true, true), resumes: true }] });
    const c1 = new SessionClient(s);
    c1.connection.sends('1', '', 'MDPC02', '\x05', 'echo', '[]', '', '', '', 'hi');
    c1.inbox();
    c1.connection.disconnect();
    c1.comesBack();
    expect(c1.resume('1')).toBe('200|answered');
    expect(c1.inbox()).toMatchObject([/^1 mmi.refused 400/]);
  });

  it('has the last ones of its connection counted in its memory, until that ends (D77)', () => {
    const holdings = new Holdings();
    const s = stage({ holdings });
    const c1 = s.client('c1');
    const held = (): number => holdings.use('ip:127.0.0.1').contracts;
    const before = held();
    c1.requestWithOptions('echo', `{}${' '.repeat(1000)}`, 'hi');
    expect(held() - before).toBeGreaterThan(1000);
    c1.requestWithOptions('echo', '{}', 'hi');
    expect(held() - before).toBeLessThan(300);
    c1.disconnect();
    expect(held()).toBe(0);
  });

  it('is still one that may run once after it was held for a vote', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').hello();
    s.input((broker, now) => broker.setAdmission('voting', now));
    s.unrun(() => {
      c1.once('hi');
      setAdmission(s, 'serving');
    });
    s.after(0);
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    w1.disconnect();
    expect(c1.inbox()).toEqual([unknown('worker 1, which was lost')]);
  });
});

describe('A request that may run once ends with 520, and goes to no other worker, if its worker', () => {
  it.each<[string, (scene: Scene) => void, string]>([
    ['is silent', ({ s }) => s.after(5000), 'worker gpu-3, which was lost'],
    ['lost its connection', ({ w1 }) => w1.disconnect(), 'worker gpu-3, which was lost'],
    ['said DISCONNECT', ({ w1 }) => w1.saysDisconnect(), 'worker gpu-3, which left'],
    ['gave it back', ({ w1 }) => w1.returns('not mine'), 'worker gpu-3, which gave it back'],
    [
      'gave it back for a reason that only has the words',
      ({ w1 }) => w1.returns('it was mdp.not-begun'),
      'worker gpu-3, which gave it back',
    ],
    [
      'broke the protocol',
      ({ w1 }) => w1.connection.sends('MDPW02', '\x09'),
      'worker gpu-3, which was disconnected because it broke the protocol',
    ],
    [
      'is left when the broker stops',
      ({ s }) => {
        s.input((broker, now) => {
          broker.drain(now);
          broker.stop(now);
        });
      },
      'worker gpu-3, which did not answer before this broker stopped',
    ],
  ])('%s', (_how, lose, what) => {
    const at = scene({ busyTimeoutMs: 5000 });
    const { s, w2, c1 } = at;
    w2.heartbeatsEvery(1000);
    lose(at);
    expect(c1.inbox()).toEqual([unknown(what)]);
    expect(w2.inbox().filter((message) => message !== 'DISCONNECT')).toEqual([]);
    const reason = `outcome unknown: delivered to ${what}`;
    expect(s.events('request.outcome_unknown')).toMatchObject([{ service: 'echo', reason }]);
    expect(s.broker.counters).toMatchObject({
      requestsUnknown: 1,
      requestsRequeued: 0,
      requestsAbandoned: 0,
    });
    expect(s.broker.load.requests).toBe(0);
  });
});

describe('A request that may run once', () => {
  it('goes to the next worker if the first one says that it did not begin', () => {
    const { s, w1, w2, c1 } = scene();
    w1.returns(UNBEGUN).saysDisconnect();
    expect(w2.inbox()).toEqual(['REQUEST hi']);
    expect(s.events('request.requeued')).toMatchObject([{ reason: 'returned', deliveries: 1 }]);
    w2.disconnect();
    expect(c1.inbox()).toEqual([unknown('worker 2, which was lost')]);
  });

  it('has run if a PARTIAL of it came, whatever its worker says', () => {
    const { w1, w2, c1 } = scene();
    w1.partial('p').returns(UNBEGUN);
    expect(c1.inbox()).toEqual(['PARTIAL echo p', unknown('worker gpu-3, which gave it back')]);
    c1.once('more');
    w2.partial('p', { of: 'more' }).disconnect();
    expect(c1.inbox()).toEqual(['PARTIAL echo p', unknown('worker 2, which was lost')]);
    expect(w1.inbox()).toEqual([]);
  });

  it('is not over, and says so, if nobody began it: given back too often, expired or refused', () => {
    const { s, w1, w2, c1 } = scene({ maxDeliveries: 2, requestTtlMs: 10_000 });
    w1.returns(UNBEGUN);
    w2.returns(UNBEGUN);
    const twice = 'it was delivered 2 times; each time its worker gave it back before it began';
    expect(c1.inbox()).toEqual([`FINAL mmi.refused 502|echo|${twice}`]);
    c1.once('late', 100);
    w1.heartbeatsEvery(1000);
    s.after(200);
    w1.returns(UNBEGUN, { of: 'late' });
    expect(c1.inbox()).toEqual(['FINAL mmi.refused 408|echo|no worker was free for it']);
    c1.once('closed');
    setAdmission(s, 'refusing');
    w2.returns(UNBEGUN, { of: 'closed' });
    expect(c1.inbox()).toEqual(['FINAL mmi.refused 503|echo|this node is not active']);
    expect(s.broker.counters).toMatchObject({ requestsUnknown: 0, requestsExpired: 1 });
  });

  it('ends as today if it never came to a worker', () => {
    const s = stage({ requestTtlMs: 10_000 });
    const c1 = s.client('c1').hello('{"noWorker":"refuse"}');
    s.after(60_000);
    c1.once('a');
    expect(c1.inbox()).toEqual(['FINAL mmi.refused 404|echo|no worker serves it']);
    const c2 = s.client('c2').hello().once('b').once('c', 700);
    s.after(700);
    expect(c2.inbox()).toEqual(['FINAL mmi.refused 408|echo|no worker served its service']);
    setAdmission(s, 'refusing');
    expect(c2.inbox()).toEqual(['FINAL mmi.refused 503|echo|this node is not active']);
  });

  it('is answered as any other, also after this node stopped serving', () => {
    const { s, w1, w2, c1 } = scene();
    setAdmission(s, 'refusing');
    w1.partial('a').final('b');
    expect(c1.inbox()).toEqual(['PARTIAL echo a', 'FINAL echo b']);
    expect(w2.inbox()).toEqual([]);
  });

  it('has no outcome if its worker is lost after this node stopped serving', () => {
    const { s, w1, c1 } = scene();
    setAdmission(s, 'refusing');
    w1.disconnect();
    expect(c1.inbox()).toEqual([unknown('worker gpu-3, which was lost')]);
  });

  it.each(['retry', 'error', 'final'])('ends with a failure of kind %s (D61)', (kind) => {
    const { s, w1, w2, c1 } = scene();
    w1.fails([kind, 'E_X', 'no', '']);
    expect(c1.inbox()).toEqual(['FINAL mmi.refused 502|echo|E_X: no']);
    expect(w2.inbox()).toEqual([]);
    expect(s.broker.counters).toMatchObject({ requestsUnknown: 0, requestsRequeued: 0 });
    const counted = kind === 'final' ? 'final' : 'error';
    expect(s.broker.counters.requestsFailed).toMatchObject({ retry: 0, [counted]: 1 });
  });

  it('has no use for a late reply, which is dropped and counted (D8)', () => {
    const { s, w1, w2, c1 } = scene();
    w1.reconnects();
    expect(c1.inbox()).toEqual([unknown('worker gpu-3, which was lost')]);
    w1.final('late');
    expect(c1.inbox()).toEqual([]);
    expect(w2.inbox()).toEqual([]);
    expect(s.broker.counters.repliesDropped.too_late).toBe(1);
    expect(s.broker.counters.unexpected).toBe(0);
  });

  it('is delivered to nobody after its deadline or its time to live ended at its worker', () => {
    const { s, w1, w2, c1 } = scene({ requestTtlMs: 10_000 });
    w1.heartbeatsEvery(1000);
    w2.heartbeatsEvery(1000);
    c1.once('timed', 700);
    s.after(10_000);
    expect(c1.inbox()).toEqual([]);
    w1.disconnect();
    w2.disconnect();
    expect(c1.inbox()).toEqual([
      unknown('worker gpu-3, which was lost'),
      unknown('worker 2, which was lost'),
    ]);
    expect(w1.inbox().concat(w2.inbox())).toEqual(['REQUEST timed']);
  });

  it('is dropped if its client is gone, or gave it up (D26, D106)', () => {
    const { s, w1, w2, c1 } = scene();
    c1.disconnect();
    w1.disconnect();
    expect(w2.inbox()).toEqual([]);
    expect(s.broker.counters).toMatchObject({ requestsUnknown: 0, requestsDropped: 1 });
  });

  it('is kept for a client that is away: it comes back to its 520 (D116)', () => {
    const s = stage({ resumeMs: 10_000, listeners: [{ ...rules(true, true), resumes: true }] });
    const w1 = s.worker('w1').ready('echo', { credit: 9 });
    const c1 = new SessionClient(s).once('1').once('2');
    c1.connection.disconnect();
    w1.returns('no', { of: '1' });
    c1.comesBack();
    expect(c1.resume('1', '2')).toBe('200|answered|open');
    const refused = 'mmi.refused 520|echo|outcome unknown: delivered to worker 1, which';
    expect(c1.inbox()).toEqual([`1 ${refused} gave it back`]);
    w1.disconnect();
    expect(c1.inbox()).toEqual([`2 ${refused} was lost`]);
  });

  it('has a trace with its end', () => {
    const s = stage();
    const steps: string[] = [];
    s.input((broker) => {
      broker.tracer.start((_request, step) => {
        steps.push(step.name === 'request.ended' ? step.outcome : step.name);
      });
    });
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').once('hi');
    w1.disconnect();
    expect(steps.slice(-2)).toEqual(['delivery.failed', 'outcome_unknown']);
  });

  it('leaves requests beside it as they are', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 3 });
    const c1 = s.client('c1').hello().request('echo', '1').once('2').request('echo', '3');
    w1.disconnect();
    expect(c1.inbox()).toEqual([unknown('worker 1, which was lost')]);
    const w2 = s.worker('w2').ready('echo', { credit: 3 });
    expect(w2.inbox()).toEqual(['REQUEST 1', 'REQUEST 3']);
  });
});
