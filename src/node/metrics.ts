/** The metrics of this node: the sources of their values. */
import type { Broker } from '../broker/broker.js';
import type { Config } from '../config/config.js';
import { monotonicMs } from '../core/clock.js';
import type { Holdings } from '../core/holdings.js';
import { packageVersion } from '../core/version.js';
import { LoopLag } from '../admin/metrics/loop-lag.js';
import type { MetricSources, MetricsPart } from '../admin/metrics/metrics.js';
import type { TitanicSource } from '../admin/metrics/titanic-metrics.js';
import type { NodeHealth } from './health.js';
import type { PairView } from './pair-view.js';
import { NodeTimeSeries } from './time-series.js';
import { STANDALONE_FACTS } from './standalone.js';

export class NodeMetrics {
  /** The sources of the metrics page. */
  readonly sources: MetricSources;
  readonly timeSeries: NodeTimeSeries;
  /** Set once stored requests are available. */
  titanic: TitanicSource | null = null;
  /** The metrics of the extensions that are attached, by their names. */
  readonly extensions = new Map<string, MetricsPart>();
  readonly #lag = new LoopLag();

  /**
   * @param holdings what is held for peers
   * @param pair `null`: a standalone node
   * @param startedAt monotonic milliseconds
   * @param afterCrash see `DataDir`
   */
  constructor(
    config: Config,
    broker: Broker,
    holdings: Holdings,
    health: NodeHealth,
    pair: Pick<PairView, 'facts'> | null,
    startedAt: number,
    afterCrash: boolean,
  ) {
    const loopLagMs = (): number => this.#lag.mostMs;
    const titanic = (): TitanicSource | null => this.titanic;
    this.sources = {
      node: config.node.name,
      version: packageVersion(),
      uptimeMs: () => monotonicMs() - startedAt,
      afterCrash,
      wall: () => Date.now(),
      isReady: () => health.now.notReady === null,
      degraded: () => health.now.degraded.map(({ code }) => code),
      loopLagMs,
      broker,
      holdings,
      titanic,
      storeBytesMax: config.titanic.maxBytes,
      pair: () => pair?.facts ?? STANDALONE_FACTS,
      extensions: () => this.extensions,
    };
    const services = (): number => broker.listing.serviceCount;
    this.timeSeries = new NodeTimeSeries(config, { broker, titanic, loopLagMs, services });
    broker.counters.requests.services.most = config.metrics.services;
    broker.listing.setFigures(this.timeSeries.figures());
  }

  close(): void {
    this.timeSeries.close();
    this.#lag.close();
  }
}
