/**
 * The first messages on a connection of the pair (docs/peer-protocol.md): both nodes say who they
 * are, and return the other's nonce. Until then nothing is trusted, and messages from a dead
 * process or from a stranger have no effect (D18, D22); a HELLO that is refused shows only that its node is alive.
 */
import { type PairHello, NONCE_BYTES, type PeerMessage } from '../../wire/pair.js';
import type { RandomFill } from '../../core/random.js';
import type { Objection } from '../ports.js';

/** What this node says about itself. */
export type Introduction = Omit<PairHello, 'kind' | 'nonce' | 'resumes'>;

/** @param highest version that this node knows */
export function versionObjection(version: number, highest: number): Objection {
  const text = `it speaks version ${version} of the peer protocol, this node up to version ${highest}: upgrade the older program`;
  return { code: 'version', text };
}

const ALIKE = 'set it alike on both nodes';

/**
 * Compares what must be equal, and what must differ. The incarnation alone does not show that this
 * node has dialled itself: it is a time in milliseconds, and two nodes may start within the same
 * one.
 */
function objectionTo(
  mine: Introduction,
  its: PairHello,
  isOwnIncarnation: boolean,
): Objection | null {
  if (isOwnIncarnation && its.role === mine.role && its.node === mine.node) {
    return { code: 'self', text: 'bstar.peer is this node itself: set it to the other node' };
  }
  if (its.pair !== mine.pair) {
    const text =
      `it belongs to the pair ${JSON.stringify(its.pair)}, this node to ${JSON.stringify(mine.pair)}: ` +
      'set bstar.pair alike on both nodes, or bstar.peer to the right one';
    return { code: 'pair', text };
  }
  if (its.role === mine.role) {
    const text =
      `both nodes are configured as ${mine.role}: ` +
      'set bstar.role to primary on one, and to backup on the other';
    return { code: 'role', text };
  }
  if (its.replication !== mine.replication) {
    const text = `its titanic.replication is ${its.replication}, here it is ${mine.replication}: ${ALIKE}`;
    return { code: 'replication', text };
  }
  if (its.heartbeatIntervalMs !== mine.heartbeatIntervalMs) {
    const text =
      `its bstar.heartbeatIntervalMs is ${its.heartbeatIntervalMs}, ` +
      `here it is ${mine.heartbeatIntervalMs}: ${ALIKE}`;
    return { code: 'heartbeat', text };
  }
  if (mine.storeId !== null && its.storeId?.equals(mine.storeId) === true) {
    const text =
      'both nodes have the same store: one of the files is a copy of the other. Keep that of the node which is ' +
      'active, or was last. Stop the other node, move its store away, and start it once with ' +
      '`majordomo serve --new-store`: it gets everything from its peer. Copy stores only with `majordomo backup`';
    return { code: 'store', text };
  }
  return null;
}

/** A connection, until both nodes have proved that they are alive. */
export class Handshake {
  readonly #mine: Introduction;
  readonly #ownIncarnation: number;
  readonly #resumes: Buffer | null;
  /** The nonce that the other node has to return. */
  readonly nonce: Buffer;
  #its: PairHello | null = null;
  /** What the other node said about itself, accepted or not; `null`: nothing. */
  said: PairHello | null = null;
  /** The incarnation of the process at the other end; 0 before its first message. */
  incarnation = 0;
  isDone = false;

  /** @param resumes the nonce that this node was given on its previous connection */
  constructor(
    mine: Introduction,
    resumes: Buffer | null,
    ownIncarnation: number,
    random: RandomFill,
  ) {
    this.#resumes = resumes;
    this.#mine = mine;
    this.#ownIncarnation = ownIncarnation;
    this.nonce = Buffer.alloc(NONCE_BYTES);
    random(this.nonce);
  }

  get hello(): PairHello {
    return { kind: 'hello', ...this.#mine, nonce: this.nonce, resumes: this.#resumes };
  }

  /** Who is at the other end, once it has said so. */
  get its(): PairHello | null {
    return this.#its;
  }

  /**
   * Handles a message from the other node.
   * @returns its meaning: 'hello', 'proof' (the connection is established), an objection, or
   * `null`: invalid
   */
  receive(message: PeerMessage, incarnation: number): 'hello' | 'proof' | Objection | null {
    if (message.kind === 'hello' && this.#its === null) {
      this.incarnation = incarnation;
      this.said = message;
      const objection = objectionTo(this.#mine, message, incarnation === this.#ownIncarnation);
      if (objection !== null) return objection;
      this.#its = message;
      return 'hello';
    }
    if (message.kind !== 'proof' || this.#its === null) return null;
    if (incarnation !== this.incarnation || !message.nonce.equals(this.nonce)) return null;
    this.isDone = true;
    return 'proof';
  }

  /** Proves that this node has just read the other node's message. */
  get proof(): PeerMessage {
    return { kind: 'proof', nonce: this.#its?.nonce ?? Buffer.alloc(NONCE_BYTES) };
  }
}
