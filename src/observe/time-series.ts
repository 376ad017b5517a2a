/**
 * The last ten minutes of a node, second by second, kept in the broker so that the page shows at
 * once what led to the present state. It costs the loop some microseconds a second, and no more for
 * each page that is open.
 */
import { unescapeName } from '../core/escape.js';
import { type Label, OTHERS } from '../core/labels.js';
import type { ServiceFigures } from '../http/api/node-answers.js';
import type { SampleBlock } from '../http/ports.js';
import type { DurableRates, PlainFigures } from '../wire/mmi.js';
import type { BrokerSource } from './broker-metrics.js';
import {
  plainFigures,
  type Rates,
  ratesBetween,
  rounded,
  storedRatesBetween,
  storedTalliesOf,
  type StoredTally,
  sumOf,
  talliesOf,
  type Tally,
} from './rates.js';
import { ServiceHistory, type ServiceSample } from './service-history.js';
import type { TitanicSource } from './titanic-metrics.js';

export const SAMPLE_EVERY_MS = 1000;
const SAMPLES_MAX = 600;
/** How often single services are sampled. Rates in lists are from the last one to two of these. */
const MARK_EVERY_MS = 4000;

const COLUMNS = [
  'at',
  'received',
  'replied',
  'failed',
  'p50Ms',
  'p99Ms',
  'queued',
  'inFlight',
  'workersWaiting',
  'workersBusy',
  'loopLagMs',
  'accepted',
  'completed',
  'open',
  'dead',
] as const;

type Sample = readonly (number | null)[];

/** Where the numbers are. */
export interface TimeSeriesSources {
  readonly broker: BrokerSource;
  /** `null` if no requests are stored. */
  titanic(): TitanicSource | null;
  loopLagMs(): number;
}

/** The counters at one moment. */
interface Mark {
  /** Monotonic milliseconds. */
  readonly at: number;
  readonly tallies: readonly Tally[];
  readonly stored: readonly StoredTally[];
}

/** The rates of one service in the last seconds before a sample. */
interface LabelRates {
  readonly plain: PlainFigures;
  /** `null`: it had no stored requests. */
  readonly durable: DurableRates | null;
}

export class TimeSeries {
  readonly #sources: TimeSeriesSources;
  readonly #samples: Sample[] = [];
  /** The number of the next sample. */
  #next = 0;
  #before: Mark;
  #accepted = 0;
  #completed = 0;
  /** For the rates of single services; the older one is at least one interval old. */
  #older: Mark;
  #newer: Mark;
  /** Rates by label, from the older to the last sample: computed on demand. */
  #figures: LabelRates[] = [];
  readonly #history = new ServiceHistory();

  /** @param now monotonic milliseconds */
  constructor(sources: TimeSeriesSources, now: number) {
    this.#sources = sources;
    this.#before = this.#mark(now);
    this.#older = this.#before;
    this.#newer = this.#before;
  }

  /** @param wall milliseconds since 1970 */
  sample(now: number, wall: number): void {
    const mark = this.#mark(now);
    const seconds = (now - this.#before.at) / 1000;
    if (seconds <= 0) return;
    this.#samples.push([wall, ...this.#requests(mark, seconds), ...this.#stored(seconds)]);
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
    this.#next++;
    this.#before = mark;
    this.#figures = [];
    if (now - this.#newer.at < MARK_EVERY_MS) return;
    this.#history.add(wall, this.#serviceSamples(this.#newer, mark, wall));
    this.#older = this.#newer;
    this.#newer = mark;
  }

  /** The samples from number `since` on that are still kept. */
  samples(since: number): SampleBlock {
    const first = this.#next - this.#samples.length;
    // A higher number comes from an earlier process: its reader has none of these.
    const from = since > this.#next ? 0 : Math.max(0, since - first);
    return { columns: COLUMNS, samples: this.#samples.slice(from), next: this.#next };
  }

  /**
   * Samples of one service from number `since` on; none if it has no label of its own or was not
   * used yet.
   * @param shown its name, percent-escaped
   */
  historyOf(shown: string, since: number): SampleBlock {
    return this.#history.of(this.#sources.broker.counters.requests.labels.of(shown), since);
  }

  /** @param now monotonic milliseconds */
  services(now: number): readonly ServiceFigures[] {
    const { requests } = this.#sources.broker.counters;
    const { inFlight } = this.#sources.broker.gauges;
    const mark = this.#mark(now);
    const seconds = (now - this.#older.at) / 1000;
    return requests.labels.names.map((service, label) => {
      const rates = this.#rates(this.#older.tallies[label], mark.tallies[label], seconds);
      const { redeliveredPerSecond: _, ...shown } = rates;
      return { service, ...shown, inFlight: inFlight[label] ?? 0 };
    });
  }

  /** Rates of one service at the last sample; `null`: the service has no counters of its own. */
  ratesOf(label: Label): LabelRates | null {
    return label === OTHERS ? null : (this.#figures[label] ??= this.#ratesOf(label));
  }

  #ratesOf(label: Label): LabelRates {
    return this.#between(label, this.#older, this.#before);
  }

  #between(label: Label, before: Mark, now: Mark): LabelRates {
    const seconds = (now.at - before.at) / 1000 || 1;
    const plain = this.#rates(before.tallies[label], now.tallies[label], seconds);
    const counters = this.#sources.titanic()?.counters;
    const stored = now.stored[label];
    const hasStored = counters?.stored.has(label) === true && stored !== undefined;
    const bounds = counters?.services.acceptToReply.bounds ?? new Float64Array();
    return {
      plain: plainFigures(plain),
      durable: hasStored ? storedRatesBetween(before.stored[label], stored, seconds, bounds) : null,
    };
  }

  /** Every service that has a label of its own. */
  *#serviceSamples(
    before: Mark,
    now: Mark,
    wall: number,
  ): Generator<readonly [Label, ServiceSample]> {
    const { queued, inFlight, workers } = this.#sources.broker.gauges;
    const titanic = this.#sources.titanic();
    for (const [label, shown] of this.#sources.broker.counters.requests.labels.names.entries()) {
      if (label === OTHERS) continue;
      const { plain, durable } = this.#between(label, before, now);
      const name = durable === null ? null : unescapeName(shown);
      const counts = name === null ? null : (titanic?.durableOf(name, wall) ?? null);
      const isStored = durable !== null;
      yield [
        label,
        {
          received: plain.requestsPerSecond,
          replied: plain.repliesPerSecond,
          failed: plain.failuresPerSecond,
          redelivered: plain.redeliveriesPerSecond,
          p50Ms: plain.p50Ms,
          p99Ms: plain.p99Ms,
          queued: queued[label] ?? 0,
          inFlight: inFlight[label] ?? 0,
          workersWaiting: workers.waiting[label] ?? 0,
          workersBusy: workers.busy[label] ?? 0,
          accepted: durable?.acceptedPerSecond ?? null,
          completed: durable?.repliesPerSecond ?? null,
          failedAttempts: durable?.failedAttemptsPerSecond ?? null,
          deaths: durable?.deathsPerSecond ?? null,
          toReplyP50Ms: durable?.p50Ms ?? null,
          toReplyP99Ms: durable?.p99Ms ?? null,
          open: isStored ? (counts?.pending ?? 0) + (counts?.dispatched ?? 0) : null,
          dead: isStored ? (counts?.dead ?? 0) : null,
        },
      ];
    }
  }

  #requests(mark: Mark, seconds: number): Sample {
    const { broker } = this.#sources;
    const { queued, inFlight, workers } = broker.gauges;
    const buckets = broker.counters.requests.duration.bounds.length + 1;
    const before = sumOf(this.#before.tallies, buckets);
    const rates = this.#rates(before, sumOf(mark.tallies, buckets), seconds);
    return [
      rounded(rates.receivedPerSecond),
      rounded(rates.repliedPerSecond),
      rounded(rates.failedPerSecond),
      rates.p50Ms === null ? null : rounded(rates.p50Ms),
      rates.p99Ms === null ? null : rounded(rates.p99Ms),
      total(queued),
      total(inFlight),
      total(workers.waiting),
      total(workers.busy),
      rounded(this.#sources.loopLagMs()),
    ];
  }

  #stored(seconds: number): Sample {
    const titanic = this.#sources.titanic();
    if (titanic === null) return [null, null, null, null];
    const { counters, counts } = titanic;
    const accepted = (counters.accepted - this.#accepted) / seconds;
    const completed = (counters.completed - this.#completed) / seconds;
    this.#accepted = counters.accepted;
    this.#completed = counters.completed;
    return [rounded(accepted), rounded(completed), counts.pending, counts.dead];
  }

  #rates(before: Tally | undefined, now: Tally | undefined, seconds: number): Rates {
    const { bounds } = this.#sources.broker.counters.requests.duration;
    const tally = now ?? sumOf([], bounds.length + 1);
    return ratesBetween(before, tally, seconds, bounds);
  }

  #mark(at: number): Mark {
    const titanic = this.#sources.titanic();
    return {
      at,
      tallies: talliesOf(this.#sources.broker.counters.requests),
      stored: titanic === null ? [] : storedTalliesOf(titanic.counters),
    };
  }
}

function total(counts: Float64Array): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
