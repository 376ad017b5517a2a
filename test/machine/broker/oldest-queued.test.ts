import { endStages, type Stage, stage } from '../../support/stage.js';

afterEach(endStages);

function oldest(s: Stage): readonly (number | null)[] {
  const { items } = s.broker.listing.servicePage(
    { service: 0, worker: 0 },
    10,
    null,
    () => true,
    s.now,
  );
  return items.map(({ oldestQueuedMs }) => oldestQueuedMs);
}

describe('how long the first queued request of a service has waited', () => {
  it('is since it arrived, and nothing while none is queued', () => {
    const s = stage();
    const c1 = s.client('c1').request('echo', 'first');
    s.after(300);
    c1.request('echo', 'second');
    expect(oldest(s)).toEqual([300]);
    s.worker('w1').ready('echo').final('FIRST');
    s.after(100);
    // The second one is at the worker.
    expect(oldest(s)).toEqual([null]);
  });

  it('counts on for a request whose worker is lost (D6)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', 'first');
    s.after(200);
    s.client('c2').request('echo', 'second');
    s.after(50);
    w1.disconnect();
    s.after(50);
    expect(oldest(s)).toEqual([300]);
  });
});
