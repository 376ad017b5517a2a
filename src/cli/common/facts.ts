/** What a broker reports, read with care: it may be of another version, or no broker at all. */
import { printable } from './output.js';

/** An object in the JSON that a broker reports. */
export type Facts = Readonly<Record<string, unknown>>;

export function isFacts(value: unknown): value is Facts {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object; `null` if it is none. */
export function factsIn(value: unknown): Facts | null {
  return isFacts(value) ? value : null;
}

/** The objects of a list; none if it is no list. */
export function listIn(value: unknown): readonly Facts[] {
  return Array.isArray(value) ? value.map((item) => factsIn(item) ?? {}) : [];
}

/** Why a node is not ready, or what of it is degraded. */
export function reasonText(reason: unknown): string {
  return printable(factsIn(reason)?.['text'] ?? reason);
}
