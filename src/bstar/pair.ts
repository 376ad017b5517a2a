/**
 * A node of a pair: the state machine (`fsm.ts`), what is said over the connection, and timing (D13 to
 * D22). It says when replication begins and ends, and carries its messages. No I/O: every input
 * carries monotonic milliseconds, and effects go to a sink.
 */
import type { PeerMessage } from '../wire/pair.js';
import { epochObjection } from './epochs.js';
import { type Facts, isLed, type Persisted, type Role } from './facts.js';
import { Fsm, type FsmSink, type OrderRefusal, type Service } from './fsm.js';
import type { Objection, Pair, PairSink, Replicator, SignOfLife } from './ports.js';

export interface PairOptions {
  readonly role: Role;
  readonly heartbeatIntervalMs: number;
  /** Whether only a node with the peer's key can be the peer. */
  readonly isSealed: boolean;
}

/**
 * After this many heartbeats without a sign, a peer is dead, a confirmation late, an offer refused.
 */
const PATIENCE_BEATS = 2;
/** Looks at the clock in each heartbeat interval, at least: so this node detects a stall of its own (D19). */
const LOOKS_PER_BEAT = 4;
/** While a long message arrives, this node tells the peer more often that it is alive. */
const STATUSES_PER_BEAT = 8;
/**
 * The longest heartbeat of a refused node that is waited for: one that is far too long by mistake must not keep this
 * node from serving for hours after it was stopped.
 */
const REFUSED_AGAIN_MS_MAX = 60_000;
/** The longest pause after the store could not take data from the peer: it doubles each time, up to this. */
const HOLD_OFF_MS_MAX = 60_000;
/** How long a hand-over waits for changes in progress to be stored. */
const STOPPING_MS_MAX = 10_000;

type MessageOf<Kind extends PeerMessage['kind']> = Extract<PeerMessage, { readonly kind: Kind }>;

export class PairMachine {
  readonly #options: PairOptions;
  readonly #sink: PairSink;
  readonly #fsm: Fsm;
  readonly #replication: Replicator;
  #service: Service = 'refusing';
  #isActivated = false;
  #now: number;
  /** When this node last looked at the clock. */
  #seenAt: number;
  #heardAt: number;
  #statusSentAt = -Infinity;
  #beatAt: number;
  #doubtSince = Infinity;
  #handoverSince = Infinity;
  #storeFailures = 0;
  /** After a failure of the store, no join before this time; one that became due then follows. */
  #joinAfter = -Infinity;
  #isJoinDue = false;

  constructor(
    options: PairOptions,
    persisted: Persisted,
    sink: PairSink,
    replication: Replicator,
    now: number,
  ) {
    this.#options = options;
    this.#sink = sink;
    this.#replication = replication;
    this.#fsm = new Fsm(options.role, persisted, this.#fsmSink());
    replication.attach(this.#forReplication());
    replication.setTime(now);
    this.#now = now;
    this.#seenAt = now;
    // The start counts as a sign of life.
    this.#heardAt = now;
    this.#beatAt = now;
  }

  // ---------------------------------------------------------------- to be seen

  get facts(): Readonly<Facts> {
    return this.#fsm.facts;
  }

  get isInSync(): boolean {
    return this.#fsm.isInSync;
  }

  get service(): Service {
    return this.#service;
  }

  /** Data from the peer cannot be stored; it is tried again. */
  get cannotStore(): boolean {
    return this.#storeFailures > 0;
  }

  /** How long ago the peer was last heard of. Milliseconds. */
  heardMsAgo(now: number): number {
    return Math.max(0, now - this.#heardAt);
  }

  /** How long the oldest change that the peer has not confirmed has waited; `null`: not known. */
  lagMs(now: number): number | null {
    const { progress } = this.facts;
    if (progress !== 'holding' && progress !== 'in sync') return null;
    return this.#replication.isConfirmed ? 0 : Math.max(0, now - this.#replication.oldest);
  }

  // ---------------------------------------------------------------- time

  /**
   * Sets the time; called before anything else in a turn. It is the first to detect a stall of this
   * node (D19).
   * @returns for how long the node was stalled; 0 if it was not
   */
  look(now: number): number {
    const stoodMs = now - this.#seenAt;
    this.#now = now;
    this.#seenAt = now;
    this.#replication.setTime(now);
    if (stoodMs <= this.#options.heartbeatIntervalMs) return 0;
    this.#heardAt = Math.max(this.#heardAt, now);
    this.#fsm.paused();
    this.#applyState();
    return stoodMs;
  }

  /**
   * Handles heartbeats and time-outs. Call it only after everything that could be read was read.
   */
  run(now: number): void {
    this.look(now);
    const patienceMs = PATIENCE_BEATS * this.#options.heartbeatIntervalMs;
    if (!this.facts.peerDead && now - this.#heardAt >= patienceMs) this.#fsm.silent();
    if (this.#overdueAt(patienceMs) <= now) this.#fsm.overdue();
    if (this.#handoverDeadline(patienceMs) <= now) this.#fsm.declined();
    if (this.#isJoinDue && this.#joinAfter <= now) this.#joinAgain();
    this.#replication.run();
    if (this.#beatAt <= now) {
      this.#beatAt = now + this.#options.heartbeatIntervalMs;
      if (this.facts.link) this.#sendStatus();
    }
    this.#applyState();
  }

  /** When `run` is next due if no input arrives. */
  get dueAt(): number {
    const { heartbeatIntervalMs } = this.#options;
    const patienceMs = PATIENCE_BEATS * heartbeatIntervalMs;
    return Math.min(
      this.#seenAt + heartbeatIntervalMs / LOOKS_PER_BEAT,
      this.facts.peerDead ? Infinity : this.#heardAt + patienceMs,
      this.#overdueAt(patienceMs),
      this.#handoverDeadline(patienceMs),
      this.#isJoinDue ? this.#joinAfter : Infinity,
      this.#replication.dueAt,
      this.#beatAt,
    );
  }

  #overdueAt(patienceMs: number): number {
    const { progress, doubt } = this.facts;
    if (progress === 'holding' || progress === 'in sync') {
      return this.#replication.oldest + patienceMs;
    }
    return doubt ? this.#doubtSince + patienceMs : Infinity;
  }

  #handoverDeadline(patienceMs: number): number {
    const { handover } = this.facts;
    if (handover === 'none') return Infinity;
    return this.#handoverSince + (handover === 'offered' ? patienceMs : STOPPING_MS_MAX);
  }

  // ---------------------------------------------------------------- the link

  connected(): void {
    this.#heardAt = this.#now;
    this.#forgetConnection();
    this.#fsm.connected();
    this.#applyState();
  }

  closed(): void {
    this.#forgetConnection();
    this.#fsm.closed();
    this.#applyState();
  }

  /**
   * A node that is refused as the peer, or refuses this one, is not dead because of that (D13): it is once it has
   * been silent for two of its own intervals. Beside a connection, only what that brings counts.
   */
  refused({ againMs, epoch }: SignOfLife): void {
    if (this.facts.link) return;
    const { heartbeatIntervalMs, isSealed } = this.#options;
    const moreMs = Math.min(againMs, REFUSED_AGAIN_MS_MAX) - heartbeatIntervalMs;
    const heardAt = this.#now + PATIENCE_BEATS * Math.max(0, moreMs);
    this.#heardAt = Math.max(this.#heardAt, heardAt);
    const isBelieved = epochObjection(epoch, this.facts.seenEpoch, isSealed) === null;
    this.#fsm.refused(isBelieved ? epoch : 0);
    this.#applyState();
  }

  /** Why the peer's message cannot be true: the link is then ended, and nothing changes (D79). */
  objectionTo(message: PeerMessage): Objection | null {
    if (!('epoch' in message)) return null;
    return epochObjection(message.epoch, this.facts.seenEpoch, this.#options.isSealed);
  }

  message(message: PeerMessage): void {
    // From a connection that this node has closed, after a stall for example (D19): it does not show
    // the peer's current state.
    if (!this.facts.link || this.objectionTo(message) !== null) return;
    this.#heardAt = this.#now;
    this.#receive(message);
    this.#applyState();
  }

  /**
   * Part of a message arrived whose end is still missing. Over a slow link it may take many
   * heartbeats, and the peer's own heartbeats wait behind it. This node tells the peer that bytes
   * arrive, because it cannot answer otherwise.
   */
  receiving(): void {
    if (!this.facts.link) return;
    this.#heardAt = this.#now;
    if (this.#now - this.#statusSentAt < this.#options.heartbeatIntervalMs / STATUSES_PER_BEAT) {
      return;
    }
    this.#sendStatus();
  }

  #receive(message: PeerMessage): void {
    switch (message.kind) {
      case 'status':
        this.#statusReceived(message);
        return;
      case 'join':
        this.#peerJoins(message);
        return;
      case 'records':
      case 'taken':
      case 'update':
      case 'confirm':
      case 'probe':
      case 'probed':
        this.#replication.message(message);
        return;
      default:
      // Handshake messages are handled by the link.
    }
  }

  #statusReceived({ state, epoch, offers, holds }: MessageOf<'status'>): void {
    const { facts } = this;
    const before = facts.epoch;
    const isNews = facts.peer?.state !== state || facts.peer.epoch !== epoch;
    const isSplit = facts.state === 'active' && state === 'active' && isNews;
    this.#replication.peerHolds(holds);
    this.#fsm.peerReported({ state, epoch, offers });
    if (isSplit) this.#sink.split(before, epoch);
  }

  #join(): void {
    const { joined: epoch } = this.facts;
    this.#sink.send({ kind: 'join', epoch, holds: this.#replication.holds });
    this.#replication.start(epoch);
  }

  /** After a failure of a store, both nodes try again; the following node does so by its JOIN. */
  #joinAgain(): void {
    this.#isJoinDue = false;
    if (!this.facts.link) return;
    if (this.facts.state === 'passive') {
      this.#join();
      return;
    }
    // The peer's JOIN was not accepted: it is repeated on a new connection.
    this.#sink.closeLink();
    this.closed();
  }

  #forgetConnection(): void {
    this.#isJoinDue = false;
    this.#replication.connectionEnded();
  }

  #sendStatus(): void {
    const { state, epoch } = this.facts;
    const { keys, listenerKeys } = this.#sink;
    const { holds } = this.#replication;
    const { offers } = this.#fsm;
    this.#statusSentAt = this.#now;
    this.#sink.send({ kind: 'status', state, epoch, offers, holds, keys, listenerKeys });
  }

  // ---------------------------------------------------------------- the active: what the peer has

  #peerJoins({ epoch, holds }: MessageOf<'join'>): void {
    if (isLed(this.facts, epoch) && this.facts.state === 'active' && this.#now < this.#joinAfter) {
      this.#isJoinDue = true;
      return;
    }
    if (!this.#fsm.joinBegins(epoch)) return;
    this.#replication.peerJoined(holds);
  }

  // ---------------------------------------------------------------- replication

  #forReplication(): Pair {
    return {
      state: this.#fsm,
      send: (message) => this.#sink.send(message),
      stored: () => {
        this.#storeFailures = 0;
      },
      storeFailed: () => this.#tryLater(),
      reconnect: () => {
        this.#sink.closeLink();
        this.closed();
      },
      applyState: () => this.#applyState(),
    };
  }

  /** Data from the peer could not be stored, or what it lacks not be read. */
  #tryLater(): void {
    const beats = PATIENCE_BEATS * 2 ** this.#storeFailures++;
    const waitMs = Math.min(beats * this.#options.heartbeatIntervalMs, HOLD_OFF_MS_MAX);
    // The serving and the following node keep hearing each other: a full disk does not make a peer
    // dead.
    if (this.facts.state === 'joining') this.#pauseForPeer(waitMs);
    else this.#joinAfter = this.#now + waitMs;
    if (this.facts.link) this.#sink.closeLink();
    this.closed();
  }

  /**
   * No node serves yet. The peer may do so once it considers this node dead; then this node may
   * not.
   */
  #pauseForPeer(waitMs: number): void {
    const most = 2 * PATIENCE_BEATS * this.#options.heartbeatIntervalMs;
    const offMs = Math.min(waitMs, most);
    this.#sink.holdOff(offMs);
    // A peer that this node does not listen to is not dead because of that.
    this.#heardAt = this.#now + offMs;
  }

  // ---------------------------------------------------------------- what clients see

  /** A client sent a request while voting. Call it after `run`. */
  vote(): void {
    this.#fsm.vote();
    this.#applyState();
  }

  // ---------------------------------------------------------------- operators

  promote(): OrderRefusal | null {
    const refusal = this.#fsm.promote();
    this.#applyState();
    return refusal;
  }

  switchover(): OrderRefusal | null {
    const refusal = this.#fsm.switchover();
    if (refusal === null) this.#handoverSince = this.#now;
    this.#applyState();
    return refusal;
  }

  /** Goes on with a hand-over that stops, since everything that was decided here is committed. */
  allCommitted(): void {
    if (this.facts.handover !== 'stopping' || !this.#replication.isConfirmed) return;
    this.#handoverSince = this.#now;
    this.#fsm.quiet();
    this.#applyState();
  }

  persisted(): void {
    this.#fsm.persisted();
    this.#applyState();
  }

  // ---------------------------------------------------------------- effects of the states

  #fsmSink(): FsmSink {
    return {
      persist: (state) => this.#sink.persist(state),
      sendStatus: () => this.#sendStatus(),
      join: () => {
        if (this.#now < this.#joinAfter) this.#isJoinDue = true;
        else this.#join();
      },
      closeLink: () => {
        this.#sink.closeLink();
        this.#forgetConnection();
      },
      release: () => this.#replication.release(),
      drop: () => this.#replication.drop(),
      changed: (from, to, reason) => this.#sink.changed(from, to, reason),
    };
  }

  /** Applies the consequences of the state, in an order in which clients never see a wrong one. */
  #applyState(): void {
    const { state, doubt, progress } = this.facts;
    if (!doubt) this.#doubtSince = Infinity;
    else if (this.#doubtSince === Infinity) this.#doubtSince = this.#now;
    const { service } = this.#fsm;
    const isActive = state === 'active';
    if (service !== this.#service && service !== 'serving') this.#setService(service);
    if (isActive !== this.#isActivated) {
      this.#isActivated = isActive;
      if (isActive) this.#sink.activate();
      else this.#sink.deactivate();
    }
    if (service !== this.#service) this.#setService(service);
    if (isActive && progress === 'shipping' && !this.#replication.isSending) {
      this.#replication.start(this.facts.epoch);
    }
  }

  #setService(service: Service): void {
    this.#service = service;
    this.#sink.serve(service);
  }
}
