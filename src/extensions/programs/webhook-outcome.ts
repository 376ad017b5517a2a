/** How a request ended of which a webhook tells. */
import { outcomeOfNumber } from '../../store/outcomes.js';
import type { ShownHistory } from '../../titanic/operator/operator-api.js';
import { deadStatus, readDeadStatus } from '../../wire/failure.js';
import type { Ended } from './webhook-message.js';

/**
 * How the request ended: from the store, if it is there, otherwise from what was stored in its webhook with its end.
 * @returns `null`: it has not ended
 */
export function endOf(
  known: Pick<Ended, 'uuid' | 'service' | 'acceptedAt'>,
  request: Pick<ShownHistory, 'reply' | 'death'> | null,
  webhook: Pick<ShownHistory['request'], 'outcome' | 'outcomeAt'>,
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
  const end = { ...known, code: null, reason: null, endedAt: webhook.outcomeAt };
  const outcome = outcomeOfNumber(webhook.outcome);
  switch (outcome) {
    case 'replied':
    case 'dead':
    case 'cancelled':
    case 'expired':
      return { ...end, outcome };
    // Also what only a later version knows.
    default:
      return { ...end, outcome: 'ended', endedAt: wall };
  }
}
