/**
 * Decides whether this node serves clients (docs/protocol.md, the pair). Workers and `mmi.*`
 * requests are served in every state.
 *
 * *serving*: clients are served. *refusing*: the other node serves, or neither does. *holding*:
 * this node is about to serve, but has not yet written that decision to disk. While holding,
 * requests for workers wait in their queues. Requests for internal services wait here, because
 * those services are not running yet.
 */
import type { Frames } from '../../core/frames.js';
import { pack, packedBytes } from '../../core/packed.js';
import type { Inbound } from '../../wire/inbound.js';
import type { RequestRefusal } from '../counters.js';
import type { Ledger, RefusalReply } from '../ledger.js';
import type { Peer } from '../state/entities.js';

export type AdmissionState = 'serving' | 'refusing' | 'holding';

/** Why new requests are refused, and why waiting ones and those returned by lost workers end. */
export interface Closure {
  readonly reason: RequestRefusal;
  readonly refusal: RefusalReply;
}

/** A request for an internal service that arrived while holding. */
export interface HeldMessage {
  readonly peer: Peer;
  /** All its frames. */
  readonly packed: Buffer;
}

const DRAINING: Closure = {
  reason: 'draining',
  refusal: { status: '503', text: 'this broker is shutting down' },
};
export const NOT_ACTIVE: Closure = {
  reason: 'not_active',
  refusal: { status: '503', text: 'this node is not active' },
};

/** Limits on what is held here. The first request is held whatever its size. */
const HELD_MESSAGES_MAX = 10_000;
const HELD_BYTES_MAX = 64 * 1024 * 1024;
/** The share of it that one identity may use, so that some is left for others (D75). */
const ONE_IDENTITY = 0.875;

export class Admission {
  /** Serving and not draining; the usual request needs no other check. */
  isOpen = true;
  /** `null` while serving or holding. */
  closure: Closure | null = null;
  /** The node stopped serving while requests waited, and some of them still wait. */
  isClearing = false;
  readonly #ledger: Ledger;
  /** See `BrokerOptions.vote`. */
  readonly #vote: () => boolean;
  #state: AdmissionState = 'serving';
  #isDraining = false;
  #held: HeldMessage[] = [];
  #heldBytes = 0;

  constructor(ledger: Ledger, vote: () => boolean) {
    this.#ledger = ledger;
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
   * Decides about a client's request while this node does not serve: refuses it, holds it, or lets
   * it in.
   * @param isInternal for a service of this process
   */
  lets(inbound: Inbound, peer: Peer, isInternal: boolean): boolean {
    // The vote: the request passed the checks of the wire and the listener, and no node serves it.
    if (this.closure === NOT_ACTIVE && this.#vote() && this.#state === 'refusing') {
      this.set('holding');
    }
    if (this.closure !== null) {
      this.refuse(inbound, peer, this.closure, isInternal);
      return false;
    }
    if (this.isOpen || !isInternal) return true;
    this.#hold(inbound.frames, inbound, peer);
    return false;
  }

  /** @param isInternal for a service of this process */
  refuse(inbound: Inbound, peer: Peer, { reason, refusal }: Closure, isInternal: boolean): void {
    this.#ledger.refuse(inbound, peer, reason, refusal, isInternal);
  }

  #hold(frames: Frames, inbound: Inbound, peer: Peer): void {
    const bytes = packedBytes(frames, 0, frames.count);
    const { identity } = peer;
    const isFull =
      this.#held.length >= HELD_MESSAGES_MAX || this.#heldBytes + bytes > HELD_BYTES_MAX;
    const isShareUsed =
      identity.gateMessages >= HELD_MESSAGES_MAX * ONE_IDENTITY ||
      identity.gateBytes + bytes > HELD_BYTES_MAX * ONE_IDENTITY;
    const isFirst = this.#held.length === 0;
    if (((isFull || isShareUsed) && !isFirst) || !identity.holder.mayHold(bytes)) {
      this.refuse(inbound, peer, NOT_ACTIVE, true);
      return;
    }
    identity.gateMessages++;
    identity.gateBytes += bytes;
    identity.holder.add('requests', bytes);
    const packed = Buffer.allocUnsafeSlow(bytes);
    pack(frames, 0, frames.count, packed, 0, false);
    this.#held.push({ peer, packed });
    this.#heldBytes += bytes;
  }

  /** Removes and returns the held requests, in order of arrival. */
  takeHeld(): HeldMessage[] {
    const held = this.#held;
    for (const { peer, packed } of held) {
      const { identity } = peer;
      identity.gateMessages--;
      identity.gateBytes -= packed.length;
      identity.holder.add('requests', -packed.length);
    }
    this.#held = [];
    this.#heldBytes = 0;
    return held;
  }
}
