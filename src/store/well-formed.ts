/** Checks data from the other node of a pair before it is trusted. */
import { isCount, isWallTime } from '../core/numbers.js';
import { isPackedFrames } from '../core/packed.js';
import { isPackedFailure } from './failure-codec.js';
import { isOwner, isRequest, NAME_BYTES_MAX, UUID_BYTES } from './request.js';
import { ANY_OWNER, ATTEMPTS_RETAINED, type Attempt, type Change } from './store.js';

export function isUuid(uuid: Buffer): boolean {
  return uuid.length === UUID_BYTES;
}

/** A service name, or an idempotency key. */
export function isName(name: Buffer): boolean {
  return name.length > 0 && name.length <= NAME_BYTES_MAX;
}

export function isCloser(by: string): boolean {
  return by === ANY_OWNER || isOwner(by);
}

function areCounts(...values: readonly number[]): boolean {
  return values.every(isCount);
}

export function areWallTimes(...values: readonly number[]): boolean {
  return values.every(isWallTime);
}

export function areAttempts(attempts: readonly Attempt[], attemptsEver: number): boolean {
  return (
    isCount(attemptsEver) &&
    attempts.length === Math.min(attemptsEver, ATTEMPTS_RETAINED) &&
    attempts.every(isAttempt)
  );
}

function isAttempt({ startedAt, endedAt, failure }: Attempt): boolean {
  return areWallTimes(startedAt, endedAt) && (failure === null || isPackedFailure(failure));
}

export function isChange(change: Change): boolean {
  switch (change.kind) {
    case 'accept': {
      const { request, body, key } = change;
      return (
        isRequest(request) &&
        request.state === 'pending' &&
        request.bodyBytes === body.length + request.own.length &&
        isPackedFrames(body) &&
        (key === null || isName(key))
      );
    }
    case 'sweep':
      return (
        areWallTimes(change.now, change.keyUntil) && isCount(change.most) && isCount(change.kinds)
      );
    case 'close':
    case 'expire':
      return isUuid(change.uuid) && areWallTimes(change.at, change.keyUntil) && isCloser(change.by);
    case 'attempt': {
      const { uuid, generation, attempts, attempt, notBefore } = change;
      const isOfUuid = isUuid(uuid) && isAttempt(attempt);
      return isOfUuid && areCounts(generation, attempts) && isWallTime(notBefore);
    }
    case 'advance': {
      const { uuid, generation, attempts, notBefore, expiresAt, outcome, outcomeAt } = change;
      const areNumbers = areCounts(generation, attempts, outcome);
      return isUuid(uuid) && areNumbers && areWallTimes(notBefore, expiresAt, outcomeAt);
    }
    case 'retry': {
      const { uuid, generation, expiresAt, attempt } = change;
      return isUuid(uuid) && isCount(generation) && isWallTime(expiresAt) && isAttempt(attempt);
    }
    case 'reply':
      return isPackedFrames(change.reply) && isStep(change);
    default:
      return isStep(change);
  }
}

type Step = Extract<Change, { readonly kind: 'reply' | 'dead' }>;

function isStep({ uuid, generation, at, expiresAt }: Step): boolean {
  return isUuid(uuid) && isCount(generation) && areWallTimes(at, expiresAt);
}
