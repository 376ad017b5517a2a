/** The metrics of this node: where its numbers are. */
import type { Broker } from '../broker/broker.js';
import { monotonicMs } from '../core/clock.js';
import { packageVersion } from '../core/version.js';
import { LoopLag } from '../observe/loop-lag.js';
import { Metrics } from '../observe/metrics.js';
import type { TitanicSource } from '../observe/titanic-metrics.js';
import type { NodeHealth } from './health.js';
import type { PairView } from './pair-view.js';
import { STANDALONE_FACTS } from './standalone.js';

export class NodeMetrics {
  readonly page: Metrics;
  /** Once stored requests are there. */
  titanic: TitanicSource | null = null;
  readonly #lag = new LoopLag();

  /**
   * @param pair `null`: a standalone node
   * @param startedAt monotonic milliseconds
   */
  constructor(
    node: string,
    broker: Broker,
    health: NodeHealth,
    pair: Pick<PairView, 'facts'> | null,
    startedAt: number,
  ) {
    this.page = new Metrics({
      node,
      version: packageVersion(),
      uptimeMs: () => monotonicMs() - startedAt,
      isReady: () => health.now.notReady === null,
      isDegraded: () => health.now.degraded.length > 0,
      loopLagMs: () => this.#lag.mostMs,
      broker,
      titanic: () => this.titanic,
      pair: () => pair?.facts ?? STANDALONE_FACTS,
    });
  }

  close(): void {
    this.#lag.close();
  }
}
