import { present } from '../../../src/core/assert.js';
import { type State, TABLE } from '../../../src/titanic/machine/schedules/schedule-fsm.js';
import { ScheduleWorld, type Setting } from './schedule-world.js';
import { type Action, type Result, search } from './search.js';

const QUIET: Setting = {
  isShared: false,
  names: 1,
  minutes: 1,
  makes: 0,
  unmakes: 0,
  failures: 0,
  unread: 0,
  restarts: 0,
  steps: 0,
  merges: 0,
  sessions: 0,
  others: 0,
  lists: 0,
  fulls: 0,
  pauses: 0,
};
const STORING: Setting = { ...QUIET, minutes: 0, begins: 'storing' };
const TWO: Setting = { ...QUIET, names: 2 };
const SHARED = { isShared: true };

const SETTINGS: Readonly<Record<string, Setting>> = {
  'made, replaced, ended, in a store that fails': { ...QUIET, makes: 1, unmakes: 1, failures: 1 },
  'not read, with a quota that is used up, and a restart': {
    ...{ ...QUIET, unread: 1 },
    ...{ restarts: 1, fulls: 1 },
  },
  'paused, and a restart': { ...QUIET, restarts: 1, pauses: 1 },
  'with a clock that is set, and a store that fails': {
    ...QUIET,
    steps: 1,
    failures: 1,
    unread: 1,
  },
  'with records of the peer': { ...QUIET, merges: 1 },
  'ended in a store that fails, with records of the peer': {
    ...{ ...QUIET, minutes: 0 },
    ...{ merges: 1, unmakes: 1, failures: 1 },
  },
  'replaced while its request is stored, with records of the peer': {
    ...{ ...STORING, merges: 1 },
    ...{ failures: 1, makes: 1 },
  },
  'ended while requests wait for the store, with records of the peer': {
    ...{ ...STORING, names: 2, begins: 'queued' },
    ...{ merges: 1, failures: 1, unmakes: 1 },
  },
  'two, not read': { ...TWO, minutes: 2, unread: 1 },
  'two, with a clock that is set, and a restart': { ...TWO, steps: 1, restarts: 1 },
  'shared, with a session that ends, in a store that fails': {
    ...{ ...QUIET, ...SHARED },
    ...{ sessions: 1, failures: 1 },
  },
  'shared, with a session that ends, and a restart': {
    ...{ ...QUIET, ...SHARED },
    ...{ sessions: 1, restarts: 1 },
  },
  'shared, with a session that ends, and a clock that is set': {
    ...{ ...QUIET, ...SHARED },
    ...{ sessions: 1, steps: 1 },
  },
  'shared, with a session that ends, replaced': {
    ...{ ...QUIET, ...SHARED, minutes: 0 },
    ...{ sessions: 1, makes: 1 },
  },
  'shared, with a session that ends, ended while its request is stored': {
    ...{ ...STORING, ...SHARED },
    ...{ sessions: 1, unmakes: 1, failures: 1 },
  },
  'shared, replaced while its request is stored': { ...STORING, ...SHARED, failures: 1, makes: 1 },
  'shared, with others who end, replace or step it': {
    ...{ ...QUIET, ...SHARED, minutes: 0 },
    ...{ others: 1, lists: 1 },
  },
  'shared, with others, while its request is stored': {
    ...{ ...STORING, ...SHARED },
    ...{ others: 1, lists: 1, unread: 1 },
  },
  'shared, with others, and a session that ends, while its request is stored': {
    ...{ ...STORING, ...SHARED },
    ...{ others: 1, lists: 1, sessions: 1 },
  },
  'shared, with a twin that another one ends, while its request is stored': {
    ...{ ...STORING, ...SHARED },
    ...{ others: 2, lists: 1 },
  },
  'two, shared, with a session that ends': { ...STORING, ...SHARED, names: 2, sessions: 1 },
};
/** No search goes further. */
const STATES_MAX = 4000;

interface Way {
  readonly setting: Setting;
  readonly way: readonly Action[];
}

/** How each setting comes to a transition first. */
const ways = new Map<string, readonly Way[]>();
const results = new Map<string, Result>();

/** Searches once, and notes the way to each transition. */
function explored(name: string): Result {
  const known = results.get(name);
  if (known !== undefined) return known;
  const setting = present(SETTINGS[name], 'a setting');
  const taken = new Set<string>();
  const table = new Map(TABLE);
  table.get = (transition) => {
    taken.add(transition);
    return TABLE.get(transition);
  };
  const begin = (): ScheduleWorld => new ScheduleWorld(setting, table);
  const result = search(begin, 8, STATES_MAX, [], (way) => {
    for (const at of taken) {
      const known = ways.get(at) ?? [];
      if (known.at(-1)?.setting !== setting) ways.set(at, [...known, { setting, way }]);
    }
    taken.clear();
  });
  results.set(name, result);
  return result;
}

/**
 * Searched in every state: only what the table lists happens; each holds what its state says, and nothing is held
 * twice; nothing is stored before its time, twice, without a claim, or while the clock is not trusted; of two of one
 * name at most one is due; a command is answered once. And from these states on, when nothing goes wrong any more,
 * all that is in the store is known and becomes due.
 */
describe('every state of schedules that can be reached (D80, D110)', () => {
  it.each(Object.keys(SETTINGS))('holds what it promises: %s', (name) => {
    expect(explored(name).finding).toBeNull();
  });
});

describe('the table of schedules', () => {
  /** Not in these worlds: what is claimed again long after it was made, in a session that had ended. */
  const elsewhere = ['DUE claimed', 'DELAYED claimed', 'LOADING claimed', 'STORING_OUSTED resumed'];
  const transitions = [...TABLE.keys()].filter((each) => !elsewhere.includes(each));

  function isFoundOut(
    change: (table: Map<string, State>) => void,
  ): (transition: string) => boolean {
    for (const name of Object.keys(SETTINGS)) explored(name);
    const table = new Map(TABLE);
    change(table);
    return (transition) =>
      (ways.get(transition) ?? []).some(
        ({ setting, way }) =>
          search(() => new ScheduleWorld(setting, table), 1, 100, way).finding !== null,
      );
  }

  it.each(transitions)('needs each of its transitions: %s', (transition) => {
    const without = isFoundOut((table) => table.delete(transition));
    expect(without(transition)).toBe(true);
  });

  const moves = transitions.filter((each) => !each.startsWith(`${TABLE.get(each) ?? ''} `));
  it.each(moves)('is found out if nothing comes of it: %s', (transition) => {
    const [state = ''] = transition.split(' ');
    const staying = isFoundOut((table) => table.set(transition, state as State));
    expect(staying(transition)).toBe(true);
  });
});
