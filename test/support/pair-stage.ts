/**
 * Two nodes of a pair on a stage, in virtual time: the real machines of the pair and of
 * replication, a store of words, and a link that takes a millisecond and can be cut.
 */
import type { PairEvent } from '../../src/bstar/pair-events.js';
import type { Persisted, ReplicationMode, State } from '../../src/bstar/facts.js';
import type { Service } from '../../src/bstar/fsm.js';
import { PairMachine, type PairOptions } from '../../src/bstar/pair.js';
import type { JoinFigures, PairSink } from '../../src/bstar/ports.js';
import { present } from '../../src/core/assert.js';
import { NoReplication } from '../../src/bstar/replication/off.js';
import { Replication } from '../../src/bstar/replication/replication.js';
import type { PeerMessage } from '../../src/wire/pair.js';
import { wordChange, wordsIn, WordStore } from './word-store.js';

const LINK_MS = 1;
const DISK_MS = 2;
const DIAL_MS = 5;
/** How often a receiver is told that part of a long message has arrived. */
const PIECE_MS = 50;

const TURNS_MAX = 1_000_000;

interface Due {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** A word that was given to the store. */
interface Stored {
  readonly word: string;
  isCommitted: boolean;
  awaitsPeer: boolean;
}

export interface StageOptions {
  readonly heartbeatIntervalMs?: number;
  readonly replication?: ReplicationMode;
  /** Bytes per millisecond that the link carries in each direction. */
  readonly bytesPerMs?: number;
  /** Only the owner of the peer's key can be the peer. */
  readonly isSealed?: boolean;
}

export class PairStage {
  now = 1000;
  isCut = false;
  readonly primary: StageNode;
  readonly backup: StageNode;
  #due: Due[] = [];
  #order = 0;
  /** Numbers the connections, so that data sent over an old one is lost. */
  connection = 0;

  readonly bytesPerMs: number;

  constructor({
    heartbeatIntervalMs = 1000,
    replication = 'sync',
    bytesPerMs = Infinity,
    isSealed = false,
  }: StageOptions = {}) {
    this.bytesPerMs = bytesPerMs;
    const options = { heartbeatIntervalMs, isSealed };
    this.primary = new StageNode(this, { ...options, role: 'primary' }, replication);
    this.backup = new StageNode(this, { ...options, role: 'backup' }, replication);
    this.#dial();
  }

  other(node: StageNode): StageNode {
    return node === this.primary ? this.backup : this.primary;
  }

  after(ms: number, run: () => void): void {
    this.#due.push({ at: this.now + ms, order: this.#order++, run });
  }

  /** Lets time pass. */
  pass(ms: number): void {
    const end = this.now + ms;
    for (let turns = 0; ; turns++) {
      // Jest cannot end an endless loop.
      if (turns === TURNS_MAX) throw new Error(`${turns} turns in ${ms} ms`);
      const next = this.#next(end);
      if (next === null) break;
      this.now = next;
      for (const node of [this.primary, this.backup]) node.look();
      const due = this.#due.filter(({ at }) => at <= this.now).sort((a, b) => a.order - b.order);
      this.#due = this.#due.filter(({ at }) => at > this.now);
      for (const { run } of due) run();
      for (const node of [this.primary, this.backup]) node.turn();
    }
    this.now = end;
  }

  #next(end: number): number | null {
    const times = this.#due.map(({ at }) => at);
    for (const node of [this.primary, this.backup]) times.push(node.dueAt);
    const next = Math.max(this.now, Math.min(...times));
    return next <= end ? next : null;
  }

  cut(): void {
    this.isCut = true;
  }

  heal(): void {
    this.isCut = false;
  }

  /** The backup dials whenever it has no connection. */
  #dial(): void {
    this.after(DIAL_MS, () => this.#dial());
    const { primary, backup } = this;
    if (this.isCut || !primary.isUp || !backup.isUp || backup.isHeldOff || primary.isHeldOff) {
      return;
    }
    if (backup.isConnected) return;
    this.connection++;
    primary.disconnected();
    primary.connected();
    backup.connected();
  }

  /** Both run, and the primary is active with its peer in sync. */
  static inSync(options?: StageOptions): PairStage {
    const stage = new PairStage(options);
    stage.primary.start();
    stage.backup.start();
    stage.pass(100);
    return stage;
  }
}

class StageNode implements PairSink {
  readonly #stage: PairStage;
  readonly #options: PairOptions;
  readonly #mode: ReplicationMode;
  #machine: PairMachine | null = null;
  /** `null`: nothing is replicated. */
  #replication: Replication | null = null;
  /** The content of its epoch file. */
  disk: Persisted = { epoch: 0, wasActive: false };
  /** Counts its processes: effects of one that has ended are ignored. */
  #process = 0;
  #stoppedAt: number | null = null;
  #connection = 0;
  #heldOffUntil = -Infinity;
  /** The store survives the process. */
  readonly #store: WordStore;
  /** Words that are not acknowledged yet. */
  readonly waiting = new Set<Stored>();
  readonly acknowledged: string[] = [];
  readonly dropped: string[] = [];
  service: Service = 'refusing';
  isActivated = false;
  readonly changes: string[] = [];
  readonly joins: JoinFigures[] = [];
  readonly epochs: number[] = [];
  splits = 0;
  /** Number of records sent to it over the link. */
  recordsGot = 0;
  readonly probes: number[] = [];

  constructor(stage: PairStage, options: PairOptions, mode: ReplicationMode) {
    this.#stage = stage;
    this.#options = options;
    this.#mode = mode;
    this.#store = new WordStore(options.role === 'primary' ? 1 : 2, (ms, run) => {
      this.#later(ms, run);
    });
  }

  // ---------------------------------------------------------------- its life

  start(): void {
    this.#process++;
    this.service = 'refusing';
    this.isActivated = false;
    this.#replication = this.#mode === 'off' ? null : this.#replicate();
    const replication = this.#replication ?? new NoReplication();
    this.#machine = new PairMachine(this.#options, this.disk, this, replication, this.#stage.now);
  }

  #replicate(): Replication {
    const replication = new Replication(this.#mode, this.#store, this.#store.recovered, {
      emit: (event: PairEvent) => {
        if (event.name !== 'ha.merged') return;
        const { fromPeer, toPeer, ranTwice } = event;
        this.joins.push({ fromPeer, toPeer, ranTwice });
      },
    });
    replication.serve({
      probed: (number) => {
        this.probes.push(number);
      },
      unprobed: () => {
        this.probes.push(-1);
      },
      merged: () => undefined,
    });
    return replication;
  }

  crash(): void {
    this.#process++;
    this.#machine = null;
    this.#replication = null;
    this.waiting.clear();
    const other = this.#stage.other(this);
    if (!this.isConnected) return;
    this.#connection = 0;
    if (!this.#stage.isCut) {
      this.#stage.after(LINK_MS, () => other.disconnected());
    }
  }

  /** SIGSTOP, SIGCONT. */
  stop(): void {
    this.#stoppedAt = this.#stage.now;
  }

  go(): void {
    this.#stoppedAt = null;
  }

  get isUp(): boolean {
    return this.#machine !== null && this.#stoppedAt === null;
  }

  get isConnected(): boolean {
    return this.#connection === this.#stage.connection && this.#connection > 0;
  }

  readonly keys = null;
  readonly listenerKeys = null;

  get isHeldOff(): boolean {
    return this.#stage.now < this.#heldOffUntil;
  }

  get machine(): PairMachine {
    return present(this.#machine, 'a node that is up');
  }

  get replication(): Replication {
    return present(this.#replication, 'a node that replicates');
  }

  set isDiskFull(isFull: boolean) {
    this.#store.isFull = isFull;
  }

  /** The disk's delay for data from the peer. */
  set takesMs(ms: number) {
    this.#store.takesMs = ms;
  }

  /** What it reads of its store from now on cannot be read. */
  failReading(): void {
    this.#store.failReading();
  }

  get state(): State {
    return this.machine.facts.state;
  }

  get words(): string[] {
    return this.#store.words;
  }

  get dueAt(): number {
    return this.isUp ? this.machine.dueAt : Infinity;
  }

  look(): void {
    if (this.isUp) this.machine.look(this.#stage.now);
  }

  turn(): void {
    if (!this.isUp) return;
    this.machine.run(this.#stage.now);
    if (this.waiting.size === 0) this.machine.allCommitted();
  }

  // ---------------------------------------------------------------- clients

  /** A client's request for some service. Returns its outcome. */
  ask(): 'served' | 'held' | 'refused' {
    if (!this.isUp) return 'refused';
    if (this.machine.service === 'serving') return 'served';
    if (this.machine.service === 'voting') this.machine.vote();
    return this.machine.service === 'holding' ? 'held' : 'refused';
  }

  /** Stores a word, which is acknowledged when the pair allows it. */
  store(word: string): void {
    const stored: Stored = { word, isCommitted: false, awaitsPeer: false };
    const changes = [wordChange(word)];
    this.waiting.add(stored);
    const done = (): void => {
      stored.isCommitted = true;
      if (!stored.awaitsPeer) this.#acknowledge(stored);
    };
    if (this.#replication === null) {
      this.#store.commitAlone(changes, done);
      return;
    }
    stored.awaitsPeer = this.#replication.commit(changes, {
      done,
      failed: () => {
        this.waiting.delete(stored);
      },
      released: () => {
        stored.awaitsPeer = false;
        if (stored.isCommitted) this.#acknowledge(stored);
      },
    });
  }

  #acknowledge(stored: Stored): void {
    if (this.waiting.delete(stored)) this.acknowledged.push(stored.word);
  }

  // ---------------------------------------------------------------- the link

  connected(): void {
    this.#connection = this.#stage.connection;
    this.machine.connected();
  }

  disconnected(): void {
    if (!this.isUp || this.#connection === 0) return;
    this.#connection = 0;
    this.machine.closed();
  }

  send(message: PeerMessage): void {
    const stage = this.#stage;
    const connection = this.#connection;
    const other = stage.other(this);
    const arrives = (ms: number, what: () => void): void => {
      stage.after(ms, () => {
        if (!stage.isCut && other.isUp && other.#connection === connection) what();
      });
    };
    // One after the other, each taking time in proportion to its size.
    if (this.#sentOver !== connection) this.#sendsUntil = 0;
    this.#sentOver = connection;
    const startMs = Math.max(this.#sendsUntil, stage.now) - stage.now;
    const endMs = startMs + bytesOf(message) / stage.bytesPerMs;
    this.#sendsUntil = stage.now + endMs;
    for (let ms = startMs + PIECE_MS; ms < endMs; ms += PIECE_MS) {
      arrives(ms, () => other.machine.receiving());
    }
    arrives(endMs + LINK_MS, () => {
      if (message.kind === 'records') other.recordsGot += wordsIn(message.records).length;
      other.machine.message(message);
    });
  }

  #sendsUntil = 0;
  #sentOver = 0;

  closeLink(): void {
    const connection = this.#connection;
    this.#connection = 0;
    const other = this.#stage.other(this);
    this.#stage.after(LINK_MS, () => {
      if (!this.#stage.isCut && other.#connection === connection) other.disconnected();
    });
  }

  holdOff(ms: number): void {
    this.#heldOffUntil = this.#stage.now + ms;
  }

  // ---------------------------------------------------------------- effects

  #later(ms: number, run: () => void): void {
    const process = this.#process;
    this.#stage.after(ms, () => {
      if (process === this.#process) run();
    });
  }

  persist(state: Persisted): void {
    this.#later(DISK_MS, () => {
      this.disk = state;
      this.epochs.push(state.epoch);
      this.machine.persisted();
    });
  }

  serve(service: Service): void {
    this.service = service;
  }

  activate(): void {
    this.isActivated = true;
  }

  deactivate(): void {
    this.isActivated = false;
    for (const { word } of this.waiting) this.dropped.push(word);
    this.waiting.clear();
  }

  changed(from: State, to: State, reason: string): void {
    this.changes.push(`${from} → ${to}: ${reason}`);
  }

  split(): void {
    this.splits++;
  }
}

function bytesOf(message: PeerMessage): number {
  if (message.kind === 'records') return message.records.length;
  return message.kind === 'update' ? message.batch.length : 0;
}
