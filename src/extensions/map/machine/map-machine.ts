/**
 * The map (12/CHP, the Clone pattern) as a pure machine: records in memory, changed by KVSETs that
 * are first committed and then published, and read by snapshots. Time is an argument, monotonic
 * milliseconds; effects go out by `MapSink`.
 *
 * Whoever runs it calls `run` at the end of each turn, and when `dueAt` has come. It serves between
 * `activate` and `deactivate`, once its records are loaded; otherwise it follows: its shell tells it
 * what replication has committed here (`followed`, `merged`).
 */
import { escapeName } from '../../../core/escape.js';
import type { Frames } from '../../../core/frames.js';
import { coversHugz, readIcanHaz, readKvSet, RecordFrames } from '../../../wire/chp.js';
import { compareNumbers, isUpTo, KEY, type MapNumber, VALUE } from '../../../wire/chp-client.js';
import { Batches } from './batches.js';
import { Content, type ContentPage } from './content.js';
import { type MapCounters, type MapEvents, type MapRefusal, newMapCounters } from './map-events.js';
import { type Held, type PendingSet, PendingSets } from './pending-sets.js';
import { RecentUuids } from './recent-uuids.js';
import { isDeletion, type MapRecord, recordOf, VALUE_TEXT_MAX } from './record.js';
import type { PageLimits } from './records.js';
import type { MapMerged, MapReplica, MapStoreReads, MapStoreEvents } from './replica.js';
import { isReservedKey, ServiceKeys } from './service-keys.js';
import type { MapPeer, MapSink, PeerId } from './sink.js';
import { Snapshots } from './snapshots.js';
import type { StoreFailure } from '../../../store/store.js';
import { WriterMarks } from './writer-marks.js';

/** Whose changes are made again after a merge. */
const THE_PEER: MapPeer = { identity: '', key: null, address: 'the other node' };
/** A node that serves publishes HUGZ this often, so that its subscribers know that it lives (D52). */
const HUGZ_MS = 1000;
/**
 * The counter from which this node numbers its changes in an epoch that its peer led: the peer's own counters of that
 * epoch are below.
 */
const MERGED_COUNTER = 2 ** 39;
const RELOAD_MS = 1000;
/** So long after a batch, more changes are expected, and snapshots leave room for them. */
const BUSY_MS = 100;

interface MapOptions {
  /** `limits.mapBytes`. */
  readonly bytesMax: number;
  /** Whether this writer may change this key (as bytes). */
  readonly mayWrite: (writer: MapPeer, key: Buffer) => boolean;
  /** Whether this client may read all keys of a subtree. Default: it may. */
  readonly mayRead?: (reader: MapPeer, subtree: string) => boolean;
  /** Whether so many more bytes of this identity may wait here. Default: they may. */
  readonly mayHold?: (identity: string, bytes: number) => boolean;
  /** Hears what waits here, by the identity of its writer (D77). */
  readonly held?: Held;
}

interface MapDeps {
  /** Monotonic milliseconds: for what the store and replication report. */
  readonly now: () => number;
  readonly sink: MapSink;
  readonly replica: MapReplica;
  readonly store: MapStoreReads;
  readonly events: MapEvents;
}

/** The present state, for metrics and people. */
interface MapGauges {
  /** Number of keys, the broker's own included. */
  readonly keys: number;
  /** Keys, properties, values and 128 bytes for each record. */
  readonly bytes: number;
  /** On disk alone: keys and 128 bytes for each deletion that the peer does not have yet. */
  readonly tombstoneBytes: number;
  /** Memory of what is known of changes that were replaced: see writer-marks.ts. */
  readonly markBytes: number;
  /** Changes that wait for the store. */
  readonly waiting: number;
  /** Changes that a node which does not serve keeps for when it does. */
  readonly pending: number;
  readonly snapshotsRunning: number;
  readonly snapshotsWaiting: number;
}

export class MapMachine implements MapStoreEvents {
  readonly counters: MapCounters = newMapCounters();
  readonly #options: MapOptions;
  readonly #deps: MapDeps;
  readonly #content = new Content();
  readonly #marks = new WriterMarks(
    () => this.#batches.bytesMax,
    () => this.counters.marksDropped++,
  );
  readonly #recent = new RecentUuids(this.#marks);
  readonly #pending: PendingSets;
  readonly services = new ServiceKeys();
  readonly #batches: Batches;
  readonly snapshots: Snapshots;
  readonly #frames = new RecordFrames(VALUE_TEXT_MAX);
  #isActive = false;
  #isServing = false;
  /** The epoch of `activate`. */
  #epoch = 0;
  #published: MapNumber = { epoch: 0, counter: 0 };
  #hugzAt = Infinity;
  #isRefusing = false;
  #busyUntil = -Infinity;
  #isLoaded = false;
  #listedUpTo = '';
  /** When reading the store is tried again. */
  #reloadAt = Infinity;

  constructor(options: MapOptions, deps: MapDeps) {
    this.#options = options;
    this.#deps = deps;
    const { sink, replica, events, now } = deps;
    const held: Held = options.held ?? (() => undefined);
    this.#pending = new PendingSets(held);
    this.#batches = new Batches(
      {
        now,
        ended: () => this.#serve(now()),
        content: this.#content,
        recent: this.#recent,
        services: this.services,
        replica,
        counters: this.counters,
        events,
        sink: {
          publish: (record, uuid) => this.#publish(record, uuid),
          refused: (reason) => this.#refuse(reason),
        },
        held,
      },
      options.bytesMax,
    );
    this.snapshots = new Snapshots({
      capture: () => this.#content.records.capture(),
      replacedBytes: () => this.#content.replacedBytes,
      replacedMax: () => this.#batches.bytesMax,
      published: () => this.#published,
      counters: this.counters,
      events,
      record: (peer, { key, epoch, counter, value }) => {
        sink.snapshot(peer, this.#frames.record(key, epoch, counter, '', '', value));
      },
      end: (peer, { epoch, counter }, subtree) => {
        sink.snapshot(peer, this.#frames.kthxbai(epoch, counter, subtree));
      },
      close: (peer) => sink.close(peer),
    });
  }

  // ---------------------------------------------------------------- state

  /** Whether the map answers clients. */
  get isServing(): boolean {
    return this.#isServing;
  }

  /** Whether nothing of the map is at the store, or awaits the peer. */
  get isSettled(): boolean {
    return this.#batches.isIdle;
  }

  get isLoaded(): boolean {
    return this.#isLoaded;
  }

  /** Why new and growing values are dropped, for `/readyz`; `null`: they are not. */
  get trouble(): StoreFailure | null {
    return this.#batches.trouble;
  }

  get gauges(): MapGauges {
    return {
      keys: this.#content.size,
      bytes: this.#content.bytes,
      tombstoneBytes: this.#batches.tombstoneBytes,
      markBytes: this.#marks.bytes,
      waiting: this.#batches.waiting,
      pending: this.#pending.size,
      snapshotsRunning: this.snapshots.running,
      snapshotsWaiting: this.snapshots.waiting,
    };
  }

  /** Some records, for people; see `Records.page`. A key that stays is in one page. */
  page(from: number, limits: PageLimits): ContentPage {
    return this.#content.page(from, limits, this.#deps.now());
  }

  setBytesMax(bytesMax: number): void {
    this.#batches.bytesMax = bytesMax;
  }

  /** Begins to load the records of the store. */
  open(): void {
    this.#loadNext();
  }

  /**
   * Has this node serve from now on, once its records are loaded.
   * @param epoch above all before it, and written before this call (D13, D48); standalone: a new one
   * at each start
   */
  activate(epoch: number, now: number): void {
    this.#isActive = true;
    this.#epoch = epoch;
    this.#serve(now);
  }

  /** Ends the serving of this node, which is passive, joining, or draining (D53). */
  deactivate(now: number): void {
    this.#isActive = false;
    const wasServing = this.#isServing;
    this.#isServing = false;
    this.#hugzAt = Infinity;
    this.#batches.stop(now);
    this.#content.stopTimes();
    for (const key of this.services.takeShown()) this.#content.applyUntimed(deletionOf(key));
    if (!wasServing) return;
    this.snapshots.stop();
    this.#deps.sink.closeSubscribers();
  }

  /** Begins to serve as soon as nothing is in the way. */
  #serve(now: number): void {
    if (this.#isServing || !this.#isActive || !this.#isLoaded) return;
    // A batch of an earlier term is still at the store.
    if (!this.#batches.hasCaughtUp) return;
    this.#isServing = true;
    const first = { epoch: this.#epoch, counter: 0 };
    const { highest } = this.#content;
    this.#published = compareNumbers(highest, first) > 0 ? highest : first;
    this.#batches.start(this.#published, this.#pending.take(now));
    this.services.announceAll();
    this.#content.startTimes(now);
    this.#hugzAt = now;
    this.snapshots.prune(now);
  }

  // ---------------------------------------------------------------- port P: snapshots

  /** A message of a peer of port P. */
  message(peer: PeerId, frames: Frames, now: number): void {
    const info = this.snapshots.info(peer);
    if (info === null) return;
    if (frames.isProbe) return;
    const read = readIcanHaz(frames);
    if (read.kind === 'malformed') {
      this.#malformed(read.reason, info);
    } else if (this.#options.mayRead?.(info, read.subtree) === false) {
      this.#denied('read', Buffer.from(read.subtree, 'latin1'), info);
    } else if (!this.snapshots.ask(peer, read.subtree, now)) {
      this.#malformed('too many questions', info);
    } else if (!this.#isServing) {
      this.#deps.sink.vote();
    }
  }

  /** A message of this peer was over the limits of its port, and was not read. */
  oversized(peer: MapPeer, reason: string): void {
    this.#malformed(reason, peer);
  }

  // ---------------------------------------------------------------- port P + 1: subscribers

  /** A subscriber of port P + 1 has subscribed to a topic; after the publisher knows it. */
  subscribed(subscriber: PeerId, topic: Uint8Array): void {
    if (!this.#isServing || !coversHugz(topic)) return;
    // The subscriber need not wait for the next one (D52).
    this.#deps.sink.greet(subscriber, this.#frames.hugz());
  }

  // ---------------------------------------------------------------- port P + 2: writers

  /** A message of a writer; valid during the call. */
  kvset(writer: MapPeer, frames: Frames, now: number): void {
    const read = readKvSet(frames);
    if (read.kind === 'malformed') {
      this.#malformed(read.reason, writer);
      return;
    }
    const key = frames.view(KEY);
    if (isReservedKey(key.toString('latin1'))) {
      // Keys below /mmi/ are the broker's own (D55).
      this.#refuse('reserved');
    } else if (!this.#options.mayWrite(writer, key)) {
      this.#denyChange(key, writer);
    } else if (!this.#hasRoom(writer, frames)) {
      this.#refuse('waiting');
    } else {
      this.#set({ record: recordOf(frames, read.ttlS), writer }, now);
    }
  }

  /** Deletions make room, so they need none. */
  #hasRoom({ identity }: MapPeer, frames: Frames): boolean {
    const bytes = frames.size(VALUE);
    return bytes === 0 || this.#options.mayHold?.(identity, bytes) !== false;
  }

  /** The rights of a key are others now: what it sent and may no longer change is dropped (D73). */
  rightsChanged(name: string): void {
    const isDenied = ({ writer, record }: PendingSet): boolean =>
      writer.key === name && !this.#options.mayWrite(writer, Buffer.from(record.key, 'latin1'));
    for (const waiting of [this.#batches, this.#pending]) {
      for (const { writer, record } of waiting.dropThose(isDenied)) {
        this.#denyChange(Buffer.from(record.key, 'latin1'), writer);
      }
    }
  }

  #denyChange(key: Buffer, writer: MapPeer): void {
    this.counters.updates.refused++;
    this.#denied('write', key, writer);
  }

  #set(set: PendingSet, now: number): void {
    const { key, uuid } = set.record;
    if (this.#isServing) {
      const refused = this.#batches.add(set);
      if (refused !== null) this.#refuse(refused);
    } else if (this.#recent.has(uuid, now)) {
      this.#pending.strikeAllOf(key);
    } else if (
      uuid !== '' &&
      !this.#recent.isPast(set.record, this.#content.records.get(key), now)
    ) {
      // Only the active node makes changes; this one has what it would lack after a failover (D53).
      this.#pending.add(set, now);
    }
  }

  #malformed(reason: string, { key, address }: MapPeer): void {
    this.counters.malformed++;
    this.#deps.events.emit({ name: 'map.malformed', reason, key, address });
  }

  #denied(wanted: 'read' | 'write', what: Buffer, { key, address }: MapPeer): void {
    const record = escapeName(what);
    this.#deps.events.emit({ name: 'map.denied', wanted, record, key, address });
  }

  #refuse(reason: MapRefusal): void {
    this.counters.updates.refused++;
    this.#deps.events.emit({ name: 'map.refused', reason });
  }

  // ---------------------------------------------------------------- the broker's services

  // ---------------------------------------------------------------- the store's results

  /** @param records in order of their keys; none: there are no more */
  #listed(records: readonly MapRecord[]): void {
    for (const record of records) this.#content.applyUntimed(record);
    const last = records.at(-1);
    if (last !== undefined) {
      this.#listedUpTo = last.key;
      this.#loadNext();
      return;
    }
    this.#isLoaded = true;
    const { keys, bytes } = this.gauges;
    this.#deps.events.emit({ name: 'map.loaded', keys, bytes });
    this.#serve(this.#deps.now());
  }

  #loadNext(): void {
    const { store, now } = this.#deps;
    this.#reloadAt = Infinity;
    store.listMap(this.#listedUpTo, {
      done: (records) => this.#listed(records),
      failed: () => {
        this.#reloadAt = now() + RELOAD_MS;
      },
    });
  }

  tombstoneBytesChanged(bytes: number): void {
    this.#batches.tombstoneBytes = bytes;
  }

  numbersAbove(epoch: number): void {
    const isAbove = this.#isServing && epoch > this.#epoch;
    if (isAbove) this.#batches.raise({ epoch, counter: MERGED_COUNTER });
  }

  followed(changes: readonly MapRecord[]): void {
    const now = this.#deps.now();
    for (const change of changes) {
      // What came before a change must not be applied after it. Replication does not bring renewals,
      // so they go when it brings what came next.
      if (!this.#replicated(change, now)) this.#pending.strikeAllOf(change.key);
    }
  }

  merged({ changed, ineffective, conflicts }: MapMerged): void {
    const now = this.#deps.now();
    for (const change of changed) {
      const before = this.#content.records.get(change.key);
      this.#replicated(change, now);
      this.#batches.merged(change);
      // Numbers only rise, so clients get it under a new one.
      if (this.#isServing) this.#batches.announced.push(change);
      if (before !== null) this.#overruled(before, change, now);
    }
    let deletion: MapRecord | null = null;
    for (const change of ineffective) {
      const here = deletion?.key === change.key ? deletion : this.#content.records.get(change.key);
      this.#overruled(change, here, now);
      deletion = isDeletion(change) ? change : null;
    }
    this.counters.conflicts += conflicts.length;
    for (const key of conflicts) {
      const record = escapeName(Buffer.from(key, 'latin1'));
      this.#deps.events.emit({ name: 'map.conflicted', record });
    }
  }

  /**
   * A merge decided by the nodes' numbers. If both changes are of one writer, and the later one lost, it is made again;
   * else a copy of it that comes late is not.
   * @param here what the map has now
   */
  #overruled(lost: MapRecord, here: MapRecord | null, now: number): void {
    const { key, uuid } = lost;
    if (here !== null && isUpTo(here.uuid, uuid)) {
      if (here.uuid === uuid) return;
      const set = { record: lost, writer: THE_PEER };
      if (this.#isServing) this.#batches.restore(set);
      // The node that serves makes it again, unless it ends before that.
      else this.#pending.add(set, now);
    } else if (here !== null || isDeletion(lost)) {
      this.#marks.add(key, uuid, now);
    }
  }

  /** Returns true if its writer's copy was kept here. */
  #replicated(change: MapRecord, now: number): boolean {
    const before = this.#content.records.get(change.key);
    this.#content.apply(change, now);
    this.#recent.add(change, before, now);
    return this.#pending.strike(change);
  }

  // ---------------------------------------------------------------- turns

  /** When `run` is next due if no input arrives. Monotonic milliseconds; Infinity: never. */
  get dueAt(): number {
    if (!this.#isServing) return Math.min(this.#pending.dueAt, this.#reloadAt);
    const expiresAt = Math.max(this.#content.expiresAt, this.#batches.mayExpireAt);
    const snapshotsAt = this.#batches.hasCaughtUp ? this.snapshots.dueAt : Infinity;
    return Math.min(this.#hugzAt, this.#batches.dueAt, expiresAt, snapshotsAt);
  }

  /** The end of a turn. Returns true if there is more to do at once. */
  run(now: number): boolean {
    if (now >= this.#reloadAt) this.#loadNext();
    this.#marks.prune(now);
    if (!this.#isServing) {
      this.#pending.prune(now);
      this.snapshots.prune(now);
      return false;
    }
    this.#noteRefusal(now);
    if (now >= this.#hugzAt) {
      this.#hugzAt = now + HUGZ_MS;
      this.#deps.sink.publish(this.#frames.hugz());
    }
    const isScanning = this.#content.run(now);
    const hasChanges = this.#batches.run(now);
    if (!this.#batches.isIdle) this.#busyUntil = now + BUSY_MS;
    const isBusy = now < this.#busyUntil;
    // No snapshot before what writers sent before this node served is applied.
    const hasSnapshots = this.#batches.hasCaughtUp && this.snapshots.run(now, isBusy);
    return isScanning || hasChanges || hasSnapshots;
  }

  /** Renewals were refused meanwhile, so times to live begin anew. */
  #noteRefusal(now: number): void {
    const isRefusing = this.#deps.replica.refusal !== null;
    if (this.#isRefusing && !isRefusing) this.#content.startTimes(now);
    this.#isRefusing = isRefusing;
  }

  #publish({ key, epoch, counter, properties, value }: MapRecord, uuid: string): void {
    this.#published = { epoch, counter };
    this.#deps.sink.publish(this.#frames.record(key, epoch, counter, uuid, properties, value));
  }
}

function deletionOf(key: string): MapRecord {
  return { key, epoch: 0, counter: 0, uuid: '', properties: '', value: '', ttlS: 0 };
}
