/** The state of groups and limits with one rule taken out. A mutant that is not found is a rule that nobody needs. */
import type { RunLimit } from '../../../src/broker/options.js';
import { type Gate, Gates } from '../../../src/broker/state/gates.js';
import { Waiting } from '../../../src/broker/state/waiting.js';
import { type Subject, WHOLE } from './world.js';

class NoRunning extends Gates {
  override started(gate: Gate): void {
    super.started(gate);
    gate.running--;
  }

  override runs(gate: Gate, more: number): void {
    super.runs(gate, Math.max(more, 0));
  }
}

class NoRate extends Gates {
  override started(gate: Gate): void {
    gate.running++;
  }
}

class NoBurst extends Gates {
  override add(...[service, group, limit]: Parameters<Gates['add']>): Gate {
    return super.add(service, group, { ...limit, burst: 1 });
  }
}

class NoSpan extends Gates {
  override begin(now: number): void {
    super.begin(now - 1e6);
    this.now = now;
  }
}

class NothingReopens extends Gates {
  override runs(gate: Gate, more: number): void {
    gate.running += more;
  }
}

class NoTimes extends Gates {
  override nextDueAt(): number {
    return Infinity;
  }
}

class LateTimes extends Gates {
  override nextDueAt(): number {
    return super.nextDueAt() + 1;
  }
}

class NothingTold extends Gates {
  override take(now: number, most: number): readonly Gate[] {
    return super.take(now, most).filter(({ group }) => group === null);
  }
}

class ForgetsBuckets extends Gates {
  override keepIdle(): boolean {
    return false;
  }
}

class KeepsForEver extends Gates {
  override keepIdle(gate: Gate): boolean {
    return super.keepIdle(gate) || gate.limit.running < Infinity;
  }
}

class KeepsTheTime extends Gates {
  override change(gate: Gate, limit: RunLimit): void {
    const { fullAt } = gate;
    super.change(gate, limit);
    gate.fullAt = Math.max(gate.fullAt, fullAt);
  }
}

class FreshAfterChange extends Gates {
  override change(gate: Gate, limit: RunLimit): void {
    gate.fullAt = this.now;
    super.change(gate, limit);
  }
}

class KeepsGates extends Gates {
  override remove(): void {
    // What it takes is not given back.
  }
}

class ComesBackLast extends Waiting {
  override pushFront(id: number): void {
    this.push(id);
  }
}

class PreparedLast extends Waiting {
  override pushReturned(id: number): void {
    this.push(id);
  }
}

class NoTurns extends Waiting {
  override take(id: number): void {
    if (this.limits !== null) this.started(id);
    this.remove(id);
  }
}

class NotCounted extends Waiting {
  override counted(): void {
    // What was at workers before the limits is not known.
  }
}

class NothingSaid extends Waiting {
  override runsMore(): void {
    // What workers say is not heard.
  }
}

class OnlyTheService extends Waiting {
  override runsMore(_key: string, more: number): void {
    super.runsMore('', more);
  }
}

class OpensNoGroup extends Waiting {
  override gateChanged(): void {
    // Its gate is open, and it has no turn.
  }
}

class PreparesAll extends Waiting {
  override mayPrepare(): boolean {
    return true;
  }
}

class AwaitsNothing extends Waiting {
  override mayPrepare(key: string, prepared: number): boolean {
    return this.whyHeld(key, Infinity) === null && super.mayPrepare(key, prepared);
  }
}

class NamesNone extends Waiting {
  override fullGroups(): string[] {
    return [];
  }
}

class NeverLeaves extends Waiting {
  override leave(id: number): number {
    const bytes = super.leave(id);
    return bytes - 1;
  }
}

class ForgetsOut extends Waiting {
  override ended(id: number): void {
    const { gate } = this;
    if (gate === null) super.ended(id);
  }
}

class NothingEnds extends Waiting {
  override ended(): void {
    // A delivery counts for ever.
  }
}

class HeldNotListed extends Waiting {
  override allStored(): number[] {
    return this.next() < 0 ? [] : super.allStored();
  }
}

const gates = (changed: Subject['gates']): Subject => ({ ...WHOLE, gates: changed });
const waiting = (changed: Subject['waiting']): Subject => ({ ...WHOLE, waiting: changed });

/** Each with what it does, by the name of the setting that shows what its rule is for. */
export const MUTANTS: Readonly<Record<string, Readonly<Record<string, Subject>>>> = {
  'one at a time, plain and stored': {
    'what runs is not counted': gates(NoRunning),
    'an end opens no gate': gates(NothingReopens),
    'nobody is told that a gate has opened': gates(NothingTold),
    'a group is kept although its bucket is full': gates(KeepsForEver),
    'gates are kept': gates(KeepsGates),
    'a group whose gate has opened has no turn': waiting(OpensNoGroup),
    'anything is prepared': waiting(PreparesAll),
    'nobody waits for a full group': waiting(AwaitsNothing),
    'a delivery counts for ever': waiting(NothingEnds),
    'what a limit holds is not listed': waiting(HeldNotListed),
  },
  'a rate for each group': {
    'a start takes nothing from the bucket': gates(NoRate),
    'a burst is one': gates(NoBurst),
    'nothing is due': gates(NoTimes),
    'it is due too late': gates(LateTimes),
    'the bucket of a group without requests is forgotten': gates(ForgetsBuckets),
  },
  'a takeover': {
    'nothing is waited for after a takeover, and buckets are full': gates(NoSpan),
    'what workers say is not counted': waiting(NothingSaid),
    'what workers say is counted for the service only': waiting(OnlyTheService),
  },
  'limits that change': {
    'a changed rate holds when the former one would be over': gates(KeepsTheTime),
    'a changed rate has a full bucket': gates(FreshAfterChange),
    'what was at workers before the limits is not counted': waiting(NotCounted),
  },
  turns: {
    'what comes back is the last one': waiting(ComesBackLast),
    'what is prepared again is the last one': waiting(PreparedLast),
    'a group keeps its turn': waiting(NoTurns),
    'a request keeps some memory': waiting(NeverLeaves),
  },
  'claims of a store that others use': {
    'full groups are claimed': waiting(NamesNone),
  },
  'limits of the service': {
    'an end counts only where the service has no limit': waiting(ForgetsOut),
  },
};
