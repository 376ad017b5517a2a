/**
 * A process of a worker of the SDK: a session at each broker, and handlers that take their time. It carries out what the
 * sessions decide, as `Worker` and `WorkerConnection` of the SDK do, in virtual time.
 */
import type { Frames } from '../../../src/core/frames.js';
import { EarlierRuns } from '../../../src/sdk/worker/earlier-runs.js';
import { type BodyFrames, frameList } from '../../../src/sdk/body.js';
import { BrokerFacts } from '../../../src/sdk/broker-facts.js';
import { ReceivedRequest } from '../../../src/sdk/message.js';
import { ConcurrencyLimiter } from '../../../src/sdk/worker/concurrency-limiter.js';
import {
  type Asked,
  type SessionSink,
  Task,
  WorkerSession,
} from '../../../src/sdk/worker/worker-session.js';
import { clientRequest, readClientReply } from '../../../src/wire/client-side.js';
import type { Failure } from '../../../src/wire/failure.js';
import { EMPTY } from '../../../src/wire/mdp.js';
import { MMI_BROKER } from '../../../src/wire/mmi.js';
import {
  readWorkerInbound,
  workerDisconnect,
  workerFail,
  workerFinal,
  workerHeartbeat,
  workerLeaving,
  workerReady,
  workerReturn,
  workerRuns,
} from '../../../src/wire/worker-side.js';
import { SimLink } from '../freelance/link.js';
import { dialledBy, type Stage } from '../freelance/machine.js';
import { RETRY_BASE_MS, RETRY_MAX_MS } from '../freelance/weather.js';
import type { Intent } from '../model/intent.js';
import { Outages } from '../freelance/outages.js';
import { EventLoop } from '../world/event-loop.js';
import { violated } from '../world/failure.js';
import type { SimRandom } from '../world/random.js';
import type { Deliveries } from './deliveries.js';
import type { SessionMachine } from './world.js';
import type { Run, Runs } from './runs.js';
import { INTERVAL_MS, type SdkWorkerHabits, SERVICE, SPAN_MS } from './weather.js';

/** Breaks correct sessions, to verify that the simulation detects it. */
export interface WorkerSabotage {
  workerSink?(sink: SessionSink): SessionSink;
  /** It does not answer when a broker asks what it runs. */
  readonly isDeaf?: boolean;
  /** The worker is about to close. @param running what its handlers have */
  closes?(sink: SessionSink, running: readonly Task[]): void;
}

interface Running {
  readonly run: Run;
  readonly task: Task;
  readonly at: Registration;
  isCancelled: boolean;
}

/** How long a handler goes on after its request was cancelled, at most. */
const CANCELLED_MS = 50;
const SERVICE_BYTES = Buffer.from(SERVICE);
const CONCURRENCY_LINKS = 100;
/** From a connection to the broker's knowing what its worker runs, where nothing is slow. */
const TELLS_MS = 100;
/** See the world: when a broker is reachable again, its fault is not over yet. */
const FLUSH_MS = 25;
const NOTHING: Intent = { kind: 'ping' };

export class SdkWorker {
  readonly name: string;
  readonly stage: Stage;
  readonly limiter: ConcurrencyLimiter;
  readonly habits: SdkWorkerHabits;
  readonly sabotage: WorkerSabotage;
  readonly #random: SimRandom;
  readonly #runs: Runs;
  readonly loop: EventLoop;
  /** When it did nothing. */
  readonly stalls = new Outages();
  isClosing = false;
  readonly #at: readonly Registration[];
  #running: Running[] = [];

  constructor(
    name: string,
    habits: SdkWorkerHabits,
    machines: readonly SessionMachine[],
    stage: Stage,
    random: SimRandom,
    runs: Runs,
    sabotage: WorkerSabotage,
  ) {
    this.name = name;
    this.habits = habits;
    this.stage = stage;
    this.sabotage = sabotage;
    this.#random = random;
    this.#runs = runs;
    this.loop = new EventLoop(stage.clock, {
      nextMs: () => Math.min(...this.#at.map(({ session }) => session.nextMs())),
      tick: () => {
        for (const { session } of this.#at) session.tick(this.now);
      },
    });
    this.limiter = new ConcurrencyLimiter(habits.concurrency);
    this.#at = machines.map((machine, endpoint) => {
      return new Registration(this, machine, endpoint, random.fork(1 + endpoint));
    });
  }

  start(): void {
    for (const { session } of this.#at) session.start();
    this.loop.wake();
  }

  // ---------------------------------------------------------------- its end, and faults

  /** The process ends; the brokers learn of it by its connections, if at all. */
  kill(isSilent: boolean, unnoticedMs: number): void {
    this.note('ends');
    for (const { link } of this.#at) link?.cut(!isSilent, false, unnoticedMs);
    this.#end();
  }

  #end(): void {
    this.loop.end();
    for (const { link } of this.#at) link?.close();
    for (const { run } of this.#running) run.isGoingOn = false;
    this.#running = [];
  }

  /** It drains, for so long. */
  close(graceMs: number): void {
    this.isClosing = true;
    this.loop.do(() => {
      this.note(`is closed within ${graceMs}`);
      for (const at of this.#at) {
        const running = this.#running.filter((each) => each.at === at);
        this.sabotage.closes?.(
          at.sink,
          running.map(({ task }) => task),
        );
        at.session.close(this.now);
      }
      this.loop.wake();
    });
    this.stage.clock.after(graceMs, () => {
      this.loop.do(() => {
        for (const { session } of this.#at) session.abort();
        this.#end();
      });
    });
  }

  loseConnection(brokerKnows: boolean, workerKnows: boolean, unnoticedMs: number): void {
    const at = this.#random.pick(this.#at as [Registration, ...Registration[]]);
    this.note('loses a connection');
    at.connectedTo = null;
    at.link?.cut(brokerKnows, workerKnows, unnoticedMs);
  }

  stall(until: number): void {
    this.note(`stalls until ${until}`);
    this.stalls.add('slow', this.now, until);
    this.loop.stall(until);
  }

  // ---------------------------------------------------------------- requests

  begin(at: Registration, task: Task): void {
    const name = task.request.text();
    const token = task.token.toString('latin1');
    this.note(`begins ${name}`);
    const { endpoint, process } = at;
    const isCounted = (): boolean => at.process !== process && at.isHeard();
    const of = { worker: this.name, endpoint, process, token, isCounted };
    const run = this.#runs.begins(name, of);
    const running = { run, task, at, isCancelled: false };
    this.#running.push(running);
    const fails = this.#random.chance(this.habits.failChance);
    const retry = this.#random.chance(0.5);
    this.stage.clock.after(this.#random.int(0, this.habits.serveMaxMs), () => {
      this.loop.do(() => {
        if (!this.#hasEnded(running)) return;
        if (running.isCancelled) at.session.returned(task, this.now);
        else if (fails) at.session.failed(task, failureOf(retry), this.now);
        else at.session.finished(task, [Buffer.from(`A${name}`)], this.now);
        this.#runEnded(task);
        this.loop.wake();
      });
    });
  }

  #runEnded(task: Task): void {
    if (task.isEarlier) for (const each of this.#at) each.runEnded(task);
  }

  get running(): readonly { readonly at: Registration; readonly task: Task }[] {
    return this.#running;
  }

  #hasEnded(running: Running): boolean {
    if (!this.#running.includes(running)) return false;
    this.note(`ends ${running.run.request.name}`);
    this.#running = this.#running.filter((each) => each !== running);
    running.run.isGoingOn = false;
    return true;
  }

  /** The signal of a handler: it ends soon. */
  cancel(at: Registration, token: Buffer): void {
    const running = this.#running.find((each) => each.at === at && each.task.token.equals(token));
    if (running === undefined || running.isCancelled) return;
    this.stage.tally.fault('handler is cancelled');
    running.isCancelled = true;
    this.stage.clock.after(this.#random.int(0, CANCELLED_MS), () => {
      this.loop.do(() => {
        if (!this.#hasEnded(running)) return;
        at.session.returned(running.task, this.now);
        this.#runEnded(running.task);
        this.loop.wake();
      });
    });
  }

  // ---------------------------------------------------------------- time

  get now(): number {
    return this.loop.now;
  }

  note(what: string): void {
    this.stage.trace.note(this.now, this.name, what);
  }
}

function failureOf(retry: boolean): Failure {
  return { kind: retry ? 'retry' : 'error', code: 'simulated', text: '', detail: [] };
}

/** A session and its link. */
class Registration implements SessionSink {
  readonly endpoint: number;
  readonly session: WorkerSession;
  readonly sink: SessionSink;
  link: SimLink | null = null;
  readonly #worker: SdkWorker;
  readonly #machine: SessionMachine;
  readonly #random: SimRandom;
  #links = 0;
  readonly #earlier = new EarlierRuns();
  /** The process that its connection goes to, and since when. */
  connectedTo: Deliveries | null = null;
  #connectedAt = 0;

  constructor(worker: SdkWorker, machine: SessionMachine, endpoint: number, random: SimRandom) {
    this.#worker = worker;
    this.#machine = machine;
    this.endpoint = endpoint;
    this.#random = random;
    const { concurrency } = worker.habits;
    const options = {
      heartbeatIntervalMs: INTERVAL_MS,
      heartbeatLiveness: 3,
      credit: concurrency,
      hasOptions: true,
      asks: true,
      retryBaseMs: RETRY_BASE_MS,
      retryMaxMs: RETRY_MAX_MS,
    };
    this.sink = worker.sabotage.workerSink?.(bound(this)) ?? this;
    const chance = random.fork(1);
    this.session = new WorkerSession(options, this.sink, worker.limiter, () => {
      return chance.word() / 0x1_0000_0000;
    });
  }

  /** The process of its broker. */
  get process(): Deliveries {
    return this.#machine.process;
  }

  /** Whether the present process of its broker was told in time what runs of the one before. */
  isHeard(): boolean {
    const { process, connectedTo } = this;
    const { now, isClosing, stalls } = this.#worker;
    if (isClosing || connectedTo !== process) return false;
    const { beganAt } = process;
    if (this.#connectedAt > beganAt + SPAN_MS - TELLS_MS) return false;
    const { outages } = this.#machine.machine;
    return !stalls.overlap(beganAt, now) && !outages.overlap(beganAt + FLUSH_MS, now);
  }

  open(): void {
    this.#earlier.clear();
    this.connectedTo = null;
    const mine = this.#dial(
      {
        connected: () => {
          this.connectedTo = this.process;
          this.#connectedAt = this.#worker.now;
          this.session.connected(this.#worker.now);
        },
        disconnected: () => this.session.disconnected(this.#worker.now),
        message: (frames) => this.#receive(frames),
      },
      () => this.link === mine,
    );
    this.link = mine;
  }

  #dial(
    events: { connected(): void; disconnected(): void; message(frames: Frames): void },
    isCurrent: () => boolean,
  ): SimLink {
    const input = (action: () => void): void => {
      this.#worker.loop.do(() => {
        if (isCurrent()) action();
        this.#worker.loop.wake();
      });
    };
    const number = ++this.#links % CONCURRENCY_LINKS;
    const dialled = dialledBy(`${this.#worker.name}/${number}`, 0, 'DEALER');
    const random = this.#random.fork(100 + this.#links);
    const listening = {
      connected: () => input(events.connected),
      disconnected: () => input(events.disconnected),
      message: (frames: Frames) => input(() => events.message(frames)),
      heard: () => undefined,
      unreachable: () => undefined,
    };
    const { stage } = this.#worker;
    return new SimLink(this.#machine.machine, dialled, stage, random, listening, false);
  }

  close(): void {
    this.link?.close();
    this.link = null;
  }

  ask(): void {
    this.#write(clientRequest(2, null, Buffer.from(MMI_BROKER), [EMPTY]));
  }

  askAgain(): void {
    this.ask();
  }

  ready(credit: number | null, tellsName: boolean, asks: Asked): void {
    const options = { ...asks, name: tellsName ? this.#worker.name : null };
    this.#write(workerReady(2, SERVICE_BYTES, credit, options));
  }

  heartbeat(): void {
    this.#write(workerHeartbeat(2));
  }

  tellRuns(): void {
    this.#tellRuns(false);
  }

  /** @param all those of other brokers, too */
  #tellRuns(all: boolean): void {
    const tasks: Task[] = [];
    for (const { at, task } of this.#worker.running) {
      const isOwn = at === this;
      const isTold = isOwn ? !this.session.isPresent(task) : all || this.#earlier.told.has(task);
      if (isTold) tasks.push(task);
    }
    this.#sendRuns(this.#earlier.add(tasks));
  }

  runEnded(task: Task): void {
    this.#sendRuns(this.#earlier.ended(task));
  }

  #sendRuns(messages: readonly Buffer[][]): void {
    for (const groups of messages) this.#write(workerRuns(2, SERVICE_BYTES, groups));
  }

  disconnect(): void {
    this.#write(workerDisconnect(2));
  }

  leave(): void {
    this.#write(workerLeaving(2));
  }

  begin(task: Task): void {
    this.#worker.begin(this, task);
  }

  waitingBytes(): number {
    return 0;
  }

  awaitRoom(then: () => void): void {
    then();
  }

  partial(): void {
    violated('handlers send no parts');
  }

  final(task: Task, body: BodyFrames): void {
    const list = frameList(body).map((frame) => Buffer.from(frame));
    const token = task.token.toString('latin1');
    this.#write(workerFinal(2, task.token, list), { kind: 'final', version: 2, token, body: list });
  }

  /** Over a connection of its own. */
  late(task: Task, body: BodyFrames): void {
    const frames = workerFinal(2, task.token, frameList(body));
    const nothing = (): void => undefined;
    const events = {
      connected: () => {
        link.send({ frames, intent: NOTHING });
        link.close();
      },
      disconnected: nothing,
      message: nothing,
    };
    const link = this.#dial(events, () => true);
  }

  fail(task: Task, failure: Failure): void {
    const token = task.token.toString('latin1');
    const intent: Intent = { kind: 'fail', version: 2, token, failure };
    this.#write(workerFail(2, task.token, failure), intent);
  }

  giveBack(task: Task, reason: string): void {
    this.#worker.note(`gives back ${task.request.text()}: ${reason}`);
    const token = task.token.toString('latin1');
    this.#write(workerReturn(2, task.token, reason), { kind: 'return', version: 2, token });
  }

  learnt(): void {
    // All brokers have credit.
  }

  confirmed(): void {
    // Nobody waits for it.
  }

  lost(): void {
    this.#worker.note('is lost');
  }

  ended(): void {
    this.#worker.note('has left');
  }

  #write(frames: readonly Uint8Array[], intent: Intent = NOTHING): void {
    this.link?.send({ frames, intent });
  }

  #receive(frames: Frames): void {
    const { now } = this.#worker;
    const message = readWorkerInbound(2, frames);
    switch (message.kind) {
      case 'request': {
        const request = ReceivedRequest.copied(SERVICE, null, frames, message.body);
        const { group } = message;
        if (group >= 0) request.groupBytes = frames.view(group).toString('latin1');
        this.session.request(new Task(frames, message.token, request), now);
        return;
      }
      case 'cancel': {
        const token = frames.view(message.token);
        if (!this.session.cancelHeld(token, now)) this.#worker.cancel(this, token);
        return;
      }
      case 'heartbeat':
        this.session.heartbeat(now);
        return;
      case 'disconnect':
        this.session.dismissed(now);
        return;
      case 'other':
        this.#learn(frames, now);
        return;
      case 'runs':
        if (this.#worker.sabotage.isDeaf !== true) this.#tellRuns(true);
        return;
      case 'malformed':
        violated(`${this.#worker.name} cannot read what it is sent`);
    }
  }

  #learn(frames: Frames, now: number): void {
    const reply = readClientReply(frames);
    if (reply.kind === 'malformed') violated(`${this.#worker.name} cannot read a reply`);
    this.session.offers(new BrokerFacts(frames, reply.body).workerOffers, now);
  }
}

/** The methods of a sink that a test may replace some of. */
function bound(sink: Registration): SessionSink {
  return {
    open: () => sink.open(),
    close: () => sink.close(),
    ask: () => sink.ask(),
    askAgain: () => sink.askAgain(),
    ready: (...said) => sink.ready(...said),
    heartbeat: () => sink.heartbeat(),
    disconnect: () => sink.disconnect(),
    tellRuns: () => sink.tellRuns(),
    leave: () => sink.leave(),
    begin: (task) => sink.begin(task),
    waitingBytes: () => sink.waitingBytes(),
    awaitRoom: (then) => sink.awaitRoom(then),
    partial: () => sink.partial(),
    final: (...said) => sink.final(...said),
    late: (...said) => sink.late(...said),
    fail: (...said) => sink.fail(...said),
    giveBack: (...said) => sink.giveBack(...said),
    learnt: () => sink.learnt(),
    confirmed: () => sink.confirmed(),
    lost: () => sink.lost(),
    ended: () => sink.ended(),
  };
}
