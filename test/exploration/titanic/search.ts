/** The search through every state of a world that can be reached. */
import { codeOf, messageOf } from '../../../src/core/errors.js';

/** What must not happen. */
export class Fault extends Error {}

export function hold(holds: boolean, what: string): void {
  if (!holds) throw new Fault(what);
}

/** What happens: its name, which of those that wait, and what of a budget it takes. */
export type Action = readonly [name: string, at: number, takes?: string];

export interface Explored {
  /** The state as text: equal of worlds that go on in the same way. */
  readonly key: string;
  /** What may happen now. */
  readonly actions: readonly Action[];
  /** @param isChecked false: what follows was found to be right before */
  do(action: Action, isChecked: boolean): void;
  /** From now on nothing goes wrong: all comes to an end. */
  heal(): void;
}

export interface Result {
  readonly states: number;
  readonly steps: number;
  /** What must not happen, and the way there. */
  readonly finding: string | null;
}

/** Where a state was found: what happened last, and where that was. */
interface Place {
  readonly before: Place | null;
  readonly action: Action | null;
  readonly actions: readonly Action[];
}

function wayTo(place: Place | null): Action[] {
  const way: Action[] = [];
  for (let at = place; at !== null; at = at.before) if (at.action !== null) way.unshift(at.action);
  return way;
}

/** The world after that. What goes wrong at its end is thrown: the way there was searched before. */
function worldAfter(begin: () => Explored, way: readonly Action[]): Explored {
  const world = begin();
  for (const [at, action] of way.entries()) world.do(action, at === way.length - 1);
  return world;
}

/**
 * @param healOneOf of so many states one has to come to a good end
 * @param statesMax the search ends when it has found so many
 * @param start what has happened before
 * @param happened called with each way that was searched
 */
export function search(
  begin: () => Explored,
  healOneOf = 8,
  statesMax = Infinity,
  start: readonly Action[] = [],
  happened: (way: readonly Action[]) => void = () => undefined,
): Result {
  const seen = new Set<string>();
  const found: Place[] = [];
  let steps = 0;
  let way = start;
  const visit = (before: Place | null, action: Action | null): void => {
    const world = worldAfter(begin, way);
    const { key } = world;
    if (seen.has(key)) return;
    seen.add(key);
    found.push({ before, action, actions: world.actions });
    if (found.length % healOneOf === 0) world.heal();
  };
  try {
    visit(null, null);
    happened(way);
    for (let at = 0; at < found.length && found.length < statesMax; at++) {
      const place = found[at] ?? null;
      const before = [...start, ...wayTo(place)];
      for (const action of place?.actions ?? []) {
        steps++;
        way = [...before, action];
        visit(place, action);
        happened(way);
      }
    }
  } catch (error) {
    if (!(error instanceof Fault) && codeOf(error) !== 'ERR_INTERNAL') throw error;
    const path = way.map(([name, of]) => `${name} ${of}`).join(', ');
    return { states: found.length, steps, finding: `${messageOf(error)}: ${path}` };
  }
  return { states: found.length, steps, finding: null };
}
