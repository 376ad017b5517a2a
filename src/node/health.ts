import type { Reason } from '../admin/api/node-answers.js';
import type { Health } from '../admin/ports.js';
import type { PairView } from './pair-view.js';
import type { TitanicEvent, TitanicEvents } from '../titanic/machine/requests/events.js';

type Phase = 'starting' | 'serving' | 'draining';

const NOT_READY: Readonly<Record<Phase, Reason | null>> = {
  starting: { code: 'starting', text: 'starting: not serving clients yet' },
  serving: null,
  draining: { code: 'draining', text: 'draining: shutting down and refusing new requests' },
};

/** Whether this node serves clients, and what is degraded; it learns both from events. */
export class NodeHealth implements TitanicEvents {
  phase: Phase = 'starting';
  /** `null`: a standalone node. */
  pair: Pick<PairView, 'notReady' | 'takesOver' | 'degraded'> | null = null;
  /** What its extensions say. */
  ofExtensions: () => readonly Reason[] = () => [];
  /** Why the database cannot be reached; `null`: it can, or there is none. */
  #storeAway: Reason | null = null;
  /** Why this broker has no session with the database; `null`: it has one, or needs none. */
  #noSession: Reason | null = null;
  /** The log of the store file grows. */
  #logHeld: Reason | null = null;
  /** Rows of the store cannot be used. */
  #setAside: Reason | null = null;
  /** The wall clock is before the newest stored request. */
  #clockBehind: Reason | null = null;
  /** Why nothing can be stored. */
  #storeTrouble: Reason | null = null;

  emit(event: TitanicEvent): void {
    if (event.name === 'store.failed') {
      const text = `durable requests are refused (500): ${event.text}`;
      this.#storeTrouble = { code: `store_${event.kind}`, text };
    } else if (event.name === 'store.healed') {
      this.#storeTrouble = null;
    } else if (event.name === 'store.lost') {
      const text = `durable requests are refused (500): the store cannot be reached: ${event.text}`;
      this.#storeAway = { code: 'store_lost', text };
    } else if (event.name === 'store.session_lost') {
      const text = `durable requests are refused (500): this broker has no session with the store: ${event.text}`;
      this.#noSession = { code: 'store_no_session', text };
    } else if (event.name === 'store.session_taken') {
      this.#noSession = null;
    } else if (event.name === 'store.returned') {
      this.#storeAway = null;
    } else if (event.name === 'store.log_held') {
      const text = `the log of the store grows, because a program reads the store all the time: ${event.by}`;
      this.#logHeld = { code: 'store_log_held', text };
    } else if (event.name === 'store.log_freed') {
      this.#logHeld = null;
    } else if (event.name === 'store.set_aside') {
      this.#setAside = { code: 'store_set_aside', text: event.text };
    } else if (event.name === 'clock.behind') {
      const text = `the clock is before ${event.newest}, when the newest stored request was accepted: nothing expires until it has passed that`;
      this.#clockBehind = { code: 'clock_behind', text };
    } else if (event.name === 'clock.caught_up') {
      this.#clockBehind = null;
    }
  }

  /** Reasons of the store, without what follows: a lost store renews no session, and takes nothing without one. */
  get #ofStore(): readonly Reason[] {
    const cause = this.#storeAway ?? this.#noSession;
    const follows = cause !== null && this.#storeTrouble?.code === 'store_busy';
    const trouble = follows ? null : this.#storeTrouble;
    const others = [this.#logHeld, this.#setAside, this.#clockBehind];
    return [cause, trouble, ...others].filter((reason) => reason !== null);
  }

  get now(): Health {
    return {
      notReady: NOT_READY[this.phase] ?? this.pair?.notReady ?? null,
      takesOver: this.phase === 'serving' && this.pair?.takesOver === true,
      degraded: [...this.#ofStore, ...this.ofExtensions(), ...(this.pair?.degraded ?? [])],
    };
  }
}
