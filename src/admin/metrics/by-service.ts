/** Metrics with the label `service`: one sample, or one for each value of a second label. */
import { type CountedServices, OTHERS } from '../../core/counted-services.js';
import type { Histogram } from '../../core/histogram.js';
import { type Exposition, labelText } from './exposition.js';
import type { MetricName } from './metric-table.js';

/** Rows and the label text of each, in parts that are written at once. */
type LabelledRows = readonly (readonly (readonly [row: Float64Array, text: string])[])[];
/** What is written in parts, between which others may have their turn. */
export type Writing = Generator<void, void>;

/** A part of this size takes about a millisecond. */
const PART_ROWS = 64;

/** The services with a label of their own, after all others together. */
export function labelled(services: CountedServices, of: 'plain' | 'stored'): LabelledRows {
  let part: [row: Float64Array, text: string][] = [];
  const parts = [part];
  part.push([services.unlabelled(of), labelText('service', OTHERS)]);
  for (const service of services.byName.values()) {
    const counts = service[of];
    if (!service.hasLabel || counts === null) continue;
    if (part.length >= PART_ROWS) parts.push((part = []));
    part.push([counts.now, labelText('service', service.label)]);
  }
  return parts;
}

/**
 * @param column of a histogram, the number of its values
 * @param scale how many of the values' units make a base unit
 */
export function* perService(
  out: Exposition,
  name: MetricName,
  rows: LabelledRows,
  column: number | Histogram,
  scale = 1,
): Writing {
  out.metric(name);
  for (const part of rows) {
    for (const [row, text] of part) {
      const value = typeof column === 'number' ? (row[column] ?? 0) : column.total(row);
      out.sample(text, value / scale);
    }
    yield;
  }
}

/** @param columns by the value of the other label */
export function* perServiceBy(
  out: Exposition,
  name: MetricName,
  rows: LabelledRows,
  label: string,
  columns: Readonly<Record<string, number>>,
): Writing {
  const { labels } = out.metric(name);
  const others = labels[label] ?? [];
  const texts = others.map((value) => [columns[value] ?? NaN, labelText(label, value)] as const);
  for (const part of rows) {
    for (const [row, service] of part) {
      for (const [column, text] of texts) out.sample(`${service},${text}`, row[column] ?? 0);
    }
    yield;
  }
}

/** @param histogram in milliseconds */
export function* histogramsOf(
  out: Exposition,
  name: MetricName,
  rows: LabelledRows,
  histogram: Histogram,
): Writing {
  out.metric(name);
  for (const part of rows) {
    for (const [row, text] of part) out.histogram(text, histogram, row, 1000);
    yield;
  }
}
