/**
 * The client of a map (12/CHP, model 6) as a pure machine (D56). Time is an argument, monotonic
 * milliseconds; effects go out by `MapClientSink`.
 *
 * - It subscribes at all endpoints, and takes the updates of one: the first that says HUGZ. HUGZ
 *   proves that the node serves, and that the subscription is in force. From then on it keeps the
 *   updates, and asks for a snapshot, which replaces the whole map.
 * - A lost connection, five seconds of silence, and a snapshot that does not go on end that. The next
 *   node is one that said HUGZ lately, or the first that does. Meanwhile it asks one node after the
 *   other for a snapshot: to a node whose peer is dead this is the vote to become active.
 * - A change goes to all nodes. It is done when an update with its uuid comes. It is sent again, with
 *   the same uuid, to a node whose connection is new, and to all after each snapshot.
 */
import { present } from '../../core/assert.js';
import type { MonotonicMs } from '../../core/clock.js';
import type { Frames } from '../../core/frames.js';
import type { RandomFill } from '../../core/random.js';
import {
  KEY,
  type MapNumber,
  readPublished,
  readSnapshot,
  uuidOf,
  VALUE,
} from '../../wire/chp-client.js';
import type { Random } from '../backoff.js';
import { type MajordomoError, sdkError } from '../errors.js';
import { MapCopy, type Values } from './copy.js';
import { type ChangeRequest, type OwnChange, OwnChanges } from './own-changes.js';
import { SnapshotIntake } from './snapshot-intake.js';

/** Why a node that it followed is followed no longer. */
type LossReason = 'closed' | 'silent';

/** The effects. An endpoint is its index. */
export interface MapClientSink {
  /**
   * Sends ICANHAZ on a new connection to port P, in place of the one before. What arrives there is
   * told by `answered`, its end by `askFailed`.
   */
  ask(endpoint: number): void;
  /** Closes that connection. */
  stopAsking(): void;
  /** Sends a KVSET to port P + 2. */
  send(endpoint: number, change: OwnChange): void;
  /**
   * A key has another value.
   * @param before `undefined`: it had none
   * @param after `undefined`: it has none
   */
  changed(key: string, before: Buffer | undefined, after: Buffer | undefined): void;
  /** A snapshot has replaced the map. */
  replaced(before: Values, after: Values): void;
  /** The map is that of this node, and follows it. */
  synced(endpoint: number): void;
  /** The map does not follow this node any more. */
  lost(endpoint: number, reason: LossReason): void;
  /** No node has served it since the start; told once. */
  unserved(): void;
  /** The map cannot go on: see the error. */
  failed(error: MajordomoError): void;
}

interface MapClientOptions {
  /** How many. */
  readonly endpoints: number;
  /** What the map's keys begin with, as Latin-1; empty: the whole map. */
  readonly subtree: string;
  readonly bytesMax: number;
  /** Changes that are not settled. */
  readonly changesMax: number;
}

/** Milliseconds without a message after which the next server is tried (D56). */
const SILENCE_MS = 5000;
/** A snapshot that waits for its turn at a node that serves. */
const SNAPSHOT_SILENCE_MS = 30_000;
/** A node that serves says HUGZ every second. */
const HUGZ_FRESH_MS = 2500;
const FIRST_VOTE_MS = 250;
const VOTE_MS = 1000;
const UNSERVED_VOTES = 4;
const KEY_REFUSALS_MAX = 2;
const NOBODY = -1;

interface Server {
  isConnected: boolean;
  /** When HUGZ last came on this connection. */
  hugzAt: MonotonicMs;
  isWritable: boolean;
  /** Handshakes in a row that were refused because of this client's key. */
  keyRefusals: number;
}

export class MapClient {
  /** Messages that are not 12/CHP, or not of this subtree. */
  malformed = 0;
  readonly #options: MapClientOptions;
  readonly #sink: MapClientSink;
  readonly #random: Random;
  readonly #servers: readonly Server[];
  readonly changes: OwnChanges;
  #copy = new MapCopy();
  /** The one whose updates it takes. */
  #current = NOBODY;
  /** `null`: no snapshot is on its way. */
  #intake: SnapshotIntake | null = null;
  #heardAt: MonotonicMs = 0;
  #progressAt: MonotonicMs = 0;
  #voteAt: MonotonicMs = Infinity;
  #nextVote = 0;
  /** Until it is said that no node serves; 0 and less: that was said, or a node has. */
  #votesLeft = UNSERVED_VOTES;
  #isEnded = false;

  constructor(
    options: MapClientOptions,
    sink: MapClientSink,
    random: Random,
    randomFill: RandomFill,
  ) {
    this.#options = options;
    this.#sink = sink;
    this.#random = random;
    this.#servers = Array.from({ length: options.endpoints }, () => ({
      isConnected: false,
      hugzAt: -Infinity,
      isWritable: false,
      keyRefusals: 0,
    }));
    this.changes = new OwnChanges(options.changesMax, randomFill);
  }

  /** The map; it stays what it was while no node serves. */
  get values(): Values {
    return this.#copy.values;
  }

  /** What the map takes: keys, values, and 128 bytes for each. */
  get bytes(): number {
    return this.#copy.bytes;
  }

  get isSynced(): boolean {
    return this.#current !== NOBODY && this.#intake === null;
  }

  /** The node whose updates it takes; -1: none. */
  get current(): number {
    return this.#current;
  }

  /** Changes that are not settled. */
  get outstanding(): number {
    return this.changes.size;
  }

  start(now: MonotonicMs): void {
    this.#nextVote = 0;
    this.#voteAt = now + VOTE_MS * (1 + this.#random() / 2);
  }

  // ---------------------------------------------------------------- port P + 1: updates

  /** The subscriber's connection is up. */
  subscribed(endpoint: number): void {
    const server = this.#server(endpoint);
    server.isConnected = true;
    server.keyRefusals = 0;
  }

  unsubscribed(endpoint: number, now: MonotonicMs): void {
    const server = this.#server(endpoint);
    server.isConnected = false;
    server.hugzAt = -Infinity;
    if (endpoint === this.#current) this.#serverLost('closed', now);
  }

  /** A node has refused the key of this client. */
  keyRefused(endpoint: number): void {
    this.#server(endpoint).keyRefusals++;
    if (this.#servers.some(({ keyRefusals }) => keyRefusals < KEY_REFUSALS_MAX)) return;
    const text = 'no node of the map admits the key of this client';
    this.#fail(sdkError('ERR_MDP_KEY_REFUSED', text));
  }

  /** A message of the publisher; valid during the call. */
  published(endpoint: number, frames: Frames, now: MonotonicMs): void {
    if (this.#isEnded) return;
    const isCurrent = endpoint === this.#current;
    if (isCurrent) this.#heardAt = now;
    const read = readPublished(frames);
    if (read.kind === 'hugz') {
      this.#server(endpoint).hugzAt = now;
      if (this.#current === NOBODY) this.#begin(endpoint, now);
    } else if (read.kind === 'record') {
      this.#update(isCurrent, read.number, frames);
    } else {
      this.malformed++;
    }
  }

  #update(isCurrent: boolean, number: MapNumber, frames: Frames): void {
    const key = this.#keyOf(frames);
    if (key === null) return;
    const intake = this.#intake;
    if (isCurrent && intake !== null) {
      intake.update(key, frames.copy(VALUE), number);
      this.#checkBytes(intake.bytes);
    } else if (isCurrent && this.#copy.isBefore(number)) {
      this.#apply(key, frames, number);
    }
    const uuid = uuidOf(frames) ?? '';
    if (this.#isEnded || uuid === '') return;
    this.changes.published(key, uuid, isCurrent && intake === null);
  }

  #apply(key: string, frames: Frames, number: MapNumber): void {
    const value = frames.copy(VALUE);
    const after = value.length === 0 ? undefined : value;
    const before = this.#copy.apply(key, value, number);
    // A renewed time to live is no change.
    const isSame = before === undefined ? after === undefined : before.equals(value);
    if (!isSame) this.#sink.changed(key, before, after);
    this.#checkBytes(this.#copy.bytes);
  }

  /** `null`: the key of a message is not of this subtree, such as `HUGZ1`. */
  #keyOf(frames: Frames): string | null {
    const key = frames.view(KEY).toString('latin1');
    if (key.startsWith(this.#options.subtree)) return key;
    this.malformed++;
    return null;
  }

  // ---------------------------------------------------------------- port P: snapshots

  /** A message on the connection of the last `ask`; valid during the call. */
  answered(frames: Frames, now: MonotonicMs): void {
    const intake = this.#intake;
    // The answer to a vote is from before the subscription was in force.
    if (intake === null) return;
    this.#heardAt = now;
    this.#progressAt = now;
    const read = readSnapshot(frames);
    if (read.kind === 'record') {
      const key = this.#keyOf(frames);
      if (key !== null) intake.record(key, frames.copy(VALUE));
      this.#checkBytes(intake.bytes);
    } else if (read.kind === 'end') {
      this.#finish(intake, read.number);
    } else {
      this.malformed++;
    }
  }

  /** The connection of the last `ask` did not come about, or is gone. */
  askFailed(now: MonotonicMs): void {
    if (this.#intake !== null) this.#serverLost('snapshot', now);
  }

  /** Begins to follow a node: keeps its updates, and asks it for a snapshot. */
  #begin(endpoint: number, now: MonotonicMs): void {
    this.#current = endpoint;
    this.#intake = new SnapshotIntake();
    this.#heardAt = now;
    this.#progressAt = now;
    this.#voteAt = Infinity;
    this.#sink.ask(endpoint);
  }

  #finish(intake: SnapshotIntake, number: MapNumber): void {
    const before = this.#copy.values;
    this.#copy = intake.finish(number);
    this.#intake = null;
    this.#votesLeft = 0;
    this.#sink.stopAsking();
    this.#sink.replaced(before, this.#copy.values);
    this.#sink.synced(this.#current);
    this.changes.shown();
    // Updates of all servers may have been missed; and a node that is new may not have got them.
    this.#servers.forEach((_, endpoint) => this.#sendAll(endpoint));
  }

  // ---------------------------------------------------------------- which node

  #serverLost(reason: LossReason | 'snapshot', now: MonotonicMs): void {
    const lost = this.#current;
    const wasSynced = this.isSynced;
    this.#current = NOBODY;
    this.#intake = null;
    this.#server(lost).hugzAt = -Infinity;
    this.#sink.stopAsking();
    if (wasSynced && reason !== 'snapshot') this.#sink.lost(lost, reason);
    const next = this.#after(lost).find((endpoint) => {
      const { isConnected, hugzAt } = this.#server(endpoint);
      return isConnected && now - hugzAt < HUGZ_FRESH_MS;
    });
    if (next !== undefined) {
      this.#begin(next, now);
      return;
    }
    // Soon, unless a node that serves is heard first.
    this.#nextVote = (lost + 1) % this.#servers.length;
    this.#voteAt = now + FIRST_VOTE_MS * (1 + this.#random());
  }

  /** The endpoints after this one, in order, then this one. */
  #after(endpoint: number): number[] {
    const count = this.#servers.length;
    return this.#servers.map((_, index) => (endpoint + 1 + index) % count);
  }

  #vote(now: MonotonicMs): void {
    const endpoint = this.#nextVote;
    this.#nextVote = (endpoint + 1) % this.#servers.length;
    this.#voteAt = now + VOTE_MS * (1 + this.#random() / 2);
    this.#sink.ask(endpoint);
    if (--this.#votesLeft === 0) this.#sink.unserved();
  }

  // ---------------------------------------------------------------- port P + 2: changes

  /** A node takes changes from now on, on a connection that is new. */
  writable(endpoint: number): void {
    this.#server(endpoint).isWritable = true;
    this.#sendAll(endpoint);
  }

  unwritable(endpoint: number): void {
    this.#server(endpoint).isWritable = false;
  }

  /** @returns `null`: too many are not settled */
  change(request: ChangeRequest, now: MonotonicMs): OwnChange | null {
    const change = this.changes.add(request, now);
    if (change === null) return null;
    this.#servers.forEach((_, endpoint) => this.#send(endpoint, change));
    return change;
  }

  #sendAll(endpoint: number): void {
    for (const change of this.changes.waiting) this.#send(endpoint, change);
  }

  #send(endpoint: number, change: OwnChange): void {
    if (!this.#server(endpoint).isWritable) return;
    change.sends++;
    this.#sink.send(endpoint, change);
  }

  // ---------------------------------------------------------------- time, and the end

  /** When `tick` is due at the latest. */
  get dueAt(): MonotonicMs {
    const silentAt =
      this.#current === NOBODY
        ? Infinity
        : Math.min(
            this.#heardAt + SILENCE_MS,
            this.#intake === null ? Infinity : this.#progressAt + SNAPSHOT_SILENCE_MS,
          );
    return this.#isEnded ? Infinity : Math.min(silentAt, this.#voteAt, this.changes.dueAt);
  }

  /** After everything that can be read was read. */
  tick(now: MonotonicMs): void {
    if (this.#isEnded) return;
    this.changes.run(now);
    if (this.#current === NOBODY) {
      if (now >= this.#voteAt) this.#vote(now);
    } else if (now - this.#heardAt >= SILENCE_MS) {
      this.#serverLost('silent', now);
    } else if (this.#intake !== null && now - this.#progressAt >= SNAPSHOT_SILENCE_MS) {
      this.#serverLost('snapshot', now);
    }
  }

  /** Nothing happens any more. @param error of the changes that are not settled */
  end(error: MajordomoError): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#current = NOBODY;
    this.#intake = null;
    this.changes.end(error);
  }

  #checkBytes(bytes: number): void {
    const { bytesMax } = this.#options;
    if (bytes <= bytesMax || this.#isEnded) return;
    const text = `the map has more than ${bytesMax} bytes (option maxBytes)`;
    this.#fail(sdkError('ERR_MAP_LIMIT', text, { details: { maxBytes: bytesMax } }));
  }

  #fail(error: MajordomoError): void {
    if (this.#isEnded) return;
    this.end(error);
    this.#sink.failed(error);
  }

  #server(endpoint: number): Server {
    return present(this.#servers[endpoint], 'an endpoint of the map');
  }
}
