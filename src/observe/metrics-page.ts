/** docs/metrics.md, generated from the table. */
import {
  type Metric,
  METRIC_PREFIX,
  METRICS,
  PROCESS_METRICS,
  type ProcessMetricName,
} from './metric-table.js';

const INTRODUCTION = `# Metrics

<!-- Made from src/observe/metric-table.ts by scripts/generate-docs.mjs: change it there. -->

\`GET /metrics\` answers in the Prometheus text format (0.0.4). Simultaneous scrapes share one
result. However often it is scraped, the broker spends at most a tenth of the event loop's time on it.

- Names, labels and label values are stable. Units are seconds and bytes. Counters end in \`_total\`, start
  at 0 with the process, and only rise.
- \`requests_*\` count requests of clients for worker services: not \`mmi.*\`, not \`titanic.*\`, and not
  deliveries of stored requests, which \`titanic_*\` count.
- Label \`service\`: the name; \`%\` and bytes that are not printable ASCII are percent-escaped. The first 200
  services with a worker or a stored request get their own label, until the process ends; all others share
  \`__other__\`, as does a service with that name. 100 of the 200 labels are reserved for services that had a
  worker. Counts from before a service gets its label stay under \`__other__\`. A service has the same label
  in all metrics; \`titanic_*\` contain only services that had stored requests.
- There are no labels per client, worker or uuid.
- Every label value is exported from the start, as 0, so that \`rate()\` sees the first increase.
  With \`titanic.enabled: false\` there are no \`titanic_*\` metrics.

[logs.md](logs.md) says which metric counts which log event.
`;

const SECTIONS: readonly (readonly [title: string, prefix: RegExp])[] = [
  [
    'This process',
    /^(build_info|up_seconds|ready|degraded|event_loop_lag_seconds|memory_held_bytes)$/,
  ],
  ['Requests', /^requests?_/],
  ['Workers and messages', /^(workers|messages|replies)/],
  ['The events as a stream', /^stream_/],
  ['The map', /^map_/],
  ['The fleet', /^fleet_/],
  ['Stored requests', /^titanic_/],
  ['The pair', /^ha_/],
];

export function metricsPage(): string {
  const sections = SECTIONS.map(([title, prefix]) => {
    const rows = Object.entries(METRICS).filter(([name]) => prefix.test(name));
    return [`## ${title}`, ...rows.map(([name, metric]) => entry(METRIC_PREFIX + name, metric))];
  });
  const own = Object.entries(PROCESS_METRICS) as [ProcessMetricName, Omit<Metric, 'labels'>][];
  const rest = [
    '## Operating system figures of the process',
    ...own.map(([name, metric]) => {
      return entry(name, { ...metric, labels: {} });
    }),
  ];
  return (
    [INTRODUCTION, ...sections.flat(), ...rest].join('\n\n').replaceAll('\n\n\n', '\n\n') + '\n'
  );
}

function entry(name: string, { type, labels, help, meaning }: Metric): string {
  const facts = Object.entries(labels).map(([label, values]) => {
    const which = values === null ? '' : `: ${values.map((value) => `\`${value}\``).join(', ')}`;
    return `- label \`${label}\`${which}`;
  });
  return [`### \`${name}\``, '', `${help} ${meaning}`, '', `- ${type}`, ...facts].join('\n');
}
