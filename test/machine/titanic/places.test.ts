/** Which services have requests in flight: titanic.maxInFlight and titanic.inFlightBytes. */
import type { ShownHistory, Waiting } from '../../../src/titanic/operator/operator-api.js';
import type { TitanicOptions } from '../../../src/titanic/machine/requests/options.js';
import { scrape } from '../../support/metrics.js';
import { endTitanicStages, type TitanicStage, titanicStage } from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

const KIB = 1024;
const LARGE = 'x'.repeat(100 * KIB);

function stage(titanic: Partial<TitanicOptions>): TitanicStage {
  return titanicStage({ titanic: { maxBytes: 1e9, maxOpen: 1e6, ...titanic } });
}

function workerOf(s: TitanicStage, service: string): ReturnType<TitanicStage['worker']> {
  return s.worker(service).ready(service, { credit: 30 });
}

function why(s: TitanicStage, uuid: string): Waiting | null {
  const history = s.operates<ShownHistory>((operator, answer) => {
    operator.history(Buffer.from(uuid, 'hex'), answer);
  })();
  return history?.kind === 'done' ? history.value.waiting : null;
}

describe('a service with a worker that has room', () => {
  it('waits for no bodies of others, and those say for what they wait', async () => {
    const s = stage({ inFlightBytes: 300 * KIB });
    const uuids = Array.from({ length: 10 }, () => s.submits('large', LARGE));
    const large = workerOf(s, 'large');
    expect(large.inbox()).toHaveLength(3);
    const small = workerOf(s, 'small');
    s.submits('small', 'a');
    expect(small.inbox()).toEqual(['REQUEST a']);
    const text = 'it is next, and titanic.inFlightBytes is reached';
    expect(why(s, uuids[3] ?? '')).toMatchObject({ reason: 'in_flight', text });
    expect(why(s, uuids[4] ?? '')).toMatchObject({ reason: 'queue', ahead: 1 });
    const page = await scrape(s.broker, { titanic: () => s.titanic.figures });
    expect(page.value('titanic_in_flight')).toBe(4);
    expect(page.value('titanic_in_flight_bytes')).toBe(s.titanic.figures.inFlightBytes);
    expect(s.titanic.figures.inFlightBytes).toBeGreaterThan(300 * KIB);
    large.final('done', { of: LARGE });
    expect(why(s, uuids[3] ?? '')).toBeNull();
    expect(why(s, uuids[4] ?? '')).toMatchObject({ reason: 'in_flight' });
  });

  it('gets one place when titanic.maxInFlight is used up, and more only when others end', () => {
    const s = stage({ maxInFlight: 4 });
    for (let n = 0; n < 10; n++) s.submits('long', `l${n}`);
    const long = workerOf(s, 'long');
    expect(long.inbox()).toHaveLength(4);
    const uuids = ['a', 'b', 'c'].map((body) => s.submits('short', body));
    const short = workerOf(s, 'short');
    expect(short.inbox()).toEqual(['REQUEST a']);
    const text = 'it is next, and titanic.maxInFlight is reached';
    expect(why(s, uuids[1] ?? '')).toMatchObject({ reason: 'in_flight', text });
    short.final('done', { of: 'a' });
    expect(short.inbox()).toEqual(['REQUEST b']);
    expect(long.inbox()).toEqual([]);
  });

  it('runs one request that is larger than the limit alone', () => {
    const s = stage({ inFlightBytes: 10 * KIB });
    for (let n = 0; n < 2; n++) s.submits('large', LARGE);
    const w = workerOf(s, 'large');
    expect(w.inbox()).toHaveLength(1);
    w.final('done', { of: LARGE });
    expect(w.inbox()).toHaveLength(1);
  });
});

describe('what is left of the limits', () => {
  it.each<[string, Partial<TitanicOptions>, string]>([
    ['titanic.maxInFlight', { maxInFlight: 12 }, ''],
    ['titanic.inFlightBytes', { inFlightBytes: 1200 * KIB }, LARGE],
  ])('is shared by those that want it, whoever had it before (%s)', (_, limits, body) => {
    const s = stage(limits);
    const workers = ['a', 'b', 'c'].map((service) => {
      for (let n = 0; n < 40; n++) s.submits(service, `${service}${n} ${body}`);
      const worker = workerOf(s, service);
      const out = worker.inbox();
      const isWith = (): number => out.push(...worker.inbox());
      return { worker, out, isWith };
    });
    expect(workers.map(({ out }) => out.length)).toEqual([12, 1, 1]);
    // The first one ends what it has, the others nothing.
    const [first] = workers;
    const ends = (count: number): void => {
      s.batch(() => {
        for (const each of first?.out.splice(0, count) ?? []) {
          first?.worker.final('x', { of: each.slice('REQUEST '.length) });
        }
      });
      for (const { isWith } of workers) isWith();
    };
    ends(6);
    expect(workers.map(({ out }) => out.length)).toEqual([6, 3, 3]);
    for (let n = 0; n < 3; n++) ends(1);
    expect(workers.map(({ out }) => out.length)).toEqual([4, 4, 4]);
    // What the others cannot use, one has alone.
    for (const { worker, out } of workers.slice(1)) {
      for (const each of out.splice(0)) worker.final('x', { of: each.slice('REQUEST '.length) });
      worker.disconnect();
    }
    first?.isWith();
    expect(first?.out).toHaveLength(12);
  });
});

describe('the memory', () => {
  it('has a bound however many services there are, and a small request still finds a place', () => {
    const s = stage({ inFlightBytes: 300 * KIB });
    const workers = Array.from({ length: 50 }, (_, n) => {
      s.submits(`large-${n}`, LARGE);
      return s.worker(`w${n}`).ready(`large-${n}`, { credit: 30 });
    });
    const inboxes = workers.map((worker) => worker.inbox().length);
    expect(inboxes.filter((length) => length > 0)).toHaveLength(6);
    expect(s.titanic.figures.inFlightBytes).toBeLessThan(700 * KIB);
    const small = workerOf(s, 'small');
    s.submits('small', 'a');
    expect(small.inbox()).toEqual(['REQUEST a']);
    // In turn: each of them gets a place when another one ends.
    for (let n = 0; n < 50; n++) {
      workers[n]?.final('done', { of: LARGE });
      expect(s.titanic.figures.inFlightBytes).toBeLessThan(700 * KIB);
      if (n + 6 < 50) expect(workers[n + 6]?.inbox()).toHaveLength(1);
    }
  });

  it('a small request goes as soon as the large one before it, which waits for a place, is closed', () => {
    const s = stage({ inFlightBytes: 50 * KIB });
    s.submits('large', LARGE);
    workerOf(s, 'large');
    const w = workerOf(s, 'both');
    const first = s.submits('both', LARGE);
    s.submits('both', 'a');
    expect(w.inbox()).toEqual([]);
    s.asks('close', first);
    expect(w.inbox()).toEqual(['REQUEST a']);
  });

  it('keeps nothing of services that end while they wait for a place', () => {
    const s = stage({ inFlightBytes: 100 * KIB });
    for (const service of ['a', 'b', 'c', 'd']) {
      const uuid = s.submits(service, LARGE);
      workerOf(s, service);
      if (service === 'd') {
        expect(why(s, uuid)).toMatchObject({ reason: 'in_flight' });
        s.asks('close', uuid);
      }
    }
    const { dispatcher } = s.titanic.operatorHost().requests;
    expect([...dispatcher.places.lacking].map(({ shown }) => shown)).toEqual(['c']);
  });
});
