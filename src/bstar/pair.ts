/**
 * One node of a pair: the state machine (`fsm.ts`), the frames of the connection, replication over
 * it, and timing (docs/protocol.md §6, D13 to D22). No I/O: every input carries monotonic
 * milliseconds, and effects go to a sink.
 */
import type { PeerHolding, PeerMessage } from '../wire/peer.js';
import { epochObjection } from './epochs.js';
import {
  type Facts,
  isFollowed,
  isLed,
  type Persisted,
  type Replication,
  type Role,
} from './facts.js';
import { Fsm, type FsmSink, type OrderRefusal, type Service } from './fsm.js';
import type { Objection, PairSink } from './ports.js';
import { Shipping } from './shipping.js';

export interface PairOptions {
  readonly role: Role;
  readonly replication: Replication;
  readonly heartbeatIntervalMs: number;
  /** Only a node with the peer's key can be the peer. */
  readonly isSealed: boolean;
}

/**
 * After this many heartbeats without a sign, a peer is dead, a confirmation late, an offer refused.
 */
const PATIENCE_BEATS = 2;
/**
 * The longest interval between two looks at the clock, by which this node detects a stall (D19).
 */
const LOOKS_PER_BEAT = 4;
/** While a long message arrives, this node tells the peer more often that it is alive. */
const WORDS_PER_BEAT = 8;
/** Pause after the store could not take data from the peer; it grows each time. */
const HOLD_OFF_MS_MAX = 60_000;
/** How long a hand-over waits for changes in progress to be stored. */
const STOPPING_MS_MAX = 10_000;

type MessageOf<Kind extends PeerMessage['kind']> = Extract<PeerMessage, { readonly kind: Kind }>;

type Incoming = MessageOf<'records'> | MessageOf<'update'>;

export class PairMachine {
  readonly #options: PairOptions;
  readonly #sink: PairSink;
  readonly #fsm: Fsm;
  readonly #shipping: Shipping;
  /** Data from the peer for the store: one item at a time, in order. */
  #incoming: Incoming[] = [];
  /** The item that the store has; `null` if its connection has ended meanwhile. */
  #storing: Incoming | null = null;
  #isStoring = false;
  #lastProbe = 0;
  #service: Service = 'refusing';
  #isActivated = false;
  #now: number;
  /** When this node last looked at the clock. */
  #seenAt: number;
  #heardAt: number;
  #toldAt = -Infinity;
  #beatAt: number;
  #doubtSince = Infinity;
  #handoverSince = Infinity;
  #storeFailures = 0;
  /** After a failure of the store, no join before this time; one that became due then follows. */
  #joinAfter = -Infinity;
  #isJoinDue = false;

  constructor(options: PairOptions, persisted: Persisted, sink: PairSink, now: number) {
    this.#options = options;
    this.#sink = sink;
    this.#fsm = new Fsm(options.role, persisted, this.#fsmSink());
    this.#shipping = new Shipping(options.replication, this.#fsm, sink);
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
    return this.#shipping.isConfirmed ? 0 : Math.max(0, now - this.#shipping.oldest);
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
    if (stoodMs <= this.#options.heartbeatIntervalMs) return 0;
    this.#heardAt = now;
    this.#fsm.paused();
    this.#settle();
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
    if (this.#declinedAt(patienceMs) <= now) this.#fsm.declined();
    if (this.#isJoinDue && this.#joinAfter <= now) this.#joinAgain();
    this.#shipping.run(now);
    if (this.#beatAt <= now) {
      this.#beatAt = now + this.#options.heartbeatIntervalMs;
      if (this.facts.link) this.#tell();
    }
    this.#settle();
  }

  /** When `run` is next due if no input arrives. */
  get dueAt(): number {
    const { heartbeatIntervalMs } = this.#options;
    const patienceMs = PATIENCE_BEATS * heartbeatIntervalMs;
    return Math.min(
      this.#seenAt + heartbeatIntervalMs / LOOKS_PER_BEAT,
      this.facts.peerDead ? Infinity : this.#heardAt + patienceMs,
      this.#overdueAt(patienceMs),
      this.#declinedAt(patienceMs),
      this.#isJoinDue ? this.#joinAfter : Infinity,
      this.#shipping.dueAt,
      this.#beatAt,
    );
  }

  #overdueAt(patienceMs: number): number {
    const { progress, doubt } = this.facts;
    if (progress === 'holding' || progress === 'in sync') {
      return this.#shipping.oldest + patienceMs;
    }
    return doubt ? this.#doubtSince + patienceMs : Infinity;
  }

  #declinedAt(patienceMs: number): number {
    const { handover } = this.facts;
    if (handover === 'none') return Infinity;
    return this.#handoverSince + (handover === 'offered' ? patienceMs : STOPPING_MS_MAX);
  }

  // ---------------------------------------------------------------- the link

  connected(): void {
    this.#heardAt = this.#now;
    this.#forgetConnection();
    this.#fsm.connected();
    this.#settle();
  }

  closed(): void {
    this.#forgetConnection();
    this.#fsm.closed();
    this.#settle();
  }

  /** Why the peer's message cannot be true: the link is then ended, and nothing changes (D79). */
  objectionTo(message: PeerMessage): Objection | null {
    if (!('epoch' in message) || message.epoch === null) return null;
    return epochObjection(message.epoch, this.facts.seenEpoch, this.#options.isSealed);
  }

  message(message: PeerMessage): void {
    // From a connection that this node has just closed: it does not show the peer's current state
    // (D19).
    if (!this.facts.link || this.objectionTo(message) !== null) return;
    this.#heardAt = this.#now;
    this.#receive(message);
    this.#settle();
  }

  /**
   * Part of a message arrived whose end is still missing. Over a slow link it may take many
   * heartbeats, and the peer's own heartbeats wait behind it. This node tells the peer that bytes
   * arrive, because it cannot answer otherwise.
   */
  receiving(): void {
    if (!this.facts.link) return;
    this.#heardAt = this.#now;
    if (this.#now - this.#toldAt < this.#options.heartbeatIntervalMs / WORDS_PER_BEAT) return;
    this.#tell();
  }

  #receive(message: PeerMessage): void {
    switch (message.kind) {
      case 'status':
        this.#said(message);
        return;
      case 'join':
        this.#peerJoins(message);
        return;
      case 'records':
        this.#recordsCame(message);
        return;
      case 'taken':
        this.#shipping.taken(message, this.#now);
        return;
      case 'update':
        this.#updateCame(message);
        return;
      case 'confirm':
        this.#shipping.confirmed(message);
        return;
      case 'probe':
        if (this.#fsm.follows(message.epoch)) this.#sink.send({ ...message, kind: 'probed' });
        return;
      case 'probed':
        if (isLed(this.facts, message.epoch) && this.#fsm.isInSync) {
          this.#sink.probed(message.number);
        }
        return;
      default:
      // Handshake messages are handled by the link.
    }
  }

  #said({ state, epoch, offers, holds }: MessageOf<'status'>): void {
    const { facts } = this;
    const before = facts.epoch;
    const isNews = facts.peer?.state !== state || facts.peer.epoch !== epoch;
    const isSplit = facts.state === 'active' && state === 'active' && isNews;
    this.#shipping.peerHolds = holds;
    this.#fsm.said({ state, epoch, offers });
    if (isSplit) this.#sink.split(before, epoch);
  }

  #join(): void {
    const { joined: epoch } = this.facts;
    this.#sink.send({ kind: 'join', epoch, holds: this.#sink.holds });
    this.#shipping.start(epoch);
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
    this.#incoming = [];
    this.#storing = null;
    this.#shipping.forgetConnection(this.#now);
    this.#sink.unprobed();
  }

  #tell(): void {
    const { state, epoch } = this.facts;
    const { holds, keys } = this.#sink;
    this.#toldAt = this.#now;
    this.#sink.send({ kind: 'status', state, epoch, offers: this.#fsm.offers, holds, keys });
  }

  // ---------------------------------------------------------------- the active: what the peer has

  #peerJoins({ epoch, holds }: MessageOf<'join'>): void {
    if (isLed(this.facts, epoch) && this.facts.state === 'active' && this.#now < this.#joinAfter) {
      this.#isJoinDue = true;
      return;
    }
    if (!this.#fsm.joinBegins(epoch)) return;
    this.#shipping.joins(holds);
    if (this.#shipping.isOff) this.#fsm.merged();
  }

  #recordsCame(message: MessageOf<'records'>): void {
    const isWanted = isLed(this.facts, message.epoch)
      ? this.facts.progress === 'merging'
      : isFollowed(this.facts, message.epoch);
    if (isWanted) this.#store(message);
  }

  #updateCame(message: MessageOf<'update'>): void {
    if (isFollowed(this.facts, message.epoch)) this.#store(message);
  }

  #store(message: Incoming): void {
    this.#incoming.push(message);
    this.#storeNext();
  }

  #storeNext(): void {
    if (this.#isStoring) return;
    const next = this.#incoming.shift();
    if (next === undefined) return;
    this.#isStoring = true;
    this.#storing = next;
    if (next.kind === 'records') {
      this.#sink.merge(next.records, next.holds, !isLed(this.facts, next.epoch));
      return;
    }
    if (next.holdsUpTo > 0) this.#sink.peerHolds(next.holdsUpTo);
    this.#sink.apply(next.batch, next.number);
  }

  /**
   * Data from the peer is on disk, as this node's transaction `number`.
   * @param joined number of requests that it changed
   * @param ranTwice how many of these have two different replies
   */
  stored(number: number, joined: number, ranTwice: number): void {
    const done = this.#storing;
    this.#storing = null;
    this.#isStoring = false;
    this.#storeFailures = 0;
    if (done?.kind === 'records') this.#recordsMerged(done, number, joined, ranTwice);
    else if (done !== null) {
      this.#sink.send({ kind: 'confirm', epoch: done.epoch, number: done.number, became: number });
    }
    this.#storeNext();
    this.#settle();
  }

  #recordsMerged(
    { epoch, index, isLast }: MessageOf<'records'>,
    number: number,
    joined: number,
    ranTwice: number,
  ): void {
    this.#sink.send({ kind: 'taken', epoch, index, number, joined, ranTwice });
    if (!isLed(this.facts, epoch)) return;
    this.#shipping.came(joined, ranTwice);
    if (isLast) this.#fsm.merged();
  }

  /** Data from the peer could not be stored: it has to be sent again later. */
  storeFailed(): void {
    this.#isStoring = false;
    this.#tryLater();
  }

  /**
   * What the peer lacks could not be read. Data from the peer may still be on its way to the disk.
   */
  readFailed(): void {
    this.#tryLater();
  }

  #tryLater(): void {
    const beats = PATIENCE_BEATS * 2 ** this.#storeFailures++;
    const waitMs = Math.min(beats * this.#options.heartbeatIntervalMs, HOLD_OFF_MS_MAX);
    // The serving and the following node keep hearing each other: a full disk does not make a peer
    // dead.
    if (this.facts.state === 'joining') this.#letPeerLead(waitMs);
    else this.#joinAfter = this.#now + waitMs;
    if (this.facts.link) this.#sink.closeLink();
    this.closed();
  }

  /**
   * No node serves yet. The peer may do so once it considers this node dead; then this node may
   * not.
   */
  #letPeerLead(waitMs: number): void {
    const most = 2 * PATIENCE_BEATS * this.#options.heartbeatIntervalMs;
    const offMs = Math.min(waitMs, most);
    this.#sink.holdOff(offMs);
    // A peer that this node does not listen to is not dead because of that.
    this.#heardAt = this.#now + offMs;
  }

  // ---------------------------------------------------------------- what the other one lacks

  /** What was to be read has been read. */
  chunk(records: Buffer, holds: PeerHolding, isLast: boolean): void {
    this.#shipping.chunk(records, holds, isLast, this.#now);
    this.#settle();
  }

  /**
   * The store is given a batch of this node's own changes.
   * @param pack returns its bytes; called only if they are to be sent
   * @returns true if its outcome waits for `confirmed` or `unconfirmed`
   */
  begin(number: number, pack: () => Buffer): boolean {
    return this.#shipping.begin(number, pack, this.#now);
  }

  /**
   * The store could not keep a batch of this node's own. If it was sent to the peer, the peer joins
   * again.
   */
  rolledBack(number: number): void {
    this.#shipping.rolledBack(number);
    if (!this.#shipping.isLive) return;
    this.#sink.closeLink();
    this.closed();
  }

  // ---------------------------------------------------------------- what clients see

  /**
   * A client requested a service while this node does not serve.
   * @returns true if the request is to be held, because the decision is near
   */
  vote(): boolean {
    const isHeld = this.#fsm.vote();
    this.#settle();
    return isHeld || this.#service === 'holding';
  }

  /**
   * Whether an unknown uuid is certainly unknown: at once (0), once this probe is answered, or not
   * (`null`).
   */
  probe(): number | null {
    const { state, promoted, epoch } = this.facts;
    if (state !== 'active') return null;
    if (promoted || this.#shipping.isOff) return 0;
    if (!this.#fsm.isInSync) return null;
    this.#sink.send({ kind: 'probe', epoch, number: ++this.#lastProbe });
    return this.#lastProbe;
  }

  // ---------------------------------------------------------------- operators

  promote(): OrderRefusal | null {
    const refusal = this.#fsm.promote();
    this.#settle();
    return refusal;
  }

  switchover(): OrderRefusal | null {
    const refusal = this.#fsm.switchover();
    if (refusal === null) this.#handoverSince = this.#now;
    this.#settle();
    return refusal;
  }

  /** While a hand-over stops: everything that was decided here is committed. */
  settled(): void {
    if (this.facts.handover !== 'stopping' || !this.#shipping.isConfirmed) return;
    this.#handoverSince = this.#now;
    this.#fsm.quiet();
    this.#settle();
  }

  persisted(): void {
    this.#fsm.persisted();
    this.#settle();
  }

  // ---------------------------------------------------------------- effects of the states

  #fsmSink(): FsmSink {
    return {
      persist: (state) => {
        this.#sink.persist(state);
      },
      tell: () => {
        this.#tell();
      },
      join: () => {
        if (this.#now < this.#joinAfter) this.#isJoinDue = true;
        else this.#join();
      },
      closeLink: () => {
        this.#sink.closeLink();
        this.#forgetConnection();
      },
      release: () => {
        this.#shipping.release();
      },
      drop: () => {
        this.#shipping.drop();
        this.#incoming = [];
        this.#storing = null;
        this.#sink.unprobed();
      },
      changed: (from, to, reason) => {
        this.#sink.changed(from, to, reason);
      },
    };
  }

  /** Applies the consequences of the state, in an order in which clients never see a wrong one. */
  #settle(): void {
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
    if (isActive && progress === 'shipping' && this.#shipping.isIdle) {
      this.#shipping.start(this.facts.epoch);
    }
  }

  #setService(service: Service): void {
    this.#service = service;
    this.#sink.serve(service);
  }
}
