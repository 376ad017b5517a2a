/**
 * The last ten minutes of a node, second by second, kept in the broker so that the page shows at
 * once what led to the present state. It costs the loop some microseconds a second, and no more for
 * each page that is open.
 */
import type { CountedService, CountedServices } from '../../core/counted-services.js';
import { type Counts, difference } from '../../core/counts.js';
import type { ServiceHistory } from '../api/node-answers.js';
import type { SampleBlock } from '../ports.js';
import type { TitanicCounters } from '../../titanic/machine/requests/counters.js';
import type { DurableRates, PlainFigures } from '../../wire/mmi-answers.js';
import type { BrokerSource } from './broker-metrics.js';
import { durableRates, plainFigures, rounded } from './rates.js';
import { NODE_SERIES } from './day-samples.js';
import { type ServiceSample, ServiceSamples } from './service-history.js';
import type { TitanicSource } from './titanic-metrics.js';

export const SAMPLE_EVERY_MS = 1000;
const SAMPLES_MAX = 600;
/** Latencies are of the requests in so many samples: single seconds have too few to compare. */
const LATENCY_SAMPLES = 10;
/** How often single services are sampled. Rates in lists are from the last one to two of these. */
const MARK_EVERY_MS = 4000;
/** More than a minute has, of both kinds of samples. */
const MINUTE_SAMPLES = 70;
const MINUTE_MARKS = 18;

export const NODE_COLUMNS = [
  'at',
  'received',
  'replied',
  'failed',
  'p50Ms',
  'p99Ms',
  'maxMs',
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

export class TimeSeries {
  readonly #sources: TimeSeriesSources;
  readonly #counted: CountedServices;
  readonly #samples: Sample[] = [];
  /** The number of the next sample. */
  #next = 0;
  /** When the last sample was taken, in monotonic milliseconds. */
  #at: number;
  /** Totals of plain requests at the last sample. */
  #plain: Float64Array;
  /** Earlier values of `#plain`, oldest first; latencies count from the first. */
  readonly #earlier: Float64Array[] = [];
  /** Totals of stored requests at the last sample; `null`: there is none. */
  #stored: Float64Array | null = null;
  readonly #history = new ServiceSamples();

  /** @param now monotonic milliseconds */
  constructor(sources: TimeSeriesSources, now: number) {
    this.#sources = sources;
    this.#counted = sources.broker.counters.requests.services;
    this.#at = now;
    this.#plain = this.#counted.total('plain');
    // Nothing is known of the time before.
    this.#counted.mark(now);
    this.#counted.mark(now);
  }

  /**
   * @param now monotonic milliseconds
   * @param wall milliseconds since 1970
   * @returns whether it set a mark, from which the rates in lists count
   */
  sample(now: number, wall: number): boolean {
    const seconds = (now - this.#at) / 1000;
    if (seconds <= 0) return false;
    this.#sources.broker.measure();
    this.#samples.push([wall, ...this.#requests(seconds), ...this.#storedRequests(seconds)]);
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
    this.#next++;
    this.#at = now;
    if (this.#counted.secondsSinceLast(now) * 1000 < MARK_EVERY_MS) return false;
    this.#history.add(wall, this.#serviceSamples(now, wall));
    this.#counted.mark(now);
    return true;
  }

  /** The samples from number `since` on that are still kept. */
  samples(since: number): SampleBlock {
    const first = this.#next - this.#samples.length;
    // A higher number comes from an earlier process: its reader has none of these.
    const from = since > this.#next ? 0 : Math.max(0, since - first);
    return { columns: NODE_COLUMNS, samples: this.#samples.slice(from), next: this.#next };
  }

  /**
   * Samples of one service from number `since` on; none if it was not used yet.
   * @param shown its name, percent-escaped
   */
  historyOf(
    shown: string,
    since: number,
  ): Omit<ServiceHistory, 'startedAt' | 'failures' | 'failuresByWorker'> {
    const service = this.#counted.find(shown);
    return { kept: service?.hasLabel === true, ...this.#history.of(service, since) };
  }

  /** The samples of the last minute and a little more, of the node and of each service with a label. */
  *lastMinute(): Generator<readonly [series: string, block: SampleBlock]> {
    yield [NODE_SERIES, this.samples(Math.max(0, this.#next - MINUTE_SAMPLES))];
    yield* this.#history.latest(MINUTE_MARKS);
  }

  /** Rates of one service in the last seconds. @param now monotonic milliseconds */
  plainOf({ plain }: CountedService, now: number): PlainFigures {
    const { requests } = this.#sources.broker.counters;
    return plainFigures(requests, plain.sinceOlder(), this.#counted.secondsSinceOlder(now) || 1);
  }

  /** Rates of a service's stored requests in the last seconds; `null`: it had none. */
  durableOf({ stored }: CountedService, now: number): DurableRates | null {
    const counters = this.#sources.titanic()?.counters;
    if (stored === null || counters === undefined) return null;
    return durableRates(counters, stored.sinceOlder(), this.#counted.secondsSinceOlder(now) || 1);
  }

  /** Every service that has a label, since the last mark. */
  *#serviceSamples(now: number, wall: number): Generator<readonly [CountedService, ServiceSample]> {
    const { requests } = this.#sources.broker.counters;
    const seconds = this.#counted.secondsSinceLast(now);
    const titanic = this.#sources.titanic();
    titanic?.measure(wall);
    for (const service of this.#counted.byName.values()) {
      if (!service.hasLabel) continue;
      const { plain, stored } = service;
      const { queued, inFlight, workers } = requests.columns;
      const rates = plainFigures(requests, plain.sinceLast(), seconds);
      const { p50Ms, p99Ms, maxMs } = plainFigures(requests, plain.sinceOlder(), seconds);
      yield [
        service,
        {
          received: rates.requestsPerSecond,
          replied: rates.repliesPerSecond,
          failed: rates.failuresPerSecond,
          redelivered: rates.redeliveriesPerSecond,
          p50Ms,
          p99Ms,
          maxMs,
          queued: plain.now[queued] ?? 0,
          inFlight: plain.now[inFlight] ?? 0,
          workersWaiting: plain.now[workers.waiting] ?? 0,
          workersBusy: plain.now[workers.busy] ?? 0,
          ...(stored === null || titanic === null
            ? NOTHING_STORED
            : storedSample(titanic.counters, stored, seconds)),
        },
      ];
    }
  }

  #requests(seconds: number): Sample {
    const { requests } = this.#sources.broker.counters;
    const { queued, inFlight, workers } = requests.columns;
    const now = this.#counted.total('plain');
    const rates = plainFigures(requests, difference(now, this.#plain), seconds);
    this.#earlier.push(this.#plain);
    if (this.#earlier.length > LATENCY_SAMPLES) this.#earlier.shift();
    const latency = plainFigures(requests, difference(now, this.#earlier[0] ?? null), seconds);
    this.#plain = now;
    return [
      rates.requestsPerSecond,
      rates.repliesPerSecond,
      rates.failuresPerSecond,
      latency.p50Ms,
      latency.p99Ms,
      latency.maxMs,
      now[queued] ?? 0,
      now[inFlight] ?? 0,
      now[workers.waiting] ?? 0,
      now[workers.busy] ?? 0,
      rounded(this.#sources.loopLagMs()),
    ];
  }

  #storedRequests(seconds: number): Sample {
    const titanic = this.#sources.titanic();
    if (titanic === null) return [null, null, null, null];
    const { counters, counts } = titanic;
    const now = this.#counted.total('stored');
    const rates = durableRates(counters, difference(now, this.#stored), seconds);
    this.#stored = now;
    return [rates.acceptedPerSecond, rates.repliesPerSecond, counts.pending, counts.dead];
  }
}

/** The samples of a service that had no stored requests. */
const NOTHING_STORED = {
  accepted: null,
  completed: null,
  failedAttempts: null,
  deaths: null,
  toReplyP50Ms: null,
  toReplyP99Ms: null,
  toReplyMaxMs: null,
  open: null,
  dead: null,
};

function storedSample(
  counters: TitanicCounters,
  stored: Counts,
  seconds: number,
): Record<keyof typeof NOTHING_STORED, number | null> {
  const { pending, dispatched, dead } = counters.columns.requests;
  const rates = durableRates(counters, stored.sinceLast(), seconds);
  return {
    accepted: rates.acceptedPerSecond,
    completed: rates.repliesPerSecond,
    failedAttempts: rates.failedAttemptsPerSecond,
    deaths: rates.deathsPerSecond,
    toReplyP50Ms: rates.p50Ms,
    toReplyP99Ms: rates.p99Ms,
    toReplyMaxMs: rates.maxMs,
    open: (stored.now[pending] ?? 0) + (stored.now[dispatched] ?? 0),
    dead: stored.now[dead] ?? 0,
  };
}
