/** The search through every state of stored requests that can be reached. */
import { codeOf, messageOf } from '../../../src/core/errors.js';
import type { Table } from '../../../src/titanic/machine/fsm.js';
import { type Action, Fault, type Setting, World } from './world.js';

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
function worldAfter(setting: Setting, table: Table, way: readonly Action[]): World {
  const world = new World(setting, table);
  for (const [at, action] of way.entries()) world.do(action, at === way.length - 1);
  return world;
}

/**
 * @param healOneOf of so many states one has to come to a good end
 * @param statesMax the search ends when it has found so many
 */
export function search(
  setting: Setting,
  table: Table,
  healOneOf = 8,
  statesMax = Infinity,
): Result {
  const seen = new Set<string>();
  const found: Place[] = [];
  let steps = 0;
  let way: readonly Action[] = [];
  const visit = (before: Place | null, action: Action | null): void => {
    const world = worldAfter(setting, table, way);
    const { key } = world;
    if (seen.has(key)) return;
    seen.add(key);
    found.push({ before, action, actions: world.actions });
    if (found.length % healOneOf === 0) world.heal();
  };
  try {
    visit(null, null);
    for (let at = 0; at < found.length && found.length < statesMax; at++) {
      const place = found[at] ?? null;
      const before = wayTo(place);
      for (const action of place?.actions ?? []) {
        steps++;
        way = [...before, action];
        visit(place, action);
      }
    }
  } catch (error) {
    if (!(error instanceof Fault) && codeOf(error) !== 'ERR_INTERNAL') throw error;
    const path = way.map(([name, of]) => `${name} ${of}`).join(', ');
    return { states: found.length, steps, finding: `${messageOf(error)}: ${path}` };
  }
  return { states: found.length, steps, finding: null };
}
