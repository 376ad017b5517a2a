/**
 * Two nodes of a pair, their link and their stores, as far as the search over all states needs them:
 * the machine is `src/bstar/fsm.ts` itself, everything around it is the smallest that can go wrong.
 *
 * A store holds, for each of a few requests, how far it is: the ladder of D17. A commit takes time;
 * one change is under way at a time. The link is two queues of frames; a stalled direction delivers
 * nothing until it is healed, and what its receiver has closed is never read.
 */
import type { Facts, PeerReport, Persisted } from '../../src/bstar/facts.js';
import type { Fsm, FsmSink } from '../../src/bstar/fsm.js';

/** Steps of a request. */
export const ABSENT = 0;
export const PENDING = 1;
export const REPLIED = 2;
export const CLOSED = 3;

export type Standing = 'up' | 'down' | 'stopped';
export const STANDINGS: readonly Standing[] = ['up', 'down', 'stopped'];

/** A frame of the link. */
export type Frame =
  | { readonly kind: 'status'; readonly said: PeerReport }
  | { readonly kind: 'join'; readonly epoch: number; readonly steps: readonly number[] }
  | { readonly kind: 'snapshot'; readonly steps: readonly number[] }
  | { readonly kind: 'update'; readonly request: number; readonly step: number }
  | { readonly kind: 'confirm snapshot' }
  | { readonly kind: 'confirm update' }
  /** Is there nobody but me? Answered by a passive one that follows this epoch. */
  | { readonly kind: 'probe'; readonly epoch: number }
  | { readonly kind: 'probed' };

/** A change under way: acknowledged once it is committed here and, if it has to be, there. */
export interface Flight {
  readonly request: number;
  readonly step: number;
  isCommitted: boolean;
  /** It is acknowledged only once the peer has confirmed it. */
  awaits: boolean;
  /** It was sent on this connection by itself (not within a snapshot). */
  isSent: boolean;
  isConfirmed: boolean;
}

export interface NodeState {
  standing: Standing;
  /** What it would start with. */
  disk: Persisted;
  facts: Facts;
  steps: number[];
  flight: Flight | null;
  /** What came with the peer's JOIN and is being committed. */
  merging: readonly number[] | null;
  /** A client asks for a request that was acknowledged and that this node does not know. */
  isProbing: boolean;
}

/** What clients were told of a request, at the best. */
export interface Shown {
  isSubmitted: boolean;
  isCloseSent: boolean;
  /** The highest step that was shown or acknowledged by anyone. */
  any: number;
  /** The highest one that both stores had by then. */
  safe: number;
}

/** How many of each may still happen, or happened. */
export interface Budget {
  crashes: number;
  cuts: number;
  stalls: number;
  pauses: number;
  slow: number;
  switchovers: number;
  promotes: number;
}

export interface WorldState {
  /** The primary, the backup. */
  nodes: [NodeState, NodeState];
  /** Frames on their way to the primary, to the backup. */
  queues: [Frame[], Frame[]];
  /** Nothing comes through to the primary, to the backup. */
  stalled: [boolean, boolean];
  shown: Shown[];
  /** The last epoch that each has acted on. */
  acted: [number, number];
  left: Budget;
  /** A crash, or what follows: D21 lets what one node showed alone be unseen at the other. */
  isHurt: boolean;
  /** A cut, a stall, a pause: for a while both may serve. */
  isTorn: boolean;
}

class Violation extends Error {}

export type Side = 0 | 1;

export function other(side: Side): Side {
  return side === 0 ? 1 : 0;
}

/** Frames that wait in one direction at most; more is a world that never reads. */
const QUEUE_FRAMES_MAX = 6;

/** The world with its two machines put into a state, on which actions work. */
export class World {
  state!: WorldState;
  readonly fsms: readonly [Fsm, Fsm];

  /** Says 400 without asking its peer: only to show that it must. */
  readonly #isTrusting: boolean;

  constructor(makeFsm: (side: Side, sink: FsmSink) => Fsm, isTrusting = false) {
    this.#isTrusting = isTrusting;
    this.fsms = [makeFsm(0, this.#sink(0)), makeFsm(1, this.#sink(1))];
  }

  load(state: WorldState): void {
    this.state = state;
    this.fsms[0].facts = state.nodes[0].facts;
    this.fsms[1].facts = state.nodes[1].facts;
  }

  // ---------------------------------------------------------------- effects

  #sink(side: Side): FsmSink {
    return {
      // On disk only once the action `persisted` comes; a crash decides for itself.
      persist: () => undefined,
      sendStatus: () => {
        const { facts } = this.state.nodes[side];
        const { offers } = this.fsms[side];
        this.#send(side, {
          kind: 'status',
          said: { state: facts.state, epoch: facts.epoch, offers },
        });
      },
      join: () => {
        const node = this.state.nodes[side];
        this.#send(side, { kind: 'join', epoch: node.facts.joined, steps: [...node.steps] });
      },
      closeLink: () => {
        this.state.queues[side] = [];
        this.#linkLost(side);
      },
      release: () => {
        const { flight } = this.state.nodes[side];
        if (flight === null) return;
        flight.awaits = false;
        this.#acknowledge(side);
      },
      drop: () => {
        const node = this.state.nodes[side];
        // The disk gets it all the same, before anything that is read from it afterwards.
        if (node.flight !== null) climb(node.steps, node.flight.request, node.flight.step);
        node.flight = null;
      },
      changed: (from, to) => {
        const { facts } = this.state.nodes[side];
        if (to !== 'joining' && (to !== 'active' || from === 'joining')) return;
        if (facts.epoch <= this.state.acted[side] || facts.epoch % 2 !== side) {
          throw new Violation(`epoch ${facts.epoch} is taken twice`);
        }
        this.state.acted[side] = facts.epoch;
      },
    };
  }

  #send(side: Side, frame: Frame): void {
    const to = other(side);
    if (!this.state.nodes[to].facts.link || this.state.nodes[to].standing === 'down') return;
    const queue = this.state.queues[to];
    if (queue.length >= QUEUE_FRAMES_MAX) throw new Violation('the link overflows');
    queue.push(frame);
  }

  #linkLost(side: Side): void {
    const { flight } = this.state.nodes[side];
    if (flight !== null) flight.isSent = false;
    this.state.nodes[side].merging = null;
    this.state.nodes[side].isProbing = false;
  }

  // ---------------------------------------------------------------- the link

  connect(): void {
    for (const side of [0, 1] as const) {
      if (this.state.nodes[side].facts.link) this.closed(side);
    }
    this.state.queues = [[], []];
    // Both ends are open before the first word.
    for (const side of [0, 1] as const) this.state.nodes[side].facts.link = true;
    for (const side of [0, 1] as const) this.fsms[side].connected();
  }

  closed(side: Side): void {
    this.state.queues[side] = [];
    this.#linkLost(side);
    this.fsms[side].closed();
  }

  deliver(side: Side): void {
    const frame = this.state.queues[side].shift();
    if (frame === undefined) return;
    const node = this.state.nodes[side];
    const fsm = this.fsms[side];
    switch (frame.kind) {
      case 'status':
        fsm.peerReported(frame.said);
        return;
      case 'join':
        if (fsm.joinBegins(frame.epoch)) node.merging = frame.steps;
        return;
      case 'snapshot':
        if (node.facts.state !== 'passive') return;
        for (const [request, step] of frame.steps.entries()) climb(node.steps, request, step);
        this.#send(side, { kind: 'confirm snapshot' });
        return;
      case 'update':
        if (node.facts.state !== 'passive') return;
        climb(node.steps, frame.request, frame.step);
        this.#send(side, { kind: 'confirm update' });
        return;
      case 'confirm snapshot':
        fsm.confirmed();
        if (node.flight?.isCommitted === true && !node.flight.isSent) {
          node.flight.isConfirmed = true;
        }
        this.#bothHave(side);
        this.#acknowledge(side);
        return;
      case 'confirm update':
        if (node.flight !== null) node.flight.isConfirmed = true;
        this.#acknowledge(side);
        return;
      case 'probe':
        if (fsm.follows(frame.epoch)) this.#send(side, { kind: 'probed' });
        return;
      case 'probed':
        if (node.isProbing && fsm.isInSync) {
          throw new Violation('a request was acknowledged, and is answered 400');
        }
        node.isProbing = false;
    }
  }

  /** A client asks for what this node does not know, though it was acknowledged. */
  probe(side: Side): void {
    if (this.#isTrusting) throw new Violation('a request was acknowledged, and is answered 400');
    this.state.nodes[side].isProbing = true;
    this.#send(side, { kind: 'probe', epoch: this.state.nodes[side].facts.epoch });
  }

  /** What was shown by one of them alone is at both now. */
  #bothHave(side: Side): void {
    const { steps } = this.state.nodes[side];
    for (const [request, shown] of this.state.shown.entries()) {
      if ((steps[request] ?? 0) >= shown.any) shown.safe = Math.max(shown.safe, shown.any);
    }
  }

  // ---------------------------------------------------------------- the store

  written(side: Side): void {
    const node = this.state.nodes[side];
    const { writing } = node.facts;
    if (writing === null) return;
    node.disk = { epoch: writing.epoch, wasActive: writing.wasActive };
    this.fsms[side].persisted();
  }

  mergeDone(side: Side): void {
    const node = this.state.nodes[side];
    for (const [request, step] of (node.merging ?? []).entries()) climb(node.steps, request, step);
    node.merging = null;
    this.fsms[side].merged();
  }

  ship(side: Side): void {
    const node = this.state.nodes[side];
    const fsm = this.fsms[side];
    this.#send(side, { kind: 'snapshot', steps: [...node.steps] });
    fsm.shipped();
    const { flight } = node;
    if (flight === null) return;
    flight.awaits = true;
    flight.isConfirmed = false;
    flight.isSent = !flight.isCommitted;
    if (flight.isSent) {
      this.#send(side, { kind: 'update', request: flight.request, step: flight.step });
    }
  }

  begin(side: Side, request: number, step: number): void {
    const node = this.state.nodes[side];
    const awaits = this.fsms[side].holdsBack;
    const { progress } = node.facts;
    const isSent = progress === 'holding' || progress === 'in sync';
    node.flight = { request, step, isCommitted: false, awaits, isSent, isConfirmed: false };
    if (isSent) this.#send(side, { kind: 'update', request, step });
  }

  commit(side: Side): void {
    const { flight, steps } = this.state.nodes[side];
    if (flight === null) return;
    climb(steps, flight.request, flight.step);
    flight.isCommitted = true;
    this.#acknowledge(side);
  }

  #acknowledge(side: Side): void {
    const node = this.state.nodes[side];
    const { flight } = node;
    if (flight?.isCommitted !== true) return;
    if (node.facts.fenced || (flight.awaits && !flight.isConfirmed)) return;
    node.flight = null;
    // What is acknowledged with a peer that is in sync, or not known dead, is not shown alone (D14).
    const { progress, doubt } = node.facts;
    const isWithPeer = doubt || progress === 'holding' || progress === 'in sync';
    this.show(flight.request, flight.step, flight.isConfirmed || isWithPeer);
  }

  /** After a hush: what has waited for it. */
  unfenced(side: Side): void {
    this.#acknowledge(side);
  }

  show(request: number, step: number, isSafe: boolean): void {
    const shown = this.state.shown[request];
    if (shown === undefined) return;
    shown.any = Math.max(shown.any, step);
    if (isSafe) shown.safe = Math.max(shown.safe, step);
  }

  // ---------------------------------------------------------------- what must hold

  /** Throws a `Violation` if a client could see now what it must never see. */
  check(): void {
    const { nodes, shown } = this.state;
    const serving = ([0, 1] as const).filter((side) => this.isServing(side));
    if (serving.length === 2 && !this.state.isTorn) throw new Violation('both serve');
    for (const side of serving) {
      const node = nodes[side];
      // An operator said that what only the other one has is lost.
      if (node.facts.promoted) continue;
      for (const [request, { any, safe }] of shown.entries()) {
        if (node.flight?.request === request) continue;
        const step = node.steps[request] ?? ABSENT;
        const least = this.state.isHurt || this.state.isTorn ? safe : any;
        if (step < least) {
          throw new Violation(`request ${request} was shown at step ${least}, is at ${step} again`);
        }
      }
    }
  }

  isServing(side: Side): boolean {
    return this.state.nodes[side].standing === 'up' && this.fsms[side].service === 'serving';
  }
}

export function climb(steps: number[], request: number, step: number): void {
  steps[request] = Math.max(steps[request] ?? 0, step);
}
