/**
 * A schedule that a node knows: which state it is in, and what may happen to it there (D80). No I/O, no clock,
 * no memory: `ScheduleTable` takes each schedule through `TABLE`, and holds for a state what `HELD` says, from
 * the step into it to the step out of it.
 *
 *         ┌─────────┐ claimed ┌─────────┐ come ┌─────┐ taken ┌─────────┐ begun ┌─────────┐
 *  ──────►│ RESTING ├────────►│ WAITING ├─────►│ DUE ├──────►│ LOADING ├──────►│ STORING │
 *         └────▲────┘         └▲──▲───▲─┘      └┬───┬┘       └─┬─────┬─┘       └─┬─────┬─┘
 *              │               │  │   └── moved ─┘   │          │     │           │     │
 *              │        waited │  └───── put back ───┼──────────┘     │           │     │
 *              │        ┌──────┴──┐                  │                │           │     │
 *              │        │ DELAYED │◄──── put off ────┴────────────────┴───────────┘     │
 *              │        └─────────┘                                                     │
 *              └─────────────────────────────── stored ─────────────────────────────────┘
 *
 *            from RESTING to LOADING   from STORING                         back
 *   ended    ENDING                    STORING_ENDING, ENDING when stored   resumed: the end was not stored
 *   ousted   OUSTED                    STORING_OUSTED, OUSTED when stored   named: the younger one is gone
 *
 * Both end in GONE, as all others do that are forgotten. What a claim adds: RESTING is left at once by a node that
 * may store what the schedule is due for, in a shared store the broker that has claimed it. One that is disowned
 * goes back there, unless what it is due for is on its way to the store.
 */
import { assert } from '../../../core/assert.js';

/**
 * RESTING         Another broker stores what it is due for.
 * WAITING         Waits until its due time comes.
 * DUE             The due time has come: waits for a turn of its owner.
 * DELAYED         Nothing could be stored: waits for the next try.
 * LOADING         The body is being read, because it is due.
 * STORING         What it is due for is on its way to the store.
 * STORING_ENDING  So is its end, which a command wants.
 * STORING_OUSTED  What it is due for is on its way to the store, and it has lost its name.
 * ENDING          A command ends or replaces it, which is being committed.
 * OUSTED          A younger schedule has its name: it ends, unless that one turns out to be gone.
 * GONE            Not known any more. What was asked of the store for it is still reported.
 */
const STATES = [
  ...(['RESTING', 'WAITING', 'DUE', 'DELAYED', 'LOADING'] as const),
  ...(['STORING', 'STORING_ENDING', 'STORING_OUSTED', 'ENDING', 'OUSTED', 'GONE'] as const),
] as const;

/**
 * named               It has its name again: the younger schedule that had it is gone.
 * claimed, disowned   This node may store what it is due for; it may not any more.
 * come, taken         The due time has come; something may be stored for it now.
 * put back            Now that the body is read, it is not due: the clock was set, or another node moved it on.
 * begun, stored       What it is due for, or that it was skipped, goes to the store; it is there.
 * put off, waited     Nothing can be stored now, or the store failed; the delay after that is over.
 * moved               The due time is another one: another node stored a step, or the clock was set.
 * ended, resumed      A command ends or replaces it; that could not be stored.
 * ousted, forgotten   A younger one has the name; it is not in the store any more.
 */
export type Event =
  | ('named' | 'claimed' | 'disowned' | 'come' | 'taken' | 'put back' | 'begun' | 'stored')
  | ('put off' | 'waited' | 'moved' | 'ended' | 'resumed' | 'ousted' | 'forgotten');
export type State = (typeof STATES)[number];

/** A row of the table; with `null` for `to`, the state stays as it is. */
type Transition = readonly [from: readonly State[], event: Event, to: State | null];

/** Nothing about it is on its way to the store. */
const IDLE = ['RESTING', 'WAITING', 'DUE', 'DELAYED', 'LOADING'] as const;
const allBut = (...states: readonly State[]): State[] =>
  STATES.filter((each) => !states.includes(each));

/** All that can happen. */
const TRANSITIONS: readonly Transition[] = [
  [['OUSTED'], 'named', 'RESTING'],
  [['STORING_OUSTED'], 'named', 'STORING'],
  [['RESTING'], 'claimed', 'WAITING'],
  [allBut('RESTING', 'GONE'), 'claimed', null],
  [['WAITING', 'DUE', 'DELAYED', 'LOADING'], 'disowned', 'RESTING'],
  [allBut('WAITING', 'DUE', 'DELAYED', 'LOADING', 'GONE'), 'disowned', null],
  [['WAITING'], 'come', 'DUE'],
  [['DUE'], 'taken', 'LOADING'],
  [['LOADING'], 'put back', 'WAITING'],
  [['LOADING'], 'begun', 'STORING'],
  [['STORING'], 'stored', 'RESTING'],
  [['DUE', 'LOADING', 'STORING'], 'put off', 'DELAYED'],
  [['STORING_ENDING'], 'stored', 'ENDING'],
  [['STORING_ENDING'], 'put off', 'ENDING'],
  [['STORING_OUSTED'], 'stored', 'OUSTED'],
  [['STORING_OUSTED'], 'put off', 'OUSTED'],
  [['DELAYED'], 'waited', 'WAITING'],
  [['WAITING', 'DUE'], 'moved', 'WAITING'],
  [allBut('WAITING', 'DUE'), 'moved', null],
  [IDLE, 'ended', 'ENDING'],
  [['STORING'], 'ended', 'STORING_ENDING'],
  [['ENDING'], 'resumed', 'RESTING'],
  [['STORING_ENDING'], 'resumed', 'STORING'],
  // A younger one took the name meanwhile.
  [['OUSTED', 'STORING_OUSTED'], 'resumed', null],
  [[...IDLE, 'ENDING'], 'ousted', 'OUSTED'],
  [['STORING', 'STORING_ENDING'], 'ousted', 'STORING_OUSTED'],
  [['OUSTED', 'STORING_OUSTED'], 'ousted', null],
  [allBut('GONE'), 'forgotten', 'GONE'],
  [['GONE'], 'stored', null],
  [['GONE'], 'put off', null],
  [['GONE'], 'resumed', null],
  [['GONE'], 'forgotten', null],
];

/** What a state holds: a place among others, or some of the room for what is read and stored at once. */
export type Held = 'heap' | 'turn' | 'delay' | 'room';

export const HELD: Partial<Readonly<Record<State, Held>>> = {
  WAITING: 'heap',
  DUE: 'turn',
  DELAYED: 'delay',
  LOADING: 'room',
  STORING: 'room',
  STORING_ENDING: 'room',
  STORING_OUSTED: 'room',
};

/** By state and event: `WAITING come`. What is not in it cannot happen. */
export type Table = ReadonlyMap<string, State>;

export const TABLE: Table = new Map(
  TRANSITIONS.flatMap(([from, event, to]) =>
    from.map((state) => [`${state} ${event}`, to ?? state] as const),
  ),
);

export function next(state: State, event: Event, table: Table): State {
  const to = table.get(`${state} ${event}`);
  assert(to !== undefined, `a schedule that is ${state} is not ${event}`);
  return to;
}

const STORING: readonly State[] = ['STORING', 'STORING_ENDING', 'STORING_OUSTED'];
const ENDING: readonly State[] = ['ENDING', 'STORING_ENDING'];
const OUSTED: readonly State[] = ['OUSTED', 'STORING_OUSTED'];

/** What it is due for is being committed. */
export function isStoring(state: State): boolean {
  return STORING.includes(state);
}

/** What becomes of it is being committed: a list of all schedules says nothing of it. */
export function isBeingDecided(state: State): boolean {
  return isStoring(state) || isEnding(state) || isOusted(state);
}

/** A command ends or replaces it. */
export function isEnding(state: State): boolean {
  return ENDING.includes(state);
}

/** A younger schedule has the name. */
export function isOusted(state: State): boolean {
  return OUSTED.includes(state);
}
