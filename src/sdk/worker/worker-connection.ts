import { monotonicMs, type MonotonicMs } from '../../core/clock.js';
import { codeOf } from '../../core/errors.js';
import type { Frames } from '../../core/frames.js';
import type { Dial, Link } from '../../zmtp/link-port.js';
import { clientRequest, readClientReply } from '../../wire/client-side.js';
import { decodeHeaders } from '../../wire/headers.js';
import { EMPTY } from '../../wire/mdp.js';
import { MMI_BROKER } from '../../wire/mmi.js';
import type { Failure } from '../../wire/failure.js';
import {
  readWorkerInbound,
  workerAnswerHead,
  workerDisconnect,
  workerFail,
  workerFinal,
  workerHeartbeat,
  workerLeaving,
  workerReady,
  type WorkerRequest,
  workerReturn,
  workerRuns,
} from '../../wire/worker-side.js';
import { BrokerFacts } from '../broker-facts.js';
import { type BodyFrames, frameList } from '../body.js';
import { endpointError, writeBody, writeHead, writeMessage } from '../links.js';
import { ReceivedRequest } from '../message.js';
import { EarlierRuns } from './earlier-runs.js';
import type { WorkerSettings } from './worker-options.js';
import type { OfferedService } from './services.js';
import type {
  RegistrationLoss,
  LostRegistration,
  Registration as RegistrationAt,
} from './worker-events.js';
import {
  type Asked,
  type SessionLoss,
  type SessionOptions,
  type SessionSink,
  Task,
  WorkerSession,
} from './worker-session.js';

/** A request that a handler is working on. */
interface RunningTask {
  readonly session: WorkerSession;
  readonly task: Task;
}

/** What a connection needs of its worker. */
export interface ConnectionOwner {
  readonly settings: WorkerSettings;
  readonly dial: Dial;
  /** Give the task to the service's handler; report its end to the session. */
  run(session: WorkerSession, task: Task, offered: OfferedService): void;
  /** The requests of the service that handlers are working on, with their sessions. */
  running(offered: OfferedService): Iterable<RunningTask>;
  /** Cancels a request of the session, whose answer nobody wants. @param token the broker's */
  cancel(session: WorkerSession, token: Buffer): void;
  /** A link is closing; the worker waits for it before it ends. */
  closing(promise: Promise<void>): void;
  /** A message that a broker should not send. */
  malformed(): void;
  /** The headers of a request are not what its client should send. */
  invalidHeaders(service: string): void;
  /** A connection was given up for a new one. */
  reconnecting(): void;
  /** A machine has a new deadline. */
  wake(): void;
  /** The endpoint cannot be dialled at all. */
  failed(error: Error): void;
  /** Every session of a connection has ended. */
  ended(): void;
  /** The broker has confirmed that the service is registered at the endpoint. */
  registered(at: RegistrationAt): void;
  /**
   * The service is not registered any more, or not within the time; told once until it is, and once more for a key.
   */
  lost(at: LostRegistration): void;
}

const BROKER = Buffer.from(MMI_BROKER);
const DEADLINE_DIGITS_MAX = 10;
const PARTIAL_HEAD = workerAnswerHead(2, false);
const FINAL_HEADS = { 1: workerAnswerHead(1, true), 2: workerAnswerHead(2, true) } as const;
/**
 * A worker that is nowhere registered after this time, or two heartbeats and a second, reports it. In
 * milliseconds. (A broker that answers no `mmi.broker` is heard only when it sends a heartbeat.)
 */
const PATIENCE_MS = 3000;
/** How long a last DISCONNECT or a late reply may take to leave, in milliseconds. */
const LINGER_MS = 1000;

/**
 * A service at an endpoint: one session with its whole credit if the broker supports credit, else one session per
 * concurrent request, each on its own link.
 */
export class WorkerConnection {
  readonly #endpoint: string;
  readonly #offered: OfferedService;
  readonly #owner: ConnectionOwner;
  readonly #registrations = new Set<Registration>();
  #closing = false;
  /** How many of the registrations the broker has confirmed. */
  #confirmed = 0;
  /** What was last reported of it; of a loss, its reason. */
  #reported: 'nothing' | 'registered' | RegistrationLoss = 'nothing';
  /** When it is reported as lost because no broker has answered; `Infinity`: no longer. */
  #patienceMs: MonotonicMs = Infinity;
  /** For replies whose registration has ended: opened on demand, closed when quiet. */
  #late: Link | null = null;
  #lateMs: MonotonicMs = Infinity;

  constructor(endpoint: string, offered: OfferedService, owner: ConnectionOwner) {
    this.#endpoint = endpoint;
    this.#offered = offered;
    this.#owner = owner;
  }

  get service(): string {
    return this.#offered.service;
  }

  /** The broker has confirmed that the service is registered, and nothing has ended that. */
  get isRegistered(): boolean {
    return this.#reported === 'registered';
  }

  get registration(): RegistrationAt {
    return { service: this.service, endpoint: this.#endpoint };
  }

  get ended(): boolean {
    return this.#registrations.size === 0;
  }

  /** Number of answers that wait for a connection. */
  get unsent(): number {
    let count = 0;
    for (const { session } of this.#registrations) count += session.unsent;
    return count;
  }

  start(now: MonotonicMs): void {
    const { name, heartbeatIntervalMs } = this.#owner.settings;
    const { concurrency } = this.#offered;
    this.#patienceMs = now + Math.max(PATIENCE_MS, 1000 + 2 * heartbeatIntervalMs);
    this.#add({
      credit: concurrency,
      hasOptions: name !== null || this.#offered.contract !== null,
      asks: true,
    });
  }

  close(): void {
    this.#closing = true;
    const now = monotonicMs();
    for (const registration of [...this.#registrations]) registration.session.close(now);
  }

  abort(): void {
    this.#closing = true;
    for (const registration of [...this.#registrations]) registration.session.abort();
  }

  /** A request has ended of which a broker was told that it runs. */
  runEnded(task: Task): void {
    for (const registration of this.#registrations) registration.runEnded(task);
  }

  tick(now: MonotonicMs): void {
    for (const registration of [...this.#registrations]) registration.session.tick(now);
    if (this.#lateMs <= now) this.#closeLate();
    if (this.#patienceMs <= now) this.#reportLost('unreachable');
  }

  nextMs(): MonotonicMs {
    let next = Math.min(this.#lateMs, this.#patienceMs);
    for (const { session } of this.#registrations) next = Math.min(next, session.nextMs());
    return next;
  }

  #add(wants: Wants): void {
    const registration = new Registration(this.#endpoint, this.#offered, this.#owner, wants, {
      learnt: (offered) => this.#fill(offered),
      late: (frames) => this.#sendLate(frames),
      ended: () => this.#ended(registration),
      confirmed: () => {
        this.#confirmed++;
        this.#reportRegistered();
      },
      lost: (reason, wasConfirmed, stoodStillMs) => {
        if (wasConfirmed) this.#confirmed--;
        // A worker that gives a request back registers again at once.
        if (reason === 'reregister' || this.#confirmed > 0) return;
        this.#reportLost(reason, stoodStillMs);
      },
    });
    this.#registrations.add(registration);
    registration.session.start();
  }

  #reportRegistered(): void {
    this.#patienceMs = Infinity;
    if (this.#reported === 'registered' || this.#closing) return;
    this.#reported = 'registered';
    this.#owner.registered(this.registration);
  }

  #reportLost(reason: RegistrationLoss, stoodStillMs = 0): void {
    this.#patienceMs = Infinity;
    if (this.#closing || this.#reported === reason) return;
    const isLost = this.#reported !== 'nothing' && this.#reported !== 'registered';
    // A key that is not admitted does not pass by itself, as other reasons may.
    if (isLost && reason !== 'key') return;
    this.#reported = reason;
    const stood = stoodStillMs > 0 ? { stoodStillMs } : {};
    this.#owner.lost({ ...this.registration, reason, ...stood });
  }

  /** Only the first session asks about credit; the answer decides about the others. */
  #fill(creditOffered: boolean): void {
    if (this.#closing) return;
    const others = [...this.#registrations].filter(({ asksForCredit }) => !asksForCredit);
    if (creditOffered) {
      const now = monotonicMs();
      for (const { session } of others) session.close(now);
      return;
    }
    const open = others.filter(({ session }) => !session.closing).length;
    const { concurrency } = this.#offered;
    // A broker without credit knows neither names nor failures, so they need not ask.
    const wants = { credit: 1, hasOptions: false, asks: false };
    for (let count = open + 1; count < concurrency; count++) this.#add(wants);
  }

  #ended(registration: Registration): void {
    this.#registrations.delete(registration);
    if (registration.isConfirmed) this.#confirmed--;
    if (this.#registrations.size > 0) return;
    this.#reported = 'nothing';
    this.#closeLate();
    this.#owner.ended();
  }

  #sendLate(frames: readonly Uint8Array[]): void {
    if (this.#late === null) {
      // A broker that takes the reply sends DISCONNECT all the same: there is nothing to wait for.
      const nothing = (): void => undefined;
      const deaf = { connected: nothing, disconnected: nothing, message: nothing };
      try {
        this.#late = this.#owner.dial(this.#endpoint, deaf);
      } catch {
        // For example too many open files: by now the broker has given the request to another
        // worker.
        return;
      }
    }
    writeMessage(this.#late, frames);
    this.#lateMs = monotonicMs() + this.#owner.settings.heartbeatIntervalMs;
    this.#owner.wake();
  }

  #closeLate(): void {
    this.#lateMs = Infinity;
    if (this.#late === null) return;
    this.#owner.closing(this.#late.close(LINGER_MS));
    this.#late = null;
  }
}

/** Carries out a session's effects on its connection. */
interface ConnectionHooks {
  learnt(creditOffered: boolean): void;
  late(frames: readonly Uint8Array[]): void;
  ended(): void;
  confirmed(): void;
  lost(reason: SessionLoss | 'key', wasConfirmed: boolean, stoodStillMs: number): void;
}

/** What a registration wants of its broker. */
type Wants = Pick<SessionOptions, 'credit' | 'hasOptions' | 'asks'>;

/** A session and its link. */
class Registration implements SessionSink {
  readonly session: WorkerSession;
  /** Whether the session asks for credit. */
  readonly asksForCredit: boolean;
  isConfirmed = false;
  readonly #endpoint: string;
  readonly #offered: OfferedService;
  readonly #owner: ConnectionOwner;
  readonly #hooks: ConnectionHooks;
  #link: Link | null = null;
  /** Called when there is room, or no link. */
  #awaitRoom: (() => void)[] = [];
  /** What was told over the link of what runs. */
  readonly #earlier = new EarlierRuns();
  /** The broker that was asked last knows contracts (D107). */
  #takesContract = false;

  constructor(
    endpoint: string,
    offered: OfferedService,
    owner: ConnectionOwner,
    wants: Wants,
    hooks: ConnectionHooks,
  ) {
    this.#endpoint = endpoint;
    this.#offered = offered;
    this.#owner = owner;
    this.#hooks = hooks;
    this.asksForCredit = wants.credit > 1;
    this.session = new WorkerSession(
      { ...owner.settings, ...wants },
      this,
      offered.limiter,
      Math.random,
    );
  }

  open(): void {
    let mine: Link | null = null;
    const current = (): boolean => mine !== null && mine === this.#link;
    const events = {
      connected: () => {
        if (current()) this.session.connected(monotonicMs());
        this.#owner.wake();
      },
      disconnected: () => {
        if (current()) this.session.disconnected(monotonicMs());
        this.#owner.wake();
      },
      unreachable: (isKeyRefused: boolean) => {
        if (isKeyRefused && current()) this.#hooks.lost('key', false, 0);
      },
      message: (frames: Frames) => {
        if (current()) this.#receive(frames);
      },
      written: () => {
        if (current() && !this.session.isBusy) this.#tellRoom();
      },
    };
    try {
      mine = this.#owner.dial(this.#endpoint, events);
      this.#link = mine;
      this.#earlier.clear();
    } catch (error) {
      this.#notOpened(error);
    }
  }

  /** A wrong endpoint ends the worker; anything else, such as too many open files, may pass. */
  #notOpened(error: unknown): void {
    if (codeOf(error) === 'ERR_MDP_ENDPOINT') {
      this.#owner.failed(endpointError(this.#endpoint, error));
      return;
    }
    queueMicrotask(() => {
      this.session.disconnected(monotonicMs());
      this.#owner.wake();
    });
  }

  close(): void {
    if (this.#link === null) return;
    const last = this.session.state === 'ended';
    if (!last) this.#owner.reconnecting();
    this.#owner.closing(this.#link.close(last ? LINGER_MS : 0));
    this.#link = null;
    this.#tellRoom();
  }

  ask(): void {
    this.#takesContract = false;
    this.#write(clientRequest(this.#owner.settings.version, null, BROKER, [EMPTY]));
  }

  askAgain(): void {
    this.ask();
  }

  ready(credit: number | null, tellsName: boolean, asks: Asked): void {
    const { version, name } = this.#owner.settings;
    const options = { ...asks, name: tellsName ? name : null };
    const contract = this.#takesContract ? this.#offered.contract : null;
    this.#write(workerReady(version, this.#offered.name, credit, options, contract));
  }

  heartbeat(): void {
    this.#write(workerHeartbeat(this.#owner.settings.version));
  }

  disconnect(): void {
    this.#write(workerDisconnect(this.#owner.settings.version));
  }

  leave(): void {
    this.#write(workerLeaving(this.#owner.settings.version));
  }

  tellRuns(): void {
    this.#tellRuns(false);
  }

  /** @param all those of other brokers, too */
  #tellRuns(all: boolean): void {
    const tasks: Task[] = [];
    for (const { session, task } of this.#owner.running(this.#offered)) {
      const isOwn = session === this.session;
      const isTold = isOwn ? !session.isPresent(task) : all || this.#earlier.told.has(task);
      if (isTold) tasks.push(task);
    }
    this.#sendRuns(this.#earlier.add(tasks));
  }

  runEnded(task: Task): void {
    this.#sendRuns(this.#earlier.ended(task));
  }

  #sendRuns(messages: readonly Buffer[][]): void {
    const { version } = this.#owner.settings;
    for (const groups of messages) this.#write(workerRuns(version, this.#offered.name, groups));
  }

  begin(task: Task): void {
    this.#owner.run(this.session, task, this.#offered);
  }

  waitingBytes(): number {
    return this.#link?.waitingBytes ?? 0;
  }

  awaitRoom(then: () => void): void {
    this.#awaitRoom.push(then);
  }

  #tellRoom(): void {
    for (const then of this.#awaitRoom.splice(0)) then();
  }

  partial(task: Task, body: BodyFrames): void {
    this.#answer(PARTIAL_HEAD, task, body);
  }

  final(task: Task, body: BodyFrames): void {
    this.#answer(FINAL_HEADS[this.#owner.settings.version], task, body);
  }

  late(task: Task, body: BodyFrames): void {
    const { version } = this.#owner.settings;
    this.#hooks.late(workerFinal(version, task.token, frameList(body)));
  }

  fail(task: Task, failure: Failure): void {
    this.#write(workerFail(this.#owner.settings.version, task.token, failure));
  }

  giveBack(task: Task, reason: string): void {
    this.#write(workerReturn(this.#owner.settings.version, task.token, reason));
  }

  learnt(credit: boolean): void {
    this.#hooks.learnt(credit);
  }

  ended(): void {
    this.#hooks.ended();
  }

  confirmed(): void {
    this.isConfirmed = true;
    this.#hooks.confirmed();
  }

  lost(reason: SessionLoss, stoodStillMs: number): void {
    const wasConfirmed = this.isConfirmed;
    this.isConfirmed = false;
    this.#hooks.lost(reason, wasConfirmed, stoodStillMs);
  }

  #answer(head: Buffer, task: Task, body: BodyFrames): void {
    const link = this.#link;
    if (link === null) return;
    writeHead(link, head, 0, head.length);
    writeHead(link, task.bytes, task.start, task.end);
    writeBody(link, body);
  }

  #write(frames: readonly Uint8Array[]): void {
    if (this.#link !== null) writeMessage(this.#link, frames);
  }

  #receive(frames: Frames): void {
    const now = monotonicMs();
    const message = readWorkerInbound(this.#owner.settings.version, frames);
    switch (message.kind) {
      case 'request':
        this.#request(frames, message, now);
        return;
      case 'cancel': {
        const token = frames.view(message.token);
        if (!this.session.cancelHeld(token, now)) this.#owner.cancel(this.session, token);
        return;
      }
      case 'heartbeat':
        this.session.heartbeat(now);
        return;
      case 'runs':
        this.#tellRuns(true);
        return;
      case 'disconnect':
        this.session.dismissed(now);
        this.#owner.wake();
        return;
      case 'other':
        this.#readAnswer(frames, now);
        return;
      case 'malformed':
        this.#owner.malformed();
    }
  }

  #request(frames: Frames, { token, headers, group, body }: WorkerRequest, now: MonotonicMs): void {
    const { service, decode } = this.#offered;
    const request = ReceivedRequest.copied(service, decode, frames, body);
    if (headers >= 0) this.#readMetadata(frames, headers, request, now);
    if (group >= 0) request.groupBytes = frames.view(group).toString('latin1');
    this.session.request(new Task(frames, token, request), now);
  }

  /** The broker passes headers on unread, so anything may be there (D66). */
  #readMetadata(frames: Frames, at: number, request: ReceivedRequest, now: MonotonicMs): void {
    const deadline = frames.view(at - 1);
    const leftMs = deadline.length > DEADLINE_DIGITS_MAX ? 0 : Number(deadline.toString('latin1'));
    if (leftMs > 0) request.deadlineMs = Math.ceil(now + leftMs);
    const headers = decodeHeaders(frames.view(at));
    if (headers === null) this.#owner.invalidHeaders(request.service);
    else request.headers = headers;
  }

  #readAnswer(frames: Frames, now: MonotonicMs): void {
    const reply = readClientReply(frames);
    if (reply.kind === 'malformed' || !frames.equals(reply.service, BROKER)) {
      this.#owner.malformed();
      return;
    }
    const offers = new BrokerFacts(frames, reply.body).workerOffers;
    this.#takesContract = offers.contract;
    this.session.offers(offers, now);
    this.#owner.wake();
  }
}
