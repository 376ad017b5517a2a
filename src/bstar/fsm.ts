/**
 * Binary Star: which of two nodes serves (D13, D19, D21). No I/O and no clock: the shell passes in what
 * arrived, and when a time-out ended.
 *
 *                           peer active                      peer waiting, or offers a hand-over,
 *        ┌─────────┐  write its epoch, JOIN  ┌─────────┐   or passive and below: write a new epoch
 *   ───► │ waiting ├───────────────────────► │ passive ├───────────────────────────┐
 *        └┬───────┬┘                         └┬───────▲┘                           ▼
 *         │       │  primary, peer waiting:   │       │  peer dead           ┌─────────┐
 *         │       └──── write a new epoch ────┼───────┼─────────────────────►│ joining │
 *         │                                   │       └──────────────────────┤         │
 *         │  peer dead, then a client's vote  │       ▲                      └────┬────┘
 *         │  (or promote): write a new epoch  │       │ peer active with          │ peer's JOIN
 *         │                                   ▼       │ a higher epoch: JOIN      │ is merged
 *         │                              ┌────────┐   │ (from joining, too)       │
 *         └─────────────────────────────►│ active ├───┘                           │
 *                                        │        │◄──────────────────────────────┘
 *                                        └────────┘
 *
 * `RULES` is the table: each rule depends only on the facts, so it does not matter which event made it
 * true. Nothing is decided while an epoch is being written to disk.
 */
import { assert } from '../core/assert.js';
import { EPOCH_END, nextEpochOf } from './epochs.js';
import {
  type Facts,
  factsAtStart,
  type Goal,
  type PeerReport,
  type Persisted,
  type Role,
  type State,
} from './facts.js';

/**
 * Who is served. `holding` keeps requests until it is decided whether they are served or refused.
 * `voting` refuses, unless a client's request comes: it is enough for this node to serve.
 */
export type Service = 'serving' | 'voting' | 'holding' | 'refusing';

/** The effects of the machine, in order. Calls return nothing; their results arrive as inputs. */
export interface FsmSink {
  /** Write this to disk; `persisted` follows. */
  persist(state: Persisted): void;
  /** Tell the peer the current state, epoch and offer. */
  sendStatus(): void;
  /** Send JOIN, and the data that the peer lacks. */
  join(): void;
  /** End the connection; `closed` is not called. */
  closeLink(): void;
  /** Acknowledge what is held back, or with `strict` refuse it: there is no peer to wait for. */
  release(): void;
  /** Never acknowledge what is held back: this node no longer serves. */
  drop(): void;
  changed(from: State, to: State, reason: string): void;
}

type Action = (fsm: Fsm, facts: Facts) => void;

interface Rule {
  readonly name: string;
  readonly when: (facts: Facts, role: Role) => boolean;
  readonly then: Action;
}

function leads(peer: PeerReport | null): peer is PeerReport {
  return peer !== null && (peer.state === 'active' || peer.state === 'joining');
}

function isLeading({ state }: Facts): boolean {
  return state === 'active' || state === 'joining';
}

/** Whether this of two passive nodes leads: the one with the higher epoch; if they are equal, the primary. */
function isAbove({ epoch }: Facts, peer: PeerReport, role: Role): boolean {
  return epoch > peer.epoch || (epoch === peer.epoch && role === 'primary');
}

/** False if no epoch is left: then the node never leads again (D79). */
function hasEpochLeft({ seenEpoch }: Facts, role: Role): boolean {
  return nextEpochOf(seenEpoch, role) < EPOCH_END;
}

/** Whether a new epoch may lead to `joining`. Checked again once the epoch is on disk. */
function mayLead(facts: Facts, role: Role): boolean {
  const { state, peer, link } = facts;
  if (!link || peer === null || !hasEpochLeft(facts, role)) return false;
  if (state === 'waiting') return role === 'primary' && peer.state === 'waiting';
  if (state !== 'passive') return false;
  if (peer.state === 'waiting' || peer.offers) return true;
  return peer.state === 'passive' && isAbove(facts, peer, role);
}

/**
 * Whether a dead peer and a client's request are enough to serve. They are not for a waiting backup
 * that was not the last active node (D21).
 */
export function mayServeAlone(facts: Facts, role: Role): boolean {
  if (!facts.peerDead || !hasEpochLeft(facts, role)) return false;
  if (facts.state === 'passive') return true;
  return facts.state === 'waiting' && (role === 'primary' || facts.wasActive);
}

export const RULES: readonly Rule[] = [
  {
    // D13: the lower epoch steps down at once, before anything else.
    name: 'yield',
    when: (facts) => isLeading(facts) && leads(facts.peer) && facts.peer.epoch > facts.epoch,
    then: (fsm, { peer }) => {
      fsm.stepDown(`the peer is active with epoch ${peer?.epoch ?? 0}`);
      fsm.write('join', peer?.epoch ?? 0, false);
    },
  },
  {
    name: 'follow',
    when: ({ state, peer, joined }) =>
      (state === 'waiting' || state === 'passive') && leads(peer) && joined !== peer.epoch,
    then: (fsm, { peer }) => {
      fsm.enter('passive', `the peer is active with epoch ${peer?.epoch ?? 0}`);
      fsm.write('join', peer?.epoch ?? 0, false);
    },
  },
  {
    name: 'lead',
    when: mayLead,
    // It does not count as active until it has what the peer has (D21).
    then: (fsm, { wasActive }) => fsm.write('lead', fsm.nextEpoch(), wasActive),
  },
  {
    name: 'lose',
    when: ({ state, peerDead }) => state === 'joining' && peerDead,
    then: (fsm) => {
      fsm.enter('passive', 'the peer was lost before it joined');
      fsm.sink.sendStatus();
    },
  },
  {
    name: 'alone',
    when: ({ state, peerDead, progress, doubt }) =>
      state === 'active' && peerDead && (progress !== 'none' || doubt),
    then: (fsm) => fsm.alone(),
  },
];

const NO_EPOCH_LEFT =
  'no epoch is left: stop both nodes, remove bstar.epoch from both data directories, and first ' +
  'start the node that was last active';

/** Why an operator's command is refused. */
export type OrderRefusal = string;

export class Fsm {
  readonly role: Role;
  readonly sink: FsmSink;
  readonly #rules: readonly Rule[];
  #facts: Facts;

  constructor(role: Role, persisted: Persisted, sink: FsmSink, rules: readonly Rule[] = RULES) {
    this.role = role;
    this.sink = sink;
    this.#rules = rules;
    this.#facts = factsAtStart(persisted);
  }

  get facts(): Readonly<Facts> {
    return this.#facts;
  }

  /** For a search over all states: continues from these facts. */
  set facts(facts: Facts) {
    this.#facts = facts;
  }

  // ---------------------------------------------------------------- what follows from what is known

  get service(): Service {
    const { state, fenced, handover, writing } = this.#facts;
    if (writing?.goal === 'serve' || writing?.goal === 'promote') return 'holding';
    if (writing === null && mayServeAlone(this.#facts, this.role)) return 'voting';
    if (state !== 'active') return 'refusing';
    return fenced || handover !== 'none' ? 'holding' : 'serving';
  }

  /**
   * True if commits are not acknowledged until the peer has confirmed them or is known to be dead.
   */
  get holdsBack(): boolean {
    const { state, progress, doubt, fenced } = this.#facts;
    if (state !== 'active') return true;
    return fenced || doubt || progress === 'holding' || progress === 'in sync';
  }

  get isInSync(): boolean {
    const { state, progress } = this.#facts;
    return state === 'active' && progress === 'in sync';
  }

  /**
   * Whether this node follows that epoch, so that only the active node of that epoch can have
   * acknowledged anything.
   */
  follows(epoch: number): boolean {
    const { state, joined, writing } = this.#facts;
    return state === 'passive' && joined === epoch && writing === null;
  }

  get offers(): boolean {
    return this.#facts.handover === 'offered';
  }

  // ---------------------------------------------------------------- the link

  /** A connection was made, which is a sign of life. */
  connected(): void {
    const facts = this.#facts;
    facts.link = true;
    facts.peerDead = false;
    facts.promoted = false;
    this.#forgetPeer();
    this.sink.sendStatus();
    this.#run();
  }

  /** The connection ended, which does not prove that the peer is dead. */
  closed(): void {
    this.#facts.link = false;
    this.#forgetPeer();
    this.#run();
  }

  /** The peer reports its state. */
  peerReported(peer: PeerReport): void {
    const facts = this.#facts;
    facts.peer = peer;
    facts.peerDead = false;
    facts.seenEpoch = Math.max(facts.seenEpoch, peer.epoch);
    this.#endFence();
  }

  /**
   * A node that is refused as the peer, or refuses this one, is alive.
   * @param epoch the highest that it has taken or followed; 0: not known
   */
  refused(epoch: number): void {
    const facts = this.#facts;
    facts.peerDead = false;
    facts.seenEpoch = Math.max(facts.seenEpoch, epoch);
    if (facts.fenced && isLeading(facts) && epoch > facts.epoch && facts.writing === null) {
      this.stepDown(`the peer has taken epoch ${epoch} meanwhile`);
      this.write('join', epoch, false);
    }
    this.#endFence();
  }

  /** Nothing arrived for two heartbeats, although everything that could be read was read. */
  silent(): void {
    const facts = this.#facts;
    facts.peerDead = true;
    this.#cut();
    this.#endFence();
  }

  /** Handles a stall of this node for longer than a heartbeat (D19). */
  paused(): void {
    const facts = this.#facts;
    // The time-out for its peer starts again.
    facts.peerDead = false;
    facts.fenced = true;
    this.#cut();
    this.#run();
  }

  // ---------------------------------------------------------------- joining

  /**
   * The peer's JOIN to this epoch. Returns false if it is of no use because it names another epoch.
   */
  joinBegins(epoch: number): boolean {
    const facts = this.#facts;
    if (!isLeading(facts) || facts.epoch !== epoch) return false;
    if (facts.progress === 'holding' || facts.progress === 'in sync') facts.doubt = true;
    facts.progress = 'merging';
    return true;
  }

  /** Takes note that everything that the peer had is committed here. */
  merged(): void {
    const facts = this.#facts;
    if (facts.progress !== 'merging') return;
    if (facts.state !== 'joining') {
      facts.progress = 'shipping';
      return;
    }
    facts.progress = 'merged';
    // The peer joined again while this was being written.
    if (facts.writing === null) this.write('activate', facts.epoch, true);
  }

  /** The last of what the peer lacks has been sent. */
  shipped(): void {
    if (this.#facts.progress === 'shipping') this.#facts.progress = 'holding';
  }

  /**
   * More is waiting to be sent than is allowed: what the peer lacks is read again (not with
   * `sync`).
   */
  fellBehind(): void {
    const { progress } = this.#facts;
    if (progress === 'holding' || progress === 'in sync') this.#facts.progress = 'shipping';
  }

  /** The peer has confirmed everything. */
  confirmed(): void {
    const facts = this.#facts;
    if (facts.progress !== 'holding') return;
    facts.progress = 'in sync';
    facts.doubt = false;
    this.sink.sendStatus();
  }

  /** A confirmation has been missing for two heartbeats. */
  overdue(): void {
    const { state, doubt, progress } = this.#facts;
    if (state !== 'active') return;
    if (progress === 'holding' || progress === 'in sync') this.alone();
    else if (doubt) this.#release();
  }

  // ---------------------------------------------------------------- the disk

  /** The last write is on disk. */
  persisted(): void {
    const facts = this.#facts;
    const { writing } = facts;
    assert(writing !== null, 'an epoch was being written');
    facts.writing = null;
    facts.epoch = writing.epoch;
    facts.wasActive = writing.wasActive;
    facts.seenEpoch = Math.max(facts.seenEpoch, writing.epoch);
    this.#reach(writing.goal);
    this.#run();
  }

  #reach(goal: Goal): void {
    const facts = this.#facts;
    if (goal === 'join') {
      this.#joinPeer();
    } else if (goal === 'lead' && mayLead(facts, this.role)) {
      this.enter('joining', reasonToLead(facts));
      facts.joined = 0;
      this.sink.sendStatus();
    } else if (goal === 'activate' && facts.progress === 'merged') {
      facts.progress = 'shipping';
      this.enter('active', 'the peer has joined');
      this.sink.sendStatus();
    } else if (goal === 'serve' && mayServeAlone(facts, this.role)) {
      this.#serveAlone('the peer is dead, and a client sent a request');
    } else if (goal === 'promote' && facts.peerDead && !isLeading(facts)) {
      this.#serveAlone('promoted by the operator');
      facts.promoted = true;
    }
  }

  // ---------------------------------------------------------------- clients and operators

  /** A client sent a request while voting; without effect if that is over. */
  vote(): void {
    if (this.service === 'voting') this.write('serve', this.nextEpoch(), true);
  }

  /** An operator declares the peer lost. Returns why this is refused, or `null`. */
  promote(): OrderRefusal | null {
    const facts = this.#facts;
    if (isLeading(facts)) return `this node is already ${facts.state}`;
    if (!facts.peerDead) {
      return facts.link
        ? 'the peer is not known to be dead; use switchover on the active node'
        : 'there is no connection to the peer, which is not known to be dead: if it is refused (ha.refused), ' +
            'configure both nodes alike; or stop it, and try again in a moment';
    }
    if (facts.writing !== null) return 'this node is changing its state; try again';
    if (!hasEpochLeft(facts, this.role)) return NO_EPOCH_LEFT;
    this.write('promote', this.nextEpoch(), true);
    return null;
  }

  /**
   * An operator, or SIGTERM, asks for the peer to take over. Returns why this is refused, or
   * `null`.
   */
  switchover(): OrderRefusal | null {
    const facts = this.#facts;
    if (facts.state !== 'active') return `this node is ${facts.state}, not active`;
    if (!this.isInSync) return 'the peer is not in sync';
    if (facts.handover !== 'none') return 'a switchover is already in progress';
    facts.handover = 'stopping';
    return null;
  }

  /** Offers the hand-over, while stopping, once everything is committed and confirmed. */
  quiet(): void {
    if (this.#facts.handover !== 'stopping' || !this.isInSync) return;
    this.#facts.handover = 'offered';
    this.sink.sendStatus();
  }

  /** The peer did not take over within two heartbeats: this node continues to serve. */
  declined(): void {
    const facts = this.#facts;
    if (facts.handover === 'none') return;
    facts.handover = 'none';
    if (facts.link) this.sink.sendStatus();
    this.#run();
  }

  // ---------------------------------------------------------------- of the rules

  nextEpoch(): number {
    return nextEpochOf(this.#facts.seenEpoch, this.role);
  }

  enter(state: State, reason: string): void {
    const facts = this.#facts;
    const from = facts.state;
    if (from === state) return;
    facts.state = state;
    this.sink.changed(from, state, reason);
  }

  /** Writes changes to disk; what is already on disk takes effect at once. */
  write(goal: Goal, epoch: number, wasActive: boolean): void {
    const facts = this.#facts;
    // Following a lower epoch revokes nothing, because no epoch is ever used twice.
    const next = { epoch: Math.max(epoch, facts.epoch), wasActive };
    if (next.epoch === facts.epoch && wasActive === facts.wasActive) {
      this.#reach(goal);
      return;
    }
    facts.writing = { ...next, goal };
    this.sink.persist(next);
  }

  /** Ends first what clients see. */
  stepDown(reason: string): void {
    const facts = this.#facts;
    facts.progress = 'none';
    facts.doubt = false;
    facts.handover = 'none';
    facts.promoted = false;
    this.enter('passive', reason);
    this.sink.drop();
  }

  /** Continues without its peer, which has to join again. */
  alone(): void {
    this.#cut();
    this.#release();
  }

  #release(): void {
    this.#facts.doubt = false;
    this.sink.release();
  }

  #serveAlone(reason: string): void {
    this.enter('active', reason);
    this.#facts.progress = 'none';
    this.#facts.doubt = false;
  }

  /** Tells the active node that this node follows it. */
  #joinPeer(): void {
    const facts = this.#facts;
    if (!facts.link || !leads(facts.peer) || facts.state !== 'passive') return;
    facts.joined = facts.peer.epoch;
    this.sink.sendStatus();
    this.sink.join();
  }

  #cut(): void {
    if (!this.#facts.link) return;
    this.#facts.link = false;
    this.#forgetPeer();
    this.sink.closeLink();
  }

  #forgetPeer(): void {
    const facts = this.#facts;
    if (facts.progress === 'holding' || facts.progress === 'in sync') facts.doubt = true;
    facts.progress = 'none';
    facts.peer = null;
    facts.joined = 0;
    facts.handover = 'none';
  }

  /** The fate of the peer is known: what was held back only for that is released. */
  #endFence(): void {
    const facts = this.#facts;
    const wasFenced = facts.fenced;
    facts.fenced = false;
    this.#run();
    if (wasFenced && facts.state === 'active' && !facts.doubt) this.sink.release();
  }

  #run(): void {
    for (let steps = 0; this.#facts.writing === null; steps++) {
      const rule = this.#rules.find(({ when }) => when(this.#facts, this.role));
      if (rule === undefined) return;
      assert(steps < RULES.length * 2, `the rules of the pair come to an end (${rule.name})`);
      rule.then(this, this.#facts);
    }
  }
}

function reasonToLead({ peer }: Facts): string {
  if (peer?.offers === true) return 'the peer hands over';
  return peer?.state === 'waiting' ? 'the peer has just started' : 'neither node is active';
}
