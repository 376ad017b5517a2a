import { present } from '../../../src/core/assert.js';
import { TimeSeries } from '../../../src/admin/metrics/time-series.js';
import { sources } from '../../support/metrics.js';
import { endStages, type Stage, stage } from '../../support/stage.js';

afterEach(endStages);

/** Samples of one stage, by a clock of the test's own that starts at 0. */
class Watch {
  readonly sources: ReturnType<typeof sources>;
  readonly timeSeries: TimeSeries;
  readonly #stage: Stage;
  #now = 0;

  constructor(s: Stage, given: Parameters<typeof sources>[1] = {}) {
    this.#stage = s;
    this.sources = sources(s.broker, given);
    this.timeSeries = new TimeSeries(this.sources, 0);
  }

  /** Takes a sample a second, for so many. */
  seconds(count = 1): this {
    for (let second = 0; second < count; second++) {
      this.#now += 1000;
      this.timeSeries.sample(this.#now, 1e12 + this.#now);
    }
    return this;
  }

  get newest(): Readonly<Record<string, number | null>> {
    const { columns, samples } = this.timeSeries.samples(0);
    const newest = samples.at(-1) ?? [];
    return Object.fromEntries(columns.map((name, index) => [name, newest[index] ?? null]));
  }

  history(name: string, since = 0): readonly Readonly<Record<string, number | null>>[] {
    const { columns, samples } = this.timeSeries.historyOf(name, since);
    return samples.map((row) =>
      Object.fromEntries(columns.map((column, index) => [column, row[index] ?? null])),
    );
  }

  /** Its rates in lists. */
  service(name: string): object | null {
    const service = this.#stage.broker.counters.requests.services.find(name);
    return service === null ? null : this.timeSeries.plainOf(service, this.#now);
  }
}

describe('the samples of a node', () => {
  it('have what came, was replied and failed in each second, and what there is', () => {
    const s = stage();
    const watch = new Watch(s);
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', '1').request('echo', '2').request('echo', '3');
    s.after(30);
    w1.final('one');
    expect(watch.seconds().newest).toMatchObject({
      at: 1e12 + 1000,
      received: 3,
      replied: 1,
      failed: 0,
      queued: 1,
      inFlight: 1,
      workersBusy: 1,
      workersWaiting: 0,
    });
    s.after(70_000);
    expect(watch.seconds().newest).toMatchObject({ received: 0, replied: 0, failed: 1, queued: 0 });
  });

  it('read latencies off the bucket that they are in, below the longest known, over ten seconds', () => {
    const s = stage();
    const watch = new Watch(s);
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', '1');
    s.after(30);
    w1.final('one');
    // The sum of one value is that value.
    expect(watch.seconds().newest).toMatchObject({ p50Ms: 30, maxMs: 30 });
    s.client('c1').request('echo', '2');
    s.after(46);
    w1.final('two');
    // Within the bucket from 25 to 50 ms.
    expect(watch.seconds().newest).toMatchObject({ p50Ms: 37.5, maxMs: 50 });
    expect(watch.seconds(8).newest).toMatchObject({ p50Ms: 37.5, maxMs: 50 });
    expect(watch.seconds().newest).toMatchObject({ p50Ms: 37.5, maxMs: 46 });
    // Nothing was replied in the last ten.
    expect(watch.seconds().newest).toMatchObject({ p50Ms: null, maxMs: null });
  });

  it('have a p99 of at least 100 replies, and of fewer only the longest', () => {
    const s = stage();
    const watch = new Watch(s);
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1');
    const replies = (count: number): void => {
      for (let each = 0; each < count; each++) {
        c1.request('echo', '1');
        s.after(3);
        w1.final('one');
      }
    };
    replies(98);
    c1.request('echo', 'slow');
    s.after(400);
    w1.final('done');
    // The slowest of 99 is no 99th percentile.
    expect(watch.seconds().newest).toMatchObject({ p99Ms: null, maxMs: 449 });
    expect(watch.service('echo')).toMatchObject({ p99Ms: null, maxMs: 449 });
    replies(1);
    expect(watch.seconds().newest).toMatchObject({ p99Ms: 5, maxMs: 449.5 });
    expect(watch.service('echo')).toMatchObject({ p99Ms: 5, maxMs: 449.5 });
    expect(watch.seconds(2).history('echo').at(-1)).toMatchObject({ p99Ms: 5, maxMs: 449.5 });
  });

  it('are rates by the time that went by, not by the number of samples', () => {
    const s = stage();
    const watch = new Watch(s);
    s.client('c1').request('echo', '1').request('echo', '2').request('echo', '3');
    watch.timeSeries.sample(2000, 1e12);
    expect(watch.newest).toMatchObject({ received: 1.5 });
  });

  it('are given from the one on that is asked for, and of another process all', () => {
    const watch = new Watch(stage()).seconds(5);
    const count = (since: number): number => watch.timeSeries.samples(since).samples.length;
    expect(watch.timeSeries.samples(0).next).toBe(5);
    expect([count(0), count(3), count(5), count(99)]).toEqual([5, 2, 0, 5]);
  });

  it('are kept for ten minutes and no longer', () => {
    const watch = new Watch(stage()).seconds(700);
    const { samples, next } = watch.timeSeries.samples(0);
    expect([samples.length, next]).toEqual([600, 700]);
    expect(samples[0]?.[0]).toBe(1e12 + 101_000);
    expect(watch.timeSeries.samples(650).samples).toHaveLength(50);
  });

  it('have nothing of stored requests where none are stored', () => {
    const without = new Watch(stage(), { titanic: () => null }).seconds();
    expect(without.newest).toMatchObject({ open: null, dead: null, accepted: null });
    expect(new Watch(stage()).seconds().newest).toMatchObject({ open: 0, dead: 0, accepted: 0 });
  });
});

describe('the figures of services', () => {
  it('are of the last seconds, each by itself', () => {
    const s = stage();
    const watch = new Watch(s);
    const w1 = s.worker('w1').ready('echo');
    s.worker('w2').ready('other');
    watch.seconds(2);
    s.client('c1').request('echo', '1').request('echo', '2');
    w1.final('one');
    watch.seconds(2);
    expect(watch.service('echo')).toMatchObject({
      requestsPerSecond: 0.5,
      repliesPerSecond: 0.25,
      failuresPerSecond: 0,
    });
    expect(watch.service('other')).toMatchObject({ requestsPerSecond: 0, p50Ms: null });
    watch.seconds(8);
    expect(watch.service('echo')).toMatchObject({ requestsPerSecond: 0, repliesPerSecond: 0 });
  });
});

describe('the history of a service', () => {
  it('has a sample every four seconds, from when the service first does something', () => {
    const s = stage();
    const watch = new Watch(s).seconds(4);
    expect(watch.history('echo')).toEqual([]);
    const w1 = s.worker('w1').ready('echo');
    s.worker('w2').ready('other');
    s.client('c1').request('echo', '1').request('echo', '2');
    s.after(30);
    w1.final('one');
    watch.seconds(4);
    const [before, now] = watch.history('echo');
    expect(before).toMatchObject({ at: 1e12 + 4000, received: null, queued: null });
    expect(now).toMatchObject({
      at: 1e12 + 8000,
      received: 0.5,
      replied: 0.25,
      failed: 0,
      p50Ms: 30,
      inFlight: 1,
      workersBusy: 1,
      workersWaiting: 0,
      accepted: null,
      dead: null,
    });
    watch.seconds(4);
    // Latencies are of the last two samples.
    expect(watch.history('echo', 2)).toMatchObject([{ received: 0, p50Ms: 30, workersBusy: 1 }]);
    watch.seconds(4);
    expect(watch.history('echo', 3)).toMatchObject([{ received: 0, p50Ms: null, workersBusy: 1 }]);
    expect(watch.history('other')).toHaveLength(4);
    expect(watch.history('unknown')).toEqual([]);
  });

  it('is kept for ten minutes and no longer', () => {
    const s = stage();
    s.worker('w1').ready('echo');
    const watch = new Watch(s).seconds(700);
    const all = watch.history('echo');
    expect(all).toHaveLength(150);
    expect(all[0]?.['at']).toBe(1e12 + 104_000);
    expect(all.at(-1)?.['at']).toBe(1e12 + 700_000);
    expect(watch.history('echo', 170)).toHaveLength(5);
    // The number of an earlier process.
    expect(watch.history('echo', 9999)).toHaveLength(150);
  });

  it('is kept of services with a label, as long as they have it', () => {
    const s = stage();
    const { services } = s.broker.counters.requests;
    services.most = 2;
    for (let n = 0; n < 3; n++) s.worker(`w${n}`).ready(`s${n}`);
    const watch = new Watch(s).seconds(8);
    const kept = (name: string): boolean => watch.timeSeries.historyOf(name, 0).kept;
    expect(['s0', 's1', 's2', '__other__'].map(kept)).toEqual([true, true, false, false]);
    expect(watch.history('s0')).toHaveLength(2);
    expect(watch.history('s2')).toEqual([]);
    services.most = 1;
    watch.seconds(8);
    expect(['s0', 's1'].map((name) => watch.history(name).length)).toEqual([0, 4]);
  });

  it('tells stored requests from plain ones', () => {
    const s = stage();
    s.worker('w1').ready('pay');
    const watch = new Watch(s);
    const { counters } = present(watch.sources.titanic(), 'Titanic');
    const { columns, services } = counters;
    services.stores(services.of('pay'), columns);
    watch.seconds(4);
    const row = counters.of('pay');
    row[columns.accepted] = 8;
    row[columns.attemptsFailed.final] = 4;
    row[columns.dead] = 2;
    row[columns.requests.pending] = 3;
    row[columns.requests.dispatched] = 1;
    row[columns.requests.dead] = 41;
    expect(watch.seconds(4).history('pay').at(-1)).toMatchObject({
      received: 0,
      accepted: 2,
      completed: 0,
      failedAttempts: 1,
      deaths: 0.5,
      open: 4,
      dead: 41,
    });
  });
});
