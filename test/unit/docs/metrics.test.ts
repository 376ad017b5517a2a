import { METRICS, PROCESS_METRICS } from '../../../src/admin/metrics/metric-table.js';
import type { MetricsPart } from '../../../src/admin/metrics/metrics.js';
import { metricsDocument } from '../../../src/admin/metrics/metrics-document.js';
import { scrape } from '../../support/metrics.js';
import { endStages, stage } from '../../support/stage.js';
import { page } from './page.js';

afterEach(endStages);

const PAGE = page('metrics.md');

/** What is served, or described: name → type, labels and their values. */
type Shape = Record<string, Record<string, unknown>>;

describe('docs/metrics.md', () => {
  it('is what the code makes now (else: npm run docs)', () => expect(PAGE).toBe(metricsDocument()));

  it('has every metric that is served, with its type and help, and no other', async () => {
    const { families } = await scrape(stage().broker);
    const described = Array.from(
      PAGE.matchAll(/^- \*\*`(\w+)`\*\* \((\w+)\): (.*)$/gm),
      ([, name = '', type = '', text = '']) => ({ name, text, type }),
    );
    expect(described.map(({ name }) => name).sort()).toEqual([...families.keys()].sort());
    for (const { name, text, type } of described) {
      expect([name, type]).toEqual([name, families.get(name)?.type]);
      expect(text.startsWith(families.get(name)?.help ?? '(none)')).toBe(true);
    }
  });

  it('has every label with its values as they are served, and no others', async () => {
    const s = stage();
    s.worker('w1').ready('echo');
    // Only hosts that fail have a series.
    const failing: MetricsPart = {
      write: (out) => {
        out.metric('webhooks_failed_in_a_row');
        out.sample('host="hooks.shop.example"', 1);
      },
    };
    const extensions = (): Map<string, MetricsPart> => new Map([['programs', failing]]);
    const { samples } = await scrape(s.broker, { extensions });
    const served: Shape = {};
    for (const sample of samples) {
      const [, name = '', labels = ''] =
        /^(\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})?$/.exec(sample) ?? [];
      const of = (served[name] ??= {});
      for (const [, label = '', value = ''] of labels.matchAll(/(\w+)="([^"]*)"/g)) {
        if (label === 'le') continue;
        const values = ((of[label] as Set<string> | undefined) ??= new Set());
        of[label] = values.add(value);
      }
    }
    const table: Shape = Object.fromEntries(Object.keys(PROCESS_METRICS).map((name) => [name, {}]));
    for (const [name, { labels }] of Object.entries(METRICS)) {
      table[`majordomo_${name}`] = Object.fromEntries(
        Object.entries(labels).map(([label, values]) => [
          label,
          values === null ? (expect.any(Set) as unknown) : new Set(values),
        ]),
      );
    }
    expect(served).toEqual(table);
  });
});
