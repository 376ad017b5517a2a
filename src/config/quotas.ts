/** Quotas of one identity: possible values, and the values in effect. */
import { IDENTITY_SHARE } from '../core/defaults.js';
import type { Config } from './config.js';

/** The keys of `limits.perPeer` and of each `limits.quotas.NAME`. */
export const QUOTA_ROWS = {
  share: {
    kind: 'share',
    default: IDENTITY_SHARE,
    about:
      'Fraction of each limit that one identity may use, unless one of the keys below sets a number.',
  },
  connections: {
    kind: 'count',
    default: null,
    none: 'the share of `limits.connections`',
    min: 1,
    max: 1_000_000,
    about: 'Connections of the identity, over all listeners; the broker closes further ones.',
  },
  outstanding: {
    kind: 'count',
    default: null,
    none: 'the share of `limits.queuedRequests`',
    min: 1,
    max: 16_000_000,
    about: 'Requests that the broker holds for the identity, queued or at workers.',
  },
  queuedBytes: {
    kind: 'size',
    default: null,
    none: 'the share of `limits.queuedBytes`',
    min: '1KiB',
    max: '1TiB',
    about: 'Bytes of these requests, with PARTIALs held back and incomplete messages.',
  },
  outputBytes: {
    kind: 'size',
    default: null,
    none: '`limits.outputBytes`',
    min: '1KiB',
    max: '16GiB',
    about: 'Bytes of output that the identity has not read, over all its connections.',
  },
  requestsPerSecond: {
    kind: 'count',
    default: null,
    none: 'unlimited',
    min: 1,
    max: 100_000_000,
    about: 'Requests per second; the requests of one second may arrive in a burst.',
  },
  workers: {
    kind: 'count',
    default: null,
    none: 'the share of `limits.workers`',
    min: 1,
    max: 1_000_000,
    about: 'Workers registered at once.',
  },
  stored: {
    kind: 'count',
    default: null,
    none: 'the share of `titanic.maxOpen`',
    min: 1,
    max: 1_000_000_000,
    about: 'Stored requests that are not yet closed or expired.',
  },
  storedBytes: {
    kind: 'size',
    default: null,
    none: 'the share of `titanic.maxBytes`',
    min: '1KiB',
    max: '255TiB',
    about:
      'Bytes of its stored requests and their replies, and of the idempotency keys that are remembered for it.',
  },
  waits: {
    kind: 'count',
    default: 10_000,
    min: 1,
    max: 16_000_000,
    about:
      '`titanic.wait` and `titanic.progress` calls that may wait at the same time; the same number may also wait for a large reply.',
  },
  hellos: {
    kind: 'count',
    default: 1000,
    min: 1,
    max: 1_000_000,
    about: 'Clients of the identity that sent `mmi.hello`, over all its connections.',
  },
  schedules: {
    kind: 'count',
    default: 600,
    min: 1,
    max: 100_000_000,
    about:
      'How often its schedules may be due, together: so many times a minute on average over the busiest hour of each. 600 are ten that are due every second, or any number of daily ones.',
  },
  services: {
    kind: 'count',
    default: null,
    none: 'the share of `limits.services`',
    min: 1,
    max: 1_000_000,
    about: "Services that the broker knows because of the identity's requests and workers.",
  },
} as const;

export type QuotaKey = keyof typeof QUOTA_ROWS;

/** Every key, in the order in which they are shown. */
export const QUOTA_KEYS: readonly QuotaKey[] = Object.keys(QUOTA_ROWS) as QuotaKey[];

/** The content of `limits.quotas.NAME`, sizes in bytes. */
export type QuotaConfig = Readonly<Partial<Record<QuotaKey, number>>>;

/** The content of `limits.perPeer`; it always has a share. */
export type PerPeerConfig = QuotaConfig & { readonly share: number };

/** What one identity may use at most (D75); sizes in bytes, Infinity for no limit. */
export type Quotas = Readonly<Record<Exclude<QuotaKey, 'share'>, number>>;

/**
 * The quotas of an identity (D75). What `limits.quotas.NAME` leaves out is as in `limits.perPeer`.
 * @param name the quota that its key names; `null`, or a name that is not configured: `limits.perPeer`
 */
export function quotasOf(config: Pick<Config, 'limits' | 'titanic'>, name: string | null): Quotas {
  const { limits, titanic } = config;
  const named = name !== null && Object.hasOwn(limits.quotas, name) ? limits.quotas[name] : {};
  const given: PerPeerConfig = { ...limits.perPeer, ...named };
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
    waits: given.waits ?? QUOTA_ROWS.waits.default,
    hellos: given.hellos ?? QUOTA_ROWS.hellos.default,
    schedules: given.schedules ?? QUOTA_ROWS.schedules.default,
    services: given.services ?? shareOf(limits.services),
  };
}

/** A share of a limit, leaving at least one place for others; a limit of one is not shared. */
function shared(limit: number, share: number): number {
  if (share >= 1) return limit;
  return Math.max(1, Math.min(limit - 1, Math.floor(limit * share)));
}
