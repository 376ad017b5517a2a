import type { BrokerEvent } from '../../../src/broker/broker-events.js';
import { scrape } from '../../support/metrics.js';
import { endStages, type Stage, stage } from '../../support/stage.js';
import { page, rowsBelow, words } from '../../unit/docs/page.js';
import { rules } from '../../support/rights.js';

afterEach(endStages);

/** Event → the metric that docs/logs.md says it raises by one. */
function countedBy(): Map<string, string> {
  const rows = rowsBelow(page('logs.md'), '## Events of the broker');
  return new Map(
    rows.flatMap(([event, , , metric]) => {
      const [name = ''] = words(metric);
      return name === '' ? [] : [[words(event)[0] ?? '', name] as const];
    }),
  );
}

/** Everything that can happen to requests, workers and messages. */
function turmoil(): Stage {
  const s = stage({
    maxDeliveries: 2,
    requestTtlMs: 10_000,
    limits: { queuedRequestsPerService: 2, workers: 4 },
    listeners: [rules(true, true), rules(false, true)],
  });
  s.worker('quiet').ready('echo');
  s.worker('two').ready('echo', { credit: 2 });
  const c1 = s.client('c1').request('echo', '1').request('echo', '2').request('echo', '3');
  const leaves = s.client('leaves').request('echo', '4').request('echo', '5');
  c1.request('echo', 'over the limit').request('idle', 'expires');
  s.client('elsewhere', { listener: 1 }).request('echo', 'no client here');
  leaves.disconnect();
  s.worker('named').ready('mmi.own');
  const third = s.worker('third').ready('other');
  const fourth = s.worker('fourth').ready('other');
  s.worker('fifth').ready('other');
  c1.request('other', '6');
  third.disconnect();
  fourth.partial('a part').disconnect();
  const stranger = s.connection('stranger');
  stranger.sends('nonsense');
  stranger.sends('', 'MDPC01');
  s.worker('not ready').heartbeat();
  s.after(60_000);
  const last = s.worker('last').ready('other');
  s.client('told').request('other', 'fails');
  last.fails(['error', 'E', 'no']);
  const gone = s.client('gone').request('other', '7').request('other', '8');
  gone.disconnect();
  last.final('for nobody');
  const brief = s.worker('brief').ready('brief');
  s.client('once').once('may run once', 0, '', 'brief');
  brief.disconnect();
  s.input((broker, now) => {
    broker.connections.rejected(0, 'cut', 'it left', { address: '127.0.0.1', key: null });
    broker.drain(now);
  });
  s.client('late').request('other', 'too late');
  s.worker('late worker').ready('other');
  return s;
}

describe('every event of the broker (docs/logs.md)', () => {
  it('is counted once, by the metric that the page names', async () => {
    const s = turmoil();
    const metrics = await scrape(s.broker);
    const told = new Map<string, number>();
    for (const [event, metric] of countedBy()) {
      const count = s.events(event as BrokerEvent['name']).length;
      expect([event, count > 0]).toEqual([event, true]);
      told.set(metric, (told.get(metric) ?? 0) + count);
    }
    const counted = Array.from(told.keys(), (metric): [string, number] => {
      const samples = Object.values(metrics.counted(metric));
      return [metric, samples.reduce((sum, value) => sum + value, 0)];
    });
    expect(new Map(counted)).toEqual(told);
  });
});
