/** A Prometheus with the alert rules of `deploy/prometheus`, in which a minute is a second. `endAll` ends it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { stringify } from 'yaml';

import { present } from '../../src/core/assert.js';
import { temporaryDirectory } from './daemon.js';
import { atEnd } from './daemon-users.js';
import { freePorts } from './free-ports.js';
import { until } from './until.js';

const RULES = 'deploy/prometheus/majordomo.rules.yml';
/** Of each duration in the rules: a minute is a second. */
const SECONDS: Readonly<Record<string, number>> = { m: 1, h: 60, d: 1440 };

interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly state: string;
}

export class Prometheus {
  readonly #url: string;

  private constructor(url: string) {
    this.#url = url;
  }

  /** @param targets addresses of brokers, `HOST:PORT` */
  static async start(...targets: readonly string[]): Promise<Prometheus> {
    const directory = temporaryDirectory();
    const rules = readFileSync(RULES, 'utf8').replaceAll(
      /(?<=[[:]|for: )(\d+)([mhd])(?=[\]:\n])/g,
      (_, count: string, unit: string) => `${Number(count) * (SECONDS[unit] ?? 0)}s`,
    );
    writeFileSync(join(directory, 'rules.yml'), rules);
    const file = join(directory, 'prometheus.yml');
    const settings = {
      global: { scrape_interval: '500ms', evaluation_interval: '500ms', scrape_timeout: '500ms' },
      rule_files: ['rules.yml'],
      scrape_configs: [{ job_name: 'majordomo', static_configs: [{ targets }] }],
    };
    writeFileSync(file, stringify(settings));
    const [port = 0] = await freePorts(1);
    const address = `127.0.0.1:${port}`;
    const data = `--storage.tsdb.path=${join(directory, 'data')}`;
    const args = [`--config.file=${file}`, data, `--web.listen-address=${address}`];
    const process = spawn('prometheus', args, { stdio: 'ignore' });
    const ended = once(process, 'exit');
    atEnd(async () => {
      process.kill('SIGKILL');
      await ended;
    });
    const prometheus = new Prometheus(`http://${address}`);
    await until(() => prometheus.#isReady(), 'Prometheus is ready');
    return prometheus;
  }

  async #isReady(): Promise<boolean> {
    const answer = await fetch(`${this.#url}/-/ready`).catch(() => null);
    return answer?.ok === true;
  }

  /** The alerts that fire now. */
  async firing(): Promise<readonly Alert[]> {
    const answer = await fetch(`${this.#url}/api/v1/alerts`);
    const { data } = (await answer.json()) as { readonly data: { readonly alerts: Alert[] } };
    return data.alerts.filter(({ state }) => state === 'firing');
  }

  /** Waits until this alert fires. @param labels that it has, beside others */
  async fires(alertname: string, labels: Alert['labels'] = {}): Promise<Alert> {
    const found: Alert[] = [];
    await until(async () => {
      found.push(...matching(await this.firing(), { alertname, ...labels }));
      return found.length > 0;
    }, `${alertname} fires`);
    return present(found[0], 'the alert');
  }

  /** Waits until this alert fires no more. */
  async clears(alertname: string, labels: Alert['labels'] = {}): Promise<void> {
    await until(
      async () => matching(await this.firing(), { alertname, ...labels }).length === 0,
      `${alertname} clears`,
    );
  }
}

function matching(alerts: readonly Alert[], labels: Alert['labels']): Alert[] {
  const wanted = Object.entries(labels);
  return alerts.filter((alert) => wanted.every(([name, value]) => alert.labels[name] === value));
}
