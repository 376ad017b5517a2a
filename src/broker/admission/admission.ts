/**
 * Decides whether this node serves clients (docs/protocol.md, the pair). Workers and `mmi.*`
 * requests are served in every state.
 *
 * *serving*: clients are served. *refusing*: the other node serves, or neither does. *holding*:
 * this node is about to serve, but has not yet written that decision to disk. While holding,
 * requests for workers wait in their queues. Requests for internal services wait here, because
 * those services are not running yet.
 */
import type { Inbound } from '../../wire/inbound.js';
import type { AdmissionState } from '../options.js';
import type { Peer } from '../state/entities.js';
import { HeldMessages } from './held-messages.js';
import { DRAINING, NOT_ACTIVE, type Refusal } from './refusal.js';

export class Admission {
  /** Serving and not draining; the usual request needs no other check. */
  isOpen = true;
  /**
   * Why new requests are refused, and why waiting ones and those returned by lost workers end;
   * `null` while serving or holding.
   */
  closure: Refusal | null = null;
  /** The node stopped serving while requests waited, and some of them still wait. */
  isClearing = false;
  readonly held: HeldMessages = new HeldMessages();
  /** See `BrokerOptions.vote`. */
  readonly #vote: () => boolean;
  #state: AdmissionState = 'serving';
  #isDraining = false;

  constructor(vote: () => boolean) {
    this.#vote = vote;
  }

  get state(): AdmissionState {
    return this.#state;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  set(state: AdmissionState): void {
    this.#state = state;
    this.#settle();
  }

  /** Irreversible. */
  drain(): void {
    this.#isDraining = true;
    this.#settle();
  }

  #settle(): void {
    const before = this.closure;
    const closed = this.#state === 'refusing' ? NOT_ACTIVE : null;
    this.closure = this.#isDraining ? DRAINING : closed;
    this.isOpen = this.closure === null && this.#state === 'serving';
    if (this.closure === null) this.isClearing = false;
    else if (before === null) this.isClearing = true;
  }

  /**
   * Decides about a client's request while this node does not serve: the refusal, or what happens
   * to the request.
   * @param isInternal for a service of this process
   */
  decide(inbound: Inbound, peer: Peer, isInternal: boolean): 'admitted' | 'held' | Refusal {
    // The vote: the request passed the checks of the wire and the listener, and no node serves it.
    if (this.closure === NOT_ACTIVE && this.#vote() && this.#state === 'refusing') {
      this.set('holding');
    }
    if (this.closure !== null) return this.closure;
    if (this.isOpen || !isInternal) return 'admitted';
    return this.held.add(inbound.frames, peer) ? 'held' : NOT_ACTIVE;
  }
}
