/**
 * The messages on one connection of a pair: their version, their stamps, and who may send which
 * when.
 */
import { present } from '../../core/assert.js';
import { monotonicMs } from '../../core/clock.js';
import type { Frames } from '../../core/frames.js';
import { secureRandom } from '../../core/random.js';
import type { Rejected } from '../../transport/port.js';
import { type Hello, PEER_VERSION, type PeerMessage, type PeerVersion } from '../../wire/peer.js';
import { readPeer, writePeer } from '../../wire/peer-codec.js';
import type { Objection } from '../ports.js';
import { Handshake, versionObjection } from './handshake.js';
import type { PeerLinkEvents, PeerLinkOptions } from './peer-link.js';

type Say = (frames: readonly Buffer[]) => void;

/** How the node that dials begins. */
interface Opening {
  readonly version: PeerVersion;
  /** The nonce that it was given on its previous connection. */
  readonly resumes: Buffer | null;
}

/**
 * What was received: a message of the peer; 'hello' and 'proved' during the handshake; 'older': the
 * other node uses a lower version; `null`: nothing new; or why the connection ends.
 */
type Heard = PeerMessage | 'hello' | 'proved' | 'older' | 'nonsense' | Objection | null;

export class Talk {
  readonly handshake: Handshake;
  readonly startedAt: number = monotonicMs();
  /** Who opened the connection, its key by its name; `null`: this node dialled. */
  readonly came: Rejected | null;
  readonly #isDialled: boolean;
  readonly #incarnation: number;
  readonly #say: Say;
  readonly #events: PeerLinkEvents;
  #version: PeerVersion;
  #said = 0;
  #heard = 0;
  /** Later messages are ignored. */
  isOver = false;
  /** It was told that it is accepted as the peer. */
  isAdmitted = false;

  /** @param opening `null`: the other node dialled, and chooses the version */
  constructor(
    { introduction, incarnation, events }: PeerLinkOptions,
    opening: Opening | null,
    came: Rejected | null,
    say: Say,
  ) {
    const resumes = opening?.resumes ?? null;
    this.handshake = new Handshake(introduction(), resumes, incarnation, secureRandom);
    this.came = came;
    this.#isDialled = opening === null;
    this.#version = opening?.version ?? PEER_VERSION;
    this.#incarnation = incarnation;
    this.#events = events;
    this.#say = say;
  }

  /** What the other node said about itself, once it has proved to be the peer. */
  get peer(): Hello {
    return present(this.handshake.its, 'who has proved himself has said who he is');
  }

  get version(): PeerVersion {
    return this.#version;
  }

  /**
   * In version 1, a node states its epoch only after it is accepted, so this waits for its first
   * message.
   */
  get standsByProof(): boolean {
    return this.#version > 1;
  }

  say(message: PeerMessage): void {
    this.#said++;
    const stamp = { incarnation: this.#incarnation, sequence: this.#said };
    this.#say(writePeer(message, stamp, this.#version));
  }

  hear(frames: Frames): Heard {
    if (this.isOver) return null;
    const read = readPeer(frames);
    if (read === null) return 'nonsense';
    if ('otherVersion' in read) return versionObjection(read.otherVersion);
    const { version, stamp, message } = read;
    if (this.#isDialled && this.#heard === 0) this.#version = version;
    if (version < this.#version && this.#heard === 0) return 'older';
    if (version !== this.#version) return 'nonsense';
    if (message?.kind === 'refuse') return message;
    // D18
    if (stamp.sequence <= this.#heard) return null;
    this.#heard = stamp.sequence;
    if (message === null) return null;
    return this.handshake.isDone
      ? this.#hearPeer(message, stamp.incarnation)
      : this.#hearStranger(message, stamp.incarnation);
  }

  #hearPeer(message: PeerMessage, incarnation: number): Heard {
    if (incarnation !== this.handshake.incarnation) return null;
    return this.#events.objectionTo(message) ?? message;
  }

  #hearStranger(message: PeerMessage, incarnation: number): Heard {
    const heard = this.handshake.hear(message, incarnation);
    if (heard === null) return 'nonsense';
    if (heard === 'hello') return this.#events.objectionTo(message) ?? 'hello';
    return heard === 'proof' ? 'proved' : heard;
  }
}
