/**
 * A broker machine on a stage: peers with names, virtual time, seeded randomness, and a record of
 * all events. The language of the scripts in test/machine.
 *
 * Each input is its own turn (the input, then `run` until nothing more is due), except in `batch`.
 * The broker takes messages packed where it can; a second one that never does must do the same.
 */
import { Broker, type BrokerLoad } from '../../src/broker/broker.js';
import type { BrokerEvent } from '../../src/broker/broker-events.js';
import type { BrokerLimits, BrokerOptions, PeerIdentity } from '../../src/broker/options.js';
import type { InternalService } from '../../src/broker/ports.js';
import type { BrokerSink } from '../../src/broker/sink.js';
import { Frames } from '../../src/core/frames.js';
import { Mmi } from '../../src/mmi/mmi.js';
import type { MdpVersion } from '../../src/wire/mdp.js';
import type { BrokerStatus } from '../../src/wire/mmi-answers.js';
import { MessageWriter } from '../../src/wire/outbound.js';
import { Recorder } from '../unit/wire/recorder.js';
import { givePacked } from './packed-frames.js';
import { EffectLog, Shadow } from './shadow.js';
import {
  ClientActor,
  type ClientOptions,
  Connection,
  type ConnectionOptions,
  WorkerActor,
} from './stage-peers.js';
import { seededRandom } from './stage-random.js';
import { rules } from './rights.js';

export interface StageOptions extends Partial<Omit<BrokerOptions, 'limits'>> {
  readonly limits?: Partial<BrokerLimits>;
  readonly seed?: number;
  readonly outputLeft?: (peer: number) => number;
  readonly takesRequest?: (peer: number, bytes: number) => boolean;
  /** Internal services in addition to `mmi.*`. */
  readonly hosts?: readonly InternalService[];
}

const STAGE_LIMITS: BrokerLimits = {
  services: 1000,
  workers: 1000,
  queuedRequests: 1_000_000,
  queuedBytes: 1_000_000_000,
  queuedRequestsPerService: 1_000_000,
  messageBytes: 1_000_000,
  frames: 256,
};

/** An hour, so that nothing depends on the clock starting at zero. */
const START_MS = 3_600_000;

export interface WorkerOptions extends ConnectionOptions {
  readonly version?: MdpVersion;
  /** Uses this connection together with others. */
  readonly over?: Connection;
}

/** The result of one `run`. */
export interface RunReport {
  readonly more: boolean;
  /** Messages sent and events emitted. */
  readonly effects: number;
}

const NOTHING: BrokerLoad = {
  sessions: 0,
  sessionsAway: 0,
  peers: 0,
  clients: 0,
  services: 0,
  workers: 0,
  requests: 0,
  requestsOut: 0,
  bytes: 0,
};

/** Settings for which a broker has defaults. */
function optional(options: StageOptions): Partial<BrokerOptions> {
  const { rightsOf, quotasOf, holdings, outputLeft, takesRequest } = options;
  return {
    ...(rightsOf === undefined ? {} : { rightsOf }),
    ...(quotasOf === undefined ? {} : { quotasOf }),
    ...(holdings === undefined ? {} : { holdings }),
    output: {
      left: outputLeft ?? (() => Infinity),
      max: () => Infinity,
      takesRequest: takesRequest ?? (() => true),
    },
  };
}

const open: Stage[] = [];

/** A stage that `endStages` closes. */
export function stage(options: StageOptions = {}): Stage {
  const made = new Stage(options);
  open.push(made);
  return made;
}

/** For `afterEach`: all peers leave, and the broker must then hold nothing. */
export function endStages(): void {
  for (const each of open.splice(0)) each.end();
}

/** An endless loop in the machine would hang Jest. */
const TURNS_MAX = 1_000_000;

export class Stage {
  readonly broker: Broker;
  readonly options: BrokerOptions;
  now: number = START_MS;
  /** How often the broker asked for one. */
  votes = 0;
  readonly #events: BrokerEvent[] = [];
  readonly #connections: (Connection | null)[] = [];
  /** Messages that were handled packed. */
  packed = 0;
  readonly #recorder = new Recorder();
  readonly #log = new EffectLog();
  #shadow: Shadow | null = null;
  readonly #beats: { readonly worker: WorkerActor; readonly everyMs: number; at: number }[] = [];
  #effects = 0;
  protected isBatch = false;

  constructor(options: StageOptions) {
    this.options = {
      heartbeatIntervalMs: options.heartbeatIntervalMs ?? 1000,
      heartbeatLiveness: options.heartbeatLiveness ?? 3,
      requestTtlMs: options.requestTtlMs ?? 60_000,
      busyTimeoutMs: options.busyTimeoutMs ?? 600_000,
      maxDeliveries: options.maxDeliveries ?? 3,
      resumeMs: options.resumeMs ?? 0,
      listeners: options.listeners ?? [rules(true, true)],
      ...optional(options),
      limits: { ...STAGE_LIMITS, ...options.limits },
    };
    const events = {
      emit: (event: BrokerEvent): void => {
        this.#effects++;
        this.#events.push(event);
        this.#log.emitted(event);
      },
    };
    const seed = options.seed ?? 1;
    const sink = this.#log.noted(this.#sink());
    this.broker = new Broker(this.options, sink, events, seededRandom(seed));
    this.broker.internals.all.push(new Mmi(this.broker.listing, () => STAGE_STATUS));
    if (options.hosts === undefined) {
      this.#shadow = new Shadow(this.options, seed, this.#log);
      this.#shadow.broker.internals.all.push(
        new Mmi(this.#shadow.broker.listing, () => STAGE_STATUS),
      );
    }
    for (const service of options.hosts ?? []) this.broker.internals.all.push(service);
  }

  // ---------------------------------------------------------------- peers

  connection(name: string, options: ConnectionOptions = {}): Connection {
    return new Connection(this, name, options);
  }

  worker(name: string, options: WorkerOptions = {}): WorkerActor {
    const connection = options.over ?? this.connection(name, options);
    return new WorkerActor(connection, options.version ?? 2);
  }

  client(name: string, options: ClientOptions = {}): ClientActor {
    return new ClientActor(options.over ?? this.connection(name, options), options);
  }

  // ---------------------------------------------------------------- inputs

  input(give: (broker: Broker, now: number) => void): void {
    give(this.broker, this.now);
    if (this.#shadow !== null) give(this.#shadow.broker, this.now);
    if (!this.isBatch) this.turn();
  }

  /** There is no second broker: what acts on the first one would have to act on it, too. */
  alone(): void {
    this.#shadow = null;
  }

  /** All inputs of `give` in one turn. */
  batch(give: () => void): void {
    this.unrun(give);
    this.turn();
  }

  /** Like `batch`, without the `run` at its end. */
  unrun(give: () => void): void {
    this.isBatch = true;
    give();
    this.isBatch = false;
  }

  connected(connection: Connection, identity: PeerIdentity): number {
    let peer = this.#connections.indexOf(null);
    if (peer < 0) peer = this.#connections.length;
    this.#connections[peer] = connection;
    this.input((broker) => broker.connected(peer, identity, this.now));
    return peer;
  }

  disconnected(peer: number): void {
    this.#connections[peer] = null;
    this.input((broker, now) => broker.disconnected(peer, now));
  }

  /** The frames are overwritten afterwards, like those of a transport. */
  message(peer: number, message: readonly Buffer[]): void {
    this.input((broker, now) => {
      const frames = new Frames();
      const bytes = Buffer.concat(message);
      let at = 0;
      for (const frame of message) {
        frames.push(bytes, at, at + frame.length);
        at += frame.length;
      }
      if (broker !== this.broker) broker.message(peer, frames, now);
      else if (givePacked(broker, peer, frames, now)) this.packed++;
      bytes.fill(0xee);
      frames.clear();
    });
  }

  // ---------------------------------------------------------------- time

  /** `run` until nothing more is due now. */
  turn(): void {
    for (let turns = 0; this.runOnce().more; turns++) {
      if (turns === TURNS_MAX) throw new Error(`still more to do after ${turns} turns`);
    }
    if (this.broker.nextRunAt() <= this.now) throw new Error('due at once, though nothing is due');
  }

  runOnce(): RunReport {
    this.#effects = 0;
    const more = this.broker.run(this.now);
    if (this.#shadow !== null) {
      if (this.#shadow.broker.run(this.now) !== more) throw new Error('the shadow runs otherwise');
      this.#shadow.compare(this.broker);
    } else {
      this.#log.take();
    }
    return { more, effects: this.#effects };
  }

  /** When the next heartbeat of a worker is due; Infinity: none is. */
  nextBeatAt(): number {
    return this.#beats.reduce((first, each) => Math.min(first, each.at), Infinity);
  }

  /** Sends the heartbeats that are due, then a turn. */
  beatAndTurn(): void {
    for (const each of this.#beats.filter(({ at }) => at <= this.now)) {
      each.at += each.everyMs;
      each.worker.heartbeat();
    }
    this.turn();
  }

  /**
   * Lets time pass, with a turn whenever the broker asked for one or a worker's heartbeat is due.
   */
  after(ms: number): void {
    const until = this.now + ms;
    for (let turns = 0; ; turns++) {
      if (turns > TURNS_MAX) throw new Error(`a turn is always due at ${this.now} ms`);
      const next = Math.min(this.nextBeatAt(), this.dueAt());
      if (next > until) break;
      this.now = Math.max(this.now, next);
      this.beatAndTurn();
    }
    this.now = until;
    this.turn();
  }

  /** @throws if a worker is not lost when so much time has passed, and not a millisecond before */
  losesWorkerAfter(ms: number, left = 0): void {
    this.after(ms - 1);
    const before = this.broker.load.workers;
    this.after(1);
    const { workers } = this.broker.load;
    if (before === left + 1 && workers === left) return;
    throw new Error(`${before} workers before ${ms} ms had passed, and ${workers} then`);
  }

  /** When the next turn is due without input. */
  dueAt(): number {
    return this.broker.nextRunAt();
  }

  beatEvery(worker: WorkerActor, everyMs: number): void {
    this.#beats.push({ worker, everyMs, at: this.now + everyMs });
  }

  beatNoMore(worker: WorkerActor): void {
    const at = this.#beats.findIndex((each) => each.worker === worker);
    if (at >= 0) this.#beats.splice(at, 1);
  }

  // ---------------------------------------------------------------- events

  /** Events of this name since the last call for it. */
  events<Name extends BrokerEvent['name']>(name: Name): Extract<BrokerEvent, { name: Name }>[] {
    const isNamed = (event: BrokerEvent): event is Extract<BrokerEvent, { name: Name }> =>
      event.name === name;
    const named = this.#events.filter(isNamed);
    const others = this.#events.filter((event) => event.name !== name);
    this.#events.splice(0, this.#events.length, ...others);
    return named;
  }

  /** All peers leave, and all time-outs pass. */
  end(): void {
    this.#beats.length = 0;
    for (const connection of this.#connections) connection?.disconnect();
    this.after(this.options.requestTtlMs + this.options.resumeMs);
    const load = JSON.stringify(this.broker.load);
    if (load !== JSON.stringify(NOTHING)) throw new Error(`the broker still holds ${load}`);
    if (this.broker.nextRunAt() !== Infinity) throw new Error('something is still due');
    this.#shadow?.compareCounters(this.broker);
  }

  #sink(): BrokerSink {
    const to = new MessageWriter(this.#recorder);
    return {
      messages: {
        request: (...message) => {
          to.request(...message);
          this.#carryOut();
        },
        requestWithHeaders: (...message) => {
          to.requestWithHeaders(...message);
          this.#carryOut();
        },
        requestWithGroup: (...message) => {
          to.requestWithGroup(...message);
          this.#carryOut();
        },
        askRuns: (...message) => {
          to.askRuns(...message);
          this.#carryOut();
        },
        cancel: (...message) => {
          to.cancel(...message);
          this.#carryOut();
        },
        heartbeat: (...message) => {
          to.heartbeat(...message);
          this.#carryOut();
        },
        disconnect: (...message) => {
          to.disconnect(...message);
          this.#carryOut();
        },
        reply: (...message) => {
          const sent = to.reply(...message);
          this.#carryOut();
          return sent;
        },
        whole: (...message) => {
          to.whole(...message);
          this.#carryOut();
        },
      },
      close: (peer) => {
        this.#effects++;
        const connection = this.#connections[peer];
        if (!connection) throw new Error('the broker closes a connection that is gone');
        connection.closedByBroker = true;
      },
      vote: () => {
        this.votes++;
      },
    };
  }

  #carryOut(): void {
    for (const { peer, frames } of out(this.#recorder)) {
      this.#effects++;
      const connection = this.#connections[peer];
      if (!connection || connection.closedByBroker) {
        throw new Error('the broker sends over a connection that is gone');
      }
      connection.receives(frames);
    }
  }
}

function out(recorder: Recorder): Recorder['messages'] {
  return recorder.messages.splice(0);
}

export const STAGE_STATUS: BrokerStatus = {
  version: '0.1.0',
  uptimeMs: 1234,
  node: 'stage',
  role: 'standalone',
  state: 'active',
  epoch: 0,
  limits: { messageBytes: 1_000_000 },
  extensions: ['credit', 'ready-options', 'hello'],
  pairHeartbeatMs: 0,
  http: 'http://127.0.0.1:5580',
  publicUrl: null,
  events: null,
  map: null,
};
