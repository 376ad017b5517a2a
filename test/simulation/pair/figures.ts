/** What happened to simulated pairs, for the summary. */
import type { Tally } from '../actors/tally.js';

type Figure =
  | 'failovers'
  | 'promotions'
  | 'hand-overs'
  | 'splits'
  | 'merges'
  | 'requests joined'
  | 'requests run twice'
  | 'checked receipts'
  | 'acknowledged map changes'
  | `map: ${string}`;

export function count(tally: Tally, what: Figure, by = 1): void {
  tally.figures.set(what, (tally.figures.get(what) ?? 0) + by);
}
