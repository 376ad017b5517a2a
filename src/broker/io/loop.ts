/**
 * The shell around the broker machine. A turn: what the transport has read goes into the machine as
 * it comes; then, once, everything that is due; then the transport writes once per connection.
 */
import { monotonicMs } from '../../core/clock.js';
import type { Frames } from '../../core/frames.js';
import type { Holdings } from '../../core/holdings.js';
import type { PeerId, PeerInfo, Transport, TransportEvents } from '../../transport/port.js';
import type { Broker } from '../broker.js';

/** Node's timers take no more; the loop is then woken early and waits again. */
const TIMER_MS_MAX = 60_000;

/** A machine beside the broker that takes its turn in the same loop. */
export interface Companion {
  /** The time of the inputs that follow. */
  setTime(now: number): void;
  /** After the broker's own `run`; what it asks of the broker is carried out in the same turn. */
  run(now: number): void;
  /** Milliseconds until its next turn although nothing comes; Infinity for never. */
  dueInMs(now: number): number;
  /** Nothing that it decided is still under way. */
  readonly isSettled: boolean;
}

/** Connections that one turn ends because memory runs out, and for one identity over its quota. */
const CLOSED_PER_TURN_MAX = 256;

export class BrokerLoop implements TransportEvents {
  readonly #broker: Broker;
  readonly #holdings: Holdings;
  #companion: Companion | null = null;
  #transport: Transport | null = null;
  #now = monotonicMs();
  #turnDue = false;
  #timer: NodeJS.Timeout | null = null;
  #timerAt = Infinity;
  /** Called at the end of each turn while draining. */
  #afterTurn: (() => void) | null = null;
  /** Called once, at the end of the next turn. */
  #afterNextTurn: (() => void) | null = null;

  /** @param holdings what the broker and the transport count together */
  constructor(broker: Broker, holdings: Holdings) {
    this.#broker = broker;
    this.#holdings = holdings;
  }

  /** The transport whose events come here; its output is flushed once per turn. */
  attach(transport: Transport): void {
    this.#transport = transport;
    this.#broker.begin(monotonicMs());
    this.#schedule();
  }

  /** Output that waits for a peer. */
  waitingBytes(peer: PeerId): number {
    return this.#transport?.waitingBytes(peer) ?? 0;
  }

  /** Lets a machine take part. */
  accompany(companion: Companion): void {
    this.#companion = companion;
    this.#schedule();
  }

  /** Something comes for the companion, after this: a turn is due. */
  wake(): void {
    this.#schedule();
  }

  /** Takes a turn, and calls `then` at its end: never, if turns are no longer taken. */
  afterNextTurn(then: () => void): void {
    this.#afterNextTurn = then;
    this.#schedule();
  }

  connected(peer: PeerId, info: PeerInfo): void {
    this.#schedule();
    this.#broker.connected(peer, info);
  }

  message(peer: PeerId, frames: Frames): void {
    this.#schedule();
    this.#broker.message(peer, frames, this.#now);
  }

  oversized(peer: PeerId): void {
    this.#schedule();
    this.#broker.oversized(peer, this.#now);
  }

  waiting(peer: PeerId): void {
    this.#schedule();
    this.#broker.waiting(peer, this.#now);
  }

  full(peer: PeerId): void {
    this.#schedule();
    this.#broker.full(peer);
  }

  drained(peer: PeerId): void {
    this.#schedule();
    this.#broker.drained(peer);
  }

  disconnected(peer: PeerId): void {
    this.#schedule();
    this.#broker.disconnected(peer, this.#now);
  }

  rejected(...rejected: Parameters<TransportEvents['rejected']>): void {
    this.#broker.rejected(...rejected);
  }

  /** What a key may do has changed: see `Broker.rightsChanged`. */
  rightsChanged(key: string): void {
    this.#schedule();
    this.#broker.rightsChanged(key, this.#now);
  }

  /**
   * Lets requests at workers finish, for at most `graceMs`, and tells all workers DISCONNECT.
   * Resolves when the last output was handed to the transport.
   */
  async drain(graceMs: number): Promise<void> {
    const until = monotonicMs() + graceMs;
    await new Promise<void>((resolve) => {
      const grace = setTimeout(resolve, graceMs);
      this.#afterTurn = () => {
        const { requests, requestsOut } = this.#broker.load;
        const isSettled = this.#companion?.isSettled ?? true;
        const isDone = requests + requestsOut === 0 && isSettled;
        if (!isDone && monotonicMs() < until) return;
        clearTimeout(grace);
        resolve();
      };
      this.#schedule();
      this.#broker.drain(this.#now);
    });
    this.#afterTurn = null;
    this.#broker.stop(monotonicMs());
    this.#transport?.flush();
    this.stop();
  }

  /** No more turns. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#transport = null;
  }

  /** One turn for all that comes before it; its inputs share one reading of the clock. */
  #schedule(): void {
    if (this.#turnDue) return;
    this.#turnDue = true;
    this.#now = monotonicMs();
    this.#companion?.setTime(this.#now);
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    this.#turnDue = false;
    if (this.#transport === null) return;
    this.#now = monotonicMs();
    let more = this.#broker.run(this.#now);
    let dueAt = this.#broker.nextRunAt();
    if (this.#companion !== null) {
      this.#companion.run(this.#now);
      if (this.#broker.run(this.#now)) more = true;
      const dueInMs = this.#companion.dueInMs(this.#now);
      if (dueInMs === 0) more = true;
      dueAt = Math.min(this.#broker.nextRunAt(), this.#now + dueInMs);
    }
    this.#transport.flush();
    this.#relieve(this.#transport);
    this.#afterTurn?.();
    const then = this.#afterNextTurn;
    this.#afterNextTurn = null;
    then?.();
    if (more) this.#schedule();
    this.#arm(dueAt);
  };

  /**
   * Who does not read loses connections: over the quota of its identity, and over
   * `limits.memoryBytes` whoever holds most (D75, D77).
   */
  #relieve(transport: Transport): void {
    const holdings = this.#holdings;
    for (const holder of holdings.stalled(this.#now)) {
      for (let closed = 0; closed < CLOSED_PER_TURN_MAX; closed++) {
        if (holder.output <= holder.outputMax || !transport.closeLargest(holder.identity)) break;
      }
    }
    for (let closed = 0; closed < CLOSED_PER_TURN_MAX && holdings.isOver; closed++) {
      const payer = holdings.payer();
      if (payer === null || !transport.closeLargest(payer.identity)) return;
    }
  }

  /** One timer for everything; it is only set anew when something became due sooner. */
  #arm(at: number): void {
    if (at >= this.#timerAt) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerAt = at;
    const wait = Math.min(Math.max(at - this.#now, 0), TIMER_MS_MAX);
    this.#timer = setTimeout(this.#wake, Math.ceil(wait));
  }

  readonly #wake = (): void => {
    this.#timer = null;
    this.#timerAt = Infinity;
    this.#schedule();
  };
}
