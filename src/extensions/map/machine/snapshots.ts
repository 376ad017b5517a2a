/**
 * Snapshots (D49): each is of one instant, sent in pieces as its client reads. At most 16 are under
 * way; the others wait, and identities take turns.
 */
import { compareNumbers, type MapNumber } from '../../../wire/chp-client.js';
import type { MapCounters, MapEvents } from './map-events.js';
import { bytesOf, type MapRecord } from './record.js';
import type { Captured } from './records.js';
import type { MapPeer, PeerId } from './sink.js';

const RUNNING_MAX = 16;
const WAITING_MAX = 10_000;
/** What one identity may have of these (D75). */
const IDENTITY_SHARE = 0.875;
/** The most snapshots of one peer, under way or waiting. */
const PER_PEER_MAX = 4;
/** Questions of one peer in a second. */
const PER_SECOND_MAX = 16;
const SECOND_MS = 1000;
/** Bytes that all snapshots together send in a turn. */
const BYTES_PER_TURN = 256 * 1024;
/** Records that all together look at in a turn. */
const RECORDS_PER_TURN = 16_000;
/** The share of both while changes come: a change takes several turns, and each is to be short. */
const BUSY_SHARE = 0.125;

/**
 * Snapshots begin together, and not again before this many keys a millisecond have passed: copying
 * their references takes a tenth of that time.
 */
const KEYS_PER_MS = 20_000;
/** A client that has not read for this long loses its place. */
const STALLED_MS = 10_000;
/** Snapshots may keep at least this much in memory besides the map. */
const REPLACED_BYTES_MIN = 16 * 1024 * 1024;
/** How long a question that came before this node serves is remembered. */
const HELD_MS = 10_000;

interface Peer {
  readonly id: PeerId;
  readonly info: MapPeer;
  /** Since when the peer's output is full; Infinity: it is not. */
  fullSince: number;
  /** Snapshots under way or waiting. */
  asked: number;
  /** What waits of it. */
  readonly waiting: Set<Request>;
  /** Questions in the second that began then. */
  questions: number;
  secondAt: number;
  isClosed: boolean;
}

interface Request {
  readonly peer: Peer;
  readonly subtree: string;
  readonly at: number;
}

interface Snapshot extends Request {
  readonly content: Captured;
  /** The number as of which it is. */
  readonly asOf: MapNumber;
  /** `replacedBytes` when it began. */
  readonly replacedBefore: number;
  next: number;
  /** The highest number sent. */
  highest: MapNumber | null;
}

/** Where snapshots come from and go. */
interface SnapshotsDeps {
  readonly capture: () => Captured;
  /** See `Records.replacedBytes`. */
  readonly replacedBytes: () => number;
  /** How much all snapshots together may keep in memory besides the map: `limits.mapBytes`. */
  readonly replacedMax: () => number;
  /** The number of the last published change. */
  readonly published: () => MapNumber;
  readonly counters: MapCounters;
  readonly events: MapEvents;
  record(peer: PeerId, record: MapRecord): void;
  end(peer: PeerId, number: MapNumber, subtree: string): void;
  close(peer: PeerId): void;
}

export class Snapshots {
  readonly #deps: SnapshotsDeps;
  readonly #peers = new Map<PeerId, Peer>();
  /** By identity, in the order of their turns. */
  readonly #lines = new Map<string, Set<Request>>();
  #waiting = 0;
  #running: Snapshot[] = [];
  /** When the next ones may begin. Monotonic milliseconds. */
  #captureAt = -Infinity;
  #pruneAt = -Infinity;

  constructor(deps: SnapshotsDeps) {
    this.#deps = deps;
  }

  get running(): number {
    return this.#running.length;
  }

  get waiting(): number {
    return this.#waiting;
  }

  connected(id: PeerId, info: MapPeer): void {
    const counted = { asked: 0, waiting: new Set<Request>(), questions: 0, secondAt: -Infinity };
    this.#peers.set(id, { id, info, fullSince: Infinity, isClosed: false, ...counted });
  }

  disconnected(id: PeerId): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    this.#peers.delete(id);
    this.#forget(peer);
  }

  info(id: PeerId): MapPeer | null {
    return this.#peers.get(id)?.info ?? null;
  }

  outputFull(id: PeerId, now: number): void {
    const peer = this.#peers.get(id);
    if (peer?.fullSince === Infinity) peer.fullSince = now;
  }

  drained(id: PeerId): void {
    const peer = this.#peers.get(id);
    if (peer !== undefined) peer.fullSince = Infinity;
  }

  /** Returns false if the peer asks too much. */
  ask(id: PeerId, subtree: string, now: number): boolean {
    const peer = this.#peers.get(id);
    if (peer === undefined || peer.isClosed) return true;
    if (now - peer.secondAt >= SECOND_MS) {
      peer.secondAt = now;
      peer.questions = 0;
    }
    const { identity } = peer.info;
    const line = this.#lines.get(identity) ?? new Set();
    if (
      ++peer.questions > PER_SECOND_MAX ||
      peer.asked >= PER_PEER_MAX ||
      this.#waiting >= WAITING_MAX ||
      line.size >= WAITING_MAX * IDENTITY_SHARE
    ) {
      return false;
    }
    const request = { peer, subtree, at: now };
    peer.asked++;
    peer.waiting.add(request);
    line.add(request);
    this.#lines.set(identity, line);
    this.#waiting++;
    return true;
  }

  /** When `run` is next due if no input arrives, while snapshots may start. */
  get dueAt(): number {
    let dueAt =
      this.#waiting > 0 && this.#running.length < RUNNING_MAX ? this.#captureAt : Infinity;
    for (const { peer } of this.#running) {
      dueAt = Math.min(
        dueAt,
        peer.fullSince === Infinity ? -Infinity : peer.fullSince + STALLED_MS,
      );
    }
    return dueAt;
  }

  /**
   * @param isBusy changes come
   * @returns true if there is more to send at once
   */
  run(now: number, isBusy: boolean): boolean {
    this.#closeOldest();
    this.#start(now);
    const turnShare = isBusy ? BUSY_SHARE : 1;
    let hasMore = false;
    for (const snapshot of [...this.#running]) {
      const { peer } = snapshot;
      if (peer.fullSince !== Infinity) {
        if (now - peer.fullSince >= STALLED_MS) this.#stalled(peer);
      } else if (this.#advance(snapshot, turnShare / this.#running.length)) {
        hasMore = true;
      }
    }
    return hasMore || now >= this.dueAt;
  }

  /** Forgets what was asked too long ago, while this node does not serve. */
  prune(now: number): void {
    if (now < this.#pruneAt) return;
    this.#pruneAt = now + SECOND_MS;
    for (const [identity, line] of this.#lines) {
      for (const request of line) {
        if (request.at > now - HELD_MS) break;
        request.peer.asked--;
        this.#leave(line, request);
      }
      if (line.size === 0) this.#lines.delete(identity);
    }
  }

  /**
   * Closes those who have a part of a snapshot, or wait for one: this node stopped serving, and they begin anew
   * elsewhere.
   */
  stop(): void {
    for (const { peer } of [...this.#running]) this.#close(peer);
    for (const line of [...this.#lines.values()]) for (const { peer } of line) this.#close(peer);
  }

  // ---------------------------------------------------------------- one after the other

  #start(now: number): void {
    if (now < this.#captureAt) return;
    while (this.#running.length < RUNNING_MAX && this.#waiting > 0) {
      const request = this.#nextRequest();
      if (request === null) return;
      const { capture, published, replacedBytes } = this.#deps;
      const content = capture();
      const replacedBefore = replacedBytes();
      this.#captureAt = now + Math.floor(content.length / KEYS_PER_MS);
      this.#running.push({
        ...request,
        content,
        asOf: published(),
        replacedBefore,
        next: 0,
        highest: null,
      });
    }
  }

  /**
   * A snapshot keeps records that were replaced since it began. Clients that read slowly, while
   * writers change everything, could otherwise make the node hold the map once for each of them.
   */
  #closeOldest(): void {
    const { replacedBytes, replacedMax } = this.#deps;
    const most = Math.max(REPLACED_BYTES_MIN, replacedMax());
    for (const { peer, replacedBefore } of [...this.#running]) {
      if (replacedBytes() - replacedBefore <= most) return;
      this.#stalled(peer);
    }
  }

  /** Takes the next request of the identity whose turn it is; `null`: all have enough running. */
  #nextRequest(): Request | null {
    for (const [identity, line] of this.#lines) {
      const has = this.#running.filter(({ peer }) => peer.info.identity === identity).length;
      if (has >= RUNNING_MAX * IDENTITY_SHARE) continue;
      const [request] = line;
      if (request === undefined) continue;
      this.#leave(line, request);
      this.#lines.delete(identity);
      if (line.size > 0) this.#lines.set(identity, line);
      return request;
    }
    return null;
  }

  /**
   * Sends a piece.
   * @param share of what all together may send in a turn
   * @returns true if there is more, and the peer reads
   */
  #advance(snapshot: Snapshot, share: number): boolean {
    const { peer, content, subtree, asOf } = snapshot;
    const until = Math.min(content.length, snapshot.next + RECORDS_PER_TURN * share);
    let bytes = 0;
    while (snapshot.next < until && bytes < BYTES_PER_TURN * share) {
      if (peer.fullSince !== Infinity || peer.isClosed) return false;
      const record = content[snapshot.next++] ?? null;
      if (record?.key.startsWith(subtree) !== true) continue;
      const { highest } = snapshot;
      if (highest === null || compareNumbers(record, highest) > 0) snapshot.highest = record;
      this.#deps.record(peer.id, record);
      bytes += bytesOf(record);
    }
    if (snapshot.next < content.length) return peer.fullSince === Infinity;
    this.#running = this.#running.filter((each) => each !== snapshot);
    peer.asked--;
    this.#deps.counters.snapshots++;
    this.#deps.end(peer.id, snapshot.highest ?? asOf, subtree);
    return false;
  }

  #stalled(peer: Peer): void {
    const { key, address } = peer.info;
    this.#deps.events.emit({ name: 'map.stalled', key, address });
    this.#close(peer);
  }

  #close(peer: Peer): void {
    if (peer.isClosed) return;
    peer.isClosed = true;
    this.#forget(peer);
    this.#deps.close(peer.id);
  }

  /** Gives up what a peer asked. */
  #forget(peer: Peer): void {
    if (peer.asked === 0) return;
    this.#running = this.#running.filter((snapshot) => snapshot.peer !== peer);
    const { identity } = peer.info;
    const line = this.#lines.get(identity);
    if (line !== undefined) {
      for (const request of peer.waiting) this.#leave(line, request);
      if (line.size === 0) this.#lines.delete(identity);
    }
    peer.asked = 0;
  }

  /** The request does not wait any more. */
  #leave(line: Set<Request>, request: Request): void {
    line.delete(request);
    request.peer.waiting.delete(request);
    this.#waiting--;
  }
}
