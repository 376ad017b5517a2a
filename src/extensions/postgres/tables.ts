/**
 * The port of a store in a database: what a broker does there, over one connection. SQL carries it out (`sql-tables.ts`);
 * in the simulation, a database in memory. Each call is a statement or a transaction of its own: if its connection
 * breaks, it may be done, not done, or done later.
 */
import type {
  Change,
  ChangeResult,
  ClaimedRequest,
  Release,
  RequestUuid,
  StoredContent,
  StoredRequest,
  Wanted,
} from '../../store/store.js';
import type { Delta, Tally } from '../../store/tally.js';
import type { Sending } from './changes.js';
import type { Snapshots } from './looks.js';
import type { Migrated } from './migrate.js';
import type { LockedRow } from './locked-rows.js';
import type { Asked, BodyKey, LargeContent, LookedUp, Part } from './reader.js';
import type { Who } from './rights.js';
import type { ServerIdentity } from './server.js';
import type { Claimant, FenceValue, OtherSession, Taken } from './session.js';

/** A connection, as whoever keeps it needs it. */
export interface Held {
  readonly isOpen: boolean;
  /** False in a transaction, also in one that failed: nothing else can be done there. */
  readonly isIdle: boolean;
  destroy(): void;
  /** Says goodbye. */
  close(): Promise<void>;
}

/** Throws if a connection must not be used. */
export type Check<Connection> = (connection: Connection, server: ServerIdentity) => Promise<void>;

/** A batch that was committed. */
export interface Made {
  readonly results: readonly ChangeResult[];
  readonly deltas: readonly Delta[];
  /** The places of changes that were left out: see `Batch.postponed`. */
  readonly postponed: readonly number[];
}

/** What it may do with a fence says `null` if that does not hold: then nothing was changed. */
export interface Tables extends Held {
  /** Makes the tables, or brings them up to date. @param absent thrown if there are none */
  migrate(who: Who, absent: Error | null): Promise<Migrated>;
  /** Sets aside rows that cannot be used. @returns how many of which tables; `null`: none */
  setAside(): Promise<string | null>;
  /** @throws ERR_TITANIC_LOST, and closes the connection, if the other end has another store */
  mustBeStore(name: string, known: string): Promise<void>;
  /** When the newest request was accepted, by its uuid: wall milliseconds; 0: there is none. */
  newestAt(): Promise<number>;

  /**
   * Takes a new session. Those of the same data directory are over.
   * @throws ERR_TITANIC_VERSION if a program that is too new made the tables meanwhile
   */
  take(claimant: Claimant, withinMs: number): Promise<Taken>;
  /** @returns the clock of the store in milliseconds since 1970; `null` if the session is dead */
  renew(session: number, leaseMs: number): Promise<number | null>;
  /** The sessions of others that are not dead. */
  others(mine: number): Promise<OtherSession[]>;
  /**
   * Ends a session that has been seen unchanged, and overdue, for a whole lease. While it is writing it
   * is not ended: every statement of it locks its row, also one whose broker has vanished, for a while.
   */
  endSession(other: OtherSession): Promise<boolean>;
  /** Frees what dead sessions had claimed. */
  free(): Promise<void>;
  /** Ends the session of a broker that stops, so that no one need wait for its lease. */
  leave(session: number): Promise<void>;
  /** Raises the fencing token, when all that holds the lock of the fence has ended. @returns 0: no such session */
  raiseToken(session: number): Promise<number>;
  /** @returns 0: the session is dead */
  token(session: number): Promise<number>;

  /** Has waits for locks end before the time for a batch is over. @param leftMs of that time */
  limitLocks(timeoutMs: number, leftMs: number): Promise<void>;
  commit(fence: FenceValue, changes: readonly Change[], sending: Sending): Promise<Made | null>;
  /** Finds which of these requests another session has locked. Waits for no lock. */
  locked(asked: readonly RequestUuid[]): Promise<RequestUuid[]>;
  /** Who has locked these; not brokers, whose transactions end by themselves. */
  lockHolders(locked: readonly RequestUuid[]): Promise<LockedRow[]>;
  /** The requests among `asked` that a session has claimed. */
  claimedOf(asked: readonly RequestUuid[], session: number): Promise<StoredRequest[]>;

  claim(fence: FenceValue, wanted: readonly Wanted[]): Promise<ClaimedRequest[] | null>;
  /** Gives claims back. @returns those whose rows another session has locked */
  release(fence: FenceValue, released: readonly Release[]): Promise<Release[] | null>;
  /** Gives back what the session has claimed and does not know. @returns as `release` */
  freeUnknown(fence: FenceValue, known: readonly Release[]): Promise<Release[] | null>;
  /** Lets what has waited for its time be claimed. */
  wake(most: number): Promise<void>;

  /** Reads every request once, without bodies. */
  count(): Promise<Tally>;
  /** Begins a transaction that sees what is committed now, and nothing else. */
  snapshot(): Promise<void>;
  /** Counts what is seen in the snapshot, and ends it. */
  countSnapshot(): Promise<Tally>;
  /** Pending requests with higher numbers. */
  list(after: number): Promise<StoredRequest[]>;
  /** Like `list`: records that are no work. */
  listKept(after: number): Promise<StoredRequest[]>;
  load(asked: readonly RequestUuid[]): Promise<(StoredContent | LargeContent | null)[]>;
  /** In the order of the questions. */
  lookUp(asked: readonly Asked[]): Promise<LookedUp>;
  /** Of what is too large for one piece. @param done how much of it is read. @returns `null`: it is gone */
  part(of: BodyKey, done: number): Promise<Part | null>;
  /** Since when the first one waits that nobody has claimed, in wall milliseconds, by service. */
  unclaimed(): Promise<Map<string, number>>;
  /** Rejects on an engine that does not tell. */
  snapshots(): Promise<Snapshots>;
  /** Explains a statement that was denied. */
  missingRight(error: unknown, who: Who): Promise<unknown>;

  /** Calls `heard` with what others send to the channel, and the process of the server that serves the sender. */
  listen(heard: (payload: string, processId: number) => void): Promise<void>;
  /** Like `listen`, after `unlisten`. */
  listenAgain(): Promise<void>;
  unlisten(): Promise<void>;
  notify(payload: Buffer): Promise<void>;
  /** The processes of the server that serve brokers. */
  senders(): Promise<ReadonlySet<unknown>>;
}
