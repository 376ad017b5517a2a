/** The limits of services that the configuration sets: `broker.services`. */
import type { LimitsOf, RunLimit } from '../broker/options.js';
import type { RunLimitConfig, ServiceLimitsConfig } from '../config/entries.js';
import { GlobSet } from '../core/glob.js';

/** What may start at once is at least what is due within this time, since the broker's turns are not exact. */
const TURN_SECONDS = 0.02;

/** The limits of a service: those of the first entry that matches its name. */
export function limitsOfServices(entries: readonly ServiceLimitsConfig[]): LimitsOf {
  const all = entries.map((entry) => ({
    globs: GlobSet.of([entry.match]),
    limits: {
      service: runLimit(entry),
      group: entry.group === undefined ? null : runLimit(entry.group),
      holds: entry.group?.onFailure === 'hold',
    },
  }));
  return (name) => all.find(({ globs }) => globs.matches(name, 0, name.length))?.limits ?? null;
}

function runLimit({ running, perSecond, burst }: RunLimitConfig): RunLimit | null {
  if (running === undefined && perSecond === undefined) return null;
  const rate = perSecond ?? Infinity;
  return {
    running: running ?? Infinity,
    perSecond: rate,
    burst: burst ?? Math.max(1, rate === Infinity ? 1 : Math.ceil(rate * TURN_SECONDS)),
  };
}
