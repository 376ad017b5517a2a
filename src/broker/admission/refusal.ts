import { DRAINING_WORD } from '../../core/failure-words.js';
import type { RefusalStatus } from '../../wire/mmi.js';
import type { RefusalReason } from '../request-counters.js';
import type { QuotaName } from '../quotas.js';

/** Why a request is not served: as it is counted, and as its client gets it (D9, D11). */
export interface Refusal {
  readonly reason: RefusalReason;
  readonly status: RefusalStatus;
  readonly text: string;
  /** The quota that is used up. */
  readonly quota?: QuotaName | undefined;
}

export const DRAINING: Refusal = {
  reason: 'draining',
  status: '503',
  text: `${DRAINING_WORD}: this broker is shutting down`,
};
export const NOT_ACTIVE: Refusal = {
  reason: 'not_active',
  status: '503',
  text: 'this node is not active',
};
export const NO_RIGHT: Refusal = {
  reason: 'rights',
  status: '403',
  text: 'no right to send requests to this service',
};
export const RIGHT_WITHDRAWN: Refusal = {
  reason: 'rights',
  status: '403',
  text: 'the right to send requests to this service was withdrawn',
};
export const NO_WORKER: Refusal = {
  reason: 'no_worker',
  status: '404',
  text: 'no worker serves it',
};

/** The message was over `limits.messageBytes` or `limits.frames`. */
export function tooLarge(text: string): Refusal {
  return { reason: 'too_large', status: '413', text };
}

/** A limit of the broker is reached. */
export function overLimit(text: string): Refusal {
  return { reason: 'limit', status: '429', text };
}

export const MEMORY_FULL: Refusal = overLimit('limits.memoryBytes is reached');

/** The identity has used up a quota. */
export function overQuota(name: QuotaName): Refusal {
  const text = `the quota \`${name}\` of this identity is used up`;
  return { reason: 'quota', status: '429', text, quota: name };
}

export const TOO_FAST: Refusal = overQuota('requestsPerSecond');
