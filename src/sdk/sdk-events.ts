/** The events of a client or worker: typed listeners, called in order, with one object each. */
import { oneLine } from '../core/escape.js';
import { messageOf } from '../core/errors.js';
import { wrong } from './errors.js';

type Listener<Payload> = (event: Payload) => void;

/** @typeParam Events the object that the listeners of each event get */
export class Listeners<Events> {
  readonly #of: ReadonlyMap<keyof Events, Set<Listener<never>>>;

  constructor(names: readonly (keyof Events)[]) {
    this.#of = new Map(names.map((name) => [name, new Set()]));
  }

  /** @throws ERR_MDP_OPTION if there is no such event, or the listener is not a function */
  add<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): void {
    if (typeof listener !== 'function') throw wrong('listener', 'must be a function');
    this.#listeners(name).add(listener);
  }

  /** @throws ERR_MDP_OPTION if there is no such event */
  delete<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): void {
    this.#listeners(name).delete(listener);
  }

  /** @returns false if nobody listens */
  emit<Name extends keyof Events>(name: Name, event: Events[Name]): boolean {
    const listeners = this.#listeners(name);
    if (listeners.size === 0) return false;
    for (const listener of [...listeners]) callListener(String(name), listener, event);
    return true;
  }

  #listeners<Name extends keyof Events>(name: Name): Set<Listener<Events[Name]>> {
    const found = this.#of.get(name);
    if (found !== undefined) return found as Set<Listener<Events[Name]>>;
    const names = [...this.#of.keys()].map((known) => `'${String(known)}'`).join(', ');
    throw wrong('event', `'${String(name)}' does not exist: there are ${names}`);
  }
}

/** An exception must not end the work that reports the event; it is not silent, either. */
export function callListener<Payload>(
  name: string,
  listener: Listener<Payload>,
  event: Payload,
): void {
  try {
    listener(event);
  } catch (error) {
    const text = `a listener of '${name}' threw an error: ${oneLine(messageOf(error))}`;
    process.emitWarning(text, { code: 'MDP_LISTENER_FAILED' });
  }
}
