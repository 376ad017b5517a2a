import { randomUUID } from 'node:crypto';

import { temporaryService } from '../../../src/core/temporary-service.js';
import { scrape } from '../../support/metrics.js';
import { endStages, type Stage, stage } from '../../support/stage.js';
import { rules } from '../../support/rights.js';

afterEach(endStages);

const REQUESTS = [
  'requests_received_total',
  'requests_replied_total',
  'requests_failed_total',
  'requests_requeued_total',
  'requests_expired_total',
  'requests_refused_total',
  'requests_abandoned_total',
  'requests_dropped_total',
  'requests_queued',
  'requests_in_flight',
  'request_duration_seconds',
  'request_wait_seconds',
];

/** Everything about requests that is not 0. */
async function counted(s: Stage): Promise<Record<string, number>> {
  return (await scrape(s.broker)).counted(...REQUESTS);
}

describe('requests_* (contract §5)', () => {
  it('follow a request from its arrival over its worker to its reply', async () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('echo', '1').request('echo', '2');
    expect(await counted(s)).toEqual({
      'requests_received_total{service="echo"}': 2,
      'requests_queued{service="echo"}': 1,
      'requests_in_flight{service="echo"}': 1,
      'request_wait_seconds_count{service="echo"}': 1,
    });
    w1.final('one').final('two');
    expect(c1.inbox()).toHaveLength(2);
    expect(await counted(s)).toEqual({
      'requests_received_total{service="echo"}': 2,
      'requests_replied_total{service="echo"}': 2,
      'request_wait_seconds_count{service="echo"}': 2,
      'request_duration_seconds_count{service="echo"}': 2,
    });
  });

  it('time the wait to the first delivery, and the duration to the reply', async () => {
    const s = stage();
    s.client('c1').request('echo', 'hi');
    s.after(30);
    const w1 = s.worker('w1').ready('echo');
    s.after(500);
    w1.final('HI');
    const page = await scrape(s.broker);
    const buckets = (name: string): (number | undefined)[] =>
      ['0.025', '0.05', '0.5', '1', '+Inf'].map((le) =>
        page.value(`${name}_bucket{service="echo",le="${le}"}`),
      );
    expect(buckets('request_wait_seconds')).toEqual([0, 1, 1, 1, 1]);
    expect(buckets('request_duration_seconds')).toEqual([0, 0, 0, 1, 1]);
    expect(page.value('request_wait_seconds_sum{service="echo"}')).toBe(0.03);
    expect(page.value('request_duration_seconds_sum{service="echo"}')).toBe(0.53);
  });

  it('count PARTIALs for nothing, and the FINAL as the reply', async () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', 'hi');
    w1.partial('1').partial('2').final('3');
    expect(await counted(s)).toMatchObject({ 'requests_replied_total{service="echo"}': 1 });
  });

  it('count failures that workers report, by kind; `retry` ends no request (D61, D64)', async () => {
    const s = stage();
    const w1 = s.worker('w1').ready('pay');
    s.worker('w2').ready('pay');
    s.client('c1').request('pay', '1');
    w1.fails(['retry', 'busy', 'not now']);
    expect(await counted(s)).toMatchObject({
      'requests_failed_total{service="pay",kind="retry"}': 1,
      'requests_in_flight{service="pay"}': 1,
    });
    s.client('c2').request('pay', '2').request('pay', '3');
    w1.fails(['error', 'E', 'no']).fails(['final', 'E', 'never']);
    expect(await counted(s)).toMatchObject({
      'requests_failed_total{service="pay",kind="error"}': 1,
      'requests_failed_total{service="pay",kind="final"}': 1,
      'requests_failed_total{service="pay",kind="retry"}': 1,
    });
  });

  it('count a lost delivery as requeued, and wait once for all deliveries (D6)', async () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', 'hi');
    w1.disconnect();
    s.worker('w2').ready('echo').final('HI');
    expect(await counted(s)).toEqual({
      'requests_received_total{service="echo"}': 1,
      'requests_requeued_total{service="echo",reason="lost"}': 1,
      'requests_replied_total{service="echo"}': 1,
      'request_wait_seconds_count{service="echo"}': 1,
      'request_duration_seconds_count{service="echo"}': 1,
    });
  });

  it('count one given up after its last delivery as abandoned (D6)', async () => {
    const s = stage({ maxDeliveries: 1 });
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', 'hi');
    w1.disconnect();
    expect(await counted(s)).toEqual({
      'requests_received_total{service="echo"}': 1,
      'requests_abandoned_total{service="echo"}': 1,
      'request_wait_seconds_count{service="echo"}': 1,
    });
  });

  it('count one that a late reply answers while it is at a second worker once (D8)', async () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', 'hi');
    const token = w1.token();
    w1.disconnect();
    const w2 = s.worker('w2').ready('echo');
    s.worker('w3').final('late', { token });
    expect(await counted(s)).toMatchObject({
      'requests_replied_total{service="echo"}': 1,
      'requests_in_flight{service="echo"}': 1,
    });
    w2.final('second');
    const page = await scrape(s.broker);
    expect(page.value('requests_in_flight{service="echo"}')).toBe(0);
    expect(page.value('requests_replied_total{service="echo"}')).toBe(1);
    expect(page.value('replies_dropped_total{reason="answered"}')).toBe(1);
  });

  it('count what expires, is dropped and is refused for a name without workers as others', async () => {
    const s = stage({ requestTtlMs: 1000, limits: { queuedRequestsPerService: 2 } });
    const gone = s.client('gone').request('nobody', '1');
    s.client('c1').request('nobody', '2').request('nobody', '3');
    gone.disconnect();
    s.after(1000);
    expect(await counted(s)).toEqual({
      'requests_received_total{service="__other__"}': 3,
      'requests_refused_total{service="__other__",reason="limit"}': 1,
      'requests_dropped_total{service="__other__",reason="client_gone"}': 1,
      'requests_expired_total{service="__other__"}': 1,
    });
  });

  it('count what a listener or a drain refuses as received and refused', async () => {
    const s = stage({
      listeners: [rules(true, true), rules(false, true)],
    });
    const w1 = s.worker('w1').ready('echo');
    s.client('c1', { listener: 1 }).request('echo', 'not here');
    s.client('c2').request('echo', 'out').request('echo', 'waits');
    s.input((broker, now) => broker.drain(now));
    s.client('c3').request('echo', 'too late');
    expect(await counted(s)).toEqual({
      'requests_received_total{service="echo"}': 4,
      'requests_refused_total{service="echo",reason="rights"}': 1,
      'requests_refused_total{service="echo",reason="draining"}': 2,
      'requests_in_flight{service="echo"}': 1,
      'request_wait_seconds_count{service="echo"}': 1,
    });
    w1.final('HI');
  });

  it('do not count mmi.*', async () => {
    const s = stage();
    s.client('c1').request('mmi.service', 'echo').request('mmi.nonsense', '');
    expect(await counted(s)).toEqual({});
  });
});

describe('workers_*, messages_*, replies_* (contract §5)', () => {
  it('count workers by state, and those that are lost or refused by reason', async () => {
    const s = stage({ limits: { workers: 2 } });
    s.worker('w1').ready('echo');
    const w2 = s.worker('w2').ready('echo');
    s.worker('w3').ready('echo');
    s.worker('w4').ready('mmi.mine');
    s.client('c1').request('echo', 'hi');
    expect((await scrape(s.broker)).counted('workers', 'workers_refused_total')).toEqual({
      'workers{service="echo",state="waiting"}': 1,
      'workers{service="echo",state="busy"}': 1,
      'workers_refused_total{reason="limit"}': 1,
      'workers_refused_total{reason="reserved"}': 1,
    });
    w2.saysDisconnect();
    s.after(3000);
    expect((await scrape(s.broker)).counted('workers', 'workers_lost_total')).toEqual({
      'workers{service="echo",state="busy"}': 1,
      'workers_lost_total{reason="disconnected"}': 1,
    });
  });

  it('count messages that cannot be read by what was wrong', async () => {
    const s = stage();
    const stranger = s.connection('stranger');
    stranger.sends('nonsense');
    stranger.sends('', 'MDPC01');
    stranger.sends('MDPW02', Buffer.from([9]));
    stranger.sendsOversized();
    expect((await scrape(s.broker)).counted('messages_malformed_total')).toEqual({
      'messages_malformed_total{kind="envelope"}': 1,
      'messages_malformed_total{kind="client"}': 1,
      'messages_malformed_total{kind="worker"}': 1,
      'messages_malformed_total{kind="too_large"}': 1,
    });
  });

  it('count replies whose client is gone', async () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', 'hi').disconnect();
    w1.final('HI');
    expect((await scrape(s.broker)).counted('replies_dropped_total')).toEqual({
      'replies_dropped_total{reason="client_gone"}': 1,
    });
  });
});

describe('the label service (contract §5)', () => {
  it('is lent to services that had a worker, and stays while they are remembered', async () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', 'hi').request('nobody', 'hi');
    w1.final('HI').disconnect();
    expect(s.broker.load).toMatchObject({ workers: 0, services: 1 });
    const page = await scrape(s.broker);
    expect(page.valuesOf('service')).toEqual(new Set(['__other__', 'echo']));
    expect(page.value('requests_replied_total{service="echo"}')).toBe(1);
    s.after(590_000);
    s.client('c2').request('echo', 'again');
    expect((await scrape(s.broker)).value('requests_received_total{service="echo"}')).toBe(2);
  });

  it('is given back when its service has been gone for ten minutes, and free for the next', async () => {
    const s = stage();
    s.broker.counters.requests.services.most = 1;
    const w1 = s.worker('w1').ready('first');
    s.client('c1').request('first', 'hi');
    w1.final('HI').disconnect();
    s.after(600_000);
    const w2 = s.worker('w2').ready('second');
    s.client('c2').request('second', 'hi');
    w2.final('HI').disconnect();
    const page = await scrape(s.broker);
    expect(page.valuesOf('service')).toEqual(new Set(['__other__', 'second']));
    // It was counted once, under its own name: __other__ gets none of it.
    expect(page.value('requests_received_total{service="__other__"}')).toBe(0);
    expect(page.value('requests_received_total{service="second"}')).toBe(1);
    expect(s.broker.counters.requestsReceived).toBe(2);
    s.after(600_000);
    s.worker('w3').ready('first');
    const again = await scrape(s.broker);
    expect(again.value('requests_received_total{service="first"}')).toBe(0);
  });

  it('is `__other__`, with what they count together, for services beyond those', async () => {
    const s = stage();
    s.broker.counters.requests.services.most = 200;
    const c1 = s.client('c1');
    for (let index = 0; index < 300; index++) {
      s.worker(`w${index}`).ready(`service ${index}`);
      c1.request(`service ${index}`, 'hi');
    }
    const page = await scrape(s.broker);
    const services = page.valuesOf('service');
    expect(services.size).toBe(201);
    expect([services.has('service 0'), services.has('service 199')]).toEqual([true, true]);
    expect(services.has('service 200')).toBe(false);
    expect(page.value('requests_received_total{service="service 199"}')).toBe(1);
    expect(page.value('requests_received_total{service="__other__"}')).toBe(100);
    expect(page.value('requests_in_flight{service="__other__"}')).toBe(100);
    expect(page.value('workers{service="__other__",state="busy"}')).toBe(100);
    expect(page.value('request_wait_seconds_count{service="__other__"}')).toBe(100);
  });

  it('keeps what was counted before it was lent under `__other__`, which never decreases', async () => {
    const s = stage();
    s.client('c1').request('echo', '1').request('echo', '2');
    s.after(30);
    s.worker('w1').ready('echo').final('ONE');
    expect(await counted(s)).toEqual({
      'requests_received_total{service="__other__"}': 2,
      'requests_replied_total{service="echo"}': 1,
      'request_wait_seconds_count{service="echo"}': 2,
      'request_duration_seconds_count{service="echo"}': 1,
      'requests_in_flight{service="echo"}': 1,
    });
  });

  it('is not lent to the services of our own benchmarks', async () => {
    const s = stage();
    s.worker('w1').ready(temporaryService(randomUUID()));
    s.worker('w2').ready('bench-of-mine');
    expect((await scrape(s.broker)).valuesOf('service')).toEqual(
      new Set(['__other__', 'bench-of-mine']),
    );
  });

  it('shows a hostile name percent-escaped and quoted, so that it adds no line and no label (D3)', async () => {
    const s = stage();
    const names = ['a"} 1\nx', 'back\\slash', '100%', '\u0000\u00ff', '__proto__', '{le="1"}'];
    for (const [index, name] of names.entries()) {
      s.worker(`w${index}`).ready(Buffer.from(name, 'latin1'));
    }
    const page = await scrape(s.broker);
    expect(page.valuesOf('service')).toEqual(
      new Set([
        '__other__',
        'a\\"} 1%0Ax',
        'back\\\\slash',
        '100%25',
        '%00%FF',
        '__proto__',
        '{le=\\"1\\"}',
      ]),
    );
  });

  it('of a service called __other__ is that of the others', async () => {
    const s = stage();
    s.worker('w1').ready('__other__');
    s.client('c1').request('nobody', 'hi').request('__other__', 'hi');
    expect(await counted(s)).toMatchObject({ 'requests_received_total{service="__other__"}': 2 });
  });
});
