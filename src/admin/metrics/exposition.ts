/** Writes the text format of Prometheus (0.0.4); `metrics.ts` says why without a library. */
import type { Histogram } from '../../core/histogram.js';
import { type Metric, METRIC_PREFIX, type MetricName, METRICS } from './metric-table.js';

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export class Exposition {
  #text = '';
  #name = '';

  /** Begins a metric; its samples follow. */
  metric(name: MetricName): Metric {
    const metric = METRICS[name];
    this.#name = METRIC_PREFIX + name;
    this.#text += `# HELP ${this.#name} ${metric.help}\n# TYPE ${this.#name} ${metric.type}\n`;
    return metric;
  }

  /** @param labels as `labelText` makes them, several joined by commas; `''` for none */
  sample(labels: string, value: number): void {
    this.#text +=
      labels === '' ? `${this.#name} ${value}\n` : `${this.#name}{${labels}} ${value}\n`;
  }

  /**
   * Writes one series of a histogram.
   * @param scale how many observed units make a base unit: 1000 for milliseconds
   */
  histogram(labels: string, histogram: Histogram, row: Float64Array, scale: number): void {
    const name = this.#name;
    const { bounds } = histogram;
    const prefix = labels === '' ? `${name}_bucket{le="` : `${name}_bucket{${labels},le="`;
    let text = '';
    let count = 0;
    for (const [bucket, bound] of bounds.entries()) {
      count += histogram.count(row, bucket);
      text += `${prefix}${bound / scale}"} ${count}\n`;
    }
    count += histogram.count(row, bounds.length);
    const suffix = labels === '' ? '' : `{${labels}}`;
    this.#text +=
      `${text}${prefix}+Inf"} ${count}\n` +
      `${name}_sum${suffix} ${histogram.sum(row) / scale}\n${name}_count${suffix} ${count}\n`;
  }

  /** Returns the text and starts a new one. */
  take(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }
}

/** Writes a label and its value, which may be any text. */
export function labelText(label: string, value: string): string {
  const escaped = value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  return `${label}="${escaped}"`;
}
