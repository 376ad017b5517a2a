/** The connections of a store in PostgreSQL, from the first one to the last. */
import { packHint } from '../../store/hint-codec.js';
import type { StoreCounts, StoredRequest } from '../../store/store.js';
import { Recount } from './recount.js';
import { Claims } from './claims.js';
import type { Clock } from './clock.js';
import type { Known } from './connect.js';
import { connectReason, FenceDown, textOf, within } from './failures.js';
import { Fence } from './fence.js';
import { type ConnectionEvents, type Dial, PersistentConnection } from './persistent-connection.js';
import { SessionLease, RENEWALS } from './lease.js';
import type { OpenPostgres, StoreReport } from './postgres-store.js';
import type { Migrated } from './migrate.js';
import { Notifier } from './notifier.js';
import { otherStore } from './reader.js';
import { ReconnectPauses } from './reconnect-pauses.js';
import { isMissingRight } from './rights.js';
import { formerPrimary, isOlder, type ServerIdentity } from './server.js';
import type { Claimant } from './session.js';
import { RepeatedLook, SnapshotAges } from './looks.js';
import type { Tables } from './tables.js';
import { BatchWriter } from './writer.js';

/** For what nobody waits for while the broker serves: migrations, counting. */
const STARTING_MS = 600_000;

/** How many batches are committed at a time. */
export const BATCHES_MAX = 2;

/** What a store is reached with. */
export interface StoreServer {
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly dial: Dial<Tables>;
}

/** Told of what happens to the store without an order. */
export interface StoreListener {
  /** Another session was taken: other brokers may have claimed what this one had. */
  taken(): void;
  /** What the store holds is known anew. */
  counted(counts: StoreCounts): void;
  /** Another broker has sent a hint. */
  hinted(hint: Buffer): void;
  /** Batches whose outcome was unknown have claimed these requests for this broker. */
  foundClaimed(requests: readonly StoredRequest[]): void;
}

const NOBODY: StoreListener = {
  taken: () => undefined,
  counted: () => undefined,
  hinted: () => undefined,
  foundClaimed: () => undefined,
};

export class StoreConnections implements ConnectionEvents<Tables> {
  readonly #open: OpenPostgres;
  readonly #clock: Clock;
  readonly #dial: Dial<Tables>;
  readonly #report: (report: StoreReport) => void;
  readonly #claimant: Claimant;
  readonly #writes: readonly PersistentConnection<Tables>[];
  readonly #reads: PersistentConnection<Tables>;
  readonly #claiming: PersistentConnection<Tables>;
  readonly #leases: PersistentConnection<Tables>;
  readonly #hints: PersistentConnection<Tables>;
  readonly #last: Known;
  #recount: Recount | null = null;
  #writer: BatchWriter | null = null;
  #claims: Claims | null = null;
  #lease: SessionLease | null = null;
  #looks: readonly { close(): void }[] = [];
  #notifier: Notifier | null = null;
  /** Whether other brokers use the store now. */
  #isAccompanied = false;
  #server: ServerIdentity | null = null;
  #storeId: Buffer | null = null;
  #firstSession = 0;
  #newestAt = 0;
  /** Since when there is no connection; `null`: there is one, or none was needed. */
  #lostAt: number | null = null;
  #isServing = false;
  #listener: StoreListener = NOBODY;

  /**
   * Connects, makes the tables, and takes a session.
   * @throws ERR_TITANIC_STORE, ERR_TITANIC_VERSION, ERR_TITANIC_LOST for what a person must mend;
   * ERR_TITANIC_STORE_AWAY if the store is not there
   */
  static async begin(
    open: OpenPostgres,
    server: StoreServer,
    report: (report: StoreReport) => void,
  ): Promise<StoreConnections> {
    const store = new StoreConnections(open, server, report);
    try {
      await store.#begin();
      return store;
    } catch (error) {
      for (const persistent of store.#connections) persistent.destroy();
      throw error;
    }
  }

  private constructor(
    open: OpenPostgres,
    { clock, dial, random }: StoreServer,
    report: (report: StoreReport) => void,
  ) {
    const { timeoutMs, leaseMs, node, directoryId } = open;
    this.#open = open;
    this.#clock = clock;
    this.#dial = dial;
    this.#last = { hostIndex: 0, pauses: new ReconnectPauses(clock, random) };
    this.#report = report;
    this.#claimant = { node, directoryId: Buffer.from(directoryId, 'hex'), leaseMs };
    const writing: ConnectionEvents<Tables> = {
      connected: (tables, server) => this.connected(tables, server),
      unreachable: (error) => this.unreachable(error),
      retried: (reason) => this.retried(reason),
      worked: () => this.#returned(),
    };
    this.#writes = Array.from(
      { length: BATCHES_MAX },
      () => new PersistentConnection(dial, clock, timeoutMs, this.#last, writing),
    );
    this.#reads = new PersistentConnection(dial, clock, timeoutMs, this.#last, this);
    this.#claiming = new PersistentConnection(dial, clock, timeoutMs, this.#last, this);
    // A host that does not answer must not cost the lease.
    const leaseTimeoutMs = Math.min(timeoutMs, leaseMs / RENEWALS);
    this.#leases = new PersistentConnection(dial, clock, leaseTimeoutMs, this.#last, this);
    this.#hints = new PersistentConnection(dial, clock, timeoutMs, this.#last, this);
  }

  get #connections(): readonly PersistentConnection<Tables>[] {
    const hints = this.#open.hints ? [this.#hints] : [];
    return [...this.#writes, this.#reads, this.#claiming, this.#leases, ...hints];
  }

  async #begin(): Promise<void> {
    const { timeoutMs } = this.#open;
    // The first connection says what is wrong; none of it is tried again for long.
    await this.#connect([this.#leases], timeoutMs);
    // A pooler that has too few lets one wait for as long as the others are open.
    if (this.#last.pooled !== undefined) await this.#connect(this.#connections, 2 * timeoutMs);
    const who = this.#open.login.address;
    const { name, storeId: known } = this.#open;
    const absent = known === null ? null : otherStore(name, null, known);
    const migrated = await this.#slowly((tables) => tables.migrate(who, absent));
    this.#checkId(migrated);
    if (migrated.isMade) this.#report({ report: 'made' });
    const aside = await this.#slowly((tables) => tables.setAside());
    if (aside !== null) this.#report({ report: 'set-aside', text: aside });
    const countedFrom = this.#clock.now();
    const tally = await this.#slowly((tables) => tables.count());
    const recount = new Recount(
      this.#clock,
      (limitMs) => this.#countAgain(limitMs),
      this.#clock.now() - countedFrom,
      timeoutMs,
    );
    this.#recount = recount;
    this.#newestAt = await this.#soon((tables) => tables.newestAt());
    // After what may take longer than a lease.
    const { session, wasUsed } = await this.#soon((tables) =>
      tables.take(this.#claimant, this.#clock.now() - countedFrom),
    );
    this.#firstSession = session;
    const fence = new Fence(session, (ended) => this.#lease?.foundEnded(ended));
    this.#writer = new BatchWriter(this.#writes, this.#clock, timeoutMs, fence, tally, {
      refused: (error) => this.#report({ report: 'refused', text: textOf(error) }),
      locked: ({ uuid, pid }) => {
        this.#report({ report: 'locked', uuid: uuid.toString('hex'), pid });
        this.retried('other');
      },
      miscounted: () => recount.miscounted(),
      counted: (counts) => this.#listener.counted(counts),
      foundClaimed: (requests) => this.#listener.foundClaimed(requests),
    });
    this.#claims = new Claims(this.#claiming, this.#clock, timeoutMs, fence);
    const [sentAtMs, storeMs] = await this.#soon(async (tables) => {
      const now = this.#clock.now();
      return [now, await tables.renew(session, this.#claimant.leaseMs)] as const;
    });
    if (storeMs === null) throw new FenceDown('the session of this broker has ended at once');
    this.#report({ report: 'renewed', sentAtMs, storeMs });
    this.#lease = new SessionLease(this.#leases, this.#clock, this.#claimant, who, session, {
      report: this.#report,
      taken: (taken) => {
        this.writer.begin(taken);
        // Others have changed the store meanwhile, and may be gone when this broker looks at them.
        recount.miscounted();
        this.#listener.taken();
      },
      accompanied: (others) => {
        this.#isAccompanied = others > 0;
        recount.accompanied(others);
      },
    });
    // A broker that is alone now never counts again by itself.
    if (wasUsed) recount.miscounted();
    this.#isServing = true;
    this.#looks = this.#look();
    if (!this.#open.hints) return;
    this.#notifier = new Notifier(this.#hints, this.#clock, timeoutMs, {
      heard: (hint) => this.#listener.hinted(packHint(hint)),
      flooded: (pid) => this.#report({ report: 'flooded', pid }),
    });
  }

  #look(): { close(): void }[] {
    const ages = new SnapshotAges();
    return [
      new RepeatedLook(
        this.#clock,
        async () => ages.oldest(await this.read((tables) => tables.snapshots()), this.#clock.now()),
        (seconds) => this.#report({ report: 'snapshot', seconds }),
      ),
      new RepeatedLook(
        this.#clock,
        () => this.read((tables) => tables.unclaimed()),
        (since) => {
          if (since !== null) this.#report({ report: 'unclaimed', since });
        },
      ),
    ];
  }

  async #connect(connections: readonly PersistentConnection<Tables>[], ms: number): Promise<void> {
    const until = this.#clock.now() + ms;
    await Promise.all(connections.map((each) => each.use(until, async () => {})));
  }

  async #soon<Result>(work: (tables: Tables) => Promise<Result>): Promise<Result> {
    return await this.#leases.use(this.#clock.now() + this.#open.timeoutMs, work);
  }

  /** Does work that may take long; a connection that is lost meanwhile is not waited for as long. */
  async #slowly<Result>(work: (tables: Tables) => Promise<Result>): Promise<Result> {
    const began = this.#clock.now();
    for (let tries = 0; ; tries++) {
      const tried = await this.#leases.try(began + STARTING_MS, work);
      if ('result' in tried) return tried.result;
      const isLost = !tried.isSent || tried.reason === 'connection';
      const untilMs = isLost ? this.#open.timeoutMs : STARTING_MS;
      if (!(await this.#leases.again(tried.reason, tries, began + untilMs))) throw tried.error;
    }
  }

  #checkId({ storeId }: Migrated): void {
    const known = this.#open.storeId;
    this.#storeId = storeId;
    if (known === null || known === storeId.toString('hex')) return;
    throw otherStore(this.#open.name, storeId, known);
  }

  get storeId(): Buffer {
    return this.#storeId ?? Buffer.alloc(0);
  }

  get firstSession(): number {
    return this.#firstSession;
  }

  /** See `Recovered`. */
  get newestAt(): number {
    return this.#newestAt;
  }

  get writer(): BatchWriter {
    if (this.#writer === null) throw new Error('a session that has begun');
    return this.#writer;
  }

  get claims(): Claims {
    if (this.#claims === null) throw new Error('a session that has begun');
    return this.#claims;
  }

  serve(listener: StoreListener): void {
    this.#listener = listener;
  }

  /** Tells the other brokers, if there are any. */
  hint(hint: Buffer): void {
    if (this.#isAccompanied) this.#notifier?.send(hint);
  }

  /** Over a connection of its own, because it may take long, and nobody waits for it. */
  async #countAgain(limitMs: number): Promise<number> {
    const { timeoutMs } = this.#open;
    const clock = this.#clock;
    const persistent = new PersistentConnection(this.#dial, clock, timeoutMs, this.#last, this);
    try {
      const until = clock.now() + timeoutMs + limitMs;
      const [tally, tookMs] = await persistent.use(until, async (tables) => {
        await this.writer.counting((ms) =>
          within(clock, ms, tables.snapshot(), 'no snapshot', () => tables.destroy()),
        );
        const began = clock.now();
        return [await tables.countSnapshot(), clock.now() - began] as const;
      });
      this.writer.counts.replace(tally);
      this.#listener.counted(this.writer.counts.takeAll());
      return tookMs;
    } finally {
      await persistent.close();
    }
  }

  /** @throws if this broker has no session now */
  mustBeReady(): void {
    if (this.#lease?.session !== null) return;
    throw new FenceDown('this broker has no session with the store now');
  }

  async read<Result>(work: (tables: Tables) => Promise<Result>): Promise<Result> {
    return await this.#reads.use(this.#clock.now() + this.#open.timeoutMs, work);
  }

  /** Reports that the database refuses what is read, with what helps. */
  async tellUnread(error: unknown): Promise<void> {
    const { address } = this.#open.login;
    const help = isMissingRight(error)
      ? await this.read((tables) => tables.missingRight(error, address)).catch(() => error)
      : error;
    this.#report({ report: 'unread', text: textOf(help) });
  }

  /** Ends the session, so that what it had claimed is free at once. */
  async close(): Promise<void> {
    this.#isServing = false;
    this.#recount?.close();
    for (const look of this.#looks) look.close();
    this.#notifier?.close();
    await this.#lease?.close();
    const session = this.#lease?.session ?? null;
    if (session !== null) {
      const until = this.#clock.now() + this.#open.timeoutMs;
      // Without it the session ends with its lease.
      await this.#leases.use(until, (tables) => tables.leave(session)).catch(() => undefined);
    }
    await Promise.all(this.#connections.map((persistent) => persistent.close()));
  }

  // ---------------------------------------------------------------- connections

  async connected(tables: Tables, server: ServerIdentity): Promise<void> {
    if (this.#storeId !== null) {
      await tables.mustBeStore(this.#open.name, this.#storeId.toString('hex'));
    }
    const before = this.#server;
    if (before !== null && isOlder(server, before)) throw formerPrimary(server, before);
    this.#server = server;
    const { host, systemId, timeline } = server;
    this.#report({ report: 'connected', host, history: { systemId, timeline } });
    this.#returned();
    if (before === null) return;
    const isOther = before.systemId !== server.systemId || before.timeline !== server.timeline;
    if (!isOther) return;
    // A connection that was not used meanwhile may lead to a former primary, which knows less.
    for (const persistent of this.#connections) persistent.connection?.destroy();
    const text = `${identityText(before)} before, ${identityText(server)} now`;
    this.#report({ report: 'failedover', host, text });
  }

  /** Reports that the database can be reached: a connection was made, or changes were committed over one. */
  #returned(): void {
    if (this.#lostAt === null) return;
    const awayMs = Math.round(this.#clock.now() - this.#lostAt);
    this.#lostAt = null;
    this.#lease?.returned();
    this.#report({ report: 'returned', host: this.#server?.host ?? '', awayMs });
  }

  unreachable(error: unknown): void {
    if (!this.#isServing || this.#lostAt !== null) return;
    // It answers, so the connections that it has given before are alive.
    const isFull = connectReason(error) === 'too_many_connections';
    if (isFull && this.#writes.some((persistent) => persistent.isConnected)) return;
    this.#lostAt = this.#clock.now();
    this.#report({ report: 'lost', text: textOf(error) });
  }

  retried(reason: Extract<StoreReport, { report: 'retried' }>['reason']): void {
    if (this.#isServing) this.#report({ report: 'retried', reason });
  }
}

function identityText({ host, systemId, timeline }: ServerIdentity): string {
  return `${host}, system ${systemId ?? '?'}, timeline ${timeline ?? '?'}`;
}
