/** docs/metrics.md, made from the table. */
import {
  type Metric,
  METRIC_PREFIX,
  METRICS,
  PROCESS_METRICS,
  type ProcessMetricName,
} from './metric-table.js';

const INTRODUCTION = `# Metrics

<!-- Made from src/observe/metric-table.ts by scripts/generate-docs.mjs: change it there. -->

\`GET /metrics\` answers in the text format of Prometheus (0.0.4). Simultaneous scrapers share one
text, and making it takes at most a tenth of the event loop's time, however often it is asked for.

- Names, labels and their values are stable. Seconds and bytes; counters end in \`_total\`, begin at
  0 with the process, and only rise.
- \`requests_*\` count clients' requests for services of workers: not \`mmi.*\`, not \`titanic.*\`, and not
  the deliveries of stored requests, which are \`titanic_*\`.
- Label \`service\`: the name, percent-escaped outside of printable ASCII, \`%\` itself too. The first 200
  services that had a worker or a stored request have one, until the process ends; all others, and one
  that is called so, share \`__other__\`. Of the 200, 100 are only for services that had a worker. What is
  counted of a service before it has its label is under \`__other__\`, too. A service has the same
  label everywhere; \`titanic_*\` has those that had stored requests.
- There is no label per client, worker or uuid.
- A sample that a label can have is there from the start, as 0, so that \`rate()\` sees its first
  rise. With \`titanic.enabled: false\` there is no \`titanic_*\`.

How a line of the log and a metric belong together is in [logs.md](logs.md).
`;

const SECTIONS: readonly (readonly [title: string, prefix: RegExp])[] = [
  ['This process', /^(build_info|up_seconds|ready|degraded|event_loop_lag_seconds)$/],
  ['Requests', /^requests?_/],
  ['Workers and messages', /^(workers|messages|replies)/],
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
    '## The process, as the system sees it',
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
