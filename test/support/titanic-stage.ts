/**
 * A `Stage` whose broker hosts Titanic, wired as in the daemon, with a store that answers between
 * turns, or when the script says so.
 */
import type { TitanicEvent } from '../../src/titanic/machine/requests/events.js';
import type { TitanicOptions } from '../../src/titanic/machine/requests/options.js';
import type {
  OperatorResult,
  ScheduleCursor,
  SchedulePage,
} from '../../src/titanic/operator/operator-api.js';
import { Operator } from '../../src/titanic/operator/operator.js';
import { present } from '../../src/core/assert.js';
import { SharedStore } from '../../src/bstar/replication/shared-store.js';
import { Standalone } from '../../src/bstar/replication/standalone.js';
import { cursorFor } from '../../src/store/store.js';
import { Titanic } from '../../src/titanic/machine/titanic.js';
import { Stage, type StageOptions } from './stage.js';
import type { ClientActor } from './stage-peers.js';
import { seededRandom } from './stage-random.js';
import { StageQueries } from './stage-queries.js';
import type { StageReplica } from './stage-replica.js';
import type { StageClaims } from './stage-claims.js';
import { type Asked, StageDisk, StageStore } from './stage-store.js';

export interface TitanicStageOptions extends StageOptions {
  readonly titanic?: Partial<TitanicOptions>;
  /** The disk of an earlier process. */
  readonly disk?: StageDisk;
  readonly wall?: number;
  /** It is a node of a pair. */
  readonly replica?: StageReplica;
  /** Other brokers use its store, too. */
  readonly claims?: StageClaims;
  /** Of the store that others use, too; absent: it lasts, and the store may take any time. */
  readonly leaseMs?: number;
  readonly storeTimeoutMs?: number;
  /** It does not activate itself. */
  readonly isDormant?: boolean;
}

const TITANIC: TitanicOptions = {
  maxAttempts: 3,
  retryBaseMs: 1000,
  retryMaxMs: 8000,
  replyTtlMs: 600_000,
  requestTtlMs: 600_000,
  keyTtlMs: 60_000,
  maxInFlight: 1000,
  inFlightBytes: 1_000_000,
  maxOpen: 1000,
  maxBytes: 1_000_000,
};

/** Friday the 20th of November 2026. */
export const STAGE_WALL_MS = 1_795_132_800_000;
/** Turns at one moment after which the loop is considered endless. */
const TURNS_MAX = 10_000;

const open: TitanicStage[] = [];

export function titanicStage(options: TitanicStageOptions = {}): TitanicStage {
  const made = new TitanicStage(options);
  open.push(made);
  return made;
}

/** For `afterEach`: all peers leave, and the broker must then hold only what is stored. */
export function endTitanicStages(): void {
  for (const each of open.splice(0)) each.end();
}

export class TitanicStage extends Stage {
  readonly titanic: Titanic;
  readonly operator: Operator;
  readonly queries: StageQueries;
  readonly store: StageStore;
  /** The store answers only when told to. */
  isHeld = false;
  /** Operators' queries are read only when told to. */
  isReadingHeld = false;
  wallOffset: number;
  readonly #told: TitanicEvent[] = [];
  readonly #client: ClientActor;
  readonly replica: StageReplica | null;
  /** The peer confirms only when told to. */
  isPeerHeld = false;
  readonly #seed: number;
  readonly #claims: StageClaims | null;
  readonly #shared: SharedStore | null;

  constructor(options: TitanicStageOptions) {
    super(options);
    this.store = new StageStore(options.disk ?? new StageDisk());
    this.wallOffset = (options.wall ?? STAGE_WALL_MS) - this.now;
    const events = {
      emit: (event: TitanicEvent): void => {
        this.#told.push(event);
      },
    };
    this.#seed = options.seed ?? 1;
    const random = seededRandom(this.#seed + 1000);
    const { disk } = this.store;
    const { firstTransaction } = disk.recovered;
    this.replica = options.replica ?? null;
    this.replica?.opened(this.store, firstTransaction);
    this.#shared =
      options.claims === undefined
        ? null
        : new SharedStore(
            this.store,
            firstTransaction,
            options.leaseMs ?? Infinity,
            options.storeTimeoutMs ?? 1e9,
            () => this.now,
            this.now,
          );
    const replica = this.replica ?? this.#shared ?? new Standalone(this.store, firstTransaction);
    this.store.batchesMax = replica.batchesMax;
    const titanicOptions = { ...TITANIC, ...options.titanic };
    const { services } = this.broker.counters.requests;
    const { claims = null } = options;
    const parts = [titanicOptions, this.store, replica, events, random, services, claims] as const;
    this.titanic = new Titanic(...parts);
    this.store.counted = (counts) => this.titanic.counted(counts);
    this.#claims = claims;
    this.titanic.setTime(this.now, this.wall);
    this.titanic.counted(disk.counts);
    this.titanic.opened(disk.recovered.newestAt);
    if (options.isDormant !== true) this.titanic.activate();
    this.#answerAll();
    this.queries = new StageQueries(disk);
    this.operator = new Operator(this.titanic.operatorHost(), this.queries);
    this.alone();
    this.broker.internals.all.push(this.titanic);
    this.broker.storedDeliveries.attach(this.titanic);
    this.#client = this.client('the one who asks');
  }

  get wall(): number {
    return Math.round(this.now + this.wallOffset);
  }

  // ---------------------------------------------------------------- turns

  override input(give: Parameters<Stage['input']>[0]): void {
    this.titanic.setTime(this.now, this.wall);
    super.input(give);
  }

  override turn(): void {
    for (let turns = 0; ; turns++) {
      if (turns === TURNS_MAX) throw new Error('it does not come to rest');
      super.turn();
      this.titanic.run(
        this.now,
        this.wall,
        this.broker.internalRequests,
        this.broker.storedDeliveries,
      );
      super.turn();
      this.#claims?.answerLists(this.store.disk.pending);
      if (!this.isHeld && this.store.asked.length > 0) this.#answerAll();
      else if (!this.isPeerHeld && this.#confirmNext()) continue;
      else if (!this.isReadingHeld && this.queries.asked.length > 0) this.#readAll();
      else if (this.titanic.dueInMs(this.now, this.wall) > 0) break;
    }
  }

  override dueAt(): number {
    return Math.min(super.dueAt(), this.now + this.titanic.dueInMs(this.now, this.wall));
  }

  // ---------------------------------------------------------------- the store

  /** From now on the store answers only through `answers`. */
  holdsStore(): this {
    this.isHeld = true;
    return this;
  }

  /** The store answers the first call of this kind, and a turn follows. */
  answers(kind: Asked['kind']): this {
    const asked = this.store.asked.find((each) => each.kind === kind);
    if (asked === undefined) throw new Error(`the store was asked for no ${kind}`);
    this.titanic.setTime(this.now, this.wall);
    this.store.answer(asked);
    if (!this.isBatch) this.turn();
    return this;
  }

  /** The store answers everything from now on. */
  freesStore(): this {
    this.isHeld = false;
    this.turn();
    return this;
  }

  /** The session with the store that others use, too, lasts from now on. */
  renews(): this {
    present(this.#shared, 'a store that others use, too').renewed(Infinity);
    this.turn();
    return this;
  }

  // ---------------------------------------------------------------- the pair

  /** From now on the peer confirms only through `confirms`. */
  holdsPeer(): this {
    this.isPeerHeld = true;
    return this;
  }

  /** The peer confirms the next batch that it received, and a turn follows. */
  confirms(): this {
    if (!this.#confirmNext()) throw new Error('the peer has nothing to confirm');
    if (!this.isBatch) this.turn();
    return this;
  }

  /** The peer confirms everything from now on. */
  freesPeer(): this {
    this.isPeerHeld = false;
    this.turn();
    return this;
  }

  /** The peer confirms everything that it has received so far. */
  confirmsAll(): this {
    while (this.#confirmNext());
    this.turn();
    return this;
  }

  /** The peer is lost: it confirms nothing any more. */
  losesPeer(refusal: string | null = null): this {
    const replica = present(this.replica, 'a pair');
    replica.isInSync = false;
    replica.refusal = refusal;
    this.titanic.setTime(this.now, this.wall);
    for (const batch of replica.unconfirmed.splice(0)) batch.released(refusal !== null);
    replica.probing.length = 0;
    this.titanic.unprobed();
    this.turn();
    return this;
  }

  /** The peer has everything that this node has. */
  findsPeer(): this {
    const replica = present(this.replica, 'a pair');
    replica.isInSync = true;
    replica.refusal = null;
    this.turn();
    return this;
  }

  /** What the other node had is merged. */
  merges(other: StageDisk): this {
    const { disk } = this.store;
    const { records } = other.tables.read(cursorFor(null), 1000, 1_000_000);
    const number = present(this.replica, 'a pair').next();
    const transaction = { number, tombstones: 'all', holds: null, peerHolds: 0 } as const;
    const { merged } = present(disk.tables.merge(transaction, records, false), 'records');
    this.titanic.setTime(this.now, this.wall);
    this.titanic.merged(merged.opened, merged.ended);
    this.turn();
    return this;
  }

  #confirmNext(): boolean {
    this.titanic.setTime(this.now, this.wall);
    const probe = this.replica?.probing.shift();
    if (probe !== undefined) {
      this.titanic.probed(probe);
      return true;
    }
    const batch = this.replica?.unconfirmed.shift();
    batch?.released(false);
    return batch !== undefined;
  }

  activates(): this {
    this.titanic.setTime(this.now, this.wall);
    this.titanic.counted(this.store.disk.counts);
    this.titanic.activate();
    this.turn();
    return this;
  }

  deactivates(): this {
    this.titanic.setTime(this.now, this.wall);
    this.titanic.deactivate();
    this.broker.internalRequests.endAll();
    if (!this.isBatch) this.turn();
    return this;
  }

  /** The process ends; another starts on the same disk. What was not committed is lost. */
  crashes(options: TitanicStageOptions = {}): TitanicStage {
    open.splice(open.indexOf(this), 1);
    const seed = this.#seed + 1;
    const next = new TitanicStage({ seed, ...options, disk: this.store.disk, wall: this.wall });
    open.push(next);
    return next;
  }

  /** Operators' queries are read now, and a turn follows. */
  reads(): this {
    this.#readAll();
    this.turn();
    return this;
  }

  #readAll(): void {
    this.titanic.setTime(this.now, this.wall);
    for (const answer of this.queries.asked.splice(0)) answer();
  }

  #answerAll(): void {
    this.titanic.setTime(this.now, this.wall);
    for (const asked of [...this.store.asked]) this.store.answer(asked);
  }

  // ---------------------------------------------------------------- shorthand for scripts

  /** Body of the answer to a request of `titanic.*`: `200|uuid`; `''` if there is none yet. */
  asks(service: string, ...body: string[]): string {
    this.#client.request(`titanic.${service}`, ...body);
    return this.hears();
  }

  /** Bodies of the answers since the last call, in order. */
  hears(): string {
    const texts = this.#client.inbox();
    return texts.map((text) => text.replace(/^FINAL titanic\.[a-z]+ /, '')).join(' / ');
  }

  /** An operator's query; returns its answer, if there is one by then, once. */
  operates<Value>(
    ask: (operator: Operator, answer: (outcome: OperatorResult<Value>) => void) => void,
  ): () => OperatorResult<Value> | null {
    const told: OperatorResult<Value>[] = [];
    this.titanic.setTime(this.now, this.wall);
    ask(this.operator, (outcome) => {
      if (told.length > 0) throw new Error('an operator is answered twice');
      told.push(outcome);
    });
    if (!this.isBatch) this.turn();
    return () => told[0] ?? null;
  }

  /** What an operator is shown of the schedules. */
  schedules(after: ScheduleCursor | null, limit: number): SchedulePage {
    const outcome = this.operates<SchedulePage>((operator, answer) => {
      operator.schedules(after, limit, answer);
    })();
    if (outcome?.kind !== 'done') throw new Error('the schedules are not shown');
    return outcome.value;
  }

  /** Stores a request. Returns its uuid. */
  submits(service: string, body = 'hi', options: object = {}): string {
    const [status, uuid = ''] = this.asks('submit', JSON.stringify(options), service, body).split(
      '|',
    );
    if (status !== '200') throw new Error(`not accepted: ${status ?? ''}`);
    return uuid;
  }

  /** The state of a request on the disk. */
  stands(uuid: string): string {
    return this.store.disk.find(Buffer.from(uuid, 'hex')).state;
  }

  told<Name extends TitanicEvent['name']>(name: Name): Extract<TitanicEvent, { name: Name }>[] {
    const isNamed = (event: TitanicEvent): event is Extract<TitanicEvent, { name: Name }> =>
      event.name === name;
    return this.#told.filter(isNamed);
  }

  override end(): void {
    this.store.failure = null;
    this.store.readFailure = null;
    this.isPeerHeld = false;
    if (this.replica !== null) this.findsPeer();
    this.queries.failure = null;
    this.isReadingHeld = false;
    this.freesStore();
    super.end();
    if (this.titanic.figures.inFlight !== 0) throw new Error('something is out without workers');
    if (!this.titanic.isSettled) throw new Error('something is still to be committed');
  }
}
