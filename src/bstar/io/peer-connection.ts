/**
 * The messages on one connection of a pair: their version, their stamps, and who may send which
 * when.
 */
import { present } from '../../core/assert.js';
import { monotonicMs } from '../../core/clock.js';
import type { Frames } from '../../core/frames.js';
import { secureRandom } from '../../core/random.js';
import type { Rejected } from '../../zmtp/port.js';
import type { PairHello, PeerMessage } from '../../wire/pair.js';
import { readPeer, writePeer } from '../../wire/pair-codec.js';
import type { Objection, SignOfLife } from '../ports.js';
import { Handshake, versionObjection } from './handshake.js';
import type { PeerLinkEvents, PeerLinkOptions } from './peer-link.js';

type Send = (frames: readonly Buffer[]) => void;

/** How the node that dials begins. */
interface Opening {
  readonly version: number;
  /** The nonce that it was given on its previous connection. */
  readonly resumes: Buffer | null;
}

/** The other node uses a lower version, and refuses the one that this node began with. */
interface Lower {
  readonly kind: 'lower';
  readonly version: number;
}

/**
 * What was received: a message of the peer; 'hello' and 'proved' during the handshake; `null`:
 * nothing new; or why the connection ends.
 */
type Received = PeerMessage | 'hello' | 'proved' | 'malformed' | Lower | Objection | null;

export class PeerConnection {
  readonly handshake: Handshake;
  readonly startedAt: number = monotonicMs();
  /** Who opened the connection, its key by its name; `null`: this node dialled. */
  readonly acceptedFrom: Rejected | null;
  readonly #isDialled: boolean;
  readonly #incarnation: number;
  readonly #send: Send;
  readonly #events: PeerLinkEvents;
  readonly #highest: number;
  readonly #heartbeatIntervalMs: number;
  #version: number;
  #sent = 0;
  #received = 0;
  /** Later messages are ignored. */
  isOver = false;

  /** @param opening `null`: the other node dialled, and chooses the version */
  constructor(
    { introduction, incarnation, version, events, heartbeatIntervalMs }: PeerLinkOptions,
    opening: Opening | null,
    acceptedFrom: Rejected | null,
    send: Send,
  ) {
    const resumes = opening?.resumes ?? null;
    this.handshake = new Handshake(introduction(), resumes, incarnation, secureRandom);
    this.acceptedFrom = acceptedFrom;
    this.#isDialled = opening === null;
    this.#highest = version;
    this.#heartbeatIntervalMs = heartbeatIntervalMs;
    this.#version = opening?.version ?? version;
    this.#incarnation = incarnation;
    this.#events = events;
    this.#send = send;
  }

  /** What the other node said about itself, once it has proved to be the peer. */
  get peer(): PairHello {
    return present(this.handshake.its, 'a peer that proved itself said hello');
  }

  /** What a connection that is refused says all the same. Whoever dials tries again after a heartbeat of its own. */
  get signOfLife(): SignOfLife {
    const { said } = this.handshake;
    const againMs = Math.max(this.#heartbeatIntervalMs, said?.heartbeatIntervalMs ?? 0);
    return { againMs, epoch: said?.epoch ?? 0 };
  }

  get version(): number {
    return this.#version;
  }

  send(message: PeerMessage): void {
    this.#sent++;
    const stamp = { incarnation: this.#incarnation, sequence: this.#sent };
    this.#send(writePeer(message, stamp, this.#version));
  }

  receive(frames: Frames): Received {
    if (this.isOver) return null;
    const read = readPeer(frames, this.#highest);
    if (read === null) return 'malformed';
    if ('otherVersion' in read) return versionObjection(read.otherVersion, this.#highest);
    const { version, stamp, message } = read;
    if (this.#isDialled && this.#received === 0) this.#version = version;
    if (version < this.#version && this.#received === 0) return { kind: 'lower', version };
    if (version !== this.#version) return 'malformed';
    if (message?.kind === 'refuse') return message;
    // Each frame has a number above the one before: an older one came late and is dropped (D18).
    if (stamp.sequence <= this.#received) return null;
    this.#received = stamp.sequence;
    if (message === null) return null;
    return this.handshake.isDone
      ? this.#fromPeer(message, stamp.incarnation)
      : this.#fromUnproven(message, stamp.incarnation);
  }

  #fromPeer(message: PeerMessage, incarnation: number): Received {
    if (incarnation !== this.handshake.incarnation) return null;
    return this.#events.objectionTo(message) ?? message;
  }

  #fromUnproven(message: PeerMessage, incarnation: number): Received {
    const received = this.handshake.receive(message, incarnation);
    if (received === null) return 'malformed';
    if (received === 'hello') return this.#events.objectionTo(message) ?? 'hello';
    return received === 'proof' ? 'proved' : received;
  }
}
