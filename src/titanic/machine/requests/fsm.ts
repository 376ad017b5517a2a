/**
 * A stored request that is open here: which state it is in, and what may happen to it there (9/TSP;
 * D12, D14). No I/O, no clock, no memory: `Dispatcher` takes each request through `TABLE`, and holds for
 * a state what the state needs, from the step into it to the step out of it.
 *
 *   opened     ┌─────────┐  due   ┌───────┐ taken  ┌─────────┐ submitted ┌────────┐ dispatched ┌─────┐
 *  ──────────► │ DELAYED ├──────► │ READY ├──────► │ LOADING ├─────────► │ QUEUED ├──────────► │ OUT │
 *              └─▲──▲──▲─┘        └───▲───┘        └─┬─────┬─┘           └───┬────┘            └┬─┬─┬┘
 *                │  │  │ unread       │              │     │                 │                  │ │ │
 *                │  │  ├──────────────┼──────────────┘     │        deferred │                  │ │ │
 *                │  │  └──────────────┼────────────────────┼─────────────────┤                  │ │ │
 *                │  │                 │                    │   handed back   │                  │ │ │
 *                │  │                 └────────────────────┴─────────────────┴──────────────────┘ │ │
 *                │  └─────────────────────────────────────────────────────────────────── failed ──┘ │
 *                │ resumed                                                                 returned │
 *           ┌────┴───┐  closed, expired: from all of the above                      ┌───────────┐   │
 *           │ ENDING │◄──────────────────────────────────────────                   │ RETURNING │◄──┘
 *           └────────┘                                                              └─────┬─────┘
 *                replied, died: from all of the above; replied: also from RETURNING       │
 *                      ┌──────────┐◄──────────────────────────────────────────────────────┤
 *                      │ SETTLING │ closed  ┌─────────────────┐ closed                    │
 *                      │          ├────────►│ SETTLING_ENDING │◄──────────────────────────┘
 *                      └────▲─────┘         └────────┬────────┘
 *                           └── resumed, died ───────┘          ended: from every state, to ABSENT
 *
 * From RETURNING on, what becomes of the request is being committed, and its outcome decides. A worker's
 * reply may come late: the broker knows a request whose attempt has failed until it is sent again.
 */
import { assert } from '../../../core/assert.js';

/** Not open here. */
export const ABSENT = 0;
/** To be tried later, or when its worker calls for it: in the heap of delayed requests. */
export const DELAYED = 1;
/** Waits for its service to have room: in the heap of its service. */
export const READY = 2;
/** The body is being read. */
export const LOADING = 3;
/** With the broker, and with no worker yet. */
export const QUEUED = 4;
/** At a worker: this is an attempt. */
export const OUT = 5;
/** In a shared store: its failed attempt is being committed, and its claim ends with it. */
export const RETURNING = 6;
/** The reply, or the fact that the request is dead, is being committed. */
export const SETTLING = 7;
/** The end is being committed: closed or expired. */
export const ENDING = 8;
/** Closed while RETURNING or SETTLING: both are being committed. */
export const SETTLING_ENDING = 9;

export type State = number;

/** The request is in the store, and is tried from a certain time on. */
export const OPENED = 0;
/** The time of the next attempt has come, or the worker calls for the request. */
export const DUE = 1;
/** The service has room for the request. */
export const TAKEN = 2;
/** The body could not be read now. */
export const UNREAD = 3;
/** The body is read, and the broker has the request. */
export const SUBMITTED = 4;
/** The broker does not want it now, which is no attempt. */
export const HANDED_BACK = 5;
export const DISPATCHED = 6;
/** The attempt failed: another one follows. */
export const FAILED = 7;
/** The attempt failed, in a shared store: any broker may make the next one. */
export const RETURNED = 8;
export const REPLIED = 9;
/** No attempt follows. */
export const DIED = 10;
/** Somebody closes it. */
export const CLOSED = 11;
/** The time to live is over. */
export const EXPIRED = 12;
/** The close could not be stored: it goes on. */
export const RESUMED = 13;
/** The request is not open here any more, for whatever reason. */
export const ENDED = 14;
/** The worker has no place for the request, which is no attempt, and calls for it later. */
export const DEFERRED = 15;

export type Event = number;

export const STATES: readonly string[] = [
  ...['ABSENT', 'DELAYED', 'READY', 'LOADING', 'QUEUED', 'OUT'],
  ...['RETURNING', 'SETTLING', 'ENDING', 'SETTLING_ENDING'],
];
export const EVENTS: readonly string[] = [
  ...['opened', 'due', 'taken', 'unread', 'submitted', 'handed back', 'dispatched', 'failed'],
  ...['returned', 'replied', 'died', 'closed', 'expired', 'resumed', 'ended', 'deferred'],
];

type Transition = readonly [from: readonly State[], event: Event, to: State];

const WAITING = [DELAYED, READY, LOADING, QUEUED, OUT];

/** All that can happen. */
export const TRANSITIONS: readonly Transition[] = [
  [[ABSENT], OPENED, DELAYED],
  [[DELAYED], DUE, READY],
  [[READY], TAKEN, LOADING],
  [[LOADING], UNREAD, DELAYED],
  [[LOADING], SUBMITTED, QUEUED],
  [[QUEUED], DEFERRED, DELAYED],
  // Of one that is OUT: the broker is stopping.
  [[LOADING, QUEUED, OUT], HANDED_BACK, READY],
  [[QUEUED], DISPATCHED, OUT],
  [[OUT], FAILED, DELAYED],
  [[OUT], RETURNED, RETURNING],
  [[...WAITING, RETURNING], REPLIED, SETTLING],
  // Also one whose reply the store refuses.
  [[...WAITING, SETTLING, SETTLING_ENDING], DIED, SETTLING],
  [WAITING, CLOSED, ENDING],
  [[RETURNING, SETTLING], CLOSED, SETTLING_ENDING],
  [WAITING, EXPIRED, ENDING],
  // One that was at a worker starts again.
  [[ENDING], RESUMED, DELAYED],
  [[SETTLING_ENDING], RESUMED, SETTLING],
  [[...WAITING, RETURNING, SETTLING, ENDING, SETTLING_ENDING], ENDED, ABSENT],
];

/** The transitions by state and event; -1: this cannot happen. */
export type Table = Int8Array;

export function tableOf(transitions: readonly Transition[]): Table {
  const table = new Int8Array(STATES.length * EVENTS.length).fill(-1);
  for (const [from, event, to] of transitions) {
    for (const state of from) table[state * EVENTS.length + event] = to;
  }
  return table;
}

export const TABLE: Table = tableOf(TRANSITIONS);

export function next(state: State, event: Event, table: Table = TABLE): State {
  const to = table[state * EVENTS.length + event] ?? -1;
  if (to < 0) assert(false, `a durable request that is ${STATES[state]} is not ${EVENTS[event]}`);
  return to;
}

/** Whether a request is being read, or with the broker: it counts for what may be in flight. */
export function isInFlight(state: State): boolean {
  return state >= LOADING && state <= OUT;
}

/** What becomes of it is being committed, and decides: it does not run any more. */
export function isBeingDecided(state: State): boolean {
  return state >= RETURNING;
}
