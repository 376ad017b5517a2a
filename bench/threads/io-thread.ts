/** The thread with the sockets: passes on messages of peers, and writes what the broker has for them. */
import { parentPort, workerData } from 'node:worker_threads';

import type { Words } from '../../src/core/bytes.js';
import { messageEnd, pack, packedBytes } from '../../src/core/packed.js';
import { PeerNumbers } from '../../src/zmtp/peer-numbers.js';
import type { PeerId, PeerInfo, Transport } from '../../src/zmtp/port.js';
import { openZmtpRouter } from '../../src/zmtp/router/router.js';
import { type Kind, RingReader, RingWriter } from './ring.js';
import { allowAll } from './listener.js';
import type { SentInfo, ThreadOrder } from './threaded-router.js';

const FRAMES_MAX = 16;
const { toMain, fromMain, wakes, endpoint, secretKey, limits } = workerData as ThreadOrder;

const wake = (): void => parentPort?.postMessage(null);
const out = new RingWriter(toMain, wakes === 'post' ? wake : null);
const messages = new RingReader(fromMain, wakes === 'memory');
let transport: Transport | null = null;
let isDue = false;

/** What one turn of the loop has read is published at its end. */
function publishSoon(): void {
  if (isDue) return;
  isDue = true;
  setImmediate(() => {
    isDue = false;
    out.publish();
  });
}

function tell(kind: Kind, peer: PeerId, text?: string): void {
  out.event(kind, peer, text);
  publishSoon();
}

function connected(peer: PeerId, info: PeerInfo): void {
  const sent: SentInfo = { ...info, routingId: info.routingId.toString('hex') };
  tell('connected', peer, JSON.stringify(sent));
}

/** Passes on all whole messages of a read, as they are. */
function packed(peer: PeerId, words: Words, from: number, end: number): number {
  let until = from;
  for (let next = from; next > 0; next = messageEnd(words.bytes, until, end, FRAMES_MAX)) {
    until = next;
  }
  if (until === from) return 0;
  out.put(peer, words, from, until);
  publishSoon();
  return until;
}

function take(kind: Kind, peer: PeerId, { bytes }: Words, from: number, end: number): void {
  if (kind === 'messages') transport?.writePacked(peer, bytes, from, end, false);
  else transport?.disconnect(peer);
}

function read(): void {
  if (messages.read(take)) transport?.flush();
  setImmediate(park);
}

function park(): void {
  if (!messages.park(read)) read();
}

async function open(): Promise<void> {
  const opened = await openZmtpRouter({
    listeners: [{ endpoint, index: 0, ...allowAll(secretKey) }],
    limits,
    peers: new PeerNumbers(),
    events: {
      connected,
      packed,
      message: (peer, frames) => {
        const at = out.messages(peer, packedBytes(frames, 0, frames.count));
        pack(frames, 0, frames.count, out.words.bytes, at, false);
        publishSoon();
      },
      outputFull: (peer) => {
        tell('outputFull', peer);
      },
      drained: (peer) => {
        tell('drained', peer);
      },
      disconnected: (peer) => {
        tell('disconnected', peer);
      },
      rejected: (_listener, kind, reason) => {
        throw new Error(`${kind}: ${reason}`);
      },
    },
  });
  transport = opened.transport;
  parentPort?.on('message', read);
  parentPort?.postMessage(opened.endpoints[0]);
  read();
}

void open();
