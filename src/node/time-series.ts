/** The last ten minutes of this node: its numbers, their clocks and the timer. */
import type { Broker } from '../broker/broker.js';
import type { FigureSource } from '../broker/listing.js';
import type { Config } from '../config/config.js';
import { monotonicMs } from '../core/clock.js';
import { escapeName } from '../core/escape.js';
import type { DayHistory } from '../admin/api/node-answers.js';
import type { SampleBlock, NodeHistory as TimeSeriesPort } from '../admin/ports.js';
import {
  NODE_COLUMNS,
  TimeSeries,
  type TimeSeriesSources,
  SAMPLE_EVERY_MS,
} from '../admin/metrics/time-series.js';
import { FailureCodes } from '../admin/metrics/failure-codes.js';
import { serviceFigures } from '../admin/metrics/service-figures.js';
import { SERVICE_COLUMNS } from '../admin/metrics/service-history.js';
import { Day } from './day.js';
import type { DayFile } from './io/day-file.js';

interface NodeSources extends TimeSeriesSources {
  readonly broker: Pick<Broker, 'counters' | 'load' | 'measure' | 'listing' | 'identities'>;
  services(): number;
}

export class NodeTimeSeries implements TimeSeriesPort {
  readonly startedAt: string = new Date().toISOString();
  readonly peerEndpoint: string | null;
  readonly #sources: NodeSources;
  readonly #series: TimeSeries;
  readonly #failures = new FailureCodes();
  readonly #timer: NodeJS.Timeout;
  #day: Day | null = null;

  constructor({ bstar }: Config, sources: NodeSources) {
    this.peerEndpoint = bstar.peer;
    this.#sources = sources;
    const { identities } = sources.broker;
    this.#series = new TimeSeries(sources, monotonicMs());
    // Nothing is known of the time before.
    identities.mark(monotonicMs());
    identities.mark(monotonicMs());
    this.#timer = setInterval(() => {
      const now = monotonicMs();
      if (this.#series.sample(now, Date.now())) identities.mark(now);
      this.#day?.tick(Date.now());
    }, SAMPLE_EVERY_MS).unref();
  }

  present(): ReturnType<TimeSeriesPort['present']> {
    const titanic = this.#sources.titanic();
    const services = this.#sources.services();
    if (titanic === null) return { services, stored: null };
    const { counts, delivered } = titanic;
    const pending = Math.max(0, counts.pending - delivered);
    const { replied, dead, bytes } = counts;
    return { services, stored: { pending, dispatched: delivered, replied, dead, bytes } };
  }

  samples(since: number): SampleBlock {
    return this.#series.samples(since);
  }

  historyOf(
    service: Buffer,
    since: number,
    isWhole: boolean,
  ): ReturnType<TimeSeriesPort['historyOf']> {
    const shown = escapeName(service);
    const failuresByWorker = this.#failures.byWorker(shown);
    const failures = this.#failures.of(shown, isWhole);
    return { failures, failuresByWorker, ...this.#series.historyOf(shown, since) };
  }

  /** Keeps a day of samples in this file. @returns what ends that */
  keepDay(file: DayFile): () => Promise<void> {
    const day = new Day(file, () => this.#series.lastMinute(), Date.now());
    this.#day = day;
    return () => day.close();
  }

  async dayOf(service: Buffer | null): Promise<DayHistory> {
    const columns = service === null ? NODE_COLUMNS : SERVICE_COLUMNS;
    const name = service === null ? null : escapeName(service);
    return { columns, samples: (await this.#day?.of(name, columns, Date.now())) ?? [] };
  }

  /** Takes each event of the node, and counts those of failed requests. */
  note(event: { readonly name: string }): void {
    this.#failures.note(event, Date.now());
  }

  /** The figures that lists show of a service besides its workers. */
  figures(): FigureSource {
    return serviceFigures({
      timeSeries: this.#series,
      now: monotonicMs,
      stored: (service) => this.#sources.titanic()?.durableOf(service, Date.now()) ?? null,
    });
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
