import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

import { parse } from 'yaml';

import { METRICS } from '../../../src/admin/metrics/metric-table.js';
import { itWithTool } from '../../support/tools.js';
import { page } from '../../unit/docs/page.js';
import { badIn } from './promql.js';

const FOLDER = 'deploy/prometheus';
const RULES = `${FOLDER}/majordomo.rules.yml`;
const RULE_TESTS = ['rules', 'rules.days', 'rules.stories'].map(
  (name) => `${FOLDER}/majordomo.${name}.test.yml`,
);

/** Alerts that an operator resolves at one service. */
const BY_SERVICE = [
  'MajordomoServiceNotAnswering',
  'MajordomoServiceFailing',
  'MajordomoRequestsRefused',
  'MajordomoStoredRequestsWithoutWorkers',
  'MajordomoStoredRequestsDied',
  'MajordomoStoredRequestsDead',
  'MajordomoStoredServiceFailing',
  'MajordomoStoredRequestsStuck',
];

/** A name comes from a peer, and the command is pasted into a shell. */
const QUOTED = String.raw`'{{ reReplaceAll "'" "'\\''" $labels.service }}'`;

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity?: string };
  readonly annotations: {
    readonly summary?: string;
    readonly description?: string;
    readonly runbook_url?: string;
  };
}

interface Recorded {
  readonly record: string;
  readonly expr: string;
}

interface RuleTest {
  readonly input_series: readonly { readonly series: string }[];
  readonly alert_rule_test?: readonly {
    readonly alertname: string;
    readonly exp_alerts: readonly unknown[];
  }[];
}

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly gridPos: { readonly x: number; readonly y: number };
  /** A row is repeated for each value of this menu. */
  readonly repeat?: string;
  readonly collapsed?: boolean;
  /** The panels of a collapsed row. */
  readonly panels?: readonly Panel[];
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly definition?: string }[] };
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
}

const read = (file: string): string => readFileSync(file, 'utf8');
const RULE_FILE = parse(read(RULES)) as { groups: { rules: (Alert | Recorded)[] }[] };
const RECORDED = RULE_FILE.groups.flatMap(({ rules }) => rules.filter((rule) => 'record' in rule));
const REPOSITORY = (
  JSON.parse(read('package.json')) as { readonly repository: { readonly url: string } }
).repository.url.replace(/^git\+(.*)\.git$/, '$1');
const ALERTS = RULE_FILE.groups.flatMap(({ rules }) => rules.filter((rule) => 'alert' in rule));
const TESTS = RULE_TESTS.flatMap((file) => (parse(read(file)) as { tests: RuleTest[] }).tests);
const DASHBOARD = JSON.parse(read('deploy/grafana/majordomo.json')) as Dashboard;

/** A recorded series has the labels of those that it is made of. */
function withoutRecorded(expr: string): string {
  return RECORDED.reduce((text, { record }) => text.replaceAll(record, 'up'), expr);
}

function promtool(...args: readonly string[]): { readonly status: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' });
  return { status, said: stdout + stderr };
}

describe('the alert rules', () => {
  it.each(ALERTS.map((alert) => [alert.alert, alert] as const))(
    '%s uses only existing metrics and labels',
    (_, { expr }) => expect(badIn(withoutRecorded(expr))).toEqual([]),
  );

  it.each(RECORDED)('$record uses only existing metrics and labels', ({ expr }) => {
    expect(badIn(withoutRecorded(expr))).toEqual([]);
  });

  it('have a severity, a description and a link to the documentation', () => {
    for (const { alert, labels, annotations } of ALERTS) {
      expect(labels.severity).toMatch(
        /^(critical|warning|\{\{ if .*\}\}critical\{\{ else \}\}warning\{\{ end \}\})$/,
      );
      expect(annotations.summary).not.toBe('');
      const place = `/blob/main/docs/operating.md#${alert.toLowerCase()}`;
      expect(annotations.runbook_url).toBe(REPOSITORY + place);
    }
  });

  it('name the failing service, and the command or log event to look at', () => {
    const told = ALERTS.filter(
      ({ annotations: { summary, description } }) =>
        description !== undefined && summary?.includes('$labels.service') === true,
    );
    expect(told.map(({ alert }) => alert)).toEqual(BY_SERVICE);
    for (const { annotations } of told) {
      expect(annotations.summary).toContain('{{ $labels.service }}');
      expect(annotations.description).toMatch(
        /majordomo durable ls|majordomo clients|majordomo services show|request\.failed/,
      );
    }
  });

  it('quote the name of a service in shell commands', () => {
    const told = ALERTS.map(({ annotations }) => annotations.description ?? '');
    const options = told.flatMap((text) =>
      text.split(/--service\b(?! titanic)|services show /).slice(1),
    );
    expect(options).toHaveLength(5);
    for (const option of options) expect(option.replace(/^=/, '').startsWith(QUOTED)).toBe(true);
  });

  it('are exactly those explained in docs/operating.md', () => {
    const headings = [...page('operating.md').matchAll(/^### (Majordomo\w+)$/gm)];
    const names = headings.map(([, name = '']) => name).sort();
    expect(names).toEqual(ALERTS.map(({ alert }) => alert).sort());
  });

  it('lead to a row for each reason why a node is degraded, with the severity of its alert', () => {
    const [, section = ''] = page('operating.md').split('### MajordomoDegraded\n');
    const { labels } = ALERTS.find(({ alert }) => alert === 'MajordomoDegraded') ?? {};
    const [, critical = ''] = /match "(.*?)"/.exec(labels?.severity ?? '') ?? [];
    for (const reason of METRICS.degraded.labels['reason'] ?? []) {
      const row = section.split('\n').find((line) => line.split('|')[1]?.includes(`\`${reason}\``));
      const severity = new RegExp(critical).test(reason) ? 'critical' : 'warning';
      expect([reason, row?.split('|')[2]?.trim()]).toEqual([reason, severity]);
    }
  });

  it('are each tested both firing and not firing', () => {
    const tested = TESTS.flatMap((test) => test.alert_rule_test ?? []);
    const names = (fires: boolean): string[] =>
      tested
        .filter(({ exp_alerts }) => exp_alerts.length > 0 === fires)
        .map(({ alertname }) => alertname);
    const alerts = ALERTS.map(({ alert }) => alert).sort();
    expect([...new Set(names(true))].sort()).toEqual(alerts);
    expect([...new Set(names(false))].sort()).toEqual(alerts);
  });

  it('say whole numbers: what Prometheus counts over time is extrapolated, as to 10.04 workers', () => {
    const counts = ALERTS.filter(({ expr }) => /^\s*(sum[^(]*\([^(]*\(\s*)?increase\(/.test(expr));
    expect(counts.length).toBeGreaterThan(0);
    for (const { alert, annotations } of counts) {
      expect([alert, annotations.summary]).toEqual([
        alert,
        expect.not.stringMatching(/\$value (\| humanize )?\}/),
      ]);
    }
  });

  it('are tested with existing metrics and labels', () => {
    for (const { series } of TESTS.flatMap(({ input_series }) => input_series)) {
      expect([series, badIn(series)]).toEqual([series, []]);
    }
  });

  itWithTool('promtool', 'pass promtool check rules', () => {
    expect(promtool('check', 'rules', RULES)).toMatchObject({ status: 0 });
  });

  itWithTool('promtool', 'pass their own tests: promtool test rules', () => {
    expect(promtool('test', 'rules', ...RULE_TESTS)).toMatchObject({ status: 0 });
  });

  itWithTool('promtool', 'are loaded by a configuration that promtool takes', () => {
    const file = `${FOLDER}/prometheus.yml`;
    expect(promtool('check', 'config', '--syntax-only', file)).toMatchObject({ status: 0 });
    expect(parse(read(file))).toMatchObject({ rule_files: ['majordomo.rules.yml'] });
  });
});

describe('the dashboard', () => {
  const panels = DASHBOARD.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
  const targets = panels.flatMap(({ title, targets: all = [] }) =>
    all.map((target) => [title, target] as const),
  );

  it('has panels', () => expect(targets.length).toBeGreaterThan(30));

  it.each(targets)('%s uses only existing metrics and labels', (_, target) => {
    expect(badIn(target.expr)).toEqual([]);
    for (const [, label = ''] of target.legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
      expect(['instance', ...labelsNamed(target.expr)]).toContain(label);
    }
  });

  it('has a table row for each service, and charts that are queried when opened', () => {
    const table = panels.find(({ type }) => type === 'table');
    expect(table?.targets?.every(({ expr }) => expr.includes(' by (service) '))).toBe(true);
    const row = panels.find(({ repeat }) => repeat === 'service');
    expect(row).toMatchObject({ type: 'row', collapsed: true });
    const asked = (row?.panels ?? []).flatMap(({ targets: all = [] }) => all);
    expect(asked.length).toBeGreaterThan(15);
    for (const { expr } of asked) expect(expr).toContain('service=~"$service"');
  });

  it('counts requests stored on both nodes of a pair once', () => {
    const stored = targets.filter(([, { expr }]) => expr.includes('majordomo_titanic_requests{'));
    expect(stored.length).toBeGreaterThan(3);
    for (const [, { expr }] of stored) {
      expect(expr).toContain('and on (job, instance) majordomo_ha_state{state="active"} == 1');
    }
  });

  it('has no two panels with one id, and none that overlap', () => {
    const places = DASHBOARD.panels.map(({ gridPos: { x, y } }) => `${x} ${y}`);
    expect(new Set(places).size).toBe(places.length);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  });

  it('fills its menus and annotations from existing metrics and labels', () => {
    const menus = DASHBOARD.templating.list.flatMap(({ definition = '' }) => {
      const [, series, label] = /^label_values\((.*), (\w+)\)$/.exec(definition) ?? [];
      return series === undefined ? [] : [`sum by (${label ?? ''}) (${series})`];
    });
    expect(menus).toHaveLength(3);
    for (const asked of [...menus, ...DASHBOARD.annotations.list.map(({ expr }) => expr)]) {
      expect([asked, badIn(asked)]).toEqual([asked, []]);
    }
  });
});

/** What a legend can show: labels that the expression keeps, and those of its metrics. */
function labelsNamed(expr: string): string[] {
  const kept = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(', '));
  if (kept.length > 0) return kept;
  if (/^(sum|max)\(/.test(expr)) return [];
  return ['state', 'to', 'reason', 'kind', 'role'];
}
