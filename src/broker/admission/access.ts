/** What one connection may do: its key and its listener must both allow it (D72). */
import { ownCopy } from '../../core/bytes.js';
import type { Frames } from '../../core/frames.js';
import type { Grants } from '../state/entities.js';

/** Whether it may send requests at all. */
export function mayBeClient({ rules, rights }: Grants): boolean {
  return !rules.client.isNone && rights?.client.isNone !== true;
}

/** Whether a request may be sent to the service that frame `index` names. */
export function mayRequest(grants: Grants, frames: Frames, index: number): boolean {
  const { rights, rules } = grants;
  const isAll = rules.client.isAll && (rights === null || rights.client.isAll);
  if (isAll && !rules.authoriser) return true;
  const bytes = frames.buffer(index);
  const start = frames.start(index);
  const end = frames.end(index);
  const known = grants.lastAllowed;
  if (known?.compare(bytes, start, end) === 0) return true;
  if (!matches(grants, 'client', bytes, start, end)) return false;
  grants.lastAllowed = ownCopy(bytes.subarray(start, end));
  return true;
}

/** Whether the peer may request, or offer, a service. */
export function allows(grants: Grants, role: 'client' | 'worker', service: Buffer): boolean {
  return matches(grants, role, service, 0, service.length);
}

function matches(
  { rights, rules }: Grants,
  role: 'client' | 'worker',
  bytes: Buffer,
  start: number,
  end: number,
): boolean {
  const { authoriser } = rules;
  if (authoriser?.compare(bytes, start, end) === 0) {
    const isOffered = role === 'worker' && rules.worker.matches(bytes, start, end);
    return isOffered && (rights ?? rules).worker.names(authoriser);
  }
  if (!rules[role].matches(bytes, start, end)) return false;
  return rights === null || rights[role].matches(bytes, start, end);
}
