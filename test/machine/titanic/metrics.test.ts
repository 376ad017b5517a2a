import { scrape } from '../../support/metrics.js';
import { endTitanicStages, titanicStage, type TitanicStage } from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

/** How long the oldest pending request of a service has waited, in milliseconds. */
function oldestOf({ titanic, wall }: TitanicStage, service: string): number {
  titanic.figures.measure(wall);
  const { columns } = titanic.figures.counters;
  return titanic.figures.counters.of(service)[columns.oldestMs] ?? NaN;
}

describe('the metrics of stored requests (contract §5)', () => {
  it('count each step', async () => {
    const s = titanicStage({ titanic: { maxAttempts: 2, retryBaseMs: 100 } });
    const counted = async (): Promise<Record<string, number>> => {
      const page = await scrape(s.broker, { titanic: () => s.titanic.figures });
      const names = ['accepted', 'completed', 'retried', 'dead', 'expired'];
      return page.counted(
        'titanic_requests',
        'messages_malformed_total',
        'requests_received_total',
        'requests_in_flight',
        'titanic_attempts_failed_total',
        ...names.map((name) => `titanic_${name}_total`),
      );
    };
    s.asks('request', 'echo', 'one');
    s.asks('request', 'echo', 'two');
    s.asks('request', 'idle', 'three');
    s.asks('request', 'no body');
    const w1 = s.worker('w1').ready('echo');
    expect(await counted()).toEqual({
      'titanic_accepted_total{service="echo"}': 2,
      'titanic_accepted_total{service="idle"}': 1,
      'titanic_requests{service="echo",state="pending"}': 1,
      'titanic_requests{service="echo",state="dispatched"}': 1,
      'titanic_requests{service="idle",state="pending"}': 1,
      'messages_malformed_total{kind="titanic"}': 1,
    });
    w1.final('ONE').saysDisconnect();
    s.worker('w2').ready('echo').saysDisconnect();
    s.worker('w3').ready('echo');
    s.after(1000);
    expect(await counted()).toMatchObject({
      'titanic_completed_total{service="echo"}': 1,
      'titanic_retried_total{service="echo"}': 1,
      'titanic_attempts_failed_total{service="echo",kind="lost"}': 1,
      'titanic_requests{service="echo",state="replied"}': 1,
    });
    s.after(600_000);
    expect(await counted()).toMatchObject({
      'titanic_expired_total{service="echo"}': 2,
      'titanic_expired_total{service="idle"}': 1,
    });
  });

  it('count failed attempts by what their worker said of them (D63, D64)', async () => {
    const s = titanicStage({ titanic: { maxAttempts: 5, retryBaseMs: 10 } });
    s.submits('pay');
    const w1 = s.worker('w1').ready('pay');
    for (const kind of ['error', 'retry', 'final']) {
      w1.fails([kind, 'E', 'no']);
      s.after(100);
    }
    const page = await scrape(s.broker, { titanic: () => s.titanic.figures });
    expect(page.counted('titanic_attempts_failed_total', 'titanic_dead_total')).toEqual({
      'titanic_attempts_failed_total{service="pay",kind="error"}': 1,
      'titanic_attempts_failed_total{service="pay",kind="retry"}': 1,
      'titanic_attempts_failed_total{service="pay",kind="final"}': 1,
      'titanic_dead_total{service="pay"}': 1,
    });
  });

  it('count the last attempt, and the death', async () => {
    const s = titanicStage({ titanic: { maxAttempts: 1 } });
    s.submits('echo');
    s.worker('w1').ready('echo').saysDisconnect();
    const page = await scrape(s.broker, { titanic: () => s.titanic.figures });
    expect(
      page.counted('titanic_dead_total', 'titanic_attempts_failed_total', 'titanic_requests'),
    ).toEqual({
      'titanic_dead_total{service="echo"}': 1,
      'titanic_attempts_failed_total{service="echo",kind="lost"}': 1,
      'titanic_requests{service="echo",state="dead"}': 1,
    });
  });

  it('time a request from its acceptance to its reply, without the delay that was asked for', async () => {
    const s = titanicStage();
    const w1 = s.worker('w1').ready('echo');
    s.submits('echo', 'now');
    s.after(70);
    w1.final('NOW');
    s.submits('echo', 'later', { delayMs: 500 });
    s.after(500);
    s.after(30);
    w1.final('LATER');
    const page = await scrape(s.broker, { titanic: () => s.titanic.figures });
    const name = 'titanic_accept_to_reply_seconds';
    expect(page.value(`${name}_count{service="echo"}`)).toBe(2);
    expect(page.value(`${name}_sum{service="echo"}`)).toBeCloseTo(0.1);
    expect(page.value(`${name}_bucket{service="echo",le="0.05"}`)).toBe(1);
  });

  it('say how long the oldest of each service waits, once its delay is over', async () => {
    const s = titanicStage();
    const oldest = async (service: string): Promise<number | undefined> => {
      const given = { titanic: () => s.titanic.figures, wall: () => s.wall };
      const page = await scrape(s.broker, given);
      return page.value(`titanic_oldest_pending_seconds{service="${service}"}`);
    };
    const first = s.submits('echo');
    s.submits('later', 'hi', { delayMs: 10_000 });
    s.after(4000);
    s.submits('echo');
    s.after(2000);
    expect([await oldest('echo'), await oldest('later')]).toEqual([6, 0]);
    s.asks('close', first);
    s.after(6000);
    expect([await oldest('echo'), await oldest('later')]).toEqual([8, 2]);
  });

  it('are those of a service that waits since an operator’s retry, also after a restart', async () => {
    const s = titanicStage({ titanic: { maxAttempts: 1 } });
    const uuid = s.submits('echo');
    s.worker('w1').ready('echo').saysDisconnect();
    s.after(50_000);
    s.operates((operator, answer) => operator.retry(Buffer.from(uuid, 'hex'), 'alice', answer));
    s.after(1000);
    expect(oldestOf(s, 'echo')).toBe(1000);
    const next = s.crashes();
    expect(oldestOf(next, 'echo')).toBe(1000);
  });

  it('tell no age of what a worker has: a long run is not a long wait', () => {
    const s = titanicStage();
    const oldest = (): number => oldestOf(s, 'render');
    s.submits('render', 'long');
    s.after(1000);
    expect(oldest()).toBe(1000);
    const w1 = s.worker('w1').ready('render').heartbeatsEvery(500);
    s.after(5000);
    expect(oldest()).toBe(0);
    s.submits('render', 'next');
    s.after(2000);
    expect(oldest()).toBe(2000);
    w1.saysDisconnect();
    expect(oldest()).toBe(8000);
  });

  it('know each service after a restart, and on a node that sleeps', async () => {
    const s = titanicStage({ titanic: { maxAttempts: 1 } });
    s.submits('echo');
    s.submits('sum');
    s.worker('w1').ready('sum').saysDisconnect();
    const next = s.crashes({ isDormant: true });
    next.titanic.counted(next.store.disk.recovered.counts);
    const page = await scrape(next.broker, { titanic: () => next.titanic.figures });
    expect(page.counted('titanic_requests')).toEqual({
      'titanic_requests{service="echo",state="pending"}': 1,
      'titanic_requests{service="sum",state="dead"}': 1,
    });
  });

  it('time each commit, and count what it made durable', async () => {
    const s = titanicStage().holdsStore();
    const commits = async (): Promise<number[]> => {
      const page = await scrape(s.broker, { titanic: () => s.titanic.figures });
      return ['duration_seconds_count', 'duration_seconds_sum', 'batch_size_sum'].map(
        (sample) => page.value(`titanic_commit_${sample}`) ?? NaN,
      );
    };
    const [count = NaN, seconds = NaN, changes = NaN] = await commits();
    s.batch(() => {
      for (const body of ['one', 'two', 'three']) s.asks('request', 'echo', body);
    });
    s.after(30);
    expect(await commits()).toEqual([count, seconds, changes]);
    s.answers('commit');
    expect(await commits()).toEqual([count + 1, seconds + 0.03, changes + 3]);
    s.freesStore();
  });
});

describe('the labels of services that have stored requests', () => {
  it('are at most half of all, so that services with workers find one', async () => {
    const s = titanicStage();
    s.broker.counters.requests.services.most = 200;
    s.batch(() => {
      for (let index = 0; index < 150; index++) s.asks('request', `fake ${index}`, 'hi');
    });
    s.after(10);
    s.worker('w1').ready('honest');
    const page = await scrape(s.broker, { titanic: () => s.titanic.figures });
    const services = page.valuesOf('service');
    expect(services.size).toBe(102);
    expect(services.has('honest')).toBe(true);
    expect(page.value('titanic_accepted_total{service="__other__"}')).toBe(50);
    expect(page.value('titanic_requests{service="__other__",state="pending"}')).toBe(50);
  });

  it('are the same as the broker’s, and only those of services that had stored requests are told', async () => {
    const s = titanicStage();
    s.submits('both');
    s.worker('w1').ready('both');
    s.worker('w2').ready('plain');
    const page = await scrape(s.broker, { titanic: () => s.titanic.figures });
    expect(page.value('workers{service="both",state="busy"}')).toBe(1);
    expect(page.value('titanic_accepted_total{service="both"}')).toBe(1);
    expect(page.value('titanic_accepted_total{service="plain"}')).toBeUndefined();
  });
});
