/** Joins two states of one request (D17): the result is their upper bound on the ladder. */
import { joinExtra } from '../core/numbered-fields.js';
import type { RequestRecord } from './record-codec.js';
import { ATTEMPTS_RETAINED, type Attempt, type StoredRequest, type StoredState } from './store.js';

/** The part of a request that changes. The rest is as accepted, on both sides. */
export type RequestState = Pick<
  RequestRecord,
  'request' | 'attemptsEver' | 'attempts' | 'reply' | 'death' | 'extra'
>;

interface Joined {
  /** The joined state, with the number that the request has here. */
  readonly state: RequestState;
  /** Whether the joined state differs from the state here. */
  readonly isChanged: boolean;
  /**
   * The state here was kept although the other has the same rank, or lacks something: the other
   * side has to learn of it.
   */
  readonly isNewsToOther: boolean;
  /** Both are replied, with different replies. */
  readonly ranTwice: boolean;
}

const LADDER: readonly StoredState[] = ['pending', 'dead', 'replied'];

/** @param isTheirsPreferred if both ended at the same step but differ, theirs is kept */
export function join(ours: RequestState, theirs: RequestState, isTheirsPreferred: boolean): Joined {
  const isTied = isSameStep(ours.request, theirs.request) && !isSameEnd(ours, theirs);
  const top =
    isAbove(theirs.request, ours.request) || (isTied && isTheirsPreferred) ? theirs : ours;
  const attempts = joinAttempts(heldBy(ours, theirs), heldBy(theirs, ours), ours.attempts);
  const { state, generation } = top.request;
  const joined = {
    request: {
      ...ours.request,
      state,
      generation,
      ...joinRung(ours.request, theirs.request, top.request, isTheirsPreferred),
    },
    attemptsEver: Math.max(ours.attemptsEver, theirs.attemptsEver, attempts.length),
    attempts,
    reply: top.reply,
    death: top.death,
    extra: isTheirsPreferred
      ? joinExtra(theirs.extra, ours.extra)
      : joinExtra(ours.extra, theirs.extra),
  };
  return {
    state: joined,
    isChanged: !isSame(joined, ours),
    isNewsToOther: (isTied && !isTheirsPreferred) || isMissing(ours, theirs),
    ranTwice:
      isTied &&
      ours.reply !== null &&
      theirs.reply !== null &&
      !ours.reply.reply.equals(theirs.reply.reply),
  };
}

function isSameStep(a: StoredRequest, b: StoredRequest): boolean {
  return a.generation === b.generation && a.state === b.state;
}

function isAbove(a: StoredRequest, b: StoredRequest): boolean {
  if (a.generation !== b.generation) return a.generation > b.generation;
  return LADDER.indexOf(a.state) > LADDER.indexOf(b.state);
}

/**
 * Replies, or deaths, are the same if all that is stored of them is equal. Of records that are pending, the outcome of
 * each is the same, unless it belongs to another rung.
 */
function isSameEnd(a: RequestState, b: RequestState): boolean {
  if (a.request.state === 'pending') {
    return !isSameRung(a.request, b.request) || isSameOutcome(a.request, b.request);
  }
  if (a.request.expiresAt !== b.request.expiresAt) return false;
  if (a.reply !== null && b.reply !== null) {
    const { reply, worker, at } = a.reply;
    return reply.equals(b.reply.reply) && worker === b.reply.worker && at === b.reply.at;
  }
  return a.death?.reason === b.death?.reason && a.death?.at === b.death?.at;
}

/** True if this side has fields that the other lacks. */
function isMissing(ours: RequestState, theirs: RequestState): boolean {
  return joinExtra(theirs.extra, ours.extra) !== theirs.extra;
}

function isSameOutcome(a: StoredRequest, b: StoredRequest): boolean {
  return a.outcome === b.outcome && a.outcomeAt === b.outcomeAt;
}

function isSameRung(a: StoredRequest, b: StoredRequest): boolean {
  return a.attempts === b.attempts && a.notBefore === b.notBefore;
}

/** Attempts of a generation, the rest of the wait after them, the outcome that belongs to it, and the time to live. */
function joinRung(
  a: StoredRequest,
  b: StoredRequest,
  top: StoredRequest,
  isTheirsPreferred: boolean,
): Pick<StoredRequest, 'attempts' | 'notBefore' | 'outcome' | 'outcomeAt' | 'expiresAt'> {
  if (a.generation !== b.generation) {
    // No more of it: the number, for one, is that of the other store.
    const { attempts, notBefore, outcome, outcomeAt, expiresAt } = top;
    return { attempts, notBefore, outcome, outcomeAt, expiresAt };
  }
  const isMore = a.attempts === b.attempts ? b.notBefore > a.notBefore : b.attempts > a.attempts;
  const isTheirs = isSameRung(a, b) ? isTheirsPreferred : isMore;
  const { attempts, notBefore, outcome, outcomeAt } = isTheirs ? b : a;
  const arePending = a.state === 'pending' && b.state === 'pending';
  const expiresAt = arePending ? Math.max(a.expiresAt, b.expiresAt) : top.expiresAt;
  return { attempts, notBefore, outcome, outcomeAt, expiresAt };
}

/** The attempts of one side without those that the other had, and dropped since: it lacks nothing. */
function heldBy({ attempts, attemptsEver }: RequestState, other: RequestState): readonly Attempt[] {
  if (other.attempts.length < ATTEMPTS_RETAINED) return attempts;
  const dropped = other.attemptsEver - other.attempts.length;
  const droppedHere = attemptsEver - attempts.length;
  return attempts.slice(Math.max(0, dropped - droppedHere));
}

/**
 * The attempts of both, each as often as on the side that has it more often; only the last ones are
 * kept. A side that has all of the other keeps its order: a clock may have been set back.
 * If each has some that the other lacks, they are in the order of their beginnings, on both sides.
 * @param before the result, if nothing has changed
 */
function joinAttempts(
  ours: readonly Attempt[],
  theirs: readonly Attempt[],
  before: readonly Attempt[],
): readonly Attempt[] {
  const isAllHere = isWithin(theirs, ours);
  if (!isAllHere && isWithin(ours, theirs)) return joinAttempts(theirs, ours, before);
  const missing = [...theirs];
  const all = ours.map((attempt) => {
    const at = missing.findIndex((each) => compareAttempts(each, attempt) === 0);
    const [same] = at >= 0 ? missing.splice(at, 1) : [];
    const extra = joinExtra(attempt.extra, same?.extra ?? null);
    const failure = higher(attempt.failure, same?.failure ?? null);
    const isSame = extra === attempt.extra && failure === attempt.failure;
    return isSame ? attempt : { ...attempt, failure, extra };
  });
  const inOrder = isAllHere ? all : [...all, ...missing].sort(compareAttempts);
  const kept = inOrder.slice(-ATTEMPTS_RETAINED);
  const isSame = kept.length === before.length && kept.every((each, at) => each === before[at]);
  return isSame ? before : kept;
}

/** True if `many` has all of `few`, in the same order. */
function isWithin(few: readonly Attempt[], many: readonly Attempt[]): boolean {
  let found = 0;
  for (const each of many) {
    const next = few[found];
    if (next !== undefined && compareAttempts(each, next) === 0) found++;
  }
  return found === few.length;
}

/** Symmetric: both sides choose the same one. */
function higher(a: Buffer | null, b: Buffer | null): Buffer | null {
  if (a === null || b === null) return a ?? b;
  return b.compare(a) > 0 ? b : a;
}

function compareAttempts(a: Attempt, b: Attempt): number {
  return (
    a.startedAt - b.startedAt ||
    a.endedAt - b.endedAt ||
    compareTexts(a.worker, b.worker) ||
    compareTexts(a.reason, b.reason)
  );
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function isSame(a: RequestState, b: RequestState): boolean {
  const { state, generation, attempts, notBefore, expiresAt } = a.request;
  return (
    state === b.request.state &&
    generation === b.request.generation &&
    attempts === b.request.attempts &&
    notBefore === b.request.notBefore &&
    expiresAt === b.request.expiresAt &&
    isSameOutcome(a.request, b.request) &&
    a.attemptsEver === b.attemptsEver &&
    a.attempts === b.attempts &&
    a.extra === b.extra &&
    isSameEnd(a, b)
  );
}
