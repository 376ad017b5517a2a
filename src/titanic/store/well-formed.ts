/** Checks data from the other node of a pair before it is trusted. */
import { isPackedFrames } from '../../core/packed.js';
import { isPackedFailure } from './failure-codec.js';
import {
  ANONYMOUS,
  ATTEMPTS_KEPT,
  type Attempt,
  type Change,
  NO_OWNER,
  type StoredRequest,
} from './store.js';

const UUID_BYTES = 16;
const NAME_BYTES_MAX = 255;
const PRIORITY_MAX = 100;
const OWNER_CHARACTERS_MAX = 300;

export function isUuid(uuid: Buffer): boolean {
  return uuid.length === UUID_BYTES;
}

/** A service name, or an idempotency key. */
export function isName(name: Buffer): boolean {
  return name.length > 0 && name.length <= NAME_BYTES_MAX;
}

export function isOwner(owner: string): boolean {
  if (owner === NO_OWNER || owner === ANONYMOUS) return true;
  return /^key:[^]/.test(owner) && owner.length <= OWNER_CHARACTERS_MAX;
}

/** Counts, generations, numbers, wall times. */
export function areNatural(...values: readonly number[]): boolean {
  return values.every((value) => Number.isSafeInteger(value) && value >= 0);
}

export function isRequest(request: StoredRequest): boolean {
  const { acceptedAt, notBefore, expiresAt, maxAttempts, attempts, generation } = request;
  const { uuid, service, number, priority, bodyBytes } = request;
  return (
    isUuid(uuid) &&
    isName(service) &&
    isOwner(request.owner) &&
    areNatural(number - 1, acceptedAt, notBefore, expiresAt, attempts, generation, bodyBytes) &&
    areNatural(priority + PRIORITY_MAX, PRIORITY_MAX - priority, maxAttempts - 1)
  );
}

export function areAttempts(attempts: readonly Attempt[], attemptsEver: number): boolean {
  return (
    areNatural(attemptsEver) &&
    attempts.length === Math.min(attemptsEver, ATTEMPTS_KEPT) &&
    attempts.every(isAttempt)
  );
}

function isAttempt({ startedAt, endedAt, failure }: Attempt): boolean {
  return areNatural(startedAt, endedAt) && (failure === null || isPackedFailure(failure));
}

export function isChange(change: Change): boolean {
  switch (change.kind) {
    case 'accept': {
      const { request, body, key } = change;
      return (
        isRequest(request) &&
        request.state === 'pending' &&
        request.bodyBytes === body.length &&
        isPackedFrames(body) &&
        (key === null || isName(key))
      );
    }
    case 'sweep':
      return areNatural(change.now, change.keyUntil, change.most);
    case 'close':
    case 'expire':
      return isUuid(change.uuid) && areNatural(change.at, change.keyUntil) && isOwner(change.by);
    case 'attempt': {
      const { uuid, generation, attempts, attempt, notBefore } = change;
      return isUuid(uuid) && isAttempt(attempt) && areNatural(generation, attempts, notBefore);
    }
    case 'reply':
      if (!isPackedFrames(change.reply)) return false;
      return isUuid(change.uuid) && areNatural(change.generation, change.at, change.expiresAt);
    default:
      return isUuid(change.uuid) && areNatural(change.generation, change.at, change.expiresAt);
  }
}
