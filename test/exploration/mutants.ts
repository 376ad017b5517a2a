/**
 * The machine with one rule taken out, each with the smallest bound that shows what the rule is for.
 * A mutant that the search does not find is a rule that nobody needs, or a search that is blind.
 */
import type { Facts, Persisted } from '../../src/bstar/facts.js';
import { Fsm, type FsmSink, RULES, type Service } from '../../src/bstar/fsm.js';
import type { Bound, MakeFsm } from './search.js';
import type { Side } from './world.js';

const FRESH: Persisted = { epoch: 0, wasActive: false };

export const QUIET: Bound = {
  requests: 1,
  crashes: 0,
  cuts: 0,
  stalls: 0,
  pauses: 0,
  slow: 0,
  switchovers: 0,
  promotes: 0,
  statesMax: 3_000_000,
  healOneOf: 1,
};

export interface Mutant {
  /** What it does not do. */
  readonly name: string;
  readonly bound: Bound;
  readonly make: MakeFsm;
  /** It says 400 without asking its peer. */
  readonly isTrusting?: boolean;
}

function role(side: Side): 'primary' | 'backup' {
  return side === 0 ? 'primary' : 'backup';
}

/** As it is. */
export const whole: MakeFsm = (side, sink) => new Fsm(role(side), FRESH, sink);

type Constructor = new (side: 'primary' | 'backup', persisted: Persisted, sink: FsmSink) => Fsm;

function of(Changed: Constructor): MakeFsm {
  return (side, sink) => new Changed(role(side), FRESH, sink);
}

function without(rule: string): MakeFsm {
  const rules = RULES.filter(({ name }) => name !== rule);
  return (side, sink) => new Fsm(role(side), FRESH, sink, rules);
}

/** The facts, to be changed behind the machine's back. */
function open(fsm: Fsm): Facts {
  return fsm.facts;
}

class NoPause extends Fsm {
  override paused(): void {
    // It stood still, and does not know.
  }
}

class NoHush extends Fsm {
  override get service(): Service {
    return this.facts.state === 'active' && this.facts.handover === 'none'
      ? 'serving'
      : super.service;
  }
}

class NoHold extends Fsm {
  override get holdsBack(): boolean {
    return false;
  }
}

class NoCut extends Fsm {
  override closed(): void {
    // What a connection was told of holds for the next one, too.
    const { progress } = this.facts;
    super.closed();
    open(this).progress = progress;
  }

  override connected(): void {
    const { progress } = this.facts;
    super.connected();
    open(this).progress = progress;
  }
}

class NeverWrites extends Fsm {
  override write(...[goal, epoch, wasActive]: Parameters<Fsm['write']>): void {
    super.write(goal, epoch, wasActive);
    if (this.facts.writing !== null) this.persisted();
  }
}

class OneParity extends Fsm {
  override nextEpoch(): number {
    return this.facts.seenEpoch + 2 - (this.facts.seenEpoch % 2);
  }
}

class VotesForTheLiving extends Fsm {
  override get service(): Service {
    const facts = open(this);
    const isDead = facts.peerDead;
    facts.peerDead = true;
    const service = super.service;
    facts.peerDead = isDead;
    return service;
  }

  override vote(): void {
    const facts = open(this);
    const isDead = facts.peerDead;
    facts.peerDead = true;
    super.vote();
    if (facts.writing === null) facts.peerDead = isDead;
  }
}

class NeverVotes extends Fsm {
  override vote(): void {}
}

class SilenceKeepsTheLink extends Fsm {
  override silent(): void {
    open(this).peerDead = true;
  }
}

export const MUTANTS: readonly Mutant[] = [
  { name: 'yield', bound: { ...QUIET, cuts: 1 }, make: without('yield') },
  { name: 'follow', bound: QUIET, make: without('follow') },
  { name: 'lead', bound: QUIET, make: without('lead') },
  { name: 'lose', bound: { ...QUIET, crashes: 1 }, make: without('lose') },
  { name: 'alone', bound: { ...QUIET, crashes: 1 }, make: without('alone') },
  { name: 'a pause is a partition (D19)', bound: { ...QUIET, pauses: 1 }, make: of(NoPause) },
  { name: 'quiet after a pause (D19)', bound: { ...QUIET, pauses: 1 }, make: of(NoHush) },
  { name: 'hold back', bound: { ...QUIET, crashes: 1 }, make: of(NoHold) },
  { name: 'forget on a new connection (D20)', bound: { ...QUIET, crashes: 1 }, make: of(NoCut) },
  { name: 'epochs are on disk (D13)', bound: { ...QUIET, crashes: 2 }, make: of(NeverWrites) },
  { name: 'ask the peer before 400', bound: { ...QUIET, cuts: 1 }, make: whole, isTrusting: true },
  { name: 'even and odd epochs (D13)', bound: { ...QUIET, cuts: 1 }, make: of(OneParity) },
  { name: 'only a dead peer is voted out', bound: QUIET, make: of(VotesForTheLiving) },
  { name: 'votes', bound: { ...QUIET, crashes: 1 }, make: of(NeverVotes) },
  { name: 'silence ends the link', bound: { ...QUIET, cuts: 1 }, make: of(SilenceKeepsTheLink) },
];
