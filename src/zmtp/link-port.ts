/** The transport port of a client or worker: its connection to one endpoint. For a broker's: port.ts. */
import type { Words } from '../core/bytes.js';
import type { Frames } from '../core/frames.js';

/** Limits that a transport enforces. */
export interface TransportLimits {
  /** Most bytes of a message, all its frames together. */
  readonly messageBytesMax: number;
  readonly framesMax: number;
  /** Output waiting for one peer. */
  readonly outputBytesMax: number;
}

/** Events of the connection of a client or worker to one endpoint. */
export interface LinkEvents {
  /** The connection is up; called again after each reconnect. */
  connected(): void;
  /** A message arrived; the frames are valid until this returns. */
  message(frames: Frames): void;
  /**
   * Bytes arrived that begin with a message, packed as in `core/packed`: they are offered here first. The words
   * are valid until this returns.
   * @param end one past the bytes that it may read; messages may be incomplete there
   * @returns where the last message ends that was handled; 0: none was, and the first goes to `message`
   */
  packed?(words: Words, from: number, end: number): number;
  /** The connection is gone. The link dials again; messages in flight are lost. */
  disconnected(): void;
  /** The peer of a PUB: see `TransportEvents.subscription`. */
  subscription?(topic: Buffer, isOn: boolean): void;
  /** See `TransportEvents.receiving`. */
  receiving?(bytes: number): void;
  /** Some of the output has left: see `Link.waitingBytes`. */
  written?(): void;
  /** Something arrived after `Link.ping`. */
  heard?(): void;
  /**
   * A connection attempt failed. The link dials again.
   * @param isKeyRefused the other side said that it refuses this key
   * @param why for people: `connection refused`
   */
  unreachable?(isKeyRefused: boolean, why: string): void;
}

/** A DEALER connection to an endpoint, which reconnects until it is closed. */
export interface Link {
  /** The bytes that were written and have not left; a writer that can wait does so while they are many. */
  readonly waitingBytes?: number;
  /**
   * Writes the next frame of a message: the bytes `[start, end)`, which are copied at once. A frame with
   * `more` false completes the message. Without a connection output waits, up to `outputBytesMax`.
   */
  write(bytes: Uint8Array, start: number, end: number, more: boolean): void;
  /**
   * Writes the next frames of a message that goes on after them: packed (see `core/packed`), and each
   * with MORE.
   */
  writeHead?(packed: Buffer, start: number, end: number): void;
  /** Whether the link keeps the process alive; true at first, and while it closes. */
  setRef?(isRef: boolean): void;
  /**
   * Sends a PING; `heard` reports the answer.
   * @returns false if the peer knows no PING
   */
  ping?(): boolean;
  /**
   * Whether the link reads what arrives; true at first. While it does not, no event comes of what has
   * not been read, and the peer's output waits at the peer.
   */
  setReading?(isReading: boolean): void;
  /** Ends the connection; waiting output has `lingerMs` to leave. */
  close(lingerMs: number): Promise<void>;
}

/** Opens a link. Throws `ERR_MDP_ENDPOINT` if the endpoint cannot be dialled. */
export type Dial = (endpoint: string, events: LinkEvents) => Link;
