import { afterEach, describe, expect, it } from '@jest/globals';
import { scrape } from '../../support/metrics.js';
import { endTitanicStages, titanicStage } from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

describe('the metrics of stored requests (contract §5)', () => {
  it('count each step', async () => {
    const s = titanicStage({ titanic: { maxAttempts: 2, retryBaseMs: 100 } });
    const counted = async (): Promise<Record<string, number>> => {
      const page = await scrape(s.broker, { titanic: () => s.titanic });
      const names = ['accepted', 'completed', 'retried', 'dead', 'expired'];
      return page.counted(
        'titanic_requests',
        'messages_malformed_total',
        'requests_received_total',
        'requests_in_flight',
        ...names.map((name) => `titanic_${name}_total`),
      );
    };
    s.asks('request', 'echo', 'one');
    s.asks('request', 'echo', 'two');
    s.asks('request', 'idle', 'three');
    s.asks('request', 'no body');
    const w1 = s.worker('w1').ready('echo');
    expect(await counted()).toEqual({
      titanic_accepted_total: 3,
      'titanic_requests{state="pending"}': 2,
      'titanic_requests{state="dispatched"}': 1,
      'messages_malformed_total{kind="titanic"}': 1,
    });
    w1.final('ONE').saysDisconnect();
    s.worker('w2').ready('echo').saysDisconnect();
    s.worker('w3').ready('echo');
    s.after(1000);
    expect(await counted()).toMatchObject({
      titanic_completed_total: 1,
      titanic_retried_total: 1,
      'titanic_requests{state="replied"}': 1,
    });
    s.after(600_000);
    expect(await counted()).toMatchObject({ titanic_expired_total: 3 });
  });

  it('time each commit, and count what it made durable', async () => {
    const s = titanicStage().holdsStore();
    const commits = async (): Promise<number[]> => {
      const page = await scrape(s.broker, { titanic: () => s.titanic });
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
