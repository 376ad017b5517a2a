/** Finds metrics, labels and label values in PromQL that this program does not have. */
import {
  type Metric,
  METRIC_PREFIX,
  METRICS,
  PROCESS_METRICS,
} from '../../../src/admin/metrics/metric-table.js';

/** What Prometheus and its configuration add to every series. */
const OF_THE_TARGET = ['job', 'instance', 'pair'];

const WORDS = new Set([
  ...['sum', 'max', 'rate', 'increase', 'resets', 'changes', 'deriv', 'histogram_quantile'],
  ...['min_over_time', 'max_over_time', 'sum_over_time'],
  ...['by', 'on', 'and', 'or', 'unless'],
]);

type Labels = Metric['labels'];

/** Every series that is served: its name → its labels. */
const SERIES: ReadonlyMap<string, Labels> = new Map<string, Labels>([
  ['up', {}],
  ...Object.keys(PROCESS_METRICS).map((name): [string, Labels] => [name, {}]),
  ...Object.entries(METRICS).flatMap(([name, { type, labels }]): [string, Labels][] => {
    const full = METRIC_PREFIX + name;
    if (type !== 'histogram') return [[full, labels]];
    const sums = [`${full}_sum`, `${full}_count`].map((each): [string, Labels] => [each, labels]);
    return [[`${full}_bucket`, { ...labels, le: null }], ...sums];
  }),
]);

const ALL_LABELS = new Set([...OF_THE_TARGET, ...Array.from(SERIES.values()).flatMap(Object.keys)]);

const SELECTOR = /([a-z_]\w*)\{([^}]*)\}/gi;
const MATCHER = /(\w+)(=~|!~|!=|=)"([^"]*)"/g;

/** One message for each error. */
export function badIn(expr: string): string[] {
  return [...badSelectors(expr), ...badNames(expr), ...badGroupings(expr)];
}

function badSelectors(expr: string): string[] {
  const bad: string[] = [];
  for (const [, name = '', matchers = ''] of expr.matchAll(SELECTOR)) {
    const labels = SERIES.get(name);
    if (labels === undefined) continue;
    for (const [, label = '', , value = ''] of matchers.matchAll(MATCHER)) {
      if (OF_THE_TARGET.includes(label)) continue;
      const values = labels[label];
      if (values === undefined) bad.push(`${name} has no label ${label}`);
      else if (values !== null) {
        const unknown = value.split('|').filter((each) => !values.includes(each));
        bad.push(...unknown.map((each) => `${name}: ${label} is never ${each}`));
      }
    }
  }
  return bad;
}

/** All remaining words of an expression must be series. */
function badNames(expr: string): string[] {
  const bare = expr
    .replaceAll(/\{[^}]*\}/g, ' ')
    .replaceAll(/\[[^\]]*\]/g, ' ')
    .replaceAll(/\boffset \d+[smhd]/g, ' ')
    .replaceAll(/\b(by|on) \([^)]*\)/g, ' ');
  const names = Array.from(bare.matchAll(/[a-z_]\w*/gi), ([name]) => name);
  return names.filter((name) => !WORDS.has(name) && !SERIES.has(name));
}

function badGroupings(expr: string): string[] {
  const groupings = [...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)];
  const labels = groupings.flatMap(([, list = '']) => list.split(',').map((each) => each.trim()));
  return labels.filter((label) => !ALL_LABELS.has(label)).map((label) => `no label ${label}`);
}
