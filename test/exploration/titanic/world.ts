/**
 * A world around the machine's open requests, in which everything waits until it is told to happen: the
 * store, its answers, the broker, its workers, those who close, the other broker of a shared store. The
 * machine in it is the real one, from the writer to the answers.
 */
import { NO_OWN, NO_PARTNER } from '../../../src/store/fields.js';
import { PLAIN } from '../../../src/broker/request-counters.js';
import type { BrokerHost, DeliveryPort, StoredBody } from '../../../src/broker/ports.js';
import { CountedServices } from '../../../src/core/counted-services.js';
import { Frames } from '../../../src/core/frames.js';
import type {
  Change,
  ChangeResult,
  Completion,
  Found,
  StoredContent,
  StoredRequest,
} from '../../../src/store/store.js';
import { newRequest } from '../../../src/store/request.js';
import { TitanicContext } from '../../../src/titanic/machine/requests/context.js';
import { Dispatcher } from '../../../src/titanic/machine/requests/dispatcher.js';
import { Execution } from '../../../src/titanic/machine/requests/execution.js';
import {
  DELAYED,
  isBeingDecided,
  LOADING,
  OUT,
  QUEUED,
  READY,
  RETURNING,
  STATES,
  type Table,
} from '../../../src/titanic/machine/requests/fsm.js';
import {
  ATTEMPTS,
  BROKER_ID,
  CLAIM,
  EXPIRES_AT,
  EXPIRY_PLACE,
  NO_SLOT,
  NOT_BEFORE,
  type Slot,
  STATE,
} from '../../../src/titanic/machine/requests/open-index.js';
import { OpenRequests } from '../../../src/titanic/machine/requests/open-requests.js';
import { Progress } from '../../../src/titanic/machine/requests/progress.js';
import type { BatchOutcome, Replica } from '../../../src/titanic/machine/requests/replica.js';
import { Scope } from '../../../src/titanic/machine/requests/scope.js';
import { Upkeep } from '../../../src/titanic/machine/upkeep.js';
import { asker } from '../../support/asker.js';
import { type Explored, Fault, hold } from './search.js';

/** Of whom the store is: this broker's alone, a pair's, or that of several brokers. */
export type Mode = 'alone' | 'pair' | 'shared';

/** How often what need not happen may happen. */
export interface Budget {
  readonly closes: number;
  /** Batches that are rolled back. */
  readonly failures: number;
  /** Replies that the store does not take. */
  readonly refusals: number;
  readonly unread: number;
  /** Requests that the broker does not want after all. */
  readonly handedBack: number;
  /** Requests that their worker has no place for yet. */
  readonly deferrals: number;
  readonly expiries: number;
  /** Of the peer's records. */
  readonly merges: number;
  /** The peer is lost, and with it the promise that a batch is on both disks. */
  readonly losses: number;
  /** The session with a shared store ends. */
  readonly sessions: number;
}

export interface Setting extends Budget {
  readonly mode: Mode;
  readonly requests: number;
}

const SERVICE = Buffer.from('echo');
const ATTEMPTS_MAX = 2;
const PAUSE_MS = 10;
const TTL_MS = 1e9;
const CONTENT: StoredContent = { body: Buffer.from([1, 65]), headers: null, backoff: null };
const BUSY = { kind: 'busy', message: 'the store is busy' } as const;
const FINAL = { kind: 'final', code: 'NO', text: 'no', detail: [] } as const;

/** A request in the store. */
interface Row {
  readonly uuid: Buffer;
  state: 'pending' | 'replied' | 'dead' | 'closed' | 'expired';
  attempts: number;
  /** It rises when the peer makes it pending again. */
  generation: number;
  /** The claim under which it runs; 0: none. */
  claim: number;
  /** Replied, dead, or expired: how often it came to that. */
  ends: number;
  /** It was replied or dead, and may have been closed since. */
  wasReplied: boolean;
  wasDead: boolean;
  /** It is to be opened again when what is being decided is known. */
  isNoted: boolean;
}

/** A request with the broker. */
interface Sent {
  readonly id: number;
  readonly row: Row;
  slot: Slot;
  state: 'queued' | 'out' | 'known' | 'deferred';
  /** An attempt of it has ended, and its worker may still reply. */
  mayReply: boolean;
}

interface Batch {
  readonly changes: readonly Change[];
  readonly outcome: BatchOutcome<readonly ChangeResult[]>;
  results: readonly ChangeResult[] | null;
  isReported: boolean;
  isReleased: boolean;
}

/** Somebody who closes, and gets one answer. */
interface Closer {
  answers: number;
}

type Action = readonly [name: keyof World, at: number, takes?: keyof Budget];

export class World implements Explored {
  readonly #setting: Setting;
  readonly #left: Record<keyof Budget, number>;
  readonly #context: TitanicContext;
  readonly #requests: OpenRequests;
  readonly #dispatcher: Dispatcher;
  readonly #execution: Execution;
  readonly #upkeep: Upkeep;
  readonly #rows: Row[] = [];
  readonly #sent: Sent[] = [];
  readonly #batches: Batch[] = [];
  /** Kinds of the changes that wait for their batch, each with the state of its request then. */
  #waiting: string[] = [];
  readonly #reads: {
    readonly rows: readonly Row[];
    readonly completion: Completion<readonly (StoredContent | null)[]>;
  }[] = [];
  /** Reads whose result the machine has not looked at yet. */
  #unseen = 0;
  readonly #lookUps: { readonly row: Row; readonly completion: Completion<Found> }[] = [];
  readonly #closers: Closer[] = [];
  /** Answers to the client that waits for the reply to each request. */
  readonly #answers: string[][] = [];
  #lastId = 0;
  #lastClaim = 0;
  #refusal: string | null = null;
  #mayHandBack = true;

  constructor(setting: Setting, table: Table) {
    this.#setting = setting;
    this.#left = { ...setting };
    this.#context = this.#newContext();
    this.#context.isActive = true;
    this.#context.trace = (step) => {
      if (step.name !== 'titanic.ended' || step.outcome === 'closed') return;
      const row = this.#rows.find(({ uuid }) => step.uuid.startsWith(uuid.toString('hex', 0, 4)));
      if (row !== undefined) row.ends++;
    };
    const scope = new Scope();
    const random = (bytes: Buffer): void => {
      bytes.fill(0);
    };
    this.#dispatcher = new Dispatcher(this.#context, scope, random, table);
    const none = (): never => {
      throw new Fault('nothing is accepted here');
    };
    const later = {
      services: { commitOf: none },
      schedules: {
        restore: none,
        restorePause: none,
        limits: { restore: none },
        gone: () => undefined,
        claimed: [],
      },
    };
    this.#requests = new OpenRequests(this.#context, scope, this.#dispatcher, later);
    const progress = new Progress(this.#context, this.#requests);
    this.#execution = new Execution(this.#context, this.#requests, random, progress);
    this.#upkeep = new Upkeep(this.#context, this.#requests, { gone: () => undefined });
    this.#watchWriter();
    for (let n = 0; n < setting.requests; n++) this.#begin(n);
  }

  #newContext(): TitanicContext {
    const replica: Replica = {
      isPaired: this.#setting.mode === 'pair',
      silence: null,
      answerMs: Infinity,
      batchesMax: this.#setting.mode === 'shared' ? 2 : 1,
      batchBytesMax: 1e6,
      commit: (changes, outcome) => this.#commit(changes, outcome),
      probe: () => 0,
      refusal: null,
    };
    Object.defineProperty(replica, 'refusal', { get: () => this.#refusal });
    return new TitanicContext(
      {
        maxAttempts: ATTEMPTS_MAX,
        retryBaseMs: PAUSE_MS,
        retryMaxMs: PAUSE_MS,
        replyTtlMs: TTL_MS,
        requestTtlMs: TTL_MS,
        keyTtlMs: TTL_MS,
        maxInFlight: 1,
        inFlightBytes: 1e9,
        maxOpen: 10,
        maxBytes: 1e9,
      },
      {
        list: () => undefined,
        load: (uuids, completion) => {
          this.#reads.push({ rows: uuids.map((uuid) => this.#row(uuid)), completion });
        },
        lookUp: (uuid, _bytes, completion) => {
          this.#lookUps.push({ row: this.#row(uuid), completion });
        },
      },
      replica,
      { emit: () => undefined },
      new CountedServices(PLAIN),
      this.#setting.mode === 'shared'
        ? { claim: () => undefined, listKept: () => undefined, hint: () => undefined }
        : null,
    );
  }

  /** What waits for a batch is known here, too: it is part of the state. */
  #watchWriter(): void {
    const { writer } = this.#requests;
    const add = writer.add.bind(writer);
    writer.add = (intent, now) => {
      const { change } = intent;
      const slot = 'uuid' in change ? this.#dispatcher.index.find(change.uuid) : NO_SLOT;
      this.#waiting.push(`${this.#named(change)} ${this.#stateOf(slot)}`);
      add(intent, now);
    };
  }

  #begin(n: number): void {
    const uuid = Buffer.alloc(16, n + 1);
    const facts = { ends: 0, wasReplied: false, wasDead: false, isNoted: false };
    const row: Row = { uuid, state: 'pending', attempts: 0, generation: 0, claim: 0, ...facts };
    this.#rows.push(row);
    const answers: string[] = [];
    this.#answers.push(answers);
    this.#open(row);
    const id = this.#requests.answers.waits.begins(n, false);
    const query = { id, asker: asker(), uuid, until: Infinity, cursor: null };
    this.#requests.answers.pending(query, 0);
  }

  /** It is found in the store, and claimed if others use it, too. */
  #open(row: Row): void {
    const slot = this.#dispatcher.index.find(row.uuid);
    if (slot !== NO_SLOT && isBeingDecided(this.#dispatcher.index.get(slot, STATE))) {
      row.isNoted = true;
    }
    const request = this.#facts(row);
    if (this.#setting.mode !== 'shared') {
      this.#requests.restore(request);
      return;
    }
    row.claim = ++this.#lastClaim;
    this.#requests.restore(request, { request, claim: row.claim, content: null, isTurn: false });
  }

  #facts({ uuid, attempts, generation }: Row): StoredRequest {
    const who = {
      kind: 'request',
      partner: NO_PARTNER,
      own: NO_OWN,
      service: SERVICE,
      owner: 'anonymous',
      isShared: false,
    } as const;
    const times = { acceptedAt: 0, notBefore: 0, expiresAt: TTL_MS };
    const request = newRequest(uuid, 2, {
      ...who,
      ...times,
      priority: 0,
      maxAttempts: ATTEMPTS_MAX,
    });
    request.attempts = attempts;
    request.generation = generation;
    return request;
  }

  #row(uuid: Buffer): Row {
    const row = this.#rows.find((each) => each.uuid.equals(uuid));
    if (row === undefined) throw new Fault('a uuid of nothing');
    return row;
  }

  // ---------------------------------------------------------------- what may happen now

  get actions(): Action[] {
    const { mode } = this.#setting;
    const actions: Action[] = [['turn', 0]];
    for (const [at, sent] of this.#sent.entries()) {
      const { state, mayReply } = sent;
      if (state === 'queued') actions.push(['dispatch', at]);
      if (state === 'queued') actions.push(['defer', at, 'deferrals']);
      if (state === 'deferred') actions.push(['call', at]);
      if (state === 'out') actions.push(['fail', at], ['failFinally', at], ['spoil', at]);
      if (state === 'out' || mayReply) actions.push(['reply', at]);
      if (isRunning(sent) && this.#mayHandBack) actions.push(['handBack', at, 'handedBack']);
    }
    for (const at of this.#reads.keys()) actions.push(['read', at], ['cannotRead', at, 'unread']);
    for (const [at, { results, isReported, isReleased, changes }] of this.#batches.entries()) {
      if (results === null) {
        // The store takes its batches in their order.
        if (this.#batches.slice(0, at).some((before) => before.results === null)) break;
        actions.push(['apply', at], ['rollBack', at, 'failures']);
        if (changes.some(({ kind }) => kind === 'reply')) actions.push(['refuse', at, 'refusals']);
      } else if (!isReported) actions.push(['report', at]);
      if (!isReleased && mode === 'pair') actions.push(['release', at]);
    }
    for (const [at, row] of this.#rows.entries()) {
      actions.push(['close', at, 'closes']);
      if (this.#expires(row)) actions.push(['expire', at, 'expiries']);
      if (mode === 'pair') {
        if (this.#mayReopen(row)) actions.push(['mergeOpened', at, 'merges']);
        actions.push(['mergeEnded', at, 'merges']);
      }
      if (this.#mayClaim(row)) actions.push(['claim', at]);
    }
    if (mode === 'pair' && this.#refusal === null) actions.push(['losePeer', 0, 'losses']);
    if (this.#refusal !== null) actions.push(['findPeer', 0]);
    if (mode === 'shared') actions.push(['loseSession', 0, 'sessions']);
    if (this.#isPausing) actions.push(['wait', 0]);
    return actions.filter(([, , takes]) => takes === undefined || this.#left[takes] > 0);
  }

  /** What its store has committed before is told of before. */
  #mayReopen({ state }: Row): boolean {
    const isTold = this.#batches.every(({ results }) => results === null);
    return isTold && state !== 'closed' && state !== 'expired';
  }

  #mayClaim(row: Row): boolean {
    return this.#setting.mode === 'shared' && row.state === 'pending' && row.claim === 0;
  }

  #expires(row: Row): boolean {
    const slot = this.#dispatcher.index.find(row.uuid);
    return slot !== NO_SLOT && this.#dispatcher.index.get(slot, EXPIRY_PLACE) >= 0;
  }

  get #isPausing(): boolean {
    const { index } = this.#dispatcher;
    const { now } = this.#context;
    const isDelayed = [...this.#dispatcher.slots()].some((slot) => {
      const notBefore = index.getDouble(slot, NOT_BEFORE);
      return index.get(slot, STATE) === DELAYED && notBefore > now && notBefore < Infinity;
    });
    const { writer } = this.#requests;
    const writesAt = writer.dueAt;
    if (this.#requests.trouble !== null && writer.isIdle) return true;
    return isDelayed || !writer.mayRetry(now) || (writesAt > now && writesAt < Infinity);
  }

  /** @param isChecked false: what follows was found to be right before */
  do([name, at, takes]: Action, isChecked = true): void {
    if (takes !== undefined) this.#left[takes]--;
    (this[name] as (at: number) => void)(at);
    for (const row of this.#rows) {
      if (this.#dispatcher.index.find(row.uuid) === NO_SLOT) row.isNoted = false;
    }
    if (isChecked) this.#check();
  }

  // ---------------------------------------------------------------- time

  turn(): void {
    const { now } = this.#context;
    const { answers, writer } = this.#requests;
    this.#requests.show();
    this.#upkeep.expire();
    this.#unseen = 0;
    const { index } = this.#dispatcher;
    const missing = this.#dispatcher.run(this.#embedded, now, this.#requests.mayWork, true, null);
    for (const slot of missing) this.#requests.end(index.uuid(slot), 'changed');
    writer.run(now);
    do {
      answers.send(this.#host, now);
      for (const { row, completion } of this.#lookUps.splice(0)) completion.done(found(row));
      this.#requests.show();
    } while (answers.areDue || this.#lookUps.length > 0);
  }

  /** Every pause is over. While the store is in trouble, the next sweep finds out whether it still is. */
  wait(): void {
    this.#context.now += 10_000;
    if (this.#requests.trouble !== null) this.#upkeep.sweep();
  }

  /** The time to live of a request is over. */
  expire(at: number): void {
    const slot = this.#dispatcher.index.find(this.#at(at).uuid);
    this.#dispatcher.index.setDouble(slot, EXPIRES_AT, 0);
    this.#context.wall = 1;
    this.#upkeep.expire();
  }

  // ---------------------------------------------------------------- the broker

  readonly #embedded: DeliveryPort = {
    room: () => 1 - this.#sent.filter(({ state }) => state === 'queued').length,
    window: () => 1,
    groupRule: () => null,
    fullGroups: () => [],
    mayPrepare: () => true,
    whyHeld: () => null,
    served: () => [SERVICE],
    workersOf: () => ({ isServed: true, unservedSince: null }),
    setBacklog: () => undefined,
    setPaused: () => undefined,
    setLimits: () => undefined,
    submit: (_service: Buffer, slot: number, _body: StoredBody, again: number | null) => {
      const row = this.#row(this.#dispatcher.index.uuid(slot));
      const known = this.#sent.find(({ id }) => id === again);
      hold(again === null || known?.state === 'known', 'it is submitted again, and not known');
      const isTwice = this.#sent.some((each) => each.row === row && isRunning(each));
      hold(!isTwice, 'it is with the broker twice');
      if (known !== undefined) {
        known.state = 'queued';
        return known.id;
      }
      this.#sent.push({ id: ++this.#lastId, row, slot, state: 'queued', mayReply: false });
      return this.#lastId;
    },
    setStored: () => undefined,
    ownerRightsOf: () => {
      throw new Fault('nobody asks');
    },
    parts: () => null,
    withdraw: (id) => {
      const at = this.#sent.findIndex((each) => each.id === id);
      hold(at >= 0, 'what is withdrawn is not with the broker');
      this.#sent.splice(at, 1);
    },
  };

  dispatch(at: number): void {
    const sent = this.#sentAt(at);
    sent.state = 'out';
    this.#execution.dispatched(sent.slot, { number: 1, name: null, address: '' });
  }

  reply(at: number): void {
    const { slot } = this.#sentAt(at);
    this.#sent.splice(at, 1);
    this.#execution.replied(slot, Frames.of('A'), 0, null);
  }

  /** Its worker reports a failure, or is lost: its reply may still come. */
  fail(at: number): void {
    const sent = this.#sentAt(at);
    sent.state = 'known';
    sent.mayReply = true;
    this.#execution.failed(sent.slot, 'lost', true, null);
  }

  failFinally(at: number): void {
    const sent = this.#sentAt(at);
    sent.state = 'known';
    this.#execution.failed(sent.slot, 'no', true, FINAL);
  }

  /** Its worker cannot give a usable reply, and the broker forgets it. */
  spoil(at: number): void {
    const { slot } = this.#sentAt(at);
    this.#sent.splice(at, 1);
    this.#execution.failed(slot, 'spoiled', false, null);
  }

  handBack(at: number): void {
    const sent = this.#sentAt(at);
    sent.state = 'known';
    this.#execution.handedBack(sent.slot);
  }

  defer(at: number): void {
    const sent = this.#sentAt(at);
    sent.state = 'deferred';
    this.#execution.deferred(sent.slot);
  }

  /** Its worker has a place for it, and may say so twice. */
  call(at: number): void {
    const sent = this.#sentAt(at);
    sent.state = 'known';
    this.#execution.called(sent.slot);
    this.#execution.called(sent.slot);
  }

  #sentAt(at: number): Sent {
    const sent = this.#sent[at];
    if (sent === undefined) throw new Fault('nothing is with the broker');
    return sent;
  }

  // ---------------------------------------------------------------- the store

  #commit(changes: readonly Change[], outcome: BatchOutcome<readonly ChangeResult[]>): boolean {
    const isPair = this.#setting.mode === 'pair';
    this.#batches.push({ changes, outcome, results: null, isReported: false, isReleased: !isPair });
    this.#waiting = this.#waiting.slice(changes.filter((each) => !this.#isBefore(each)).length);
    return isPair;
  }

  /** The last attempt, which is committed with the death that follows it. */
  #isBefore(change: Change): boolean {
    return change.kind === 'attempt' && change.attempts >= ATTEMPTS_MAX;
  }

  read(at: number): void {
    this.#unseen++;
    for (const { rows, completion } of this.#reads.splice(at, 1)) {
      completion.done(
        rows.map(({ state }) => (state === 'closed' || state === 'expired' ? null : CONTENT)),
      );
    }
  }

  cannotRead(at: number): void {
    for (const { completion } of this.#reads.splice(at, 1)) completion.failed(BUSY);
  }

  apply(at: number): void {
    const batch = this.#batchAt(at);
    batch.results = batch.changes.map((change) => this.#applied(change));
  }

  /** The store does not take its replies. */
  refuse(at: number): void {
    const batch = this.#batchAt(at);
    batch.results = batch.changes.map((change) =>
      change.kind === 'reply' ? { kind: 'refused' } : this.#applied(change),
    );
  }

  report(at: number): void {
    const batch = this.#batchAt(at);
    batch.isReported = true;
    if (batch.isReleased) this.#batches.splice(at, 1);
    batch.outcome.done(batch.results ?? []);
  }

  /** The peer has it. */
  release(at: number, isDoubtful = false): void {
    const batch = this.#batchAt(at);
    batch.isReleased = true;
    if (batch.isReported) this.#batches.splice(at, 1);
    batch.outcome.released(isDoubtful);
  }

  rollBack(at: number): void {
    const [batch] = this.#batches.splice(at, 1);
    const again = batch?.changes ?? [];
    batch?.outcome.failed(BUSY);
    this.#waiting.unshift(`again ${again.map((change) => this.#named(change)).join()}`);
  }

  #batchAt(at: number): Batch {
    const batch = this.#batches[at];
    if (batch === undefined) throw new Fault('no batch');
    return batch;
  }

  #applied(change: Change): ChangeResult {
    if (change.kind === 'sweep') {
      return { kind: 'swept', replied: 0, dead: 0, services: [], gone: [], more: false };
    }
    const row = this.#row('uuid' in change ? change.uuid : Buffer.alloc(0));
    if ('generation' in change && change.generation < row.generation) return { kind: 'passed' };
    const isPending = row.state === 'pending';
    const hasClaim = !('claim' in change) || change.claim === row.claim;
    switch (change.kind) {
      case 'attempt':
        if (!isPending || !hasClaim || change.attempts <= row.attempts) return { kind: 'passed' };
        row.attempts = change.attempts;
        if (change.keepsClaim !== true) row.claim = 0;
        return { kind: 'done' };
      case 'reply':
        if (!isPending && row.state !== 'dead') return { kind: 'passed' };
        row.state = 'replied';
        row.wasReplied = true;
        return { kind: 'done' };
      case 'dead':
        if (!isPending || !hasClaim) return { kind: 'passed' };
        row.state = 'dead';
        row.wasDead = true;
        return { kind: 'done' };
      default: {
        const isOver = row.state === 'closed' || row.state === 'expired';
        if (isOver || (change.kind === 'expire' && !isPending)) return { kind: 'passed' };
        row.state = change.kind === 'expire' ? 'expired' : 'closed';
        return { kind: 'done' };
      }
    }
  }

  // ---------------------------------------------------------------- others

  close(at: number): void {
    const closer: Closer = { answers: 0 };
    this.#closers.push(closer);
    this.#requests.close(this.#at(at).uuid, () => {
      closer.answers++;
    });
  }

  mergeOpened(at: number): void {
    const row = this.#at(at);
    const slot = this.#dispatcher.index.find(row.uuid);
    const isDecided = slot !== NO_SLOT && isBeingDecided(this.#dispatcher.index.get(slot, STATE));
    if (isDecided) row.isNoted = true;
    row.state = 'pending';
    row.attempts = 0;
    row.generation++;
    this.#requests.merged([this.#facts(row)], []);
  }

  mergeEnded(at: number): void {
    const row = this.#at(at);
    if (row.state !== 'expired') row.state = 'closed';
    this.#requests.merged([], [row.uuid]);
  }

  losePeer(): void {
    this.#refusal = 'no peer';
    for (const batch of [...this.#batches]) {
      if (!batch.isReleased) this.release(this.#batches.indexOf(batch), true);
    }
  }

  findPeer(): void {
    this.#refusal = null;
  }

  claim(at: number): void {
    this.#open(this.#at(at));
  }

  loseSession(): void {
    for (const row of this.#rows) if (row.state === 'pending') row.claim = 0;
    this.#requests.dropUnstarted();
  }

  #at(at: number): Row {
    const row = this.#rows[at];
    if (row === undefined) throw new Fault('no such request');
    return row;
  }

  readonly #host: BrokerHost = {
    answer: (id, [status = Buffer.alloc(0)]) => {
      const text = status.toString();
      const row = this.#at(id);
      const isTrue = {
        '2': row.wasReplied,
        '4': row.state === 'closed' || row.state === 'expired',
        '5': row.wasDead,
        '3': true,
      }[text.slice(0, 1)];
      hold(isTrue === true, `it is ${row.state}, and the answer is ${text}`);
      this.#answers[id]?.push(text);
    },
    part: () => {
      throw new Fault('nothing is accepted here');
    },
    refuse: () => {
      throw new Fault('nobody is refused');
    },
    recordHello: () => ({ resumeMs: null, isKnown: false, reason: null }),
    resume: () => 'no_session',
    cancel: () => true,
  };

  // ---------------------------------------------------------------- what must hold

  #check(): void {
    const { index } = this.#dispatcher;
    const slots = [...this.#dispatcher.slots()];
    const count = (...states: readonly number[]): number =>
      slots.filter((slot) => states.includes(index.get(slot, STATE))).length;
    const { out, delayed } = this.#dispatcher.figuresOf(SERVICE);
    hold(
      this.#dispatcher.places.requests === count(LOADING, QUEUED, OUT),
      'in flight is counted wrongly',
    );
    hold(this.#dispatcher.delivered === count(OUT), 'a delivery is held without an attempt');
    hold(out === count(OUT) && delayed === count(DELAYED), 'a service is counted wrongly');
    hold(this.#dispatcher.aheadOf(SERVICE) === count(READY, LOADING), 'what is ahead is wrong');
    for (const slot of slots) this.#checkSlot(slot);
    for (const row of this.#rows) {
      hold(row.ends <= 1 || this.#setting.mode === 'pair', 'it ends more than once');
    }
    for (const { answers } of this.#closers) hold(answers <= 1, 'a close is answered twice');
    for (const answers of this.#answers) hold(answers.length <= 1, 'a client is answered twice');
    if (slots.length === 0) this.#checkNothing();
    if (this.#setting.mode !== 'shared' && this.#isWritten) this.#checkAgainstStore();
  }

  #checkSlot(slot: Slot): void {
    const { index } = this.#dispatcher;
    const state = index.get(slot, STATE);
    const id = index.getDouble(slot, BROKER_ID);
    const sent = this.#sent.find((each) => each.id === id);
    const name = STATES[state] ?? '?';
    hold(id < 0 || sent !== undefined, `${name}: the broker has forgotten it`);
    if (state === OUT) hold(sent?.state === 'out', 'it is OUT without an attempt');
    else if (state === QUEUED) {
      hold(sent?.state === 'queued', 'it is QUEUED, and not with the broker');
    } else hold(sent === undefined || !isRunning(sent), `the broker runs what is ${name}`);
    if (sent?.state === 'deferred') hold(state === DELAYED, `it is ${name} before it is called`);
    hold(!isBeingDecided(state) || state === RETURNING || id < 0, `${name}: it may still run`);
    hold(isBeingDecided(state) || !this.#isOver(slot), `${name}: it goes on, and is over`);
  }

  /** Its reply, or the fact that it is dead, is being committed, or was. */
  #isOver(slot: Slot): boolean {
    if (this.#setting.mode !== 'alone') return false;
    const row = this.#row(this.#dispatcher.index.uuid(slot));
    const isEnd = (change: string): boolean =>
      change.includes(`reply ${row.uuid[0] ?? 0} `) || change.includes(`dead ${row.uuid[0] ?? 0} `);
    const inBatches = this.#batches.flatMap(({ changes }) =>
      changes.map((each) => this.#named(each)),
    );
    return row.ends > 0 || [...this.#waiting, ...inBatches].some(isEnd);
  }

  #checkNothing(): void {
    const { dispatcher } = this.#requests;
    const isAllGivenBack =
      dispatcher.places.requests === 0 &&
      dispatcher.places.bytes === 0 &&
      dispatcher.places.lacking.size === 0 &&
      dispatcher.index.count === 0 &&
      dispatcher.expiryAt === Infinity &&
      (dispatcher.dueAt === Infinity || dispatcher.dueAt === -Infinity) &&
      [...dispatcher.ready()].length === 0 &&
      dispatcher.roomInFlight(SERVICE) === 1;
    hold(isAllGivenBack, 'nothing is open, and something is held');
  }

  get #isWritten(): boolean {
    return this.#requests.writer.isIdle && this.#batches.length === 0;
  }

  #checkAgainstStore(): void {
    for (const row of this.#rows) {
      const isOpen = this.#dispatcher.index.find(row.uuid) !== NO_SLOT;
      // What is missing in the store is only found to be when it is read.
      if (row.state === 'pending') hold(isOpen, 'it is pending in the store, and not open here');
      else if (isOpen) {
        hold(row.state === 'closed', `it is ${row.state} in the store, and open here`);
      }
    }
  }

  // ---------------------------------------------------------------- a good end

  /** From now on nothing goes wrong: all comes to an end. */
  heal(): void {
    for (let steps = 0; ; steps++) {
      hold(steps < 100, 'it does not come to an end');
      this.do(['turn', 0]);
      const action = this.actions.find(([name, , takes]) => takes === undefined && isGood(name));
      if (action !== undefined) this.do(action);
      else if (this.#requests.writer.isIdle && !this.#dispatcher.hasDemand) break;
    }
    this.do(['turn', 0]);
    this.#requests.answers.lookAgain();
    this.do(['turn', 0]);
    for (const [at, row] of this.#rows.entries()) {
      hold(row.state !== 'pending', 'it never ends');
      hold(this.#answers[at]?.length === 1, 'its client is never answered');
    }
    hold(this.#dispatcher.index.count === 0, 'it stays open');
    hold(this.#sent.length === 0, 'the broker keeps it');
    for (const { answers } of this.#closers) hold(answers === 1, 'a close is never answered');
  }

  // ---------------------------------------------------------------- the state as text

  /** Equal of worlds that go on in the same way. */
  get key(): string {
    const { index, dueAt, hasDemand } = this.#dispatcher;
    const { now, wall } = this.#context;
    const { writer, trouble, answers } = this.#requests;
    const rows = this.#rows.map((row) => {
      const { state, attempts, generation, claim, ends, wasReplied, wasDead, isNoted } = row;
      const slot = index.find(row.uuid);
      const open =
        slot === NO_SLOT
          ? ''
          : [
              ...[slot, index.get(slot, STATE), index.get(slot, ATTEMPTS)],
              index.getDouble(slot, NOT_BEFORE) > now,
              index.getDouble(slot, EXPIRES_AT) <= wall,
              index.get(slot, EXPIRY_PLACE) >= 0,
              index.get(slot, CLAIM) === claim,
              index.getDouble(slot, BROKER_ID) >= 0,
            ];
      return [state, attempts, generation, claim === 0, ends, wasReplied, wasDead, isNoted, open];
    });
    return JSON.stringify([
      rows,
      this.#sent.map(({ row, slot, state, mayReply }) => [row.uuid[0], slot, state, mayReply]),
      this.#waiting,
      this.#batches.map((batch) => [
        batch.changes.map((change) => this.#named(change)),
        batch.results?.map(({ kind }) => kind),
        ...[batch.isReported, batch.isReleased],
      ]),
      this.#reads.map((read) => read.rows.map(({ uuid }) => uuid[0])),
      ...[this.#unseen, dueAt === -Infinity, hasDemand, trouble === null],
      ...[writer.mayRetry(now), writer.isIdle, writer.dueAt > now, answers.areDue],
      ...[this.#closers, this.#answers, this.#refusal, this.#left],
    ]);
  }

  #named(change: Change): string {
    if (!('uuid' in change)) return change.kind;
    const row = this.#row(change.uuid);
    const isCurrent = 'claim' in change && change.claim === row.claim;
    return `${change.kind} ${row.uuid[0] ?? 0} ${isCurrent ? 'claimed' : ''}`;
  }

  #stateOf(slot: Slot): string {
    return slot === NO_SLOT ? '' : (STATES[this.#dispatcher.index.get(slot, STATE)] ?? '');
  }
}

/** What must happen sooner or later, so that all ends well. */
function isGood(name: string): boolean {
  const good = ['dispatch', 'call', 'reply', 'read', 'apply', 'report', 'release', 'claim'];
  return good.includes(name) || name === 'findPeer' || name === 'wait';
}

function isRunning({ state }: Sent): boolean {
  return state === 'queued' || state === 'out';
}

function found({ state }: Row): Found {
  const whose = { owner: 'anonymous', isShared: false } as const;
  if (state === 'pending') return { state, ...whose };
  if (state === 'replied') {
    return { state, ...whose, reply: Buffer.from([0, 1, 65]), replyBytes: 3 };
  }
  if (state === 'dead') return { state, ...whose, reason: 'dead', failure: null };
  return { state: 'closed', by: [''] };
}
