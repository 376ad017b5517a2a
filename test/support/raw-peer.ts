/** The other end of a pair's link, message by message: a peer, one of another version, or an impostor. */
import { PEER_VERSION, type PairHello, type PeerMessage } from '../../src/wire/pair.js';
import { readPeer, writePeer } from '../../src/wire/pair-codec.js';
import type { Link } from '../../src/zmtp/link-port.js';
import { type CurveClientKeys, dialZmtp } from '../../src/zmtp/link.js';

const LIMITS = { messageBytesMax: 1e6, framesMax: 10, outputBytesMax: 1e6 };

export interface RawPeerOptions {
  readonly version?: number;
  readonly incarnation?: number;
  readonly curve?: CurveClientKeys;
}

export class RawPeer {
  readonly heard: PeerMessage[] = [];
  /** Its connections that have ended. */
  ended = 0;
  readonly #link: Link;
  readonly #hello: PairHello;
  readonly #version: number;
  readonly #incarnation: number;
  #said = 0;

  constructor(endpoint: string, hello: PairHello, options: RawPeerOptions = {}) {
    this.#hello = hello;
    this.#version = options.version ?? PEER_VERSION;
    this.#incarnation = options.incarnation ?? 3000;
    const { curve } = options;
    this.#link = dialZmtp({ limits: LIMITS, ...(curve === undefined ? {} : { curve }) })(endpoint, {
      connected: () => {
        this.#said = 0;
        this.say(this.#hello);
      },
      message: (frames) => {
        const read = readPeer(frames);
        if (read === null || 'otherVersion' in read || read.message === null) return;
        this.heard.push(read.message);
        if (read.message.kind === 'hello') this.say({ kind: 'proof', nonce: read.message.nonce });
      },
      disconnected: () => {
        this.ended++;
      },
    });
  }

  say(message: PeerMessage): void {
    const stamp = { incarnation: this.#incarnation, sequence: ++this.#said };
    const frames = writePeer(message, stamp, this.#version);
    for (const [index, frame] of frames.entries()) {
      this.#link.write(frame, 0, frame.length, index < frames.length - 1);
    }
  }

  close(): Promise<void> {
    return this.#link.close(0);
  }
}
