/** A security mechanism (23/ZMTP §Mechanisms): the handshake, and what it does to each frame. */
import type { Metadata } from './commands.js';
import type { MechanismName } from './greeting.js';

/** What the handshake comes to. */
export type HandshakeStep =
  /** Go on: `send` is the next command's body, if there is one to send. */
  | { readonly kind: 'continue'; readonly send: Buffer | null }
  /** Done: `send` is sent first, then messages may flow. */
  | {
      readonly kind: 'ready';
      readonly send: Buffer | null;
      readonly metadata: Metadata;
      /** The name of the peer's key, where the mechanism authenticates it. */
      readonly key: string | null;
    }
  /** The connection is over; `send` (an ERROR) is sent before it is closed. */
  | {
      readonly kind: 'failed';
      readonly send: Buffer | null;
      readonly failure: HandshakeFailure;
      readonly reason: string;
    };

/** `key`: the peer's key has no entry here. `keys`: whether it has cannot be found out now. */
export type HandshakeFailure = 'handshake' | 'key' | 'keys';

/** Seals and opens frames once the handshake is done. `null` for plain text. */
export interface FrameCipher {
  /** Bytes that the sealed frame of `size` bytes takes, without its ZMTP frame head. */
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
   * @returns false if it is not what the peer sealed, or is not its next frame
   */
  open(body: Buffer, start: number, end: number, opened: OpenedFrame): boolean;
  /** What was opened is no longer needed. */
  recycle(): void;
  /** The connection is over: forgets its keys. */
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

export interface Mechanism {
  readonly name: MechanismName;
  /** The as-server bit of the greeting. */
  readonly asServer: boolean;
  /** The public key that the peer has proved to have; `null`: none so far, or there are none. */
  readonly peerKey: Buffer | null;
  /** After the greetings: the first command's body to send, or `null` to wait for the peer's. */
  begin(): Buffer | null;
  /** Whether the step for this command costs much, and looks worth it. */
  isCostly(body: Buffer): boolean;
  /** The peer's next handshake command, as it came: valid during the call. */
  step(body: Buffer): HandshakeStep;
  /** After `ready`, once. */
  cipher(): FrameCipher | null;
  /** The connection is over: forgets what is secret. */
  close(): void;
}
