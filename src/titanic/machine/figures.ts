/** What is told of stored requests: counters, and what is stored and open now. Sums are made on demand. */
import { increment } from '../../core/counts.js';
import type { DurableCounts } from '../../wire/mmi-answers.js';
import type { OwnerCount, StoreCounts } from '../../store/store.js';
import type { Commits } from './requests/commits.js';
import type { TitanicContext } from './requests/context.js';
import { STORED, type TitanicCounters } from './requests/counters.js';
import type { Dispatcher, OpenFigures } from './requests/dispatcher.js';
import type { StoredServices } from './requests/stored-services.js';

const STATES = ['pending', 'dispatched', 'replied', 'dead'] as const;

export class Figures {
  readonly #context: TitanicContext;
  /** The dispatcher of the present activation. */
  dispatcher: Dispatcher;

  constructor(context: TitanicContext, dispatcher: Dispatcher) {
    this.#context = context;
    this.dispatcher = dispatcher;
  }

  get counters(): TitanicCounters {
    return this.#context.counters;
  }

  get commits(): Commits {
    return this.#context.commits;
  }

  get counts(): StoreCounts {
    return this.#context.counts;
  }

  /** What the store holds for each owner, schedules included. */
  get owners(): Iterable<OwnerCount> {
    return this.#context.owners;
  }

  /** What the store holds for each service, as far as it is kept by name. */
  get services(): StoredServices {
    return this.#context.services;
  }

  /** Brings the gauges of the rows up to date. @param wall milliseconds since 1970 */
  measure(wall: number): void {
    const { counters, counts, services, delivered } = this;
    const { others } = counters;
    others.fill(0, STORED.counters);
    for (const { stored } of counters.services.byName.values()) {
      stored?.now.fill(0, STORED.counters);
    }
    const rest = {
      pending: Math.max(0, counts.pending - delivered),
      dispatched: delivered,
      replied: counts.replied,
      dead: counts.dead,
    };
    for (const { counted, service, pending, replied, dead } of services.services.values()) {
      const row = counters.of(counted.shown);
      const { out: dispatched, since } = this.openOf(service);
      const here = { pending: Math.max(0, pending - dispatched), dispatched, replied, dead };
      for (const state of STATES) {
        increment(row, STORED.requests[state], here[state]);
        rest[state] -= here[state];
      }
      // An age is not summed up: the oldest of those without a label is told of them together.
      const labelled = counted.hasLabel ? row : others;
      labelled[STORED.oldestMs] = Math.max(labelled[STORED.oldestMs] ?? 0, ageMs(since, wall));
    }
    // The counts of services that are not known by name.
    for (const state of STATES) increment(others, STORED.requests[state], Math.max(0, rest[state]));
  }

  /** What is stored for one service; `null`: nothing. @param wall milliseconds since 1970 */
  durableOf(service: Buffer, wall: number): DurableCounts | null {
    const counts = this.services.of(service);
    if (counts === null) return null;
    const { retrying, replied, dead } = counts;
    const { out: dispatched, delayed, since } = this.openOf(service);
    const { isActive } = this.#context;
    return {
      pending: Math.max(0, counts.pending - dispatched),
      dispatched,
      delayed: isActive ? delayed : null,
      retrying,
      replied,
      dead,
      oldestMs: since === null ? null : Math.max(0, wall - since),
    };
  }

  /** Open requests of one service: none while it is inactive. */
  openOf(service: Buffer): OpenFigures {
    const open = this.dispatcher.figuresOf(service);
    const unclaimed = this.counters.store.unclaimedSince.get(service.toString('latin1'));
    if (unclaimed === undefined) return open;
    return { ...open, since: Math.min(open.since ?? Infinity, unclaimed) };
  }

  /** Stored requests that are being read or with the broker, and the bytes of their bodies. */
  get inFlight(): number {
    return this.dispatcher.places.requests;
  }

  get inFlightBytes(): number {
    return this.dispatcher.places.bytes;
  }

  /** Stored requests at workers. */
  get delivered(): number {
    return this.dispatcher.delivered;
  }
}

/** @param since `null`: no request waits */
function ageMs(since: number | null, wall: number): number {
  return since === null ? 0 : Math.max(0, wall - since);
}
