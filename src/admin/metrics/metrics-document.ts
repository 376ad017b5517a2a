/** docs/metrics.md, generated from the table. */
import {
  type Metric,
  METRIC_PREFIX,
  METRICS,
  PROCESS_METRICS,
  type ProcessMetricName,
} from './metric-table.js';

const INTRODUCTION = `# Metrics

<!-- Made from src/admin/metrics/metric-table.ts by scripts/generate-docs.mjs: change it there. -->

\`GET /metrics\` answers in the Prometheus text format (0.0.4), compressed with gzip for those who accept that. Simultaneous
scrapes share one result. However often it is scraped, the broker spends at most a tenth of the event loop's time on it. The
text has at most about 32 MiB ([Labels of services](#labels-of-services)); an answer that is not read counts in \`limits.memoryBytes\`
([http.md](http.md#lists)).

- Names, labels and label values are stable. Units are seconds and bytes. Counters end in \`_total\`, start
  at 0 with the process, and only rise.
- \`requests_*\` count requests of clients for worker services: not \`mmi.*\`, not \`titanic.*\`, and not
  deliveries of durable requests, which \`titanic_*\` count.
- Label \`service\`: the name; \`%\` and bytes that are not printable ASCII are percent-escaped. If that has more than 100
  characters, the label is the first 64, \`…\` and 22 characters of a digest of the whole, which no two services share. A service has the same
  label in all metrics; \`titanic_*\` contain only services that had durable requests. [Labels are lent](#labels-of-services).
- There are no labels per client, worker or uuid.
- Every value of the other labels but \`host\` is exported from the start, as 0, so that \`rate()\` sees the first increase.
  With \`titanic.enabled: false\` there are no \`titanic_*\` metrics.

[logs.md](logs.md) says which metric counts which log event.

## Labels of services

A service gets a label of its own when it has a worker or a durable request, and gives it back when it has been gone for
ten minutes: no workers, no requests, nothing stored. \`metrics.services\` says how many labels there are (default 1,000).
There are fewer if the
metrics of all services with a label would take more than 32 MiB of text, which those of some 3,500 services with short names do.
At most half of the labels go to services that never had a worker. Services of \`majordomo bench\` and a service called
\`__other__\` get none.

- Services without a label share \`__other__\`: its counters and gauges are sums over them, and
  \`titanic_oldest_pending_seconds\` is that of the oldest. If all labels are lent, a service with durable requests, or
  with a failure in the last ten minutes, takes the label of one that has neither and had no request for a minute: of
  the one that is idle longest. Otherwise a service gets a label that is free when it is used again. This takes up to
  four seconds.
- No counter decreases. What a service counted before it got its label stays under \`__other__\`. When it gives the
  label back, its series end, and their counts end with them: they are not added to \`__other__\`, whose rate would
  jump. If it gets a label again, its counters begin at 0.
- So sum up rates, not counters: \`sum(rate(majordomo_requests_received_total[5m]))\`. A sum of counters falls when a
  label is given back.
- Lists, \`majordomo top\` and the page show rates of every service, whether it has a label or not. Charts of single
  services are kept only for services with a label.
`;

const SECTIONS: readonly (readonly [title: string, prefix: RegExp])[] = [
  [
    'This process',
    /^(build_info|up_seconds|started_after_crash|ready|degraded|event_loop_lag_seconds|memory_held_bytes)$/,
  ],
  ['Requests', /^requests?_/],
  [
    'Workers and messages',
    /^(workers?|service|sessions|messages|replies|contracts|connections|quota)/,
  ],
  ['The events as a stream', /^stream_/],
  ['The map', /^map_/],
  ['The fleet', /^fleet_/],
  ['Durable requests', /^(titanic|webhooks)_/],
  ['The pair', /^ha_/],
];

export function metricsDocument(): string {
  const sections = SECTIONS.map(([title, prefix]) => {
    const rows = Object.entries(METRICS).filter(([name]) => prefix.test(name));
    return list(
      title,
      rows.map(([name, metric]) => entry(METRIC_PREFIX + name, metric)),
    );
  });
  const own = Object.entries(PROCESS_METRICS) as [ProcessMetricName, Omit<Metric, 'labels'>][];
  const rest = list(
    'Operating system figures of the process',
    own.map(([name, metric]) => entry(name, { ...metric, labels: {} })),
  );
  return `${[INTRODUCTION.trimEnd(), ...sections, rest].join('\n\n')}\n`;
}

function list(title: string, items: readonly string[]): string {
  return `## ${title}\n\n${items.join('\n')}`;
}

function entry(name: string, { type, labels, help, meaning }: Metric): string {
  const facts = Object.entries(labels).map(([label, values]) => {
    if (values === null) return `\`${label}\``;
    return `\`${label}\` (${values.map((value) => `\`${value}\``).join(', ')})`;
  });
  const told = facts.length === 0 ? '' : ` Labels: ${facts.join(', ')}.`;
  return `- **\`${name}\`** (${type}): ${help} ${meaning}${told}`;
}
