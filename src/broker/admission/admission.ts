/**
 * Decides whether this node serves clients (docs/protocol.md, the pair). Workers and `mmi.*`
 * requests are served in every state.
 *
 * - *serving*: clients are served.
 * - *refusing*: the other node serves, or neither does.
 * - *voting*: neither does, and a client's request is enough for this node to serve. The requests
 *   are held here until the end of the turn, when the pair's machine has counted the vote.
 * - *holding*: this node is about to serve, but has not yet written that decision to disk. Requests
 *   for workers wait in their queues. Requests for internal services are held here, because those
 *   services are not running yet.
 */
import type { Inbound } from '../../wire/inbound.js';
import type { AdmissionState } from '../options.js';
import type { BrokerSink } from '../sink.js';
import type { Peer, KnownHello } from '../state/entities.js';
import { HeldMessages } from './held-messages.js';
import { DRAINING, NOT_ACTIVE, type Refusal } from './refusal.js';

export class Admission {
  /** Serving and not draining; the usual request needs no other check. */
  isOpen = true;
  /**
   * Why requests that wait in queues, and those that lost workers had, are refused; `null` while
   * serving or holding.
   */
  closure: Refusal | null = null;
  /** The node stopped serving while requests waited, and some of them still wait. */
  isClearing = false;
  readonly held: HeldMessages = new HeldMessages();
  readonly #sink: Pick<BrokerSink, 'vote'>;
  #state: AdmissionState = 'serving';
  #isDraining = false;
  /** Whether a client's request has voted since the state was set. */
  #hasVoted = false;

  constructor(sink: Pick<BrokerSink, 'vote'>) {
    this.#sink = sink;
  }

  get state(): AdmissionState {
    return this.#state;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  set(state: AdmissionState): void {
    this.#state = state;
    this.#hasVoted = false;
    this.#settle();
  }

  /** Irreversible. */
  drain(): void {
    this.#isDraining = true;
    this.#settle();
  }

  #settle(): void {
    const before = this.closure;
    const closed = this.#state === 'refusing' || this.#state === 'voting' ? NOT_ACTIVE : null;
    this.closure = this.#isDraining ? DRAINING : closed;
    this.isOpen = this.closure === null && this.#state === 'serving';
    if (this.closure === null) this.isClearing = false;
    else if (before === null) this.isClearing = true;
  }

  /**
   * Decides about a client's request while this node does not serve: the refusal, or what happens
   * to the request.
   * @param hello what its sender said about itself
   * @param isInternal for a service of this process
   */
  decide(
    inbound: Inbound,
    peer: Peer,
    hello: KnownHello | null,
    isInternal: boolean,
  ): 'admitted' | 'held' | Refusal {
    const state = this.#state;
    if (this.#isDraining) return DRAINING;
    if (state === 'refusing') return NOT_ACTIVE;
    if (state === 'serving' || (state === 'holding' && !isInternal)) return 'admitted';
    // The request passed the checks of the wire, the listener and the key, so it is a vote.
    if (state === 'voting' && !this.#hasVoted) {
      this.#hasVoted = true;
      this.#sink.vote();
    }
    return this.held.add(inbound, peer, hello) ? 'held' : NOT_ACTIVE;
  }
}
