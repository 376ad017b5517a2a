/** The steps of a durable request up the state ladder (D17). */
import { type Attempt, ATTEMPTS_RETAINED, type Change } from '../store/store.js';
import type { Entry } from './memory-rows.js';

type Step = Extract<Change, { readonly kind: 'attempt' | 'advance' | 'reply' | 'dead' }>;

/** The entry after a step up, or `null` if it is not a step up (D17). */
export function stepped(entry: Entry, step: Step): Entry | null {
  const { request } = entry;
  if (step.generation < request.generation) return null;
  const isLater = step.generation > request.generation;
  const { generation } = step;
  switch (step.kind) {
    case 'attempt': {
      const counts = request.state === 'pending' && step.attempts > request.attempts;
      if (!isLater && !counts) return null;
      const { attempts, notBefore } = step;
      return {
        ...entry,
        request: { ...request, state: 'pending', generation, attempts, notBefore },
        ...withAttempt(entry, step.attempt),
        reply: null,
        death: null,
      };
    }
    case 'advance': {
      const counts = request.state === 'pending' && step.attempts > request.attempts;
      if (!isLater && !counts) return null;
      const { attempts, notBefore, outcome, outcomeAt } = step;
      const expiresAt = step.expiresAt === 0 ? request.expiresAt : step.expiresAt;
      return {
        ...entry,
        request: {
          ...request,
          state: 'pending',
          generation,
          attempts,
          notBefore,
          expiresAt,
          outcome,
          outcomeAt,
        },
        reply: null,
        death: null,
      };
    }
    case 'reply': {
      if (!isLater && request.state === 'replied') return null;
      const { expiresAt, reply, worker, at } = step;
      return {
        ...entry,
        request: { ...request, state: 'replied', generation, expiresAt },
        reply: { reply, worker, at },
        death: null,
      };
    }
    case 'dead': {
      if (!isLater && request.state !== 'pending') return null;
      const { expiresAt, reason, at } = step;
      return {
        ...entry,
        request: { ...request, state: 'dead', generation, expiresAt },
        reply: null,
        death: { reason, at },
      };
    }
  }
}

/** The entry after a retry, or `null` if it has had a later one. */
export function retried(
  entry: Entry,
  { generation, expiresAt, attempt }: Extract<Change, { readonly kind: 'retry' }>,
): Entry | null {
  const { request } = entry;
  if (generation <= request.generation) return null;
  const now = { state: 'pending' as const, generation, attempts: 0, expiresAt };
  const reopened = { ...request, ...now, notBefore: attempt.endedAt };
  return { ...entry, ...withAttempt(entry, attempt), request: reopened, reply: null, death: null };
}

function withAttempt(
  { attempts, attemptsEver }: Entry,
  attempt: Attempt,
): Pick<Entry, 'attempts' | 'attemptsEver'> {
  const ordinal = attemptsEver + 1;
  return {
    attemptsEver: ordinal,
    attempts: [...attempts, { ...attempt, ordinal }].slice(-ATTEMPTS_RETAINED),
  };
}
