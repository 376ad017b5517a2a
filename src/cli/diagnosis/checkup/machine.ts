/** What the machine provides: clock, descriptors, memory. */
import { existsSync, readFileSync } from 'node:fs';

import { allowedMemory } from '../../../config/io/memory.js';
import { type Finding, ok, problem, warning } from '../../../core/finding.js';

/** Milliseconds since 1970, before this program was released: an earlier clock is wrong. */
const EARLIEST_MS = Date.UTC(2026, 0, 1);
const TIMESYNC = '/run/systemd/timesync';

/** Heartbeats use the monotonic clock; logs and the store use this one. */
export function clock(): Finding {
  const name = 'clock';
  const now = new Date();
  const text = now.toISOString();
  const remedy = 'set the clock and synchronize it with NTP: logs and durable requests use it';
  if (now.getTime() < EARLIEST_MS) return problem(name, `${text} is in the past`, remedy);
  if (existsSync(TIMESYNC) && !existsSync(`${TIMESYNC}/synchronized`)) {
    return warning(name, `${text}, not synchronized (systemd-timesyncd)`, remedy);
  }
  return ok(name, text);
}

/** Descriptors for files, threads and its own sockets, beside connections. */
const DESCRIPTORS_OWN = 100;
const DESCRIPTORS_MIN = 256;

export function descriptors(connections: number, listeners: number): Finding {
  const name = 'descriptors';
  const limit = descriptorLimit();
  if (limit === null) return ok(name, 'cannot read the limit on this system');
  const wanted = connections * listeners + DESCRIPTORS_OWN;
  const remedy = `ulimit -n ${wanted}, or LimitNOFILE=${wanted} in the unit`;
  const text = `at most ${limit} open files`;
  if (limit < DESCRIPTORS_MIN) return problem(name, text, remedy);
  if (limit >= wanted) return ok(name, text);
  return warning(name, `${text}, but limits.connections needs ${wanted}`, remedy);
}

function descriptorLimit(): number | null {
  let limits: string;
  try {
    limits = readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return null;
  }
  const found = /^Max open files\s+(\S+)/m.exec(limits)?.[1];
  if (found === undefined) return null;
  return found === 'unlimited' ? Infinity : Number(found);
}

const REASONABLE_SHARE = 0.5;

export function memory(memoryBytes: number): Finding {
  const name = 'memory';
  const available = allowedMemory();
  const text = `${approximately(available)}, of which limits.memoryBytes may use ${approximately(memoryBytes)}`;
  const remedy = `set limits.memoryBytes to ${approximately(available * REASONABLE_SHARE)} or less`;
  if (memoryBytes > available) return problem(name, text, remedy);
  if (memoryBytes > available * REASONABLE_SHARE) return warning(name, text, remedy);
  return ok(name, text);
}

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB'] as const;

/** Bytes rounded down, in the configuration's form: 8356810752 → `7969MiB`, 900 → `900`. */
export function approximately(bytes: number): string {
  let value = Math.floor(bytes);
  let shown = String(value);
  for (const unit of UNITS) {
    // The next unit would leave too few digits.
    if (value < 10 * 1024) break;
    value = Math.floor(value / 1024);
    shown = `${value}${unit}`;
  }
  return shown;
}
