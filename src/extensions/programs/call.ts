/** One request of a program over HTTP, as a peer of the broker: it speaks MDP 0.2, as a client. */
import { monotonicMs } from '../../core/clock.js';
import { Frames } from '../../core/frames.js';
import type { MemoryAccount } from '../../core/holdings.js';
import { httpError } from '../../admin/http/errors.js';
import { clientRequest, readClientReply } from '../../wire/client-side.js';
import { CLIENT_02, COMMAND_FRAMES, CLIENT_REQUEST, EMPTY } from '../../wire/mdp.js';
import { helloFrame, MMI_CANCEL, MMI_HELLO } from '../../wire/mmi.js';
import type { PeerId, TransportEvents } from '../../zmtp/port.js';
import { type Message, messageOf } from './message.js';

/** The envelope of a request that is taken back when its program leaves. */
export const REQUEST_ID: Buffer = Buffer.from([1]);
const CANCEL: Buffer = Buffer.from(MMI_CANCEL);
const HELLO: Buffer = Buffer.from(MMI_HELLO);
/** It is told why there is no reply, at once if no worker serves the service (D11, D62, D65). */
const GREETING = helloFrame({ refusesToWait: true, hearsFailures: true });

/** Who waits for what a call brings. */
export interface CallListener {
  readonly message: (message: Message) => void;
  /**
   * There will be no more: its connection ended.
   * @param isOverrun because more waited to be read than may
   */
  readonly closed: (isOverrun: boolean) => void;
}

export class Call {
  readonly id: PeerId;
  readonly key: string;
  readonly address: string;
  readonly memory: MemoryAccount;
  /** The broker is about to end it, or it has ended. */
  isClosing = false;
  isClosed = false;
  /** More waits to be read than may. */
  isOverrun = false;
  /** The broker tells it why there is no reply. */
  isGreeted = false;
  /** Since when nobody uses it; monotonic milliseconds. */
  idleSince = 0;
  /** When its program last read something, or had something new to read, or sent something. */
  movedAt = 0;
  /** Bytes of messages that the program has not read. */
  unread = 0;
  #unsent = 0;
  /** A request was sent, and its final reply has not come. */
  #isOpen = false;
  /** A request of the program uses it. */
  #isUsed = false;
  #canBeTakenBack = false;
  #frames: Buffer[] = [];
  #inbox: Frames[] = [];
  #listener: CallListener | null = null;
  #drop: () => void = () => undefined;
  readonly #events: TransportEvents;

  constructor(
    id: PeerId,
    { key, address }: { readonly key: string; readonly address: string },
    memory: MemoryAccount,
    events: TransportEvents,
  ) {
    this.id = id;
    this.key = key;
    this.address = address;
    this.memory = memory;
    this.#events = events;
  }

  /** True if another request may be sent. */
  get isFree(): boolean {
    return !this.#isOpen && !this.isClosing && this.isGreeted;
  }

  /** One more request uses it. @param drop ends the connection of the program */
  use(drop: () => void): this {
    this.#drop = drop;
    this.#isUsed = true;
    return this;
  }

  greet(): void {
    this.#events.message(this.id, Frames.of(...clientRequest(2, null, HELLO, [GREETING])));
  }

  // ---------------------------------------------------------------- for the routes

  /** Bytes that its program makes the node keep. */
  get held(): number {
    return this.unread + this.#unsent;
  }

  /** Counts bytes of a request that arrives. @throws ERR_HTTP_LIMIT */
  keep(bytes: number): void {
    if (!this.memory.mayHold(bytes)) {
      throw httpError('ERR_HTTP_LIMIT', 'limits.memoryBytes is reached');
    }
    this.#unsent += bytes;
    this.movedAt = monotonicMs();
    this.memory.add('input', bytes);
  }

  /** Sends one request. What it brings goes to the listener, never within this call. */
  send(frames: readonly Uint8Array[], listener: CallListener): void {
    this.#begin(listener);
    this.#canBeTakenBack = frames[0] === REQUEST_ID;
    if (!this.isClosing) this.#events.message(this.id, Frames.of(...frames));
    this.#forgetUnsent();
  }

  /** The request is over the limits, which the broker counts and answers. */
  sendTooLarge(service: Buffer, reason: string, listener: CallListener): void {
    this.#begin(listener);
    this.#forgetUnsent();
    const head = Frames.of(CLIENT_02, COMMAND_FRAMES[CLIENT_REQUEST] ?? EMPTY, service, EMPTY);
    if (!this.isClosing) this.#events.oversized?.(this.id, head, reason);
  }

  #begin(listener: CallListener): void {
    this.#listener = listener;
    this.#isOpen = true;
    if (this.isClosed) setImmediate(listener.closed, this.isOverrun);
  }

  /** What waits to be read is larger than the message that it is made of. */
  grow(bytes: number): void {
    this.unread += bytes;
    this.memory.add('output', bytes);
  }

  /** The program has read so many bytes. */
  read(bytes: number): void {
    const read = Math.min(bytes, this.unread);
    this.unread -= read;
    this.movedAt = monotonicMs();
    this.memory.add('output', -read);
  }

  // ---------------------------------------------------------------- for the transport

  write(frame: Buffer, more: boolean): boolean {
    this.#frames.push(frame);
    if (more) return false;
    const frames = Frames.of(...this.#frames);
    this.#frames = [];
    if (!this.isGreeted) {
      const reply = readClientReply(frames);
      this.isGreeted = reply.kind === 'final' && frames.equals(reply.body, Buffer.from('200'));
      return false;
    }
    let bytes = 0;
    for (let index = 0; index < frames.count; index++) bytes += frames.size(index);
    if (this.unread === 0) this.movedAt = monotonicMs();
    this.grow(bytes);
    this.#inbox.push(frames);
    return true;
  }

  /** Hands over what has arrived. */
  deliver(): void {
    const inbox = this.#inbox;
    this.#inbox = [];
    for (const frames of inbox) {
      const message = messageOf(frames);
      if (message.kind !== 'partial') this.#isOpen = false;
      this.#listener?.message(message);
    }
  }

  /**
   * It ended; its listener is told.
   * @param isDropped by the broker: an answer that is being sent is given up, too
   */
  close(isDropped: boolean): void {
    const listener = this.#listener;
    const isOpen = this.#isOpen;
    this.isClosing = true;
    this.isClosed = true;
    this.#isOpen = false;
    this.#inbox = [];
    this.release();
    if (isOpen) listener?.closed(this.isOverrun);
    // What its program sends or does not read is not counted any more, so it is not kept either.
    else if (isDropped && this.#isUsed) this.#drop();
  }

  /** Its program is done with it, or has gone. */
  leave(): void {
    this.#isUsed = false;
    if (this.#isOpen && this.#canBeTakenBack && !this.isClosing) {
      this.#events.message(this.id, Frames.of(...clientRequest(2, null, CANCEL, [REQUEST_ID])));
    }
    this.release();
    if (!this.#isOpen) this.#listener = null;
  }

  /** What it holds is not counted any more. */
  release(): void {
    this.memory.add('output', -this.unread);
    this.unread = 0;
    this.#forgetUnsent();
  }

  #forgetUnsent(): void {
    this.memory.add('input', -this.#unsent);
    this.#unsent = 0;
  }
}
