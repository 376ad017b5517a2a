/**
 * A broker process: the machine under test in a simulated shell. It reads inputs in turns, like the
 * daemon's loop; its effects go through the real codec to the network. The model, or another oracle,
 * receives every input before the machine does, and sees every message sent.
 */
import { Broker } from '../../../src/broker/broker.js';
import type { BrokerOptions, LimitsOf } from '../../../src/broker/options.js';
import type { BrokerSink } from '../../../src/broker/sink.js';
import { Frames } from '../../../src/core/frames.js';
import { Mmi } from '../../../src/mmi/mmi.js';
import { asRead, givePacked } from '../../support/packed-frames.js';
import type { Tally } from '../actors/tally.js';
import type { BrokerEvent } from '../../../src/broker/broker-events.js';
import type { BrokerStatus } from '../../../src/wire/mmi-answers.js';
import { STATUS } from '../model/broker-status.js';
import type { Delivered, Sent } from '../model/intent.js';
import { Model } from '../model/model.js';
import type { SimClock, SimTimer } from './clock.js';
import { hold } from './failure.js';
import type { Connection, ServerEnd } from './network.js';
import type { SimRandom } from './random.js';
import type { Trace } from './trace.js';
import { WholeMessages } from './whole-messages.js';

type Link = Connection<Sent, Delivered>;

interface Input {
  readonly what: 'connected' | 'message' | 'outputFull' | 'drained' | 'disconnected';
  readonly link: Link;
  readonly peer: number;
  readonly sent: Sent | null;
}

/** How the shell behaves. */
export interface ShellHabits {
  /** Inputs read before `run`, at most. */
  readonly batchMax: number;
  /** Delay from an input, or from a due time, to the turn. */
  readonly turnDelayMaxMs: number;
  /** Probability that a turn comes much later, as if the process had no CPU time. */
  readonly stallChance: number;
  readonly stallMaxMs: number;
  /** Inputs are handled at the time of the turn's first one; otherwise all when the turn ends. */
  readonly readsAtOnce: boolean;
}

/** Follows a process of the broker: receives every input before the machine does, and sees every message sent. */
export interface Oracle extends Partial<Omit<Model, 'counters' | 'load' | 'begin'>> {
  /** An event of the machine. */
  told?(event: BrokerEvent): void;
  /** The broker is reachable from now on. */
  begun?(now: number): void;
}

/** What each process of the broker begins with. */
export interface NodeProcess {
  readonly options: BrokerOptions;
  readonly oracle: Oracle;
  readonly status: BrokerStatus;
  /** Limits of services. */
  readonly limitsOf?: LimitsOf;
}

/** Breaks a correct broker, to verify that the simulation detects it. */
export type Sabotage = (sink: BrokerSink) => BrokerSink;

/** Turns at one moment after which the loop is considered endless. */
const RUNS_AT_ONCE_MAX = 100;

export class BrokerNode implements ServerEnd<Sent, Delivered> {
  #broker: Broker;
  #oracle: Oracle;
  #limitsOf: LimitsOf | undefined;
  readonly #makeBroker: (process: NodeProcess) => Broker;
  readonly #makeProcess: () => NodeProcess;
  readonly #clock: SimClock;
  readonly #random: SimRandom;
  readonly #habits: ShellHabits;
  readonly #trace: Trace;
  readonly #tally: Tally;
  readonly #inbox: Input[] = [];
  readonly #links: (Link | null)[] = [];
  readonly #peers = new Map<Link, number>();
  readonly #freePeers: number[] = [];
  readonly #messages = new WholeMessages({
    effect: () => {},
    sent: (peer, frames, bytes) => {
      this.#trace.note(this.#clock.now, `peer ${peer}`, '<', frames);
      this.#oracle.sent?.(peer, frames);
      this.#links[peer]?.write(frames, bytes);
    },
    closed: (peer) => {
      this.#trace.note(this.#clock.now, `peer ${peer}`, '< closed');
      this.#oracle.closed?.(peer);
      this.#links[peer]?.end();
    },
  });
  #turn: SimTimer | null = null;
  /** When the current turn read its first input. */
  #turnBeganAt: number | null = null;
  #isInMachine = false;
  #stopped = false;
  /** It reads and does nothing before this time. */
  #frozenUntil = 0;

  constructor(
    options: BrokerOptions,
    habits: ShellHabits,
    clock: SimClock,
    random: SimRandom,
    trace: Trace,
    tally: Tally,
    sabotage: Sabotage | null,
    makeProcess: (() => NodeProcess) | null = null,
  ) {
    this.#tally = tally;
    this.#clock = clock;
    this.#random = random;
    this.#habits = habits;
    this.#trace = trace;
    const { sink } = this.#messages;
    const used = sabotage?.(sink) ?? sink;
    this.#makeBroker = ({ options: own, oracle, status, limitsOf }) => {
      const note = { emit: (event: BrokerEvent) => oracle.told?.(event) };
      const broker = new Broker(own, used, note, (target) => random.fill(target));
      broker.internals.all.push(new Mmi(broker.listing, () => status));
      this.#limitsOf = limitsOf;
      if (limitsOf !== undefined) broker.setServiceLimits(limitsOf);
      broker.begin(clock.now);
      oracle.begun?.(clock.now);
      return broker;
    };
    this.#makeProcess =
      makeProcess ??
      (() => {
        const oracle = new Model(options);
        oracle.begin(clock.now);
        return { options, oracle, status: STATUS };
      });
    const process = this.#makeProcess();
    this.#oracle = process.oracle;
    this.#broker = this.#makeBroker(process);
  }

  /** Its process ends, and another one begins that knows nothing. All connections are gone. */
  restart(): void {
    this.#trace.note(this.#clock.now, 'broker', 'restarts');
    this.#inbox.length = 0;
    this.#links.length = 0;
    this.#peers.clear();
    this.#freePeers.length = 0;
    this.#messages.clear();
    this.#turn?.cancel();
    this.#turn = null;
    this.#turnBeganAt = null;
    this.#frozenUntil = 0;
    this.#stopped = false;
    const process = this.#makeProcess();
    this.#oracle = process.oracle;
    this.#broker = this.#makeBroker(process);
  }

  /** It was not reachable since it began: with limits, it counts from now on what its workers may run (D118). */
  reachable(): void {
    if (this.#limitsOf === undefined) return;
    this.#broker.begin(this.#clock.now);
    this.#oracle.begun?.(this.#clock.now);
    this.#planTurn(this.#clock.now);
  }

  /** Its process gets no CPU time before `until`; what arrives waits. */
  freeze(until: number): void {
    this.#trace.note(this.#clock.now, 'broker', `is frozen until ${until}`);
    this.#frozenUntil = until;
    const turn = this.#turn;
    if (turn === null) return;
    turn.cancel();
    this.#turn = null;
    this.#planTurn(turn.at);
  }

  get counters(): Broker['counters'] {
    return this.#broker.counters;
  }

  get load(): Broker['load'] {
    return this.#broker.load;
  }

  // ---------------------------------------------------------------- from the network

  connected(link: Link): void {
    const peer = this.#freePeers.pop() ?? this.#links.length;
    this.#links[peer] = link;
    this.#peers.set(link, peer);
    this.#push('connected', link, null);
  }

  received(link: Link, sent: Sent): void {
    this.#push('message', link, sent);
  }

  outputFull(link: Link): void {
    this.#tally.fault('output full');
    this.#push('outputFull', link, null);
  }

  drained(link: Link): void {
    this.#push('drained', link, null);
  }

  disconnected(link: Link): void {
    this.#push('disconnected', link, null);
  }

  drain(): void {
    this.#turnBeganAt ??= this.#clock.now;
    const now = this.#turnBeganAt;
    this.#trace.note(now, 'broker', 'drains');
    this.#isInMachine = true;
    this.#oracle.drain?.(now);
    this.#broker.drain(now);
    this.#isInMachine = false;
    this.#settle('drain');
    this.#planTurn(now);
  }

  stop(): void {
    const now = this.#turnBeganAt ?? this.#clock.now;
    this.#trace.note(now, 'broker', 'stops');
    this.#isInMachine = true;
    this.#oracle.stop?.(now);
    this.#broker.stop(now);
    this.#isInMachine = false;
    this.#settle('stop');
    this.#stopped = true;
  }

  // ---------------------------------------------------------------- turns

  #push(what: Input['what'], link: Link, sent: Sent | null): void {
    const peer = this.#peers.get(link);
    hold(peer !== undefined, 'a connection has a number');
    const input = { what, link, peer, sent };
    const { now } = this.#clock;
    const reads = this.#habits.readsAtOnce && now >= this.#frozenUntil;
    if (reads && !this.#isInMachine && this.#inbox.length === 0) {
      this.#turnBeganAt ??= now;
      this.#input(input, this.#turnBeganAt);
    } else {
      this.#inbox.push(input);
    }
    this.#planTurn(now);
  }

  #planTurn(wanted: number): void {
    if (wanted === Infinity) return;
    const { turnDelayMaxMs, stallChance, stallMaxMs } = this.#habits;
    let delay = this.#random.int(0, turnDelayMaxMs);
    if (this.#random.chance(stallChance)) delay += this.#random.int(0, stallMaxMs);
    const at = Math.max(wanted + delay, this.#frozenUntil);
    if (this.#turn !== null) {
      if (this.#turn.at <= at) return;
      this.#turn.cancel();
    }
    this.#turn = this.#clock.at(at, () => {
      this.#turn = null;
      this.#takeTurn();
    });
  }

  #takeTurn(): void {
    const { now } = this.#clock;
    this.#turnBeganAt = null;
    const batch = this.#random.int(1, this.#habits.batchMax);
    for (let taken = 0; taken < batch; taken++) {
      const input = this.#inbox.shift();
      if (input === undefined) break;
      this.#input(input, now);
    }
    // The last input was `stop`: the process closes its sockets, and nothing is due any more.
    if (!this.#stopped) this.#run(now);
    if (this.#inbox.length > 0) this.#planTurn(now);
    else if (!this.#stopped) this.#planTurn(this.#broker.nextRunAt());
  }

  #input({ what, link, peer, sent }: Input, now: number): void {
    if (this.#stopped && what !== 'connected' && what !== 'disconnected') return;
    this.#trace.note(now, `peer ${peer}`, `> ${sent?.intent.kind ?? what}`, sent?.frames);
    const oracle = this.#oracle;
    const broker = this.#broker;
    this.#isInMachine = true;
    switch (what) {
      case 'connected':
        oracle.connected?.(peer, link, now);
        broker.connected(peer, link, now);
        break;
      case 'message':
        if (sent !== null) this.#received(peer, sent, now);
        break;
      case 'outputFull':
      case 'drained':
        oracle[what]?.(peer);
        broker[what](peer);
        break;
      case 'disconnected':
        oracle.disconnected?.(peer, now);
        broker.disconnected(peer, now);
        this.#links[peer] = null;
        this.#peers.delete(link);
        this.#freePeers.push(peer);
    }
    this.#isInMachine = false;
    this.#settle(what);
  }

  #received(peer: number, { frames, intent }: Sent, now: number): void {
    if (intent.kind === 'malformed' && intent.as === 'too_large') {
      this.#oracle.oversized?.(peer, now);
      this.#broker.oversized(peer, Frames.of(...frames), 'too large', now);
      return;
    }
    this.#oracle.message?.(peer, intent, now);
    const message = Frames.of(...frames);
    // All ways in which transports deliver messages.
    if (peer % 3 === 0) this.#broker.message(peer, message, now);
    else if (peer % 3 === 1) this.#broker.message(peer, asRead(message), now);
    else givePacked(this.#broker, peer, message, now);
  }

  #run(now: number): void {
    const wasDue = this.#broker.nextRunAt() <= now;
    if (wasDue) this.#trace.note(now, 'broker', 'run is due');
    this.#isInMachine = true;
    this.#oracle.beginRun?.(now);
    let runs = 1;
    while (this.#broker.run(now)) hold(++runs < RUNS_AT_ONCE_MAX, 'run comes to an end');
    this.#isInMachine = false;
    this.#oracle.endRun?.();
    this.#settle(wasDue ? 'run when due' : 'run');
    const next = this.#broker.nextRunAt();
    hold(next > now, `nextRunAt is ${next}, which is past, right after a run`);
    const due = this.#oracle.dueAt?.() ?? Infinity;
    hold(next <= due, `nextRunAt is ${next}, but something is due at ${due}`);
  }

  #settle(after: string): void {
    this.#oracle.settle?.();
    this.#oracle.agrees?.(this.#broker, after);
  }
}
