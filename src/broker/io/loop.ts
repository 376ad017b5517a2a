/**
 * The shell around the broker machine. In each turn, it passes what the transport has read to the
 * machine, in order of arrival; runs everything that is due once; then the transport writes once
 * per connection.
 */
import { type MonotonicMs, monotonicMs } from '../../core/clock.js';
import type { Words } from '../../core/bytes.js';
import type { Frames } from '../../core/frames.js';
import { type MemoryAccount, type Holdings, RELIEF_PAUSE_MS } from '../../core/holdings.js';
import type { Closing, PeerId, PeerInfo, Transport, TransportEvents } from '../../zmtp/port.js';
import type { Broker } from '../broker.js';

/**
 * The longest delay that Node's timers accept; for a longer one the loop wakes early and waits
 * again.
 */
const TIMER_MS_MAX = 60_000;

/** A machine beside the broker that takes its turn in the same loop. */
export interface Companion {
  /** Sets the time of the inputs that follow. */
  setTime(now: number): void;
  /**
   * Runs after the broker's own `run`. What it asks of the broker is carried out in the same turn.
   */
  run(now: number): void;
  /** Milliseconds until its next turn if no input arrives; Infinity for never. */
  dueInMs(now: number): number;
  /** True if nothing that it decided is still in progress. */
  readonly isSettled: boolean;
}

/**
 * Maximum number of connections that one turn ends because memory runs out, and for one identity
 * over its quota.
 */
const CLOSED_PER_TURN_MAX = 256;

const MEMORY_HELD = 'limits.memoryBytes is reached, and ';
const UNREAD_OUTPUT: Omit<Closing, 'which'> = {
  kind: 'output',
  reason: 'the quota `outputBytes` of its address or key is used up by output that is not read',
};
const STALLED_ONE: Closing = {
  which: 'stalled',
  kind: 'memory',
  reason: `${MEMORY_HELD}it has stalled with most of it: unread output or an incomplete message`,
};
const INCOMPLETE_ONE: Closing = {
  which: 'incomplete',
  kind: 'memory',
  reason: `${MEMORY_HELD}it had most of it: an incomplete message`,
};
const LARGEST_ONE: Closing = {
  which: 'all',
  kind: 'memory',
  reason: `${MEMORY_HELD}it had most of it: unread output or an incomplete message`,
};
const LARGEST_WORKER: Closing = {
  which: 'workers',
  kind: 'memory',
  reason: `${MEMORY_HELD}it had most of it: requests that it has not read`,
};

/** What else holds memory for peers, beside the broker's transport. */
type Closes = Pick<Transport, 'closeLargest'>;

export class BrokerLoop implements TransportEvents {
  readonly #broker: Broker;
  readonly #holdings: Holdings;
  #companion: Companion | null = null;
  #transport: Transport | null = null;
  /** What counts in the same account: its connections are closed before the broker's. */
  readonly beside: Closes[] = [];
  readonly #clock: () => MonotonicMs;
  #now: MonotonicMs;
  #turnDue = false;
  #timer: NodeJS.Timeout | null = null;
  #timerAt = Infinity;
  /** Called at the end of each turn while draining. */
  #afterTurn: (() => void) | null = null;
  /** Called once, at the end of the next turn. */
  #afterNextTurn: (() => void)[] = [];

  /**
   * @param holdings the shared account of the broker and the transport
   * @param clock the time that the machines get; may leap ahead in tests
   */
  constructor(broker: Broker, holdings: Holdings, clock: () => MonotonicMs = monotonicMs) {
    this.#broker = broker;
    this.#holdings = holdings;
    this.#clock = clock;
    this.#now = clock();
  }

  /** The transport that delivers events here. Its output is flushed once per turn. */
  attach(transport: Transport): void {
    this.#transport = transport;
    this.#broker.begin(this.#clock());
    this.#schedule();
  }

  /** Adds a companion machine. */
  accompany(companion: Companion): void {
    this.#companion = companion;
    this.#schedule();
  }

  /** An input for the companion follows: a turn is due. */
  wake(): void {
    this.#schedule();
  }

  /** The clock has leapt ahead: what was due later may be due now. */
  leapt(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#timerAt = Infinity;
    this.#schedule();
  }

  /** Takes a turn and calls `then` at its end. Never calls it once turns have stopped. */
  afterNextTurn(then: () => void): void {
    this.#afterNextTurn.push(then);
    this.#schedule();
  }

  connected(peer: PeerId, info: PeerInfo): void {
    this.#schedule();
    this.#broker.connected(peer, info, this.#now);
  }

  message(peer: PeerId, frames: Frames): void {
    this.#schedule();
    this.#broker.message(peer, frames, this.#now);
  }

  packed(peer: PeerId, words: Words, from: number, end: number): number {
    // A message that is incomplete, or not taken, is no reason for a turn.
    const now = this.#turnDue ? this.#now : this.#clock();
    const next = this.#broker.packed(peer, words, from, end, now);
    if (next > 0) this.#schedule();
    return next;
  }

  oversized(peer: PeerId, head: Frames, reason: string): void {
    this.#schedule();
    this.#broker.oversized(peer, head, reason, this.#now);
  }

  receiving(): void {
    if (!this.#holdings.isNearLimit || this.#transport === null) return;
    // Part of a message is no reason for a turn, but no memory is released without one.
    this.#schedule();
    this.#relieveAtLimit(this.#transport);
  }

  waiting(peer: PeerId): void {
    this.#schedule();
    this.#broker.waiting(peer, this.#now);
  }

  outputFull(peer: PeerId): void {
    this.#schedule();
    this.#broker.outputFull(peer);
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
    this.#broker.connections.rejected(...rejected);
  }

  /** The rights of a key changed: see `Broker.rightsChanged`. */
  rightsChanged(key: string): void {
    this.#schedule();
    this.#broker.connections.rightsChanged(key, this.#now);
  }

  /**
   * Lets requests at workers finish, for at most `graceMs`, and sends DISCONNECT to all workers.
   * Resolves when the last output was handed to the transport.
   */
  async drain(graceMs: number): Promise<void> {
    const until = this.#clock() + graceMs;
    await new Promise<void>((resolve) => {
      const grace = setTimeout(resolve, graceMs);
      this.#afterTurn = () => {
        const { requests, requestsOut } = this.#broker.load;
        const isSettled = this.#companion?.isSettled ?? true;
        const isDone = requests + requestsOut === 0 && isSettled;
        if (!isDone && this.#clock() < until) return;
        clearTimeout(grace);
        resolve();
      };
      this.#schedule();
      this.#broker.drain(this.#now);
    });
    this.#afterTurn = null;
    this.#broker.stop(this.#clock());
    this.#transport?.flush();
    this.stop();
  }

  /** Stops taking turns. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#transport = null;
  }

  /** Schedules one turn for all inputs that arrive before it; they share one reading of the clock. */
  #schedule(): void {
    if (this.#turnDue) return;
    this.#turnDue = true;
    this.#now = this.#clock();
    this.#companion?.setTime(this.#now);
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    this.#turnDue = false;
    if (this.#transport === null) return;
    this.#now = this.#clock();
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
    if (this.#holdings.mustLookAgain) dueAt = Math.min(dueAt, this.#now + RELIEF_PAUSE_MS);
    this.#afterTurn?.();
    if (this.#afterNextTurn.length > 0) {
      for (const then of this.#afterNextTurn.splice(0)) then();
    }
    if (more) this.#schedule();
    this.#arm(dueAt);
  };

  /**
   * Ends connections near `limits.memoryBytes`: those that have stalled and, while that is not enough, those with
   * incomplete messages, the largest first. This is also done when a part arrives, so that whoever asks after
   * that in the same turn is not refused.
   */
  #relieveAtLimit(transport: Transport): void {
    const holdings = this.#holdings;
    if (holdings.beginRelief(this.#now)) {
      for (const account of holdings.worthClosing()) {
        this.#closeWhile(transport, account, STALLED_ONE, () => holdings.needsRelief);
      }
    }
    if (!holdings.isNearLimit || !holdings.needsReliefOfInput) return;
    for (const account of holdings.byInput()) {
      this.#closeWhile(transport, account, INCOMPLETE_ONE, () => holdings.needsReliefOfInput);
    }
  }

  /**
   * Ends connections of peers that do not read: those over the quota of their identity and, at
   * `limits.memoryBytes`, those that have stalled; above it, where refusing requests has not helped,
   * those with the most output and input, until it is no longer reached (D75, D77).
   */
  #relieve(transport: Transport): void {
    const holdings = this.#holdings;
    for (const account of holdings.stalled(this.#now)) {
      const closing = { which: 'all', ...UNREAD_OUTPUT } as const;
      this.#closeWhile(transport, account, closing, () => account.isOverOutput);
      const ofWorkers = { which: 'workers', ...UNREAD_OUTPUT } as const;
      this.#closeWhile(transport, account, ofWorkers, () => account.isOverOutput);
    }
    this.#relieveAtLimit(transport);
    if (!holdings.isOverHard) return;
    for (const account of holdings.worthClosing()) {
      const isNecessary = (): boolean => holdings.isOver && holdings.isWorthClosing(account);
      this.#closeWhile(transport, account, LARGEST_ONE, isNecessary);
    }
    const most = holdings.mostDispatched();
    if (most === null) return;
    this.#closeWhile(transport, most, LARGEST_WORKER, () => holdings.isOverHard);
  }

  /** Closes connections of the identity, the largest first, while it is necessary. */
  #closeWhile(
    transport: Transport,
    { identity }: MemoryAccount,
    closing: Closing,
    isNecessary: () => boolean,
  ): void {
    for (let closed = 0; closed < CLOSED_PER_TURN_MAX && isNecessary(); closed++) {
      const isClosed =
        this.beside.some((each) => each.closeLargest(identity, closing)) ||
        transport.closeLargest(identity, closing);
      if (!isClosed) return;
    }
  }

  /** Sets the one timer for everything, and again only when something becomes due sooner. */
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
