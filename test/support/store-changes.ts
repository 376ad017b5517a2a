/** Changes as tests of a store write them. */
import { KEPT_KINDS_BITS } from '../../src/store/record-kind.js';
import { NO_OWN, NO_PARTNER } from '../../src/store/fields.js';
import { retryEntry } from '../../src/store/attempt.js';
import { newRequest } from '../../src/store/request.js';
import {
  type Change,
  type ChangeResult,
  ANY_OWNER,
  type Closer,
  type RequestUuid,
  type StoredRequest,
  type StoredState,
} from '../../src/store/store.js';

export type ChangeOf<Kind extends Change['kind']> = Extract<Change, { readonly kind: Kind }>;

export const DAY_MS = 86_400_000;
/** Wall time at which the tests' requests are accepted. */
export const NOON = 1_800_000_000_000;

/** The uuid of the tests' n-th request: in order of time, like version 7. */
export function uuidOf(n: number): RequestUuid {
  const uuid = Buffer.alloc(16, 0x70);
  uuid.writeUIntBE(NOON + n, 0, 6);
  uuid.writeUInt32BE(Math.imul(n, 0x9e3779b1) >>> 0, 12);
  return uuid;
}

export function requestOf(n: number, more: Partial<StoredRequest> = {}): StoredRequest {
  const request = newRequest(uuidOf(n), 6, {
    ...{
      kind: 'request',
      partner: NO_PARTNER,
      own: NO_OWN,
      service: Buffer.from('echo'),
      owner: 'anonymous',
      isShared: false,
      priority: 0,
    },
    ...{ acceptedAt: NOON, notBefore: NOON, expiresAt: NOON + 7 * DAY_MS, maxAttempts: 10 },
  });
  return { ...request, number: n, ...more };
}

export function accept(
  n: number,
  more: Partial<StoredRequest> & {
    readonly key?: string;
    readonly body?: Buffer;
    readonly extra?: Buffer | null | undefined;
  } = {},
): ChangeOf<'accept'> {
  const { key, body = Buffer.from(`body ${n}`), extra, own = NO_OWN, ...request } = more;
  return {
    kind: 'accept',
    request: requestOf(n, { bodyBytes: body.length + own.length, own, ...request }),
    body,
    key: key === undefined ? null : Buffer.from(key),
    ...(extra ? { extra } : {}),
  };
}

/** The result of an acceptance whose key leads to this request. */
export function known(n: number, state: StoredState | 'closed' = 'pending'): ChangeResult {
  return { kind: 'known', uuid: uuidOf(n), state };
}

export function attempt(n: number, attempts: number, generation = 0): ChangeOf<'attempt'> {
  return {
    kind: 'attempt',
    uuid: uuidOf(n),
    generation,
    attempts,
    attempt: {
      worker: `w${attempts}`,
      startedAt: NOON + attempts,
      endedAt: NOON + attempts + 1,
      reason: 'lost',
      failure: null,
      extra: null,
    },
    notBefore: NOON + 1000 * attempts,
  };
}

export function advance(
  n: number,
  attempts: number,
  more: Partial<Omit<ChangeOf<'advance'>, 'kind' | 'uuid' | 'attempts'>> = {},
): ChangeOf<'advance'> {
  return {
    ...{ kind: 'advance', uuid: uuidOf(n), generation: 0, attempts, expiresAt: 0 },
    ...{ notBefore: NOON + 1000 * attempts, outcome: 1, outcomeAt: NOON + attempts, ...more },
  };
}

export function reply(
  n: number,
  more: { readonly generation?: number; readonly expiresAt?: number; readonly reply?: Buffer } = {},
): ChangeOf<'reply'> {
  const {
    generation = 0,
    expiresAt = NOON + DAY_MS,
    reply: bytes = Buffer.from(`reply ${n}`),
  } = more;
  const at = NOON + 5;
  return { kind: 'reply', uuid: uuidOf(n), generation, reply: bytes, worker: '7', at, expiresAt };
}

export function dead(
  n: number,
  more: { readonly generation?: number; readonly expiresAt?: number } = {},
): ChangeOf<'dead'> {
  const { generation = 0, expiresAt = NOON + DAY_MS } = more;
  const reason = `dead ${n}`;
  return { kind: 'dead', uuid: uuidOf(n), generation, reason, at: NOON + 6, expiresAt };
}

export function close(
  n: number,
  keyUntil: number = NOON + DAY_MS,
  by: Closer = ANY_OWNER,
): ChangeOf<'close' | 'expire'> {
  return { kind: 'close', uuid: uuidOf(n), at: NOON + 7, keyUntil, by };
}

export function expire(n: number, keyUntil: number = NOON + DAY_MS): ChangeOf<'close' | 'expire'> {
  return { kind: 'expire', uuid: uuidOf(n), at: NOON + 7, keyUntil, by: ANY_OWNER };
}

export function retry(n: number, generation = 1): ChangeOf<'retry'> {
  const expiresAt = NOON + 2 * DAY_MS;
  const attempt = retryEntry('alice', NOON + 8, null);
  return { kind: 'retry', uuid: uuidOf(n), generation, expiresAt, attempt };
}

export function sweep(
  now: number,
  more: { readonly keyUntil?: number; readonly most?: number } = {},
): ChangeOf<'sweep'> {
  const { keyUntil = now + DAY_MS, most = 1000 } = more;
  return { kind: 'sweep', now, keyUntil, most, kinds: KEPT_KINDS_BITS };
}
