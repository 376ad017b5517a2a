/** The parts of a batch of which each is made as a whole, or not at all. */
import { isScheduleKey, TITANIC_SCHEDULE } from '../../wire/tsp.js';
import type { Change } from '../../store/store.js';

const SCHEDULES = Buffer.from(TITANIC_SCHEDULE);

/** Where a batch is halved; 0: it cannot be. */
export function middleOf(changes: readonly Change[]): number {
  const parts = partsOf(changes);
  if (parts.length < 2) return 0;
  return parts.slice(0, Math.ceil(parts.length / 2)).flat().length;
}

/**
 * Changes that follow each other and may belong together stay together, because both are made, or
 * neither.
 */
export function partsOf(changes: readonly Change[]): Change[][] {
  const found: Change[][] = [];
  for (const [at, change] of changes.entries()) {
    const [before, part] = [changes[at - 1], found.at(-1)];
    if (before !== undefined && part !== undefined && areOne(before, change)) part.push(change);
    else found.push([change]);
  }
  return found;
}

function areOne(before: Change, after: Change): boolean {
  if (after.kind === 'accept') {
    return isOfSchedule(after) && (before.kind === 'attempt' || before.kind === 'close');
  }
  return 'uuid' in before && 'uuid' in after && before.uuid.equals(after.uuid);
}

/** What a schedule stores after its step, or a schedule after the end of the one before it (D80). */
function isOfSchedule({ key, request }: Extract<Change, { readonly kind: 'accept' }>): boolean {
  return (key !== null && isScheduleKey(key)) || request.service.equals(SCHEDULES);
}
