/**
 * The map in this process (`map.listen`): the machine, its ports, and its turns in the broker's loop.
 *
 * It serves between `activate` and `deactivate`, once its records are loaded. Its store is told to it by
 * the machine's inputs: whoever routes the store's results calls them.
 */
import { monotonicMs } from '../../core/clock.js';
import { escapeName } from '../../core/escape.js';
import { Frames } from '../../core/frames.js';
import type { MemoryAccount, Holdings } from '../../core/holdings.js';
import type { MapCounters, MapEvents, MapPort } from './machine/map-events.js';
import { MapMachine } from './machine/map-machine.js';
import type { MapReplica, MapStoreReads } from './machine/replica.js';
import type { MapSink } from './machine/sink.js';
import type { RejectionKind } from '../../core/event-fields.js';
import type { ListenerCurve } from '../../zmtp/listener-curve.js';
import type { Closing, Rejected, RouterLimits, RouterOptions } from '../../zmtp/port.js';
import type { Rights } from '../../node/key-rights.js';
import { type MapInputs, MapPorts } from './ports.js';
import { coversPrefix, maySubscribeToMap, mayWriteMap } from './rights.js';

/** The account of the records, which are no peer's. */
const IDENTITY = 'map';

/**
 * Memory of a record beyond what it counts towards `limits.mapBytes`: measured with keys of 8 to 30 bytes, 47 to
 * 120 bytes up to a value of 512.
 */
const RECORD_MORE_BYTES = 64;

/** The rights of a key, by its name. */
type MapRights = (key: string) => Readonly<Pick<Rights, 'client' | 'worker'>>;

interface MapHostOptions {
  /** `limits.mapBytes`. */
  readonly bytesMax: number;
  readonly rightsOf: MapRights;
  /** The account of what all peers of the node hold. */
  readonly holdings: Holdings;
  readonly replica: MapReplica;
  readonly store: MapStoreReads;
  readonly events: MapEvents;
  /** Input arrived: a turn is due. */
  readonly wake: () => void;
  /** Monotonic milliseconds. Default: of this machine. */
  readonly now?: () => number;
}

interface MapListenOptions {
  /** P: see `map.listen`. */
  readonly endpoint: string;
  readonly curve?: ListenerCurve;
  readonly limits: RouterLimits;
  readonly names?: NonNullable<RouterOptions['names']>;
}

/** The ports, once they are open. */
export type OpenMapPorts = Pick<MapPorts, keyof MapPorts>;

export class MapHost implements MapInputs {
  readonly machine: MapMachine;
  /** `null`: they are not open yet. */
  ports: OpenMapPorts | null = null;
  /** While it is true, nothing may be shown (D19): a node of a pair that stalled. */
  isFenced: () => boolean = () => false;
  /** Called when a client asks this node, which does not serve. */
  voted: () => void = () => undefined;
  readonly #options: MapHostOptions;
  readonly #memory: MemoryAccount;
  /** What was published while this node was fenced. */
  #held: Frames[] = [];
  #isDraining = false;
  /** While draining: the last turn began with nothing left to do. */
  #isDrained = false;
  /** The last turn left something to do at once. */
  #hasMore = false;
  #now: number;

  constructor(options: MapHostOptions) {
    const { bytesMax, holdings, replica, store, events, now = monotonicMs } = options;
    this.#options = options;
    this.#now = now();
    this.#memory = holdings.use(IDENTITY);
    this.machine = new MapMachine(
      {
        bytesMax,
        mayWrite: ({ key }, name) =>
          key === null || mayWriteMap(options.rightsOf(key).worker, name),
        mayRead: ({ key }, subtree) =>
          key === null ||
          coversPrefix(options.rightsOf(key).client, Buffer.from(subtree, 'latin1')),
        // A value waits for the store first, and is a record then.
        mayHold: (identity, bytes) =>
          this.#memory.mayHold(bytes) &&
          this.#withAccount(identity, (memory) => memory.mayHold(bytes)),
        held: (identity, change) => {
          this.#withAccount(identity, (memory) => memory.add('stored', change));
        },
      },
      { now, sink: this.#sink, replica, store, events },
    );
  }

  /**
   * Opens the ports. Before that the map serves nobody.
   * @throws ERR_MDP_ENDPOINT_IN_USE, ERR_MDP_ENDPOINT
   */
  async listen(options: MapListenOptions): Promise<void> {
    const { holdings } = this.#options;
    this.ports = await MapPorts.open({ ...options, holdings, inputs: this });
  }

  // ---------------------------------------------------------------- the node

  /** @param epoch see `MapMachine.activate` */
  activate(epoch: number): void {
    if (this.#isDraining) return;
    this.#options.wake();
    this.machine.activate(epoch, this.#now);
  }

  deactivate(): void {
    this.#options.wake();
    this.#held = [];
    this.machine.deactivate(this.#now);
  }

  /**
   * The node stops: this one takes no more changes, and does not serve again, whatever the pair decides. What it has
   * taken is committed and published first, as far as the node waits for it: see `isSettled`.
   */
  drain(): void {
    this.#isDraining = true;
    if (this.machine.isServing) this.#options.wake();
    else this.deactivate();
  }

  /** Whether nothing of the map is in progress; of one that drains, nothing waits either. */
  get isSettled(): boolean {
    return this.machine.isSettled && !(this.#isDraining && this.machine.isServing);
  }

  /** At the beginning of a turn. What was published before the last one has left. */
  #runDrain(): void {
    if (!this.#isDraining || !this.machine.isServing) return;
    const { isSettled, gauges, trouble } = this.machine;
    // The disk may stay full for longer than anyone waits.
    const isDone = isSettled && (gauges.waiting === 0 || trouble !== null);
    if (isDone && this.#isDrained) this.deactivate();
    this.#isDrained = isDone;
  }

  // ---------------------------------------------------------------- turns

  setTime(now: number): void {
    this.#now = now;
  }

  run(now: number): void {
    this.#now = now;
    this.#publishHeld();
    this.#runDrain();
    this.#hasMore = this.machine.run(now) || (this.#isDrained && this.machine.isServing);
    this.ports?.flush();
    this.#count();
  }

  dueInMs(now: number): number {
    return this.#hasMore ? 0 : Math.max(0, this.machine.dueAt - now);
  }

  /** The records, and marks of writers, count as memory of the node (D77). */
  #count(): void {
    const { bytes, keys, markBytes } = this.machine.gauges;
    const change = bytes + keys * RECORD_MORE_BYTES + markBytes - this.#memory.stored;
    if (change !== 0) this.#memory.add('stored', change);
  }

  /** What waits here belongs to its writer, also when that is gone (D70). */
  #withAccount<Result>(identity: string, then: (memory: MemoryAccount) => Result): Result {
    const { holdings } = this.#options;
    const memory = holdings.use(identity);
    const result = then(memory);
    holdings.release(memory);
    return result;
  }

  // ---------------------------------------------------------------- what arrives at the ports

  readonly snapshots: MapInputs['snapshots'] = {
    connected: (peer, info) => this.machine.snapshots.connected(peer, info),
    message: (peer, frames) => {
      this.#options.wake();
      this.machine.message(peer, frames, this.#now);
    },
    oversized: (_peer, info, reason) => this.machine.oversized(info, reason),
    outputFull: (peer) => {
      this.#options.wake();
      this.machine.snapshots.outputFull(peer, this.#now);
    },
    drained: (peer) => {
      this.#options.wake();
      this.machine.snapshots.drained(peer);
    },
    disconnected: (peer) => {
      this.#options.wake();
      this.machine.snapshots.disconnected(peer);
    },
    rejected: (...rejected) => this.#rejected('snapshots', ...rejected),
  };

  readonly updates: MapInputs['updates'] = {
    maySubscribe: ({ key, address }, topic) => {
      if (key === null || maySubscribeToMap(this.#options.rightsOf(key).client, topic)) return true;
      const record = escapeName(topic);
      this.#options.events.emit({ name: 'map.denied', wanted: 'read', record, key, address });
      return false;
    },
    subscribedTo: (subscriber, topic) => {
      if (!this.isFenced()) this.machine.subscribed(subscriber, topic);
    },
    closed: ({ key, address }, reason) =>
      this.#options.events.emit({ name: 'map.closed', reason, key, address }),
    rejected: (...rejected) => this.#rejected('updates', ...rejected),
  };

  readonly writers: MapInputs['writers'] = {
    message: (_peer, frames, writer) => {
      if (this.#isDraining) return;
      this.#options.wake();
      this.machine.kvset(writer, frames, this.#now);
    },
    oversized: (_peer, writer, reason) => this.machine.oversized(writer, reason),
    rejected: (...rejected) => this.#rejected('writers', ...rejected),
  };

  #rejected(port: MapPort, kind: RejectionKind, reason: string, { key, address }: Rejected): void {
    this.#options.events.emit({ name: 'map.rejected', port, kind, reason, key, address });
  }

  // ---------------------------------------------------------------- effects of the machine

  readonly #sink: MapSink = {
    publish: (frames) => {
      if (!this.isFenced() && this.#held.length === 0) this.ports?.publish(frames);
      else this.#hold(frames);
    },
    greet: (subscriber, frames) => this.ports?.greet(subscriber, frames),
    closeSubscribers: () => this.ports?.closeSubscribers(),
    snapshot: (peer, frames) => this.ports?.snapshot(peer, frames),
    close: (peer) => this.ports?.close(peer),
    vote: () => {
      if (!this.#isDraining) this.voted();
    },
  };

  #hold(frames: Frames): void {
    this.#held.push(Frames.of(...frames.copyFrom(0)));
  }

  #publishHeld(): void {
    for (const frames of this.#held.splice(0)) this.ports?.publish(frames);
  }

  // ---------------------------------------------------------------- keys and limits

  /**
   * The rights of a key have changed, or it is gone: its readers have to ask again, and what it sent and may no
   * longer change is dropped.
   */
  rightsChanged(name: string): void {
    this.#options.wake();
    this.machine.rightsChanged(name);
    this.ports?.disconnect(['snapshots', 'updates'], ({ key }) => key === name);
  }

  /** @param revoked in hexadecimal */
  revoke(revoked: string): void {
    const all: readonly MapPort[] = ['snapshots', 'updates', 'writers'];
    this.ports?.disconnect(all, ({ publicKey }) => publicKey === revoked);
  }

  /** See `Transport.closeLargest`. */
  closeLargest(identity: string, closing: Closing): boolean {
    return this.ports?.closeLargest(identity, closing) ?? false;
  }

  // ---------------------------------------------------------------- metrics

  /** Keys, the broker's own included. */
  get keys(): number {
    return this.machine.gauges.keys;
  }

  /** What counts towards `limits.mapBytes`. */
  get bytes(): number {
    const { bytes, tombstoneBytes } = this.machine.gauges;
    return bytes + tombstoneBytes;
  }

  get counters(): MapCounters {
    return this.machine.counters;
  }

  /** Messages that were dropped: `messages_malformed_total{kind="map"}`. */
  get malformed(): number {
    return this.machine.counters.malformed + (this.ports?.malformed ?? 0);
  }

  /** Closes the ports. */
  async stop(): Promise<void> {
    if (this.machine.isServing) this.deactivate();
    await this.ports?.stop();
    this.#memory.add('stored', -this.#memory.stored);
    this.#options.holdings.release(this.#memory);
  }
}
