import type { ClientActor } from '../../support/stage-peers.js';
import { endStages, stage, type Stage } from '../../support/stage.js';

const INTERVAL_MS = 1000;
const GRACE_MS = 3000;
const REFUSES = '{"noWorker":"refuse"}';
const REFUSED = 'mmi.refused 404|echo|no worker serves it';
const NO_WORKER = [`FINAL ${REFUSED}`];

describe('a client that does not want to wait for a worker (D65)', () => {
  afterEach(endStages);

  const begun = (): Stage => stage({ heartbeatIntervalMs: INTERVAL_MS, heartbeatLiveness: 3 });

  const impatient = (s: Stage, name = 'c1', options = {}): ClientActor =>
    s.client(name, options).hello(REFUSES);

  it.each([1, 2] as const)(
    'is refused at once where nobody serves the service (0.%i)',
    (version) => {
      const s = begun();
      const c1 = impatient(s, 'c1', { version }).request('echo', 'hi');
      expect(c1.inbox()).toEqual([`${version === 1 ? 'REPLY' : 'FINAL'} ${REFUSED}`]);
      expect(s.broker.counters.requestsRefused).toMatchObject({ no_worker: 1, limit: 0 });
      expect(s.broker.load).toMatchObject({ requests: 0, services: 0 });
    },
  );

  it('is refused also where others wait for that service already', () => {
    const s = begun();
    s.client('c0').request('echo', 'waits');
    expect(impatient(s).request('echo', 'hi').inbox()).toEqual(NO_WORKER);
    s.client('c2').hello('{"noWorker":"wait"}').request('echo', 'waits, too');
    expect(s.broker.load.requests).toBe(2);
  });

  it('waits for a busy worker, and is answered', () => {
    const s = begun();
    const w1 = s.worker('w1').ready('echo');
    s.client('c0').request('echo', 'first');
    s.after(0);
    const c1 = impatient(s).request('echo', 'second');
    s.after(0);
    expect(c1.inbox()).toEqual([]);
    w1.final('done');
    s.after(0);
    w1.final('done');
    expect(c1.inbox()).toEqual(['FINAL echo done']);
  });

  it('waits for one whose last worker was lost a moment ago, and no longer than that', () => {
    const s = begun();
    s.worker('w1').ready('echo').disconnect();
    const c1 = impatient(s).request('echo', 'first');
    s.after(GRACE_MS - 1);
    c1.request('echo', 'second');
    s.client('c2').request('echo', 'waits');
    expect(c1.inbox()).toEqual([]);
    s.after(1);
    expect(c1.inbox()).toEqual([...NO_WORKER, ...NO_WORKER]);
    expect(s.broker.load).toMatchObject({ requests: 1, services: 1 });
    expect(c1.request('echo', 'third').inbox()).toEqual(NO_WORKER);
    expect(s.broker.counters.requestsRefused.no_worker).toBe(3);
  });

  it('is served by a worker that comes in time, and waits for another one if that is lost', () => {
    const s = begun();
    s.worker('w1').ready('echo').disconnect();
    const c1 = impatient(s).request('echo', 'hi').request('echo', 'ho');
    const w2 = s.worker('w2').ready('echo');
    expect(w2.inbox()).toEqual(['REQUEST hi']);
    s.after(GRACE_MS - 1);
    w2.disconnect();
    // Nobody had the second one: it is refused when the worker does not come back.
    s.after(GRACE_MS - 1);
    expect(c1.inbox()).toEqual([]);
    s.after(1000);
    expect(c1.inbox()).toEqual(NO_WORKER);
    s.worker('w3').ready('echo').final('done');
    expect(c1.inbox()).toEqual(['FINAL echo done']);
  });

  it('waits for as long after the start of the broker, and after its step to active', () => {
    const s = begun();
    s.input((broker, now) => broker.begin(now));
    const c1 = impatient(s).request('echo', 'hi');
    expect(c1.inbox()).toEqual([]);
    s.after(GRACE_MS);
    expect(c1.inbox()).toEqual(NO_WORKER);
    expect(c1.request('echo', 'hi').inbox()).toEqual(NO_WORKER);
    s.input((broker, now) => {
      broker.setAdmission('refusing', now);
      broker.setAdmission('serving', now);
    });
    expect(c1.request('echo', 'hi').inbox()).toEqual([]);
    s.after(GRACE_MS);
    expect(c1.inbox()).toEqual(NO_WORKER);
    expect(c1.request('echo', 'hi').inbox()).toEqual(NO_WORKER);
  });

  it('can change its mind', () => {
    const s = begun();
    const c1 = impatient(s).request('echo', 'hi');
    expect(c1.inbox()).toEqual(NO_WORKER);
    c1.hello('').request('echo', 'hi');
    expect(c1.inbox()).toEqual([]);
    expect(c1.hello(REFUSES).request('echo', 'hi').inbox()).toEqual(NO_WORKER);
  });

  it('holds for itself alone behind a proxy', () => {
    const s = begun();
    const proxy = s.connection('proxy');
    proxy.sends('id1', '', 'MDPC01', 'mmi.hello', REFUSES);
    proxy.raw();
    proxy.sends('id1', '7', '', 'MDPC01', 'echo', 'hi');
    proxy.sends('id2', '', 'MDPC01', 'echo', 'hi');
    expect(proxy.raw().map((frames) => [frames[0], frames.at(-3)])).toEqual([['id1', '404']]);
    expect(s.broker.load.requests).toBe(1);
  });
});
