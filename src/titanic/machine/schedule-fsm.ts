/**
 * A schedule that a node knows: which state it is in, and what may happen to it there (D80). No I/O, no clock,
 * no memory: `ScheduleTable` takes each schedule through `TABLE`, and holds for a state what `HELD` says, from
 * the step into it to the step out of it.
 *
 *  added ┌────────┐ named ┌─────────┐ claimed ┌─────────┐ come ┌─────┐ taken ┌─────────┐ begun ┌─────────┐
 * ──────►│ UNREAD ├──────►│ RESTING ├────────►│ WAITING ├─────►│ DUE ├──────►│ LOADING ├──────►│ STORING │
 *        └────────┘       └─▲─────▲─┘         └─▲──▲──▲─┘      └─┬─┬─┘       └──┬───┬──┘       └─┬──┬──┬─┘
 *                           │     │             │  │  └── moved ─┘ │   put back │   │ put off    │  │  │
 *                           │     │       waited│  └───────────────┼────────────┘   │            │  │  │
 *                           │     │        ┌────┴────┐ put off     │                │    put off │  │  │
 *                           │     │        │ DELAYED │◄────────────┴────────────────┴────────────┘  │  │
 *                           │     │        └─────────┘                                       stored │  │
 *                           │     └─────────────────────────────────────────────────────────────────┘  │
 *       disowned: from WAITING, DUE, DELAYED, LOADING                                ended, ousted ┌───┘
 *                                                                      ┌────────────────┐ ┌────────▼───────┐
 *       ended, ousted: from all others        ┌────────┐               │ STORING_OUSTED │◄┤ STORING_ENDING │
 *      ┌────────┐                             │ OUSTED │◄──────────────┤                │ │                │
 *      │ ENDING │◄────────────────────────────┼────────┼─ stored, ─────┼────────────────┼─┤                │
 *      └────────┘                             └────────┘  put off      └────────────────┘ └────────────────┘
 *
 *       resumed: from ENDING to RESTING, from STORING_ENDING to STORING; named: likewise from the OUSTED
 *       ousted: also from ENDING, and from STORING at once         gone: from every state, to GONE
 *
 * RESTING is left at once by a node that may store what the schedule is due for: in a shared store, the broker
 * that has claimed it. Losing the claim takes back whatever is not on its way to the store yet.
 */
import { assert } from '../../core/assert.js';

/** The body is not read yet, or cannot be read: neither its name nor its line is known. */
export const UNREAD = 0;
/** Another broker stores what it is due for. */
export const RESTING = 1;
/** Waits until its due time comes. */
export const WAITING = 2;
/** The due time has come: waits for a turn of its owner. */
export const DUE = 3;
/** Nothing could be stored: waits for the next try. */
export const DELAYED = 4;
/** The body is being read, because it is due. */
export const LOADING = 5;
/** What it is due for is on its way to the store. */
export const STORING = 6;
/** Both at once: what it is due for, and its end. */
export const STORING_ENDING = 7;
/** Both at once: what it is due for, and the loss of its name. */
export const STORING_OUSTED = 8;
/** A command ends or replaces it, which is being committed. */
export const ENDING = 9;
/** A younger schedule has its name: it ends, unless that one turns out to be gone. */
export const OUSTED = 10;
/** Not known any more. What was asked of the store for it is still reported. */
export const GONE = 11;

export type State = number;

/** The body is read, and no younger schedule has the name. */
export const NAMED = 0;
/** This node may store what it is due for. */
export const CLAIMED = 1;
/** The session with the shared store is over, and with it the claim. */
export const DISOWNED = 2;
/** The due time has come. */
export const COME = 3;
/** Something may be stored for it. */
export const TAKEN = 4;
/** Now that the body is read, it is not due: the clock was set, or another node has moved it on. */
export const PUT_BACK = 5;
/** What it is due for, or that it was skipped, goes to the store. */
export const BEGUN = 6;
/** Its step is in the store. */
export const STORED = 7;
/** Nothing can be stored now, or the store failed. */
export const PUT_OFF = 8;
/** The delay is over. */
export const WAITED = 9;
/** The due time is another one: another node stored a step, or the clock was set. */
export const MOVED = 10;
/** A command ends or replaces it. */
export const ENDED = 11;
/** The end could not be stored. */
export const RESUMED = 12;
/** Another one has the name. */
export const OUSTED_BY = 13;
/** Not in the store any more. */
export const FORGOTTEN = 14;

export type Event = number;

export const STATES: readonly string[] = [
  ...['UNREAD', 'RESTING', 'WAITING', 'DUE', 'DELAYED', 'LOADING'],
  ...['STORING', 'STORING_ENDING', 'STORING_OUSTED', 'ENDING', 'OUSTED', 'GONE'],
];
export const EVENTS: readonly string[] = [
  ...['named', 'claimed', 'disowned', 'come', 'taken', 'put back', 'begun', 'stored', 'put off'],
  ...['waited', 'moved', 'ended', 'resumed', 'ousted', 'forgotten'],
];

/** `to` is `null`: it stays as it is. */
export type Transition = readonly [from: readonly State[], event: Event, to: State | null];

/** Named, and nothing about it is on its way to the store. */
const IDLE = [RESTING, WAITING, DUE, DELAYED, LOADING];
const ALL = STATES.map((_name, state) => state);
const KNOWN = ALL.filter((state) => state !== GONE);

/** All that can happen. */
export const TRANSITIONS: readonly Transition[] = [
  [[UNREAD, OUSTED], NAMED, RESTING],
  [[STORING_OUSTED], NAMED, STORING],
  [[RESTING], CLAIMED, WAITING],
  [KNOWN.filter((state) => state !== RESTING), CLAIMED, null],
  [[WAITING, DUE, DELAYED, LOADING], DISOWNED, RESTING],
  [[UNREAD, RESTING, STORING, STORING_ENDING, STORING_OUSTED, ENDING, OUSTED], DISOWNED, null],
  [[WAITING], COME, DUE],
  [[DUE], TAKEN, LOADING],
  [[LOADING], PUT_BACK, WAITING],
  [[LOADING], BEGUN, STORING],
  [[STORING], STORED, RESTING],
  [[STORING_ENDING], STORED, ENDING],
  [[STORING_OUSTED], STORED, OUSTED],
  [[GONE], STORED, null],
  [[DUE, LOADING, STORING], PUT_OFF, DELAYED],
  [[STORING_ENDING], PUT_OFF, ENDING],
  [[STORING_OUSTED], PUT_OFF, OUSTED],
  [[GONE], PUT_OFF, null],
  [[DELAYED], WAITED, WAITING],
  [[WAITING, DUE], MOVED, WAITING],
  [ALL.filter((state) => state !== WAITING && state !== DUE), MOVED, null],
  [IDLE, ENDED, ENDING],
  [[STORING], ENDED, STORING_ENDING],
  [[ENDING], RESUMED, RESTING],
  [[STORING_ENDING], RESUMED, STORING],
  // A younger one took the name meanwhile, or another node ended it.
  [[OUSTED, STORING_OUSTED, GONE], RESUMED, null],
  [[UNREAD, ...IDLE, ENDING], OUSTED_BY, OUSTED],
  [[STORING, STORING_ENDING], OUSTED_BY, STORING_OUSTED],
  [[OUSTED, STORING_OUSTED], OUSTED_BY, null],
  [KNOWN, FORGOTTEN, GONE],
  [[GONE], FORGOTTEN, null],
];

/** What a state holds: a place among others, or some of the room for what is read and stored at once. */
export type Held = 'heap' | 'turn' | 'delay' | 'room' | null;

export const HELD: readonly Held[] = [
  ...([null, null, 'heap', 'turn', 'delay', 'room'] as const),
  ...(['room', 'room', 'room', null, null, null] as const),
];

/** The transitions by state and event; -1: this cannot happen. */
export type Table = Int8Array;

export function tableOf(transitions: readonly Transition[]): Table {
  const table = new Int8Array(STATES.length * EVENTS.length).fill(-1);
  for (const [from, event, to] of transitions) {
    for (const state of from) table[state * EVENTS.length + event] = to ?? state;
  }
  return table;
}

export const TABLE: Table = tableOf(TRANSITIONS);

export function next(state: State, event: Event, table: Table = TABLE): State {
  const to = table[state * EVENTS.length + event] ?? -1;
  if (to < 0) assert(false, `a schedule that is ${STATES[state]} is not ${EVENTS[event]}`);
  return to;
}

/** What it is due for is being committed. */
export function isStoring(state: State): boolean {
  return state >= STORING && state <= STORING_OUSTED;
}

/** The name belongs to no schedule that is known, or to a younger one. */
export function isNameless(state: State): boolean {
  return state === UNREAD || state === OUSTED || state === STORING_OUSTED;
}

/** Something that becomes of it is being committed: other nodes' lists of schedules say nothing of it. */
export function isBeingDecided(state: State): boolean {
  return state >= STORING && state <= OUSTED;
}
