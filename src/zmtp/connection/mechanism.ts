/** A security mechanism (23/ZMTP §Mechanisms): the handshake, and what it does to each frame. */
import type { Metadata, SocketType } from './commands.js';
import type { MechanismName } from './greeting.js';

/** The outcome of a handshake step. */
export type HandshakeStep =
  /** Continue: `send` is the next command's body, `null`: nothing to send. */
  | { readonly kind: 'continue'; readonly send: Buffer | null }
  /** Done: `send` is sent first, then messages may flow. */
  | {
      readonly kind: 'ready';
      readonly send: Buffer | null;
      readonly metadata: Metadata;
      /** The name of the peer's key, if the mechanism authenticates it. */
      readonly key: string | null;
    }
  /** The connection is over; `send` (an ERROR) is sent before it is closed. */
  | {
      readonly kind: 'failed';
      readonly send: Buffer | null;
      readonly failure: HandshakeFailure;
      readonly reason: string;
    };

/** `key`: the peer's key has no entry here. `keys`: the key could not be checked now. */
export type HandshakeFailure = 'handshake' | 'key' | 'keys';

/** Seals and opens frames once the handshake is done. `null` for plain text. */
export interface FrameCipher {
  /** Size of the sealed frame for `size` bytes, without its ZMTP frame head. */
  sealedBytes(size: number): number;
  /** Seals `[start, end)` of `source` with its MORE/COMMAND flags into `target` at `offset`. */
  seal(
    flags: number,
    source: Uint8Array,
    start: number,
    end: number,
    target: Buffer,
    offset: number,
  ): void;
  /**
   * Opens a sealed frame's body into `opened`.
   * @returns false if the peer did not seal it, or it is not the peer's next frame
   */
  open(body: Buffer, start: number, end: number, opened: OpenedFrame): boolean;
  /**
   * Begins to verify a frame that is not kept. There are at least `sealedBytes(0)` bytes of it, which
   * this takes; `check` takes the others as they arrive.
   * @returns false as `open` does
   */
  beginCheck(body: Buffer, start: number): boolean;
  check(bytes: Buffer, start: number, end: number): void;
  /**
   * All of the frame was taken.
   * @param opened gets its flags
   * @returns false if the peer did not seal it
   */
  endCheck(opened: OpenedFrame): boolean;
  /** Between `beginCheck` and `endCheck`. */
  readonly isChecking: boolean;
  /** The opened frames are no longer needed. */
  recycle(): void;
  /** The connection is over: erases its keys. */
  close(): void;
}

/** The plain text of a sealed frame; valid until `recycle`, and no longer than one `receive`. */
export class OpenedFrame {
  buffer: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  more = false;
  command = false;
}

export interface PlainSocket {
  readonly socketType: SocketType;
  readonly identity: Buffer;
}

export interface Mechanism {
  readonly name: MechanismName;
  /** The as-server bit of the greeting. */
  readonly asServer: boolean;
  /**
   * The public key that the peer has proved to own; `null`: none yet, or the mechanism has no keys.
   */
  readonly peerKey: Buffer | null;
  /** The socket of this side, for peers whose protocol has no mechanisms; `null`: they are refused. */
  readonly plain: PlainSocket | null;
  /** After the greetings: the first command's body to send, or `null` to wait for the peer's. */
  begin(): Buffer | null;
  /** Whether the step for this command is expensive, and the command looks genuine. */
  isCostly(body: Buffer): boolean;
  /** Handles the peer's next handshake command; `body` is valid during the call. */
  step(body: Buffer): HandshakeStep;
  /** Called once, after `ready`. */
  cipher(): FrameCipher | null;
  /** The connection is over: erases its secrets. */
  close(): void;
}
