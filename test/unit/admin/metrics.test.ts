import { gunzipSync } from 'node:zlib';

import { Histogram } from '../../../src/core/histogram.js';
import { Holdings } from '../../../src/core/holdings.js';
import { Exposition, labelText } from '../../../src/admin/metrics/exposition.js';
import { STORED } from '../../../src/titanic/machine/requests/counters.js';
import { MetricsPage, metricsOf, scrape } from '../../support/metrics.js';
import { endStages, stage } from '../../support/stage.js';
import { until } from '../../support/until.js';

afterEach(endStages);

describe('the text of metrics', () => {
  it('has cumulative buckets, the last of them as large as the count', () => {
    const histogram = new Histogram([1, 10, 100], 3);
    const row = new Float64Array(histogram.end);
    for (const value of [0, 1, 1.5, 10, 1000]) histogram.observe(row, value);
    const out = new Exposition();
    out.metric('titanic_commit_batch_size');
    out.histogram('', histogram, row, 1);
    const lines = out.take().split('\n').slice(2, -1);
    expect(lines.map((line) => line.replace('majordomo_titanic_commit_batch_size', ''))).toEqual([
      '_bucket{le="1"} 2',
      '_bucket{le="10"} 4',
      '_bucket{le="100"} 4',
      '_bucket{le="+Inf"} 5',
      '_sum 1012.5',
      '_count 5',
    ]);
  });

  it('has quotes, backslashes and line breaks of a label escaped', () => {
    expect(labelText('node', 'a"b\\c\nd')).toBe('node="a\\"b\\\\c\\nd"');
  });

  it('names node, version and Node.js', async () => {
    const page = await scrape(stage().broker, { node: 'a "b"', version: '1.2.3' });
    const nodejs = process.versions.node;
    const sample = `build_info{version="1.2.3",node="a \\"b\\"",nodejs="${nodejs}"}`;
    expect(page.value(sample)).toBe(1);
  });

  it('says 1 for the role and the state that a node has, and 0 for the others (contract §5)', async () => {
    const page = await scrape(stage().broker);
    expect(page.counted('ha_role', 'ha_state')).toEqual({
      'ha_role{role="standalone"}': 1,
      'ha_state{state="active"}': 1,
    });
    expect(page.value('ha_role{role="backup"}')).toBe(0);
    expect(page.value('ha_state{state="joining"}')).toBe(0);
  });

  it('has no titanic_* where no requests are stored', async () => {
    const page = await scrape(stage().broker, { titanic: () => null });
    expect(page.samples.filter((sample) => sample.startsWith('majordomo_titanic'))).toEqual([]);
  });

  it('has what the process takes', async () => {
    const { samples } = await scrape(stage().broker);
    expect(samples.filter((sample) => sample.startsWith('process_')).sort()).toEqual([
      'process_cpu_seconds_total',
      'process_cpu_system_seconds_total',
      'process_cpu_user_seconds_total',
      'process_heap_bytes',
      'process_max_fds',
      'process_open_fds',
      'process_resident_memory_bytes',
      'process_start_time_seconds',
      'process_virtual_memory_bytes',
    ]);
  });
});

describe('memory', () => {
  it('that is held for peers is told in all, and by kind', async () => {
    const holdings = new Holdings();
    const [alice, bob] = [holdings.use('alice'), holdings.use('bob')];
    alice.add('requests', 100);
    bob.add('requests', 20);
    bob.add('subscriptions', 3);
    const page = await scrape(stage().broker, { holdings });
    expect(page.samples.filter((sample) => sample.startsWith('majordomo_memory_held'))).toEqual([
      'majordomo_memory_held_bytes',
      ...[
        'requests',
        'output',
        'dispatched',
        'input',
        'stored',
        'subscriptions',
        'contracts',
        'http',
      ].map((kind) => `majordomo_memory_held_bytes{kind="${kind}"}`),
    ]);
    expect(page.value('memory_held_bytes')).toBe(123);
    expect(page.value('memory_held_bytes{kind="requests"}')).toBe(120);
    expect(page.value('memory_held_bytes{kind="subscriptions"}')).toBe(3);
    expect(page.value('memory_held_bytes{kind="output"}')).toBe(0);
  });
});

/** Services with long names, each with a worker. */
function crowd(count: number, length: number): ReturnType<typeof stage> {
  const s = stage();
  for (let at = 0; at < count; at++) s.worker(`w${at}`).ready(String(at).padEnd(length, '"'));
  return s;
}

describe('a long text', () => {
  it('is written in several turns', async () => {
    const metrics = metricsOf(crowd(1000, 255).broker);
    let turns = 0;
    const count = (): void => {
      turns++;
      turn = setImmediate(count);
    };
    let turn = setImmediate(count);
    const { plain } = await metrics.render();
    clearImmediate(turn);
    // (In one turn, none would be counted but the first.)
    expect(turns).toBeGreaterThan(1);
    expect(new MetricsPage(String(plain)).valuesOf('service').size).toBe(1001);
  });

  it('takes no more than is counted for its services', async () => {
    const s = crowd(50, 255);
    const { services } = s.broker.counters.requests;
    for (const service of services.byName.values()) {
      services.stores(service, STORED);
      // Numbers as long as they become.
      service.plain.now.fill(Number.MAX_SAFE_INTEGER);
      service.stored?.now.fill(Number.MAX_SAFE_INTEGER);
    }
    const { plain } = await metricsOf(s.broker).render();
    for (const service of services.byName.values()) service.plain.now.fill(0);
    const lines = String(plain).split('\n');
    for (const service of services.byName.values()) {
      const label = `service=${JSON.stringify(service.label)}`;
      const own = lines.filter((line) => line.includes(label));
      expect(own.length).toBeGreaterThan(90);
      expect(Buffer.byteLength(own.join('\n'))).toBeLessThan(service.textBytes);
    }
  });
});

describe('scrapers', () => {
  it('that ask at the same time share one text', async () => {
    let read = 0;
    const metrics = metricsOf(stage().broker, { uptimeMs: () => ++read });
    const pages = await Promise.all([metrics.render(), metrics.render(), metrics.render()]);
    expect(new Set(pages.map(({ plain }) => plain)).size).toBe(1);
    const compressed = await Promise.all(pages.map(({ gzipped }) => gzipped));
    expect(new Set(compressed).size).toBe(1);
    for (const each of compressed) expect(gunzipSync(each)).toEqual(pages[0].plain);
    expect(read).toBe(1);
  });

  it('ask while a text is written: they get the next one, which is begun when it is done', async () => {
    let read = 0;
    const metrics = metricsOf(crowd(1000, 20).broker, { uptimeMs: () => ++read });
    const first = metrics.render();
    await until(() => read === 1, 'the first text is begun');
    const second = metrics.render();
    expect(second).not.toBe(first);
    expect((await first).plain.includes('majordomo_up_seconds 0.001\n')).toBe(true);
    expect(read).toBe(1);
    expect((await second).plain.includes('majordomo_up_seconds 0.002\n')).toBe(true);
  });

  it('read what was counted before they asked, however soon they ask again', async () => {
    const s = stage();
    const metrics = metricsOf(s.broker);
    const c1 = s.client('c1');
    for (let count = 1; count <= 5; count++) {
      c1.request('echo', 'hi');
      const { plain } = await metrics.render();
      const page = new MetricsPage(plain.toString());
      expect(page.value('requests_received_total{service="__other__"}')).toBe(count);
    }
  });
});
