/** `process_*`, under the names that all client libraries of Prometheus have for them. */
import { readdirSync, readFileSync } from 'node:fs';

import { PROCESS_METRICS, type ProcessMetricName } from './metric-table.js';

const OF_STATUS = {
  VmRSS: 'process_resident_memory_bytes',
  VmSize: 'process_virtual_memory_bytes',
  VmData: 'process_heap_bytes',
} as const satisfies Record<string, ProcessMetricName>;

const NAMES = Object.keys(PROCESS_METRICS) as ProcessMetricName[];

export class ProcessMetrics {
  /** A value that cannot be read, as when descriptors run out, stays as it was. */
  readonly #values = new Map<ProcessMetricName, number>();

  constructor() {
    this.#values.set(
      'process_start_time_seconds',
      Math.round(Date.now() / 1000 - process.uptime()),
    );
    const limits = readable(() => readFileSync('/proc/self/limits', 'utf8'));
    const fdsMax = /^Max open files\s+(\d+)/m.exec(limits ?? '')?.[1];
    this.#values.set('process_max_fds', Number(fdsMax ?? 0));
  }

  render(): string {
    const { user, system } = process.cpuUsage();
    this.#values.set('process_cpu_user_seconds_total', user / 1e6);
    this.#values.set('process_cpu_system_seconds_total', system / 1e6);
    this.#values.set('process_cpu_seconds_total', (user + system) / 1e6);
    const status = readable(() => readFileSync('/proc/self/status', 'utf8'));
    for (const [line, name] of Object.entries(OF_STATUS)) {
      const kilobytes = new RegExp(`^${line}:\\s+(\\d+) kB$`, 'm').exec(status ?? '')?.[1];
      if (kilobytes !== undefined) this.#values.set(name, Number(kilobytes) * 1024);
    }
    const open = readable(() => readdirSync('/proc/self/fd').length - 1);
    if (open !== null) this.#values.set('process_open_fds', open);
    return NAMES.map((name) => {
      const { type, help } = PROCESS_METRICS[name];
      const value = this.#values.get(name) ?? 0;
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`;
    }).join('');
  }
}

/** The content if it can be read, or `null`. */
function readable<Value>(read: () => Value): Value | null {
  try {
    return read();
  } catch {
    return null;
  }
}
