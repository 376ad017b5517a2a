/** The backup's end of the link, which dials the primary again and again. */
import { monotonicMs } from '../../core/clock.js';
import type { Frames } from '../../core/frames.js';
import type { Link } from '../../zmtp/link-port.js';
import { type CurveClientKeys, dialZmtp } from '../../zmtp/link.js';
import type { PeerMessage } from '../../wire/pair.js';
import { LIMITS, type PeerLink, type PeerLinkOptions, STRANGER_BYTES_MAX } from './peer-link.js';
import { PeerConnection } from './peer-connection.js';

/**
 * A dead connection is detected, and replaced, within half a heartbeat (D22), but without haste.
 */
const NOTICE_MS_MIN = 250;

/** Dials the peer (the backup's end) again and again. @throws ERR_MDP_ENDPOINT */
export function dialPeer(
  endpoint: string,
  curve: CurveClientKeys | undefined,
  options: PeerLinkOptions,
): PeerLink {
  return new PeerDialler(endpoint, curve, options);
}

class PeerDialler implements PeerLink {
  readonly #endpoint: string;
  readonly #options: PeerLinkOptions;
  readonly #dial: ReturnType<typeof dialZmtp>;
  #link: Link | null = null;
  #connection: PeerConnection | null = null;
  #isKnown = false;
  /**
   * The version that the next connection starts with: the highest, except after an answer in a
   * lower one.
   */
  #version: number;
  /** The nonce that the peer gave this node on its last connection. */
  #resumes: Buffer | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;
  #heldOffUntil = -Infinity;

  constructor(endpoint: string, curve: CurveClientKeys | undefined, options: PeerLinkOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.#version = options.version;
    const noticeMs = Math.max(NOTICE_MS_MIN, options.heartbeatIntervalMs / 2);
    this.#dial = dialZmtp({
      limits: LIMITS,
      ...(curve === undefined ? {} : { curve }),
      patience: {
        reconnectMsMin: Math.min(100, noticeMs / 4),
        reconnectMsMax: noticeMs / 2,
        pingAfterMs: noticeMs / 3,
        pingCheckMs: noticeMs / 6,
        unansweredMax: 3,
      },
    });
    this.#open();
  }

  #open(): void {
    this.#timer = null;
    if (this.#isClosed) return;
    const link: Link = this.#dial(this.#endpoint, {
      connected: () => {
        if (link === this.#link) this.#greet(link);
      },
      message: (frames) => {
        if (link === this.#link) this.#receive(frames);
      },
      receiving: (bytes) => {
        if (link !== this.#link) return;
        if (this.#isKnown) this.#options.events.receiving();
        else if (bytes > STRANGER_BYTES_MAX) this.#again();
      },
      disconnected: () => {
        if (link === this.#link) this.#lost();
      },
      unreachable: (isKeyRefused) => {
        // Who refuses the key of this node has proved to have that of its peer.
        const againMs = this.#options.heartbeatIntervalMs;
        if (isKeyRefused) this.#options.events.refusedAlive({ againMs, epoch: 0 });
      },
    });
    this.#link = link;
  }

  #greet(link: Link): void {
    const opening = { version: this.#version, resumes: this.#resumes };
    this.#connection = new PeerConnection(this.#options, opening, null, (frames) => {
      const last = frames.length - 1;
      for (const [index, frame] of frames.entries()) {
        link.write(frame, 0, frame.length, index < last);
      }
    });
    this.#connection.send(this.#connection.handshake.hello);
  }

  #receive(frames: Frames): void {
    const connection = this.#connection;
    if (connection === null) return;
    const received = connection.receive(frames);
    if (received === null) return;
    if (received === 'hello') {
      connection.send(connection.handshake.proof);
    } else if (received === 'proved') {
      this.#establish(connection);
    } else if (received === 'malformed') {
      this.#again();
    } else if ('code' in received) {
      this.#options.events.refused(received, this.#endpoint, null);
      this.#again();
      if (received.code !== 'self') this.#options.events.refusedAlive(connection.signOfLife);
    } else if (received.kind === 'lower') {
      this.disconnect();
      this.#version = received.version;
    } else if (received.kind === 'refuse') {
      this.#options.events.refusedByPeer(received.reason);
      this.#again();
      this.#options.events.refusedAlive(connection.signOfLife);
    } else {
      this.#options.events.message(received);
    }
  }

  #establish(connection: PeerConnection): void {
    this.#isKnown = true;
    this.#resumes = connection.handshake.its?.nonce ?? null;
    this.#options.events.connected(connection.peer, connection.version);
  }

  #lost(): void {
    this.#connection = null;
    this.#version = this.#options.version;
    if (!this.#isKnown) return;
    this.#isKnown = false;
    this.#options.events.disconnected();
  }

  /** Ends this link and dials another one after a pause. */
  #again(): void {
    this.#heldOffUntil = Math.max(
      this.#heldOffUntil,
      monotonicMs() + this.#options.heartbeatIntervalMs,
    );
    const wasKnown = this.#isKnown;
    this.disconnect();
    if (wasKnown) this.#options.events.disconnected();
  }

  send(message: PeerMessage): void {
    if (this.#isKnown) this.#connection?.send(message);
  }

  flush(): void {
    // A link writes its output itself, once per turn.
  }

  disconnect(): void {
    const link = this.#link;
    this.#link = null;
    this.#connection = null;
    this.#isKnown = false;
    this.#version = this.#options.version;
    void link?.close(0);
    if (this.#timer !== null) clearTimeout(this.#timer);
    const waitMs = Math.max(0, this.#heldOffUntil - monotonicMs());
    if (!this.#isClosed) {
      this.#timer = setTimeout(() => this.#open(), waitMs);
    }
  }

  revoke(): void {
    // The dialler knows the peer by bstar.curve.serverKey.
  }

  holdOff(ms: number): void {
    this.#heldOffUntil = monotonicMs() + ms;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#link?.close(0);
  }
}
