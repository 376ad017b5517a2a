/**
 * The page of metrics. The machines count in plain numbers, and the text is written from those when
 * it is requested. prom-client, which provides the metrics of the process, would take half a
 * microsecond per count, while a whole request takes one, and seven times as long for the text
 * (`npm run bench:metrics`).
 */
import { performance } from 'node:perf_hooks';

import type { Holdings } from '../../core/holdings.js';
import { brokerMetrics, type BrokerSource, by } from './broker-metrics.js';
import { Exposition, labelText } from './exposition.js';
import { METRICS } from './metric-table.js';
import { fleetMetrics, type FleetSource } from '../../extensions/fleet/metrics.js';
import { mapMetrics, type MapSource } from '../../extensions/map/metrics.js';
import { pairMetrics, type PairFacts } from './pair-metrics.js';
import { ProcessMetrics } from './process-metrics.js';
import { streamMetrics, type StreamSource } from '../../extensions/events/metrics.js';
import { titanicMetrics, type TitanicSource } from './titanic-metrics.js';

/** Where the numbers are; read only while a text is written. */
export interface MetricSources {
  /** `node.name`. */
  readonly node: string;
  readonly version: string;
  uptimeMs(): number;
  /** Milliseconds since 1970. */
  wall(): number;
  isReady(): boolean;
  /** The codes of `degraded`. */
  degraded(): readonly string[];
  loopLagMs(): number;
  /** What is held for peers. */
  readonly holdings: Pick<Holdings, 'bytes' | 'byKind'>;
  readonly broker: BrokerSource;
  /** `null` if no requests are stored. */
  titanic(): TitanicSource | null;
  pair(): PairFacts;
  /** The events as a stream; `null`: not published. */
  stream(): StreamSource | null;
  /** `null`: there is no map. */
  map(): MapSource | null;
  /** `null`: the node is in no fleet. */
  fleet(): FleetSource | null;
}

/**
 * The share of the loop's time that writing texts may take. A request that comes sooner waits, and
 * shares the next text with all that wait.
 */
const LOOP_SHARE = 0.1;

export class Metrics {
  readonly contentType: string;
  readonly #sources: MetricSources;
  readonly #process = new ProcessMetrics();
  /** The next text, for all requests that arrive before it is begun. */
  #next: Promise<string> | null = null;
  /** The next text is not begun before this. Monotonic milliseconds. */
  #notBefore = -Infinity;

  constructor(sources: MetricSources) {
    this.#sources = sources;
    this.contentType = this.#process.contentType;
  }

  /** The text, made from numbers read after this call. */
  render(): Promise<string> {
    this.#next ??= this.#begin();
    return this.#next;
  }

  async #begin(): Promise<string> {
    const waitMs = this.#notBefore - performance.now();
    await new Promise<void>((resolve) => {
      if (waitMs <= 0) setImmediate(resolve);
      else setTimeout(resolve, waitMs);
    });
    this.#next = null;
    const from = performance.now();
    const text = this.#text();
    const until = performance.now();
    this.#notBefore = until + (until - from) / LOOP_SHARE;
    return text + (await this.#process.render());
  }

  #text(): string {
    const { node, version, broker } = this.#sources;
    const titanic = this.#sources.titanic();
    const out = new Exposition();
    out.metric('build_info');
    const labels = { version, node, nodejs: process.versions.node };
    const texts = Object.entries(labels).map(([label, value]) => labelText(label, value));
    out.sample(texts.join(), 1);
    out.metric('up_seconds');
    out.sample('', this.#sources.uptimeMs() / 1000);
    out.metric('ready');
    out.sample('', Number(this.#sources.isReady()));
    out.metric('degraded');
    const degraded = this.#sources.degraded();
    for (const reason of METRICS.degraded.labels['reason'] ?? []) {
      out.sample(labelText('reason', reason), Number(degraded.includes(reason)));
    }
    const map = this.#sources.map();
    const malformed = { titanic: titanic?.counters.malformed ?? 0, map: map?.malformed ?? 0 };
    brokerMetrics(out, broker, malformed);
    if (titanic !== null) titanicMetrics(out, titanic, this.#sources.wall());
    streamMetrics(out, this.#sources.stream());
    mapMetrics(out, map);
    fleetMetrics(out, this.#sources.fleet());
    pairMetrics(out, this.#sources.pair());
    const { holdings } = this.#sources;
    by(out, 'memory_held_bytes', 'kind', holdings.byKind, holdings.bytes);
    out.metric('event_loop_lag_seconds');
    out.sample('', this.#sources.loopLagMs() / 1000);
    return out.take();
  }
}
