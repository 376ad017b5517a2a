import { endStages, type Stage, stage } from '../../support/stage.js';

afterEach(endStages);

const REMEMBERED_MS = 600_000;

/** `echo 1/0 2`: workers waiting and busy, queued. */
function listed(s: Stage): string[] {
  const wanted = (): boolean => true;
  return s.broker.listing
    .servicePage({ service: 0, worker: 0 }, 100_000, null, wanted, s.now)
    .items.map(
      ({ service, workersWaiting, workersBusy, queued }) =>
        `${service} ${workersWaiting}/${workersBusy} ${queued}`,
    );
}

describe('a service that is in use no more', () => {
  it('stays listed for ten minutes after its last worker', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', 'hi');
    w1.final('HI');
    w1.disconnect();
    expect(listed(s)).toEqual(['echo 0/0 0']);
    expect(s.broker.load.services).toBe(0);
    s.after(REMEMBERED_MS - 1);
    expect(listed(s)).toEqual(['echo 0/0 0']);
    s.after(1);
    expect(listed(s)).toEqual([]);
  });

  it('is in use again with a worker or a request, and remembered anew after that', () => {
    const s = stage();
    s.worker('w1').ready('echo').disconnect();
    s.after(REMEMBERED_MS - 10);
    const c1 = s.client('c1').request('echo', 'hi');
    expect(listed(s)).toEqual(['echo 0/0 1']);
    expect(s.broker.load.services).toBe(1);
    s.after(20);
    c1.disconnect();
    s.after(REMEMBERED_MS - 1);
    expect(listed(s)).toEqual(['echo 0/0 0']);
    s.worker('w2').ready('echo');
    expect(listed(s)).toEqual(['echo 1/0 0']);
  });

  it('stays listed while clients that do not wait for a worker ask for it', () => {
    const s = stage();
    s.worker('w1').ready('echo').disconnect();
    const c1 = s.client('c1').hello('{"noWorker":"refuse"}');
    const { services } = s.broker.counters.requests;
    s.after(REMEMBERED_MS - 10);
    c1.request('echo', 'hi');
    services.mark(s.now);
    s.after(20);
    expect(listed(s)).toEqual(['echo 0/0 0']);
    s.after(REMEMBERED_MS);
    services.mark(s.now);
    expect(listed(s)).toEqual([]);
  });

  it('without ever a worker is remembered, too: a name that was mistyped can be seen', () => {
    const s = stage();
    s.client('c1').request('ehco', 'hi').disconnect();
    expect(listed(s)).toEqual(['ehco 0/0 0']);
    s.after(REMEMBERED_MS);
    expect(listed(s)).toEqual([]);
  });

  it('costs its namer nothing: only what is in use counts in limits and quotas', () => {
    const limits = { services: 2 };
    const s = stage({ limits });
    const c1 = s.client('c1').hello();
    for (let n = 0; n < 50; n++) {
      c1.request(`fake ${n}`, 'hi');
      s.after(60_000);
    }
    expect(c1.inbox().every((text) => text.includes('408'))).toBe(true);
    expect(s.broker.load.services).toBe(0);
    c1.request('one', 'hi').request('two', 'hi').request('fake 7', 'hi');
    expect(s.broker.load.services).toBe(2);
    expect(c1.inbox()).toEqual([expect.stringContaining('mmi.refused 429|fake 7')]);
  });

  it('is one of at most 1,000 that no worker served, and does not push out those that one did', () => {
    const s = stage();
    s.worker('w1').ready('honest').disconnect();
    const c1 = s.client('c1');
    for (let n = 0; n < 3000; n++) {
      const each = s.client(`fake ${n}`);
      each.request(`fake ${n}`, 'hi').disconnect();
    }
    c1.request('other', 'hi');
    const names = listed(s);
    expect(names).toHaveLength(1002);
    expect(names).toContain('honest 0/0 0');
    expect(names).toContain('fake 2999 0/0 0');
    expect(names).not.toContain('fake 1999 0/0 0');
  });

  it('is forgotten in a later turn if more than a thousand are forgotten in this one', () => {
    const s = stage({ limits: { services: 5000 } });
    const c1 = s.client('c1');
    for (let n = 0; n < 5000; n++) c1.request(`fake ${n}`, 'hi');
    s.unrun(() => {
      c1.disconnect();
    });
    let known = s.broker.listing.serviceCount;
    const forgotten: number[] = [];
    for (let more = true; more;) {
      ({ more } = s.runOnce());
      const { serviceCount } = s.broker.listing;
      forgotten.push(known - serviceCount);
      known = serviceCount;
    }
    expect(Math.max(...forgotten)).toBe(1024);
    expect(known).toBe(1000);
  });
});
