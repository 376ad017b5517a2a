/** Metrics with the label `service`: one sample, or one for each value of a second label. */
import type { Histograms } from '../core/histogram.js';
import type { ByLabel, Label, Labels } from '../core/labels.js';
import { type Exposition, labelText } from './exposition.js';
import type { MetricName } from './metric-table.js';

/** Services and their label text. */
export type LabelledServices = readonly (readonly [label: Label, text: string])[];

export function labelled(labels: Labels, isWanted: (label: Label) => boolean): LabelledServices {
  return [...labels.names.entries()]
    .filter(([label]) => isWanted(label))
    .map(([label, name]) => [label, labelText('service', name)]);
}

/** @param scale how many of the values' units make a base unit */
export function perService(
  out: Exposition,
  name: MetricName,
  services: LabelledServices,
  values: ByLabel,
  scale = 1,
): void {
  out.metric(name);
  for (const [label, text] of services) out.sample(text, (values[label] ?? 0) / scale);
}

export function perServiceBy(
  out: Exposition,
  name: MetricName,
  services: LabelledServices,
  label: string,
  values: Readonly<Record<string, ByLabel>>,
): void {
  const { labels } = out.metric(name);
  const others = labels[label] ?? [];
  const texts = others.map((value) => [values[value], labelText(label, value)] as const);
  for (const [at, service] of services) {
    for (const [counts, text] of texts) out.sample(`${service},${text}`, counts?.[at] ?? 0);
  }
}

/** @param values in milliseconds */
export function histogramsOf(
  out: Exposition,
  name: MetricName,
  services: LabelledServices,
  values: Histograms,
): void {
  out.metric(name);
  for (const [label, text] of services) out.histogram(text, values, label, 1000);
}
