import {
  CLOSED,
  DELAYED,
  DIED,
  ENDED,
  ENDING,
  EVENTS,
  HANDED_BACK,
  LOADING,
  OUT,
  QUEUED,
  READY,
  REPLIED,
  SETTLING,
  type State,
  STATES,
  type Table,
  TABLE,
  TRANSITIONS,
} from '../../../src/titanic/machine/requests/fsm.js';
import { search } from './search.js';
import { type Setting, World } from './world.js';

const QUIET: Setting = {
  mode: 'alone',
  requests: 1,
  closes: 0,
  failures: 0,
  refusals: 0,
  unread: 0,
  handedBack: 0,
  deferrals: 0,
  expiries: 0,
  merges: 0,
  losses: 0,
  sessions: 0,
};

const CLOSING: Setting = { ...QUIET, closes: 1, failures: 1, expiries: 1 };
const UNWANTED: Setting = { ...QUIET, closes: 1, refusals: 1, unread: 1, handedBack: 1 };
const DEFERRED: Setting = { ...QUIET, closes: 1, failures: 1, expiries: 1, deferrals: 1 };
const SHARED: Setting = { ...QUIET, mode: 'shared', closes: 1, refusals: 1, sessions: 1 };

/**
 * Searched in every state: only what the table lists happens; nothing is OUT without an attempt, and
 * nothing is with the broker that is over; what a request holds is given back once; what is pending in the
 * store is open here; a request ends once, and who waits or closes is answered once, with the truth. And
 * from these states on, when nothing goes wrong any more, all of it ends.
 */
describe('every state of stored requests that can be reached (D12, D14, D17)', () => {
  it.each<[string, Setting]>([
    ['closed, expired, a store that fails', CLOSING],
    ['refused by the store or the broker, and closed', UNWANTED],
    ['deferred by its worker, closed, expired, a store that fails', DEFERRED],
    ['in a pair, with records of the peer', { ...QUIET, mode: 'pair', closes: 1, merges: 1 }],
    ['in a pair that loses its peer', { ...QUIET, mode: 'pair', closes: 1, losses: 1 }],
    ['in a store that others use, with a session that ends', SHARED],
    ['two, of which one at a time may be out', { ...QUIET, requests: 2 }],
  ])('holds what it promises: %s', (_name, setting) => {
    expect(search(() => new World(setting, TABLE)).finding).toBeNull();
  });
});

/** In one of them it happens, and soon. */
const SETTINGS: readonly Setting[] = [QUIET, CLOSING, UNWANTED, DEFERRED, SHARED];
const STATES_MAX = 500;
const isFoundOut = (setting: Setting, table: Table): boolean =>
  search(() => new World(setting, table), 1, STATES_MAX).finding !== null;

describe('the table of stored requests', () => {
  // Not in this world: a start, a record of the peer whose attempts are used up, a broker without room.
  const isElsewhere = (state: State, event: number): boolean =>
    (event === DIED && [DELAYED, READY, LOADING, QUEUED].includes(state)) ||
    (event === ENDED && state === DELAYED) ||
    (event === HANDED_BACK && state === LOADING);
  const transitions = TRANSITIONS.flatMap(([from, event]) =>
    from.filter((state) => !isElsewhere(state, event)).map((state) => ({ state, event })),
  );
  it.each(
    transitions.map((each) => ({ ...each, from: STATES[each.state], what: EVENTS[each.event] })),
  )('needs each of its transitions: $from, $what', ({ state, event }) => {
    const table = TABLE.slice();
    table[state * EVENTS.length + event] = -1;
    expect(SETTINGS.some((setting) => isFoundOut(setting, table))).toBe(true);
  });

  it.each<[string, State, number, State, Setting]>([
    ['one that is replied goes on waiting', DELAYED, REPLIED, DELAYED, QUIET],
    ['one that is replied stays at its worker', OUT, REPLIED, OUT, QUIET],
    ['one that is dead is tried again', OUT, DIED, DELAYED, QUIET],
    ['one that is closed stays at its worker', OUT, CLOSED, OUT, CLOSING],
    ['one whose reply is being committed runs again', SETTLING, CLOSED, ENDING, CLOSING],
    ['one whose reply is stored is held', SETTLING, ENDED, SETTLING, QUIET],
    ['one that is closed is held', ENDING, ENDED, ENDING, CLOSING],
  ])('is found out if it is wrong: %s', (_name, from, event, to, setting) => {
    const table = TABLE.slice();
    table[from * EVENTS.length + event] = to;
    expect(isFoundOut(setting, table)).toBe(true);
  });
});
