/**
 * The connection of a pair over the transport port: the backup dials what the primary listens on.
 * One connection counts at a time: a newer one that has proved itself takes its place (D20).
 */
import { monotonicMs } from '../../core/clock.js';
import type { Frames } from '../../core/frames.js';
import { secureRandom } from '../../core/random.js';
import { PeerNumbers } from '../../transport/peer-numbers.js';
import type {
  Link,
  ListenerCurve,
  Output,
  PeerId,
  RouterLimits,
  Transport,
  TransportEvents,
} from '../../transport/port.js';
import { type CurveClientKeys, dialZmtp } from '../../transport/zmtp/link.js';
import { openZmtpRouter } from '../../transport/zmtp/router.js';
import { type PeerMessage, readPeer, writePeer } from '../../wire/peer.js';
import { Handshake, type Introduction, type Objection, versionObjection } from './handshake.js';

/** Who has not said who he is by then is sent away. */
const HANDSHAKE_MS_MAX = 3000;
/** Connections to the peer's endpoint at once: one is of use. */
const CONNECTIONS_MAX = 16;
/** A batch, or a chunk of records, without the last request and reply in it. */
const BATCH_BYTES_MAX = 32 * 1024 * 1024;
/**
 * Of a request, and of a reply: what `limits.messageBytes` can be at most. What is stored has to reach
 * the other disk, whatever the limit is now, or is at the other node.
 */
const STORED_BYTES_MAX = 1024 * 1024 * 1024;
const MESSAGE_BYTES_MAX = BATCH_BYTES_MAX + 2 * STORED_BYTES_MAX;
/** Who has not proved that he is the peer says nothing long. */
const STRANGER_BYTES_MAX = 256 * 1024;

const LIMITS: RouterLimits = {
  messageBytesMax: MESSAGE_BYTES_MAX,
  framesMax: 2,
  outputBytesMax: 2 * MESSAGE_BYTES_MAX,
  connectionsMax: CONNECTIONS_MAX,
  receiveBytesMax: MESSAGE_BYTES_MAX + CONNECTIONS_MAX * STRANGER_BYTES_MAX,
};

/** A dead connection is noticed, and made anew, within half a heartbeat (D22), but not in a hurry. */
const NOTICE_MS_MIN = 250;

export interface PeerLinkEvents {
  /** The peer is there, and has proved it. */
  connected(node: string): void;
  message(message: PeerMessage): void;
  /** Bytes of a message of the peer came whose end is still out. */
  receiving(): void;
  disconnected(): void;
  /** Somebody came, or was found, who is not the peer of this node. */
  refused(objection: Objection, from: string): void;
  /** The peer wants nothing to do with this node. */
  refusedByPeer(reason: string): void;
}

export interface PeerLink {
  /** To the peer that is connected; else it goes nowhere. */
  send(message: PeerMessage): void;
  /** Hands over what was sent, once per turn. */
  flush(): void;
  /** Ends the connection; `disconnected` is not told. */
  disconnect(): void;
  /** No connection for so long. */
  holdOff(ms: number): void;
  close(): Promise<void>;
}

export interface PeerLinkOptions {
  /** As the store is now: asked for each connection. */
  readonly introduction: () => Introduction;
  /** New at each start of the process, above all before (D18). */
  readonly incarnation: number;
  readonly heartbeatIntervalMs: number;
  readonly events: PeerLinkEvents;
}

// ---------------------------------------------------------------- one connection

type Say = (frames: readonly Buffer[]) => void;

/** The words on one connection: stamps, and who may say what when. */
class Talk {
  readonly handshake: Handshake;
  readonly startedAt = monotonicMs();
  readonly #incarnation: number;
  readonly #say: Say;
  #said = 0;
  #heard = 0;

  constructor({ introduction, incarnation }: PeerLinkOptions, say: Say) {
    this.handshake = new Handshake(introduction(), incarnation, secureRandom);
    this.#incarnation = incarnation;
    this.#say = say;
  }

  say(message: PeerMessage): void {
    this.#said++;
    this.#say(writePeer(message, { incarnation: this.#incarnation, sequence: this.#said }));
  }

  /**
   * Reads a message.
   * @returns the message of a peer that is known; 'hello' and 'connected' on the way there; `null` for
   *   nothing new; or what ends the connection
   */
  hear(frames: Frames): PeerMessage | 'hello' | 'connected' | 'nonsense' | Objection | null {
    const read = readPeer(frames);
    if (read === null) return 'nonsense';
    if ('otherVersion' in read) return versionObjection(read.otherVersion);
    const { stamp, message } = read;
    if (message.kind === 'refuse') return message;
    // D18
    if (stamp.sequence <= this.#heard) return null;
    this.#heard = stamp.sequence;
    if (this.handshake.isDone) {
      return stamp.incarnation === this.handshake.incarnation ? message : null;
    }
    const heard = this.handshake.hear(message, stamp.incarnation);
    if (heard === null) return 'nonsense';
    return heard === 'proof' ? 'connected' : heard;
  }
}

function write(output: Output, peer: PeerId, frames: readonly Buffer[]): void {
  const last = frames.length - 1;
  for (const [index, frame] of frames.entries()) {
    output.write(peer, frame, 0, frame.length, index < last);
  }
}

// ---------------------------------------------------------------- the one that listens

/**
 * Listens for the peer (the primary's end).
 * @throws ERR_MDP_ENDPOINT_IN_USE, ERR_MDP_ENDPOINT
 */
export async function listenForPeer(
  endpoint: string,
  curve: ListenerCurve | undefined,
  options: PeerLinkOptions,
): Promise<PeerLink> {
  const listener = new PeerListener(options);
  const { transport } = await openZmtpRouter({
    listeners: [curve === undefined ? { endpoint, index: 0 } : { endpoint, index: 0, curve }],
    limits: LIMITS,
    peers: new PeerNumbers(),
    events: listener,
  });
  listener.attach(transport);
  return listener;
}

class PeerListener implements PeerLink, TransportEvents {
  readonly #options: PeerLinkOptions;
  readonly #talks = new Map<PeerId, Talk>();
  #transport: Transport | null = null;
  #peer: PeerId | null = null;
  #closedUntil = -Infinity;
  readonly #sweep: NodeJS.Timeout;

  constructor(options: PeerLinkOptions) {
    this.#options = options;
    this.#sweep = setInterval(this.#sendIdlersAway, HANDSHAKE_MS_MAX / 2).unref();
  }

  attach(transport: Transport): void {
    this.#transport = transport;
  }

  connected(peer: PeerId): void {
    const talk = new Talk(this.#options, (frames) => {
      if (this.#transport !== null) write(this.#transport, peer, frames);
    });
    this.#talks.set(peer, talk);
    if (monotonicMs() < this.#closedUntil) this.#transport?.disconnect(peer);
  }

  message(peer: PeerId, frames: Frames): void {
    const talk = this.#talks.get(peer);
    if (talk === undefined) return;
    const heard = talk.hear(frames);
    if (heard === null) return;
    if (heard === 'hello') {
      // The one that dials speaks first, and proves itself first.
      talk.say(talk.handshake.hello);
      this.#transport?.flush();
    } else if (heard === 'connected') {
      talk.say(talk.handshake.proof);
      this.#takeOver(peer, talk.handshake.its?.node ?? '');
    } else if (heard === 'nonsense') {
      this.#transport?.disconnect(peer);
    } else if ('code' in heard) {
      this.#refuse(peer, talk, heard);
    } else if (heard.kind === 'refuse') {
      this.#options.events.refusedByPeer(heard.reason);
      this.#transport?.disconnect(peer);
    } else if (peer === this.#peer) {
      this.#options.events.message(heard);
    }
  }

  receiving(peer: PeerId, bytes: number): void {
    if (peer === this.#peer) this.#options.events.receiving();
    else if (bytes > STRANGER_BYTES_MAX) this.#transport?.disconnect(peer);
  }

  disconnected(peer: PeerId): void {
    this.#talks.delete(peer);
    if (peer !== this.#peer) return;
    this.#peer = null;
    this.#options.events.disconnected();
  }

  oversized(peer: PeerId): void {
    this.#transport?.disconnect(peer);
  }

  full(peer: PeerId): void {
    // It does not read what it asked for: it has to join anew.
    this.#transport?.disconnect(peer);
  }

  drained(): void {
    // Who was full is gone.
  }

  rejected(): void {
    // Not even ZMTP: nobody that this node knows.
  }

  send(message: PeerMessage): void {
    if (this.#peer !== null) this.#talks.get(this.#peer)?.say(message);
  }

  flush(): void {
    this.#transport?.flush();
  }

  disconnect(): void {
    const peer = this.#peer;
    this.#peer = null;
    if (peer !== null) this.#transport?.disconnect(peer);
  }

  holdOff(ms: number): void {
    this.#closedUntil = monotonicMs() + ms;
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep);
    await this.#transport?.close(0);
  }

  #takeOver(peer: PeerId, node: string): void {
    const before = this.#peer;
    this.#peer = peer;
    if (before !== null) {
      this.#transport?.disconnect(before);
      this.#options.events.disconnected();
    }
    this.#options.events.connected(node);
    this.#transport?.flush();
  }

  #refuse(peer: PeerId, talk: Talk, objection: Objection): void {
    this.#options.events.refused(objection, talk.handshake.its?.node ?? 'unknown');
    talk.say({ kind: 'refuse', reason: objection.text });
    this.#transport?.flush();
    // What it is told goes out first; the sweep ends what stays.
    setTimeout(() => {
      if (this.#talks.get(peer) === talk) this.#transport?.disconnect(peer);
    }, 100).unref();
  }

  readonly #sendIdlersAway = (): void => {
    const now = monotonicMs();
    for (const [peer, { handshake, startedAt }] of this.#talks) {
      const isLate = now - startedAt > HANDSHAKE_MS_MAX;
      if (isLate && (!handshake.isDone || peer !== this.#peer)) this.#transport?.disconnect(peer);
    }
  };
}

// ---------------------------------------------------------------- the one that dials

/** Dials the peer (the backup's end), again and again. @throws ERR_MDP_ENDPOINT */
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
  #talk: Talk | null = null;
  #isKnown = false;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;
  #heldOffUntil = -Infinity;

  constructor(endpoint: string, curve: CurveClientKeys | undefined, options: PeerLinkOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
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
        if (link === this.#link) this.#hear(frames);
      },
      receiving: (bytes) => {
        if (link !== this.#link) return;
        if (this.#isKnown) this.#options.events.receiving();
        else if (bytes > STRANGER_BYTES_MAX) this.#again();
      },
      disconnected: () => {
        if (link === this.#link) this.#lost();
      },
    });
    this.#link = link;
  }

  #greet(link: Link): void {
    this.#talk = new Talk(this.#options, (frames) => {
      const last = frames.length - 1;
      for (const [index, frame] of frames.entries()) {
        link.write(frame, 0, frame.length, index < last);
      }
    });
    this.#talk.say(this.#talk.handshake.hello);
  }

  #hear(frames: Frames): void {
    const talk = this.#talk;
    if (talk === null) return;
    const heard = talk.hear(frames);
    if (heard === null) return;
    if (heard === 'hello') {
      talk.say(talk.handshake.proof);
    } else if (heard === 'connected') {
      this.#isKnown = true;
      this.#options.events.connected(talk.handshake.its?.node ?? '');
    } else if (heard === 'nonsense') {
      this.#again();
    } else if ('code' in heard) {
      this.#options.events.refused(heard, this.#endpoint);
      this.#again();
    } else if (heard.kind === 'refuse') {
      this.#options.events.refusedByPeer(heard.reason);
      this.#again();
    } else {
      this.#options.events.message(heard);
    }
  }

  #lost(): void {
    this.#talk = null;
    if (!this.#isKnown) return;
    this.#isKnown = false;
    this.#options.events.disconnected();
  }

  /** Ends this link and dials another, not at once. */
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
    if (this.#isKnown) this.#talk?.say(message);
  }

  flush(): void {
    // A link writes by itself, once per turn.
  }

  disconnect(): void {
    const link = this.#link;
    this.#link = null;
    this.#talk = null;
    this.#isKnown = false;
    void link?.close(0);
    if (this.#timer !== null) clearTimeout(this.#timer);
    const waitMs = Math.max(0, this.#heldOffUntil - monotonicMs());
    if (!this.#isClosed) {
      this.#timer = setTimeout(() => {
        this.#open();
      }, waitMs);
    }
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
