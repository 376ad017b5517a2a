/** Clients' requests that wait until something is decided about them, in order of arrival. */
import { IDENTITY_SHARE } from '../../core/defaults.js';
import { pack, packedBytes } from '../../core/packed.js';
import type { Inbound } from '../../wire/inbound.js';
import type { Peer, Session, KnownHello } from '../state/entities.js';

export interface HeldMessage {
  readonly peer: Peer;
  /** What its sender said about itself before. */
  readonly hello: KnownHello | null;
  /** The id of the request in its session, one character per byte; `null`: it has none. */
  readonly id: string | null;
  /** All its frames. */
  readonly packed: Buffer;
}

/** Limits on what is held here. The first request is held whatever its size. */
const HELD_MESSAGES_MAX = 10_000;
const HELD_BYTES_MAX = 64 * 1024 * 1024;

export class HeldMessages {
  /** Messages held, by what has to be decided. */
  readonly #held = new Map<string, HeldMessage[]>();
  #count = 0;
  #bytes = 0;

  /**
   * @param about what has to be decided, if not the same for all
   * @returns false if no more may be held
   */
  add(inbound: Inbound, peer: Peer, hello: KnownHello | null, about = ''): boolean {
    const frames = inbound.received;
    const bytes = packedBytes(frames, 0, frames.count);
    const { identity } = peer;
    const isFull = this.#count >= HELD_MESSAGES_MAX || this.#bytes + bytes > HELD_BYTES_MAX;
    const isShareUsed =
      identity.heldMessages >= HELD_MESSAGES_MAX * IDENTITY_SHARE ||
      identity.heldMessageBytes + bytes > HELD_BYTES_MAX * IDENTITY_SHARE;
    const isFirst = this.#count === 0;
    if (((isFull || isShareUsed) && !isFirst) || !identity.memory.mayHold(bytes)) return false;
    identity.heldMessages++;
    identity.heldMessageBytes += bytes;
    identity.memory.add('requests', bytes);
    const packed = Buffer.allocUnsafeSlow(bytes);
    pack(frames, 0, frames.count, packed, 0, false);
    const held = this.#held.get(about);
    const session = hello?.session ?? null;
    const id = session === null ? null : idIn(session, inbound);
    const message = { peer, hello, id, packed };
    if (held === undefined) this.#held.set(about, [message]);
    else held.push(message);
    if (session !== null && id !== null) (session.held ??= new Set()).add(id);
    this.#count++;
    this.#bytes += bytes;
    return true;
  }

  /** Removes and returns all that wait for the same decision. */
  take(about = ''): HeldMessage[] {
    const held = this.#held.get(about) ?? [];
    this.#held.delete(about);
    for (const { peer, hello, id, packed } of held) {
      const { identity } = peer;
      if (id !== null) hello?.session?.held?.delete(id);
      identity.heldMessages--;
      identity.heldMessageBytes -= packed.length;
      identity.memory.add('requests', -packed.length);
      this.#bytes -= packed.length;
    }
    this.#count -= held.length;
    return held;
  }
}

/** The id of a request in its session, one character per byte; `null`: it has none. */
function idIn(session: Session, inbound: Inbound): string | null {
  const at = session.indexOfId(inbound);
  return at < 0 ? null : inbound.frames.view(at).toString('latin1');
}
