import { TimeSeries } from '../../../src/admin/metrics/time-series.js';
import { serviceFigures } from '../../../src/admin/metrics/service-figures.js';
import type { ServiceSeen } from '../../../src/wire/mmi-answers.js';
import { sources } from '../../support/metrics.js';
import { endTitanicStages, titanicStage, type TitanicStage } from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

/** Lists as the daemon makes them, with a sample each second. */
class Watched {
  readonly #stage: TitanicStage;
  readonly #timeSeries: TimeSeries;

  constructor(s: TitanicStage) {
    this.#stage = s;
    this.#timeSeries = new TimeSeries(
      sources(s.broker, { titanic: () => s.titanic.figures }),
      s.now,
    );
    s.broker.listing.setFigures(
      serviceFigures({
        timeSeries: this.#timeSeries,
        now: () => s.now,
        stored: (service) => s.titanic.figures.durableOf(service, s.wall),
      }),
    );
  }

  seconds(count: number): this {
    for (let second = 0; second < count; second++) {
      this.#stage.after(1000);
      this.#timeSeries.sample(this.#stage.now, this.#stage.wall);
    }
    return this;
  }

  get all(): readonly ServiceSeen[] {
    const { broker, now } = this.#stage;
    return broker.listing.servicePage({ service: 0, worker: 0 }, 1000, null, () => true, now).items;
  }

  of(name: string): ServiceSeen | undefined {
    return this.all.find(({ service }) => service === name);
  }
}

describe('a service with stored requests', () => {
  it('is listed without workers, and by its name alone after a restart', () => {
    const s = titanicStage();
    const uuid = s.submits('pay');
    expect(new Watched(s).of('pay')).toMatchObject({
      contracts: 0,
      workersWaiting: 0,
      workersBusy: 0,
      free: 0,
      queued: 0,
      durable: { pending: 1, dispatched: 0, replied: 0, dead: 0 },
    });
    const next = s.crashes();
    const list = new Watched(next);
    next.turn();
    expect(list.of('pay')).toMatchObject({ durable: { pending: 1 } });
    next.asks('close', uuid);
    next.after(600_000);
    expect(list.all).toEqual([]);
  });

  it('stays listed with 0 workers after the last of them, and with its dead', () => {
    const s = titanicStage({ titanic: { maxAttempts: 1 } });
    const list = new Watched(s);
    s.submits('pay');
    s.submits('pay');
    s.worker('w1').ready('pay').saysDisconnect();
    s.after(700_000 - 200_000);
    expect(list.of('pay')).toMatchObject({
      contracts: 0,
      workersWaiting: 0,
      workersBusy: 0,
      free: 0,
      durable: { pending: 1, dead: 1 },
    });
    expect(s.broker.load.services).toBe(0);
  });

  it('is listed on a node that sleeps, which does not know what is delayed', () => {
    const s = titanicStage();
    s.submits('pay', 'hi', { delayMs: 60_000 });
    const next = s.crashes({ isDormant: true });
    next.titanic.counted(next.store.disk.recovered.counts);
    next.turn();
    expect(new Watched(next).of('pay')?.durable).toEqual({
      pending: 1,
      dispatched: 0,
      delayed: null,
      retrying: 0,
      replied: 0,
      dead: 0,
      oldestMs: null,
      acceptedPerSecond: 0,
      repliesPerSecond: 0,
      failedAttemptsPerSecond: 0,
      deathsPerSecond: 0,
      p50Ms: null,
      p99Ms: null,
      maxMs: null,
    });
  });

  it('tells what is delayed, retried and oldest, and how fast it goes', () => {
    const s = titanicStage({ titanic: { maxAttempts: 2, retryBaseMs: 100_000, retryMaxMs: 1e6 } });
    const list = new Watched(s).seconds(4);
    s.submits('pay', 'a');
    s.submits('pay', 'b');
    s.submits('pay', 'later', { delayMs: 500_000 });
    const w1 = s.worker('w1').ready('pay', { credit: 10 });
    w1.fails(['error', 'E', 'no'], { of: 'a' }).final('B');
    list.seconds(2);
    expect(list.of('pay')).toMatchObject({
      contracts: 0,
      workersWaiting: 1,
      plain: { requestsPerSecond: 0, repliesPerSecond: 0 },
      durable: {
        pending: 2,
        delayed: 2,
        retrying: 1,
        replied: 1,
        oldestMs: 2000,
        acceptedPerSecond: 0.5,
        repliesPerSecond: 0.17,
        failedAttemptsPerSecond: 0.17,
        deathsPerSecond: 0,
        p50Ms: 0,
      },
    });
  });

  it('tells how long ago a plain request or an attempt of a stored one failed', () => {
    const s = titanicStage({ titanic: { maxAttempts: 2, retryBaseMs: 100_000, retryMaxMs: 1e6 } });
    const list = new Watched(s).seconds(4);
    s.client('c1').request('pay', '1');
    s.worker('w1').ready('pay').final('one');
    expect(list.seconds(4).of('pay')?.failedMsAgo).toBeNull();
    s.submits('pay', 'a');
    s.worker('w2').ready('pay').fails(['error', 'E', 'no'], { of: 'a' });
    expect(list.seconds(20).of('pay')?.failedMsAgo).toBe(16_000);
    s.client('c1').request('pay', '2');
    s.worker('w3').ready('pay').fails(['error', 'E', 'no'], { of: '2' });
    expect(list.seconds(4).of('pay')?.failedMsAgo).toBe(0);
  });

  it('is of plain and stored requests together', () => {
    const s = titanicStage();
    const list = new Watched(s);
    const w1 = s.worker('w1').ready('pay');
    s.client('c1').request('pay', '1').request('pay', '2');
    w1.fails(['retry', 'busy', '']);
    w1.fails(['error', 'E', 'no'], { of: '1' });
    list.seconds(1);
    s.submits('pay', 'stored');
    expect(list.of('pay')).toMatchObject({
      queued: 0,
      plain: { requestsPerSecond: 2, failuresPerSecond: 1, redeliveriesPerSecond: 1 },
      durable: { pending: 1 },
    });
    w1.final('TWO');
  });

  it('has rates also without a label of the metrics', () => {
    const s = titanicStage();
    s.broker.counters.requests.services.most = 2;
    const list = new Watched(s);
    s.batch(() => {
      for (let n = 0; n < 10; n++) s.asks('request', `many ${n}`, 'hi');
    });
    list.seconds(4);
    expect(list.of('many 9')).toMatchObject({
      plain: { requestsPerSecond: 0 },
      durable: { pending: 1, acceptedPerSecond: 0.25 },
    });
  });

  it('is one of at most 10,000 that are known by name, but for those that the broker knows', () => {
    const maxOpen = 20_000;
    const s = titanicStage({ titanic: { maxOpen } });
    const fake = (n: number) => ({
      service: Buffer.from(`fake ${n}`),
      pending: 1,
      retrying: 0,
      replied: 0,
      dead: 0,
    });
    const { counts } = s.titanic.figures;
    const services = Array.from({ length: 12_000 }, (_, n) => fake(n));
    s.titanic.counted({ ...counts, pending: 12_000, services });
    s.turn();
    expect(s.broker.listing.serviceCount).toBe(10_000);
    s.worker('w1').ready('honest');
    const honest = { ...fake(0), service: Buffer.from('honest') };
    s.titanic.counted({ ...counts, pending: 12_001, services: [honest] });
    s.titanic.figures.measure(s.wall);
    const { columns, others } = s.titanic.figures.counters;
    expect(s.titanic.figures.counters.of('honest')[columns.requests.pending]).toBe(1);
    expect(others[columns.requests.pending]).toBe(2000);
  });
});
