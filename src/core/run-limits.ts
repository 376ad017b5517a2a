/** Limits of how many requests run at once and start per second, as people write them. */

/** The highest limit that can be written. */
export const RUN_LIMIT_MAX = 1_000_000;
/** The lowest rate that can be written, per second. */
export const RATE_MIN = 0.001;
/** What may start at once is at least what is due within this time, since the broker's turns are not exact. */
const TURN_SECONDS = 0.02;

/** How many requests may run at once, and start per second; undefined: no limit. */
interface WrittenLimit {
  readonly running?: number;
  readonly perSecond?: number;
  /** How many may start at once after a pause. */
  readonly burst?: number;
}

/** The limits of a service, and of each of its groups. */
export interface WrittenLimits extends WrittenLimit {
  readonly group?: WrittenLimit & { readonly onFailure?: 'hold' | 'pass' };
}

/** The limits of a service as one list, as commands and stored records have them. */
export interface FlatLimits extends WrittenLimit {
  readonly groupRunning?: number;
  readonly groupPerSecond?: number;
  readonly groupBurst?: number;
  readonly onFailure?: 'hold' | 'pass';
}

export function writtenLimits(flat: FlatLimits): WrittenLimits {
  const { groupRunning, groupPerSecond, groupBurst, onFailure, ...own } = flat;
  const group = {
    ...(groupRunning === undefined ? {} : { running: groupRunning }),
    ...(groupPerSecond === undefined ? {} : { perSecond: groupPerSecond }),
    ...(groupBurst === undefined ? {} : { burst: groupBurst }),
    ...(onFailure === undefined ? {} : { onFailure }),
  };
  return Object.keys(group).length === 0 ? own : { ...own, group };
}

interface AppliedLimit {
  readonly running: number;
  readonly perSecond: number;
  readonly burst: number;
}

/** What the broker applies: see `RunLimit`. @returns `null`: nothing is limited */
function appliedLimit({ running, perSecond, burst }: WrittenLimit): AppliedLimit | null {
  if (running === undefined && perSecond === undefined) return null;
  const rate = perSecond ?? Infinity;
  return {
    running: running ?? Infinity,
    perSecond: rate,
    burst: burst ?? Math.max(1, rate === Infinity ? 1 : Math.ceil(rate * TURN_SECONDS)),
  };
}

/** What the broker applies: see `ServiceLimits`. */
export function appliedLimits(written: WrittenLimits): {
  readonly service: AppliedLimit | null;
  readonly group: AppliedLimit | null;
  readonly holds: boolean;
} {
  const { group } = written;
  return {
    service: appliedLimit(written),
    group: group === undefined ? null : appliedLimit(group),
    holds: group?.onFailure === 'hold',
  };
}

/** A limit as it is shown: what is absent or null is not limited. */
type ShownLimit = { readonly [Name in keyof WrittenLimit]?: number | null };

/** A limit in words: `2 running, 5 per second (burst 1)`; empty: it limits nothing. */
export function limitText(limit: ShownLimit): string {
  const { running = null, perSecond = null, burst = null } = limit;
  const most = burst === null ? '' : ` (burst ${burst})`;
  return [
    ...(running === null ? [] : [`${running} running`]),
    ...(perSecond === null ? [] : [`${perSecond} per second${most}`]),
  ].join(', ');
}

/** The limits of a service in words. */
export function limitsText(written: WrittenLimits): string {
  const { group = {} } = written;
  const own = limitText(written);
  const ofGroups = [
    ...[limitText(group)].filter((text) => text !== ''),
    ...(group.onFailure === undefined ? [] : [`on failure ${group.onFailure}`]),
  ].join(', ');
  return [
    ...(own === '' ? [] : [own]),
    ...(ofGroups === '' ? [] : [`each group ${ofGroups}`]),
  ].join('; ');
}
