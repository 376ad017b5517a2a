/** The quotas of one identity that are in effect. */
import type { Config } from './config.js';
import { HELLOS, type QuotaKey, SCHEDULES, SESSIONS, WAITS } from './quota-keys.js';

/** What one identity may use at most (D75); sizes in bytes, Infinity for no limit. */
export type Quotas = Readonly<Record<Exclude<QuotaKey, 'share'>, number>>;

/**
 * The quotas of an identity (D75). What `limits.quotas.NAME` leaves out is as in `limits.perPeer`.
 * @param name the quota that its key names; `null`, or a name that is not configured: `limits.perPeer`
 */
export function quotasOf(config: Pick<Config, 'limits' | 'titanic'>, name: string | null): Quotas {
  const { limits, titanic } = config;
  const named = name !== null && Object.hasOwn(limits.quotas, name) ? limits.quotas[name] : {};
  const given = { ...limits.perPeer, ...named };
  const shareOf = (limit: number): number => shared(limit, given.share);
  return {
    connections: given.connections ?? shareOf(limits.connections),
    outstanding: given.outstanding ?? shareOf(limits.queuedRequests),
    queuedBytes: given.queuedBytes ?? shareOf(limits.queuedBytes),
    outputBytes: given.outputBytes ?? limits.outputBytes,
    requestsPerSecond: given.requestsPerSecond ?? Infinity,
    workers: given.workers ?? shareOf(limits.workers),
    stored: given.stored ?? shareOf(titanic.maxOpen),
    storedBytes: given.storedBytes ?? shareOf(titanic.maxBytes),
    waits: given.waits ?? WAITS,
    hellos: given.hellos ?? HELLOS,
    sessions: given.sessions ?? SESSIONS,
    schedules: given.schedules ?? SCHEDULES,
    services: given.services ?? shareOf(limits.services),
  };
}

/** A share of a limit, leaving at least one place for others; a limit of one is not shared. */
function shared(limit: number, share: number): number {
  if (share >= 1) return limit;
  return Math.max(1, Math.min(limit - 1, Math.floor(limit * share)));
}
