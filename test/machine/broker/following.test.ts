import { endStages, type Stage, stage, type StageOptions } from '../../support/stage.js';

afterEach(endStages);

/** A stage whose requests are followed: the steps as `NUMBER name fields`. */
function followed(options: StageOptions = {}): { s: Stage; steps: string[] } {
  const s = stage(options);
  s.alone();
  const steps: string[] = [];
  s.broker.tracer.start((request, { name, ...rest }) => {
    steps.push([request, name, ...Object.values(rest)].join(' '));
  });
  return { s, steps };
}

describe('a request that is followed (docs/logs.md)', () => {
  it('tells its steps under a number of its own', () => {
    const { s, steps } = followed();
    const w1 = s.worker('w1').ready('echo', { credit: 2 });
    s.client('c1').request('echo', '1').request('echo', '2');
    w1.final('two', { of: '2' }).partial('o', { of: '1' }).final('ne', { of: '1' });
    s.client('c2').request('echo', '3');
    expect(steps).toEqual([
      '1 request.received echo',
      '1 request.dispatched 1 1',
      '2 request.received echo',
      '2 request.dispatched 1 1',
      '2 request.ended replied',
      '1 partial.sent',
      '1 request.ended replied',
      '3 request.received echo',
      '3 request.dispatched 1 1',
    ]);
  });

  it('tells each delivery, to which worker, and why it failed (D6)', () => {
    const { s, steps } = followed({ maxDeliveries: 2 });
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', 'hi');
    w1.disconnect();
    s.worker('w2').ready('echo').saysDisconnect();
    expect(steps).toEqual([
      '1 request.received echo',
      '1 request.dispatched 1 1',
      '1 delivery.failed 1 connection',
      '1 request.dispatched 2 2',
      '1 delivery.failed 2 disconnected',
      '1 request.ended abandoned',
    ]);
    expect(s.events('worker.registered').map(({ worker }) => worker)).toEqual([1, 2]);
  });

  it('tells how it ended without a reply', () => {
    const { s, steps } = followed({ requestTtlMs: 1000 });
    const w1 = s.worker('w1').ready('busy');
    const leaves = s.client('leaves').request('busy', 'out').request('idle', 'waits');
    s.client('c2').request('idle', 'waits, too');
    leaves.disconnect();
    w1.final('for nobody');
    s.after(1000);
    s.client('c3').request('idle', 'too late');
    s.input((broker, now) => broker.drain(now));
    expect(steps.filter((step) => step.includes('ended'))).toEqual([
      '2 request.ended dropped',
      '1 request.ended dropped',
      '3 request.ended expired',
      '4 request.ended refused',
    ]);
  });

  it('tells nothing once nobody follows, and numbers anew what comes later', () => {
    const { s, steps } = followed();
    s.client('c1').request('idle', '1');
    s.broker.tracer.start(null);
    s.client('c2').request('idle', '2');
    expect(steps).toEqual(['1 request.received idle']);
  });

  it('tells nothing of mmi.*', () => {
    const { s, steps } = followed();
    s.client('c1').request('mmi.service', 'echo');
    expect(steps).toEqual([]);
  });
});

describe('the reason of a RETURN (D25)', () => {
  it('is told up to 255 bytes', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 2 });
    s.client('c1').request('echo', 'hi');
    w1.returns('\u0001'.repeat(100_000));
    expect(s.events('request.returned')).toEqual([
      { name: 'request.returned', service: 'echo', reason: '%01'.repeat(255) },
    ]);
  });
});

describe('a trace that takes the place of another', () => {
  it('goes on with the same numbers, and a pause forgets what was held', () => {
    const { s, steps } = followed();
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', '1').request('echo', '2');
    const others: string[] = [];
    const other = (request: number, { name }: { readonly name: string }): void => {
      others.push(`${request} ${name}`);
    };
    s.broker.tracer.start(other);
    w1.final('one');
    expect(others).toEqual(['1 request.ended', '2 request.dispatched']);
    s.broker.tracer.start(null);
    w1.final('two');
    s.client('c1').request('echo', '3');
    s.broker.tracer.start(other);
    w1.final('three');
    expect(others.slice(2)).toEqual(['3 request.ended']);
    expect(steps).toHaveLength(3);
  });
});
