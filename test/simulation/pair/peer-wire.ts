/**
 * The peer link of a simulated pair: one connection at a time, which the backup dials, over a
 * network that can stall in either direction, break with notice, and deliver what a dead sender
 * sent before its end.
 */
import { Frames } from '../../../src/core/frames.js';
import type { Role } from '../../../src/bstar/facts.js';
import type { PeerLink, PeerLinkEvents } from '../../../src/bstar/io/peer-link.js';
import { PEER_VERSION, type PeerMessage } from '../../../src/wire/pair.js';
import { readPeer, writePeer } from '../../../src/wire/pair-codec.js';
import type { SimClock } from '../world/clock.js';
import { hold, violated } from '../world/failure.js';
import { Pipe, type PipeOptions } from '../world/pipe.js';
import type { SimRandom } from '../world/random.js';

type Item = readonly Buffer[] | 'proof' | 'end';

/** The process at one end, as the wire sees it. */
export interface WireProcess {
  readonly events: PeerLinkEvents;
  /** False while it does not read. */
  isAwake(): boolean;
  /** Runs an action in the process, as soon as that takes a turn. */
  enter(part: () => void): void;
}

export interface WireOptions extends PipeOptions {
  readonly heartbeatIntervalMs: number;
}

/** Late frames of older connections are lost. */
const CONNECTIONS_MAX = 8;
/** The maximum that the receiver has not read: no more is in flight. */
const BYTES_MAX = 64 * 1024 * 1024;

class WireConnection {
  readonly to: Readonly<Record<Role, Pipe<Item>>>;
  readonly startedAt: number;

  constructor(to: Readonly<Record<Role, Pipe<Item>>>, startedAt: number) {
    this.to = to;
    this.startedAt = startedAt;
  }
}

function other(role: Role): Role {
  return role === 'primary' ? 'backup' : 'primary';
}

export class PeerWire {
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly #options: WireOptions;
  readonly #ends: Record<Role, WireEnd | null> = { primary: null, backup: null };
  readonly #stalled: Record<Role, boolean> = { primary: false, backup: false };
  readonly #connections = new Set<WireConnection>();
  #stalledSince = Infinity;
  #number = 0;

  constructor(clock: SimClock, random: SimRandom, options: WireOptions) {
    this.clock = clock;
    this.random = random;
    this.#options = options;
    this.#dial();
  }

  /** A process takes its end of the link. */
  open(role: Role, process: WireProcess): WireEnd {
    const end = new WireEnd(this, role, process);
    this.#ends[role] = end;
    return end;
  }

  /** The process has ended: what it sent still arrives, then the end of the connection. */
  leave(role: Role): void {
    this.#ends[role]?.disconnect();
    this.#ends[role] = null;
  }

  /** Nothing more arrives at that node, and no loss is reported. */
  stall(to: Role): void {
    this.#stalled[to] = true;
    this.#stalledSince = Math.min(this.#stalledSince, this.clock.now);
    for (const connection of this.#connections) connection.to[to].stop();
  }

  /** Delivers what waited. */
  resume(to: Role): void {
    this.#stalled[to] = false;
    if (!this.#stalled[other(to)]) this.#stalledSince = Infinity;
    for (const connection of this.#connections) connection.to[to].resume();
  }

  /**
   * Both ends are notified, sooner or later, that the connection is gone; data in flight is lost.
   */
  breakOff(): void {
    for (const connection of this.#connections) {
      for (const role of ['primary', 'backup'] as const) {
        connection.to[role].cut();
        const end = this.#ends[role];
        this.clock.after(this.random.int(0, this.#options.heartbeatIntervalMs), () => {
          end?.lost(connection);
        });
      }
    }
    this.#connections.clear();
  }

  // ---------------------------------------------------------------- dialling

  #dial(): void {
    const { heartbeatIntervalMs } = this.#options;
    this.clock.after(this.random.int(1, Math.ceil(heartbeatIntervalMs / 4)), () => this.#dial());
    const { primary, backup } = this.#ends;
    if (backup?.isAwake !== true) return;
    this.#notice(backup);
    if (primary?.isAwake !== true || backup.isTaken || backup.isHeldOff) return;
    if (this.#stalled.primary || this.#stalled.backup) return;
    backup.pending = this.#connect();
    backup.pending.to.primary.send('proof', 0);
  }

  /** The dialling side sends its own PINGs, and reconnects. */
  #notice(backup: WireEnd): void {
    const { heartbeatIntervalMs } = this.#options;
    const patienceMs = this.random.int(heartbeatIntervalMs / 2, heartbeatIntervalMs * 4);
    const isOld = (connection: WireConnection): boolean =>
      this.clock.now - connection.startedAt > patienceMs;
    if (backup.pending !== null && isOld(backup.pending)) backup.disconnect();
    if (this.clock.now - this.#stalledSince <= patienceMs || backup.connection === null) return;
    const { connection } = backup;
    connection.to.primary.send('end', 0);
    backup.lost(connection);
  }

  #connect(): WireConnection {
    const number = ++this.#number;
    const pipe = (role: Role, label: number): Pipe<Item> => {
      const made = new Pipe<Item>(
        this.clock,
        this.random.fork(number * 2 + label),
        this.#options,
        (item) => this.#arrived(role, connection, item),
      );
      if (this.#stalled[role]) made.stop();
      return made;
    };
    const to = { primary: pipe('primary', 0), backup: pipe('backup', 1) };
    const connection = new WireConnection(to, this.clock.now);
    this.#connections.add(connection);
    const [oldest] = this.#connections;
    if (oldest !== undefined && this.#connections.size > CONNECTIONS_MAX) {
      this.#connections.delete(oldest);
    }
    return connection;
  }

  #arrived(role: Role, connection: WireConnection, item: Item): void {
    const end = this.#ends[role];
    if (end === null) return;
    hold(connection.to[role].waitingBytes <= BYTES_MAX, 'the peer link holds more than it may');
    end.arrived(connection, item);
  }
}

export class WireEnd implements PeerLink {
  readonly #wire: PeerWire;
  readonly #role: Role;
  readonly #process: WireProcess;
  connection: WireConnection | null = null;
  /** Dialled, and not yet answered. */
  pending: WireConnection | null = null;
  #heldOffUntil = -Infinity;
  #said = 0;

  constructor(wire: PeerWire, role: Role, process: WireProcess) {
    this.#wire = wire;
    this.#role = role;
    this.#process = process;
  }

  get isAwake(): boolean {
    return this.#process.isAwake();
  }

  get isTaken(): boolean {
    return this.connection !== null || this.pending !== null;
  }

  get isHeldOff(): boolean {
    return this.#wire.clock.now < this.#heldOffUntil;
  }

  arrived(connection: WireConnection, item: Item): void {
    this.#process.enter(() => {
      if (item === 'proof') this.#proved(connection);
      else if (connection === this.connection) this.#heard(connection, item);
      else if (connection === this.pending && item === 'end') this.pending = null;
    });
  }

  #proved(connection: WireConnection): void {
    if (this.#role === 'backup') {
      if (connection !== this.pending) return;
      this.pending = null;
    } else {
      if (this.isHeldOff) {
        connection.to.backup.send('end', 0);
        return;
      }
      // The new connection replaces one whose end was not noticed.
      const before = this.connection;
      this.connection = null;
      before?.to.backup.send('end', 0);
      if (before !== null) this.#process.events.disconnected();
      connection.to.backup.send('proof', 0);
    }
    this.connection = connection;
    const its = { node: other(this.#role), publicUrl: null };
    this.#process.events.connected(its, PEER_VERSION);
  }

  #heard(connection: WireConnection, item: Exclude<Item, 'proof'>): void {
    if (item === 'end') {
      this.lostNow(connection);
      return;
    }
    const read = readPeer(Frames.of(...item));
    if (read === null || 'otherVersion' in read || read.message === null) {
      violated('what the peer says cannot be read');
    }
    this.#process.events.message(read.message);
  }

  /** Notifies it that the connection is gone. */
  lost(connection: WireConnection): void {
    this.#process.enter(() => this.lostNow(connection));
  }

  lostNow(connection: WireConnection): void {
    if (this.pending === connection) this.pending = null;
    if (this.connection !== connection) return;
    this.connection = null;
    this.#process.events.disconnected();
  }

  send(message: PeerMessage): void {
    if (this.connection === null) return;
    const frames = writePeer(message, { incarnation: 1, sequence: ++this.#said });
    const bytes = frames.reduce((sum, { length }) => sum + length, 0);
    this.connection.to[other(this.#role)].send(frames, bytes);
  }

  flush(): void {
    // A message is in flight once it is sent.
  }

  disconnect(): void {
    const connection = this.connection ?? this.pending;
    this.connection = null;
    this.pending = null;
    if (connection === null) return;
    connection.to[other(this.#role)].send('end', 0);
  }

  revoke(): void {
    // All nodes have the right key here.
  }

  holdOff(ms: number): void {
    this.#heldOffUntil = this.#wire.clock.now + ms;
  }

  close(): Promise<void> {
    this.disconnect();
    return Promise.resolve();
  }
}
