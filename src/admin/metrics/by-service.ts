/** Metrics with the label `service`: one sample, or one for each value of a second label. */
import { type CountedServices, OTHERS } from '../../core/counted-services.js';
import type { Histogram } from '../../core/histogram.js';
import { type Exposition, labelText } from './exposition.js';
import type { MetricName } from './metric-table.js';

/** Rows and the label text of each. */
export type LabelledRows = readonly (readonly [row: Float64Array, text: string])[];

/** The services with a label of their own, after all others together. */
export function labelled(services: CountedServices, of: 'plain' | 'stored'): LabelledRows {
  const rows: [row: Float64Array, text: string][] = [];
  rows.push([services.unlabelled(of), labelText('service', OTHERS)]);
  for (const service of services.all()) {
    const counts = service[of];
    if (service.hasLabel && counts !== null) {
      rows.push([counts.now, labelText('service', service.shown)]);
    }
  }
  return rows;
}

/**
 * @param column of a histogram, the number of its values
 * @param scale how many of the values' units make a base unit
 */
export function perService(
  out: Exposition,
  name: MetricName,
  rows: LabelledRows,
  column: number | Histogram,
  scale = 1,
): void {
  out.metric(name);
  for (const [row, text] of rows) {
    const value = typeof column === 'number' ? (row[column] ?? 0) : column.total(row);
    out.sample(text, value / scale);
  }
}

/** @param columns by the value of the other label */
export function perServiceBy(
  out: Exposition,
  name: MetricName,
  rows: LabelledRows,
  label: string,
  columns: Readonly<Record<string, number>>,
): void {
  const { labels } = out.metric(name);
  const others = labels[label] ?? [];
  const texts = others.map((value) => [columns[value] ?? NaN, labelText(label, value)] as const);
  for (const [row, service] of rows) {
    for (const [column, text] of texts) out.sample(`${service},${text}`, row[column] ?? 0);
  }
}

/** @param histogram in milliseconds */
export function histogramsOf(
  out: Exposition,
  name: MetricName,
  rows: LabelledRows,
  histogram: Histogram,
): void {
  out.metric(name);
  for (const [row, text] of rows) out.histogram(text, histogram, row, 1000);
}
