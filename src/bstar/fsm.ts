/**
 * Binary Star: which of two nodes serves (docs/protocol.md §6; D13, D19, D21). No I/O and no clock:
 * the shell says what came, and when a time ran out.
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
 * `RULES` is the table: each rule looks at what is known, so it does not matter which event made it
 * true. Nothing is decided while an epoch is on its way to the disk.
 */
import { assert } from '../core/assert.js';
import { EPOCH_END, nextEpochOf } from './epochs.js';
import {
  type Facts,
  factsAtStart,
  type Goal,
  type PeerSaid,
  type Persisted,
  type Role,
  type State,
} from './facts.js';

/** Who is served: `holding` keeps requests until it is known whether they are served or refused. */
export type Service = 'serving' | 'holding' | 'refusing';

/** What the machine wants done, in this order. Calls return nothing and come back as inputs. */
export interface FsmSink {
  /** Write this to disk; `persisted` follows. */
  persist(state: Persisted): void;
  /** Tell the peer state, epoch and offer as they are now. */
  tell(): void;
  /** Send JOIN and what this node has that the peer lacks. */
  join(): void;
  /** End the connection; `closed` does not follow. */
  closeLink(): void;
  /** There is no peer to wait for: what is held back is acknowledged, or in `strict` refused. */
  release(): void;
  /** This node serves no more: what is held back is never acknowledged. */
  drop(): void;
  changed(from: State, to: State, reason: string): void;
}

type Action = (fsm: Fsm, facts: Facts) => void;

interface Rule {
  readonly name: string;
  readonly when: (facts: Facts, role: Role) => boolean;
  readonly then: Action;
}

function leads(peer: PeerSaid | null): peer is PeerSaid {
  return peer !== null && (peer.state === 'active' || peer.state === 'joining');
}

function isLeading({ state }: Facts): boolean {
  return state === 'active' || state === 'joining';
}

/** Of two passive ones the higher epoch leads, at a tie the primary. */
function isAbove({ epoch }: Facts, peer: PeerSaid, role: Role): boolean {
  return epoch > peer.epoch || (epoch === peer.epoch && role === 'primary');
}

/** A node that has none left never leads again (D79). */
function hasEpochLeft({ seenEpoch }: Facts, role: Role): boolean {
  return nextEpochOf(seenEpoch, role) < EPOCH_END;
}

/** Whether a new epoch may lead to `joining`: asked again once it is on disk. */
function mayLead(facts: Facts, role: Role): boolean {
  const { state, peer, link } = facts;
  if (!link || peer === null || !hasEpochLeft(facts, role)) return false;
  if (state === 'waiting') return role === 'primary' && peer.state === 'waiting';
  if (state !== 'passive') return false;
  if (peer.state === 'waiting' || peer.offers) return true;
  return peer.state === 'passive' && isAbove(facts, peer, role);
}

/** Whether a dead peer and a client are enough. A backup that was not the last active is not (D21). */
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
    // It was not active before it has what the peer has (D21).
    then: (fsm, { wasActive }) => {
      fsm.write('lead', fsm.nextEpoch(), wasActive);
    },
  },
  {
    name: 'lose',
    when: ({ state, peerDead }) => state === 'joining' && peerDead,
    then: (fsm) => {
      fsm.enter('passive', 'the peer was lost before it joined');
      fsm.sink.tell();
    },
  },
  {
    name: 'alone',
    when: ({ state, peerDead, progress, doubt }) =>
      state === 'active' && peerDead && (progress !== 'none' || doubt),
    then: (fsm) => {
      fsm.alone();
    },
  },
];

const NO_EPOCH_LEFT =
  'no epoch is left: stop both nodes, remove bstar.epoch from both data directories, and first ' +
  'start the node that was last active';

/** Why an operator's wish is not met. */
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

  /** For a search over all states: goes on from there. */
  set facts(facts: Facts) {
    this.#facts = facts;
  }

  // ---------------------------------------------------------------- what follows from what is known

  get service(): Service {
    const { state, fenced, handover, writing } = this.#facts;
    if (writing?.goal === 'serve' || writing?.goal === 'promote') return 'holding';
    if (state !== 'active') return 'refusing';
    return fenced || handover !== 'none' ? 'holding' : 'serving';
  }

  /** What is committed here is not acknowledged before the peer confirmed it, or is known dead. */
  get holdsBack(): boolean {
    const { state, progress, doubt, fenced } = this.#facts;
    if (state !== 'active') return true;
    return fenced || doubt || progress === 'holding' || progress === 'in sync';
  }

  get isInSync(): boolean {
    const { state, progress } = this.#facts;
    return state === 'active' && progress === 'in sync';
  }

  /** This node follows that epoch, so nobody but its active can have acknowledged anything. */
  follows(epoch: number): boolean {
    const { state, joined, writing } = this.#facts;
    return state === 'passive' && joined === epoch && writing === null;
  }

  get offers(): boolean {
    return this.#facts.handover === 'offered';
  }

  // ---------------------------------------------------------------- the link

  /** A connection stands: a sign of life. */
  connected(): void {
    const facts = this.#facts;
    facts.link = true;
    facts.peerDead = false;
    facts.promoted = false;
    this.#forgetPeer();
    this.sink.tell();
    this.#run();
  }

  /** The connection is gone. The peer is not dead for that. */
  closed(): void {
    this.#facts.link = false;
    this.#forgetPeer();
    this.#run();
  }

  /** The peer says what it is. */
  said(peer: PeerSaid): void {
    const facts = this.#facts;
    facts.peer = peer;
    facts.peerDead = false;
    facts.seenEpoch = Math.max(facts.seenEpoch, peer.epoch);
    this.#unhush();
  }

  /** Nothing came for two heartbeats, though everything that could be read was. */
  silent(): void {
    const facts = this.#facts;
    facts.peerDead = true;
    this.#cut();
    this.#unhush();
  }

  /** This node stood still for longer than a heartbeat (D19). */
  paused(): void {
    const facts = this.#facts;
    // Its time-out begins anew.
    facts.peerDead = false;
    facts.fenced = true;
    this.#cut();
    this.#run();
  }

  // ---------------------------------------------------------------- joining

  /** The peer's JOIN to this epoch. Returns false if it is of no use: it joined another. */
  joinBegins(epoch: number): boolean {
    const facts = this.#facts;
    if (!isLeading(facts) || facts.epoch !== epoch) return false;
    if (facts.progress === 'holding' || facts.progress === 'in sync') facts.doubt = true;
    facts.progress = 'merging';
    return true;
  }

  /** All that the peer had is committed here. */
  merged(): void {
    const facts = this.#facts;
    if (facts.progress !== 'merging') return;
    if (facts.state !== 'joining') {
      facts.progress = 'shipping';
      return;
    }
    facts.progress = 'merged';
    // The peer came anew while this was being written already.
    if (facts.writing === null) this.write('activate', facts.epoch, true);
  }

  /** The last of what the peer lacks is sent. */
  shipped(): void {
    if (this.#facts.progress === 'shipping') this.#facts.progress = 'holding';
  }

  /** More is to be sent than can wait: what the peer lacks is read again (not in `sync`). */
  fellBehind(): void {
    const { progress } = this.#facts;
    if (progress === 'holding' || progress === 'in sync') this.#facts.progress = 'shipping';
  }

  /** The peer confirmed everything. */
  confirmed(): void {
    const facts = this.#facts;
    if (facts.progress !== 'holding') return;
    facts.progress = 'in sync';
    facts.doubt = false;
    this.sink.tell();
  }

  /** A confirmation is out for two heartbeats. */
  overdue(): void {
    const { state, doubt, progress } = this.#facts;
    if (state !== 'active') return;
    if (progress === 'holding' || progress === 'in sync') this.alone();
    else if (doubt) this.#release();
  }

  // ---------------------------------------------------------------- the disk

  /** What was to be written is on disk. */
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
      this.sink.tell();
    } else if (goal === 'activate' && facts.progress === 'merged') {
      facts.progress = 'shipping';
      this.enter('active', 'the peer has joined');
      this.sink.tell();
    } else if (goal === 'serve' && mayServeAlone(facts, this.role)) {
      this.#serveAlone('the peer is dead, and a client sent a request');
    } else if (goal === 'promote' && facts.peerDead && !isLeading(facts)) {
      this.#serveAlone('promoted by the operator');
      facts.promoted = true;
    }
  }

  // ---------------------------------------------------------------- clients and operators

  /**
   * A client asks for a service that is not served here.
   * @returns true if this node is about to serve: the request is to be held
   */
  vote(): boolean {
    const facts = this.#facts;
    if (facts.writing !== null) return this.service === 'holding';
    if (!mayServeAlone(facts, this.role)) return false;
    this.write('serve', this.nextEpoch(), true);
    return true;
  }

  /** An operator says that the peer is lost. Returns why not, or `null`. */
  promote(): OrderRefusal | null {
    const facts = this.#facts;
    if (isLeading(facts)) return `this node is already ${facts.state}`;
    if (!facts.peerDead) {
      return 'the peer is not known to be dead; use switchover on the active node';
    }
    if (facts.writing !== null) return 'this node is changing its state; try again';
    if (!hasEpochLeft(facts, this.role)) return NO_EPOCH_LEFT;
    this.write('promote', this.nextEpoch(), true);
    return null;
  }

  /** An operator, or SIGTERM, wants the peer to take over. Returns why not, or `null`. */
  switchover(): OrderRefusal | null {
    const facts = this.#facts;
    if (facts.state !== 'active') return `this node is ${facts.state}, not active`;
    if (!this.isInSync) return 'the peer is not in sync';
    if (facts.handover !== 'none') return 'a switchover is already in progress';
    facts.handover = 'stopping';
    return null;
  }

  /** While stopping: everything is committed and confirmed. */
  quiet(): void {
    if (this.#facts.handover !== 'stopping' || !this.isInSync) return;
    this.#facts.handover = 'offered';
    this.sink.tell();
  }

  /** Nobody took over within two heartbeats: this node carries on. */
  declined(): void {
    const facts = this.#facts;
    if (facts.handover === 'none') return;
    facts.handover = 'none';
    if (facts.link) this.sink.tell();
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

  /** Writes what changes; what is on disk already is reached at once. */
  write(goal: Goal, epoch: number, wasActive: boolean): void {
    const facts = this.#facts;
    // Following a lower one takes nothing back: no epoch is ever used twice.
    const next = { epoch: Math.max(epoch, facts.epoch), wasActive };
    if (next.epoch === facts.epoch && wasActive === facts.wasActive) {
      this.#reach(goal);
      return;
    }
    facts.writing = { ...next, goal };
    this.sink.persist(next);
  }

  /** What clients see ends first. */
  stepDown(reason: string): void {
    const facts = this.#facts;
    facts.progress = 'none';
    facts.doubt = false;
    facts.handover = 'none';
    facts.promoted = false;
    this.enter('passive', reason);
    this.sink.drop();
  }

  /** Goes on without its peer, which has to join anew. */
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

  /** Tells the active that this node follows it. */
  #joinPeer(): void {
    const facts = this.#facts;
    if (!facts.link || !leads(facts.peer) || facts.state !== 'passive') return;
    facts.joined = facts.peer.epoch;
    this.sink.tell();
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

  /** It is known what became of the peer: what was held back for that alone is not any more. */
  #unhush(): void {
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
