/** Parses a page of metrics, and renders that of a `Stage`. */
import { SILENT } from './logs.js';
import { noCounts } from '../../src/store/record-kind.js';
import { Holdings } from '../../src/core/holdings.js';
import { Metrics, type MetricSources } from '../../src/admin/metrics/metrics.js';
import { Commits } from '../../src/titanic/machine/requests/commits.js';
import { TitanicCounters } from '../../src/titanic/machine/requests/counters.js';
import type { Broker } from '../../src/broker/broker.js';

export interface Family {
  readonly type: string;
  readonly help: string;
}

export class MetricsPage {
  readonly families = new Map<string, Family>();
  readonly #samples = new Map<string, number>();

  constructor(text: string) {
    const helps = new Map<string, string>();
    for (const line of text.split('\n')) {
      const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
      if (kind === 'HELP') helps.set(name, rest);
      if (kind === 'TYPE') {
        const help = helps.get(name) ?? '';
        this.families.set(name, { type: rest, help });
      }
      if (line === '' || line.startsWith('#')) continue;
      const space = line.lastIndexOf(' ');
      const sample = line.slice(0, space);
      if (this.#samples.has(sample)) throw new Error(`twice: ${sample}`);
      this.#samples.set(sample, Number(line.slice(space + 1)));
    }
  }

  /** Its value. @param sample as in the text, without the prefix `majordomo_` */
  value(sample: string): number | undefined {
    return this.#samples.get(`majordomo_${sample}`) ?? this.#samples.get(sample);
  }

  /** The samples as in the text. */
  get samples(): readonly string[] {
    return [...this.#samples.keys()];
  }

  /** The samples of these metrics other than 0, without their prefix, buckets and sums. */
  counted(...names: readonly string[]): Record<string, number> {
    const found: Record<string, number> = {};
    for (const [sample, value] of this.#samples) {
      const short = sample.replace(/^majordomo_/, '');
      const [name = ''] = short.split('{');
      const isNamed = names.some((each) => name === each || name === `${each}_count`);
      if (isNamed && value !== 0) found[short] = value;
    }
    return found;
  }

  /** The values of one label over all samples. */
  valuesOf(label: string): Set<string> {
    const values = new Set<string>();
    for (const sample of this.#samples.keys()) {
      const [, value] = new RegExp(`[{,]${label}="((?:[^"\\\\]|\\\\.)*)"`).exec(sample) ?? [];
      if (value !== undefined) values.add(value);
    }
    return values;
  }
}

/** Sources with given values, for tests that need only some. */
export function sources(broker: Broker, given: Partial<MetricSources> = {}): MetricSources {
  const titanic = {
    counters: new TitanicCounters(broker.counters.requests.services),
    counts: { ...noCounts(), bytes: 0 },
    owners: [],
    delivered: 0,
    inFlight: 0,
    inFlightBytes: 0,
    commits: new Commits(),
    durableOf: () => null,
    measure: () => undefined,
  };
  titanic.counters.store.oldestSnapshotSeconds = 0;
  titanic.counters.store.logBytes = 0;
  return {
    node: 'stage',
    version: '0.1.0',
    uptimeMs: () => 1500,
    afterCrash: false,
    wall: () => 0,
    isReady: () => true,
    degraded: () => [],
    loopLagMs: () => 2,
    broker,
    holdings: new Holdings(),
    titanic: () => titanic,
    storeBytesMax: 2 ** 36,
    extensions: () => new Map(),
    pair: () => ({
      role: 'standalone',
      state: 'active',
      epoch: 0,
      isPeerUp: false,
      isInSync: false,
      replicationLagMs: 0,
      transitions: { waiting: 0, passive: 0, joining: 0, active: 0 },
      splitBrains: 0,
    }),
    ...given,
  };
}

/** The metrics of this broker, in which nothing goes wrong. */
export function metricsOf(broker: Broker, given?: Partial<MetricSources>): Metrics {
  return new Metrics(sources(broker, given), SILENT);
}

/** The page that a scrape of this broker returns now. */
export async function scrape(broker: Broker, given?: Partial<MetricSources>): Promise<MetricsPage> {
  const { plain } = await metricsOf(broker, given).render();
  return new MetricsPage(plain.toString());
}
