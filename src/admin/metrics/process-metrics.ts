/**
 * `process_*`, by prom-client. Not by its `collectDefaultMetrics`, which also keeps a timer of 10
 * ms and a garbage collection observer, and uses names that `promtool` complains about. A value
 * that cannot be read, as when descriptors run out, stays as it was.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { Counter, Gauge, Registry } from 'prom-client';

import { PROCESS_METRICS, type ProcessMetricName } from './metric-table.js';

const OF_STATUS = {
  VmRSS: 'process_resident_memory_bytes',
  VmSize: 'process_virtual_memory_bytes',
  VmData: 'process_heap_bytes',
} as const satisfies Record<string, ProcessMetricName>;

type Meters = Record<ProcessMetricName, (value: number) => void>;

export class ProcessMetrics {
  readonly #registry = new Registry();
  readonly #set: Meters = meters(this.#registry);
  readonly #fdsMax: number;

  constructor() {
    this.#set.process_start_time_seconds(Math.round(Date.now() / 1000 - process.uptime()));
    const limits = readable(() => readFileSync('/proc/self/limits', 'utf8'));
    this.#fdsMax = Number(/^Max open files\s+(\d+)/m.exec(limits ?? '')?.[1] ?? 0);
    this.#set.process_max_fds(this.#fdsMax);
  }

  async render(): Promise<string> {
    const { user, system } = process.cpuUsage();
    this.#set.process_cpu_user_seconds_total(user / 1e6);
    this.#set.process_cpu_system_seconds_total(system / 1e6);
    this.#set.process_cpu_seconds_total((user + system) / 1e6);
    const status = readable(() => readFileSync('/proc/self/status', 'utf8'));
    for (const [line, name] of Object.entries(OF_STATUS)) {
      const kilobytes = new RegExp(`^${line}:\\s+(\\d+) kB$`, 'm').exec(status ?? '')?.[1];
      if (kilobytes !== undefined) this.#set[name](Number(kilobytes) * 1024);
    }
    const open = readable(() => readdirSync('/proc/self/fd').length - 1);
    if (open !== null) this.#set.process_open_fds(open);
    return await this.#registry.metrics();
  }
}

/** Sets each metric, by name. */
function meters(registry: Registry): Meters {
  const registers = [registry];
  const made = Object.entries(PROCESS_METRICS).map(([name, { type, help }]) => {
    if (type === 'gauge') {
      const gauge = new Gauge({ name, help, registers });
      return [name, gauge.set.bind(gauge)] as const;
    }
    const counter = new Counter({ name, help, registers });
    const set = (value: number): void => {
      counter.reset();
      counter.inc(value);
    };
    return [name, set] as const;
  });
  return Object.fromEntries(made) as Meters;
}

/** The content if it can be read, or `null`. */
function readable<Value>(read: () => Value): Value | null {
  try {
    return read();
  } catch {
    return null;
  }
}
