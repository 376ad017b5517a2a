/** How a request ended of which a webhook tells. */
import { isWhole, WALL_MS_MAX } from '../../core/numbers.js';
import { REARMED } from '../../titanic/machine/webhooks.js';
import type { ShownHistory } from '../../titanic/operator/operator-api.js';
import { deadStatus, readDeadStatus } from '../../wire/failure.js';
import type { Ended } from './webhook-message.js';

const OUTCOMES = ['replied', 'dead', 'cancelled', 'expired'] as const;

/** Attempts to tell the webhook, the oldest first. */
type Attempts = ShownHistory['attempts'];

/**
 * How and when the request ended, in each attempt to tell it: only the last ones are kept. `storedEnd` reads
 * it.
 */
export function detailOf(ended: Ended | null): readonly Buffer[] {
  if (ended === null || ended.outcome === 'ended') return [];
  return [ended.outcome, String(ended.endedAt)].map((text) => Buffer.from(text));
}

/**
 * How the request ended: from the store, if it is there, otherwise from what was stored with its end.
 * @returns `null`: it has not ended
 */
export function endOf(
  known: Pick<Ended, 'uuid' | 'service' | 'acceptedAt'>,
  request: Pick<ShownHistory, 'reply' | 'death'> | null,
  attempts: Attempts,
  wall: number,
): Ended | null {
  if (request?.reply) {
    const { at: endedAt } = request.reply;
    return { ...known, outcome: 'replied', code: null, reason: null, endedAt };
  }
  if (request?.death) {
    const { at: endedAt, reason: text } = request.death;
    const failure = readDeadStatus(deadStatus(text));
    return {
      ...known,
      outcome: 'dead',
      code: failure?.code ?? null,
      reason: failure?.text ?? null,
      endedAt,
    };
  }
  if (request !== null) return null;
  return {
    ...known,
    code: null,
    reason: null,
    ...(storedEnd(attempts) ?? { outcome: 'ended', endedAt: wall }),
  };
}

/** What was stored with the end, or with an attempt to tell it. */
function storedEnd(attempts: Attempts): Pick<Ended, 'outcome' | 'endedAt'> | null {
  for (const { worker, reason, endedAt, failure } of attempts.toReversed()) {
    const isOfWorker = worker !== '';
    // What precedes is of an end before.
    if (!isOfWorker && reason === REARMED) return null;
    const [text, at] = isOfWorker ? (failure?.detail ?? []).map(String) : [reason, endedAt];
    const outcome = OUTCOMES.find((each) => each === text);
    if (outcome !== undefined && isWhole(Number(at), 0, WALL_MS_MAX)) {
      return { outcome, endedAt: Number(at) };
    }
  }
  return null;
}
