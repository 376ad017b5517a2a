/**
 * Two nodes of a pair on a stage, in virtual time: the real machines, a store of words, and a link
 * that takes a millisecond and can be cut.
 */
import type { Persisted, Replication, State } from '../../src/bstar/facts.js';
import { PairMachine, type PairOptions } from '../../src/bstar/pair.js';
import type { JoinFigures, PairSink } from '../../src/bstar/ports.js';
import type { Service } from '../../src/bstar/fsm.js';
import type { PeerHolding, PeerMessage } from '../../src/wire/peer.js';

const LINK_MS = 1;
const DISK_MS = 2;
const DIAL_MS = 5;
const CHUNK_WORDS = 2;
const CHUNK_BYTES = 1024 * 1024;
/** How often a receiver is told that part of a long message has arrived. */
const PIECE_MS = 50;

interface Due {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** A word, and the transaction that stored it. */
type Words = Map<string, number>;

export interface StageOptions {
  readonly heartbeatIntervalMs?: number;
  readonly replication?: Replication;
  /** Bytes per millisecond that the link carries in each direction. */
  readonly bytesPerMs?: number;
  /** Only the owner of the peer's key can be the peer. */
  readonly isSealed?: boolean;
}

const TURNS_MAX = 1_000_000;

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
    const options = { heartbeatIntervalMs, replication, isSealed };
    this.primary = new StageNode(this, { ...options, role: 'primary' });
    this.backup = new StageNode(this, { ...options, role: 'backup' });
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
    this.after(DIAL_MS, () => {
      this.#dial();
    });
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
  #machine: PairMachine | null = null;
  /** The content of its epoch file. */
  disk: Persisted = { epoch: 0, wasActive: false };
  /** Effects of an ended process are ignored. */
  #life = 0;
  #stoppedAt: number | null = null;
  #connection = 0;
  #heldOffUntil = -Infinity;
  // The store survives the process.
  readonly #words: Words = new Map();
  readonly #storeId = Buffer.alloc(16);
  #transaction = 0;
  holds: PeerHolding | null = null;
  #readTo = 0;
  isDiskFull = false;
  /** The disk's delay for data from the peer. */
  takesMs = DISK_MS;
  readonly waiting = new Set<number>();
  readonly acknowledged: string[] = [];
  readonly dropped: string[] = [];
  readonly #wordOf = new Map<number, string>();
  service: Service = 'refusing';
  isActivated = false;
  readonly changes: string[] = [];
  readonly joins: JoinFigures[] = [];
  readonly epochs: number[] = [];
  splits = 0;
  /** Number of records sent to it over the link. */
  recordsGot = 0;
  readonly probes: number[] = [];

  constructor(stage: PairStage, options: PairOptions) {
    this.#stage = stage;
    this.#options = options;
    this.#storeId.fill(options.role === 'primary' ? 1 : 2);
  }

  // ---------------------------------------------------------------- its life

  start(): void {
    this.#life++;
    this.service = 'refusing';
    this.isActivated = false;
    this.#machine = new PairMachine(this.#options, this.disk, this, this.#stage.now);
  }

  crash(): void {
    this.#life++;
    this.#machine = null;
    this.waiting.clear();
    const other = this.#stage.other(this);
    if (!this.isConnected) return;
    this.#connection = 0;
    if (!this.#stage.isCut) {
      this.#stage.after(LINK_MS, () => {
        other.disconnected();
      });
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

  get isHeldOff(): boolean {
    return this.#stage.now < this.#heldOffUntil;
  }

  get machine(): PairMachine {
    if (this.#machine === null) throw new Error('this node is down');
    return this.#machine;
  }

  get state(): State {
    return this.machine.facts.state;
  }

  get words(): string[] {
    return [...this.#words.keys()].sort();
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
    if (this.waiting.size === 0) this.machine.settled();
  }

  // ---------------------------------------------------------------- clients

  /** A client's request for some service. Returns its outcome. */
  ask(): 'served' | 'held' | 'refused' {
    if (!this.isUp) return 'refused';
    if (this.service === 'serving') return 'served';
    return this.machine.vote() ? 'held' : 'refused';
  }

  /** Stores a word, which is acknowledged when the pair allows it. */
  store(word: string): void {
    const number = this.#stage.now * 1000 + ++this.#transaction;
    this.waiting.add(number);
    this.#wordOf.set(number, word);
    const isHeld = this.machine.begin(number, () => Buffer.from(word));
    if (isHeld) this.#held.add(number);
    this.#later(DISK_MS, () => {
      if (this.isDiskFull) {
        this.waiting.delete(number);
        this.machine.rolledBack(number);
        return;
      }
      this.#words.set(word, number);
      this.#last = number;
      if (!isHeld || !this.#held.has(number)) this.#acknowledge(number);
      else this.#committed.add(number);
    });
  }

  readonly #held = new Set<number>();
  readonly #committed = new Set<number>();
  #last = 0;

  #acknowledge(number: number): void {
    if (!this.waiting.delete(number)) return;
    this.acknowledged.push(this.#wordOf.get(number) ?? '');
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
      arrives(ms, () => {
        other.machine.receiving();
      });
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
    const life = this.#life;
    this.#stage.after(ms, () => {
      if (life === this.#life) run();
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
    for (const number of this.waiting) this.dropped.push(this.#wordOf.get(number) ?? '');
    this.waiting.clear();
  }

  read(from: PeerHolding | null): void {
    this.#readTo = from?.storeId.equals(this.#storeId) === true ? from.upTo : 0;
    this.readOn();
  }

  readOn(): void {
    this.#later(DISK_MS, () => {
      const above = [...this.#words].filter(([, number]) => number > this.#readTo);
      above.sort(([, a], [, b]) => a - b);
      const chunk = above.slice(0, CHUNK_WORDS);
      const records = Buffer.from(chunk.map(([word]) => word).join(' '));
      const isLast = above.length <= CHUNK_WORDS && records.length < CHUNK_BYTES;
      this.#readTo = isLast ? Math.max(this.#last, this.#readTo) : (chunk.at(-1)?.[1] ?? 0);
      const holds = { storeId: this.#storeId, upTo: this.#readTo, bodiesUpTo: this.#readTo };
      this.machine.chunk(records, holds, isLast);
    });
  }

  merge(records: Buffer, holds: PeerHolding): void {
    this.#take(wordsIn(records), holds);
  }

  apply(batch: Buffer, number: number): void {
    const storeId = this.#stage.other(this).#storeId;
    this.#take(wordsIn(batch), { storeId, upTo: number, bodiesUpTo: number });
  }

  #take(words: readonly string[], holds: PeerHolding): void {
    this.#later(this.takesMs, () => {
      if (this.isDiskFull) {
        this.machine.storeFailed();
        return;
      }
      const number = this.#stage.now * 1000 + ++this.#transaction;
      const fresh = words.filter((word) => !this.#words.has(word));
      for (const word of fresh) this.#words.set(word, number);
      this.#last = number;
      this.holds = holds;
      this.machine.stored(number, fresh.length, 0);
    });
  }

  peerBecame(number: number): void {
    if (this.holds === null || number <= this.holds.upTo) return;
    this.holds = { ...this.holds, upTo: number, bodiesUpTo: number };
  }

  peerHolds(): void {
    // This store keeps no tombstones.
  }

  confirmed(number: number): void {
    this.#held.delete(number);
    if (this.#committed.delete(number)) this.#acknowledge(number);
  }

  unconfirmed(number: number): void {
    this.confirmed(number);
  }

  probed(number: number): void {
    this.probes.push(number);
  }

  unprobed(): void {
    this.probes.push(-1);
  }

  changed(from: State, to: State, reason: string): void {
    this.changes.push(`${from} → ${to}: ${reason}`);
  }

  joined(figures: JoinFigures): void {
    this.joins.push(figures);
  }

  split(): void {
    this.splits++;
  }
}

function bytesOf(message: PeerMessage): number {
  if (message.kind === 'records') return message.records.length;
  return message.kind === 'update' ? message.batch.length : 0;
}

function wordsIn(bytes: Buffer): string[] {
  return bytes.length === 0 ? [] : bytes.toString().split(' ');
}
