/** What only one kind of record has, as operators see it. */
import { escapeName } from '../../core/escape.js';
import { ownOf } from '../../store/own-fields.js';
import { knownKind } from '../../store/record-kind.js';
import type { StoredRequest } from '../../store/store.js';
import { uuidText } from '../../wire/tsp.js';

/** @returns `null`: it has nothing of its own that this program knows */
export function ownText({
  kind,
  own,
}: Pick<StoredRequest, 'kind' | 'own'>): Readonly<Record<string, string>> | null {
  const known = knownKind(kind);
  const fields = known === null || own.length === 0 ? null : ownOf(known, own);
  if (fields === null) return null;
  const all: readonly (readonly [string, string | Buffer])[] = Object.entries(fields);
  const told = all.flatMap(([name, value]) => {
    if (value.length === 0) return [];
    if (typeof value === 'string') return [[name, value] as const];
    // The pause of a schedule names its uuid; other bytes are names of services.
    return [[name, name === 'schedule' ? uuidText(value) : escapeName(value)] as const];
  });
  return Object.fromEntries(told);
}
