/** A peer of the broker through which a program sends requests over HTTP, one at a time. It speaks MDP 0.2, as a client. */
import { monotonicMs } from '../../core/clock.js';
import { Frames } from '../../core/frames.js';
import type { MemoryAccount } from '../../core/holdings.js';
import { httpError } from '../../admin/http/errors.js';
import type { Waiting } from '../../core/turn-queue.js';
import type { Rights } from '../../node/key-rights.js';
import { clientRequest } from '../../wire/client-side.js';
import { CLIENT_02, COMMAND_FRAMES, CLIENT_REQUEST, EMPTY } from '../../wire/mdp.js';
import { helloFrame, MMI_CANCEL, MMI_HELLO } from '../../wire/mmi.js';
import { LocalInbox } from '../../zmtp/local-inbox.js';
import type { Closing, PeerId, TransportEvents } from '../../zmtp/port.js';
import { type Message, messageOf } from './message.js';

/** The envelope of a request that is taken back when its program leaves. */
export const REQUEST_ID: Buffer = Buffer.from([1]);
const CANCEL: Buffer = Buffer.from(MMI_CANCEL);
const HELLO: Buffer = Buffer.from(MMI_HELLO);
const GREETED: Buffer = Buffer.from('200');
/** The hello of a call: it is told why there is no reply, at once if no worker serves the service (D11, D62, D65). */
const GREETING = helloFrame({ refusesToWait: true, hearsFailures: true, session: null });

/** Who waits for what a call brings. */
export interface CallListener {
  /**
   * Takes some of the messages that wait, with `Call.next`.
   * @returns whether it goes on at once with the others; if not, after `Call.resume`, or when more have come
   */
  readonly proceed: () => boolean;
  /**
   * There will be no more.
   * @param why `null`: its connection ended
   */
  readonly closed: (why: EndedBy | null) => void;
}

/** What was made of messages for the program, which has not read it. */
export interface Made {
  readonly bytes: number;
  /** Memory of these bytes. */
  readonly roomBytes: number;
}

/**
 * Why a program gets no reply. There is no room for it: *overrun*: it is over `limits.outputBytes`; *output*: those of
 * its token are over the quota of that name; *memory*: `limits.memoryBytes` is reached. Or *right*: that to its service
 * was withdrawn.
 */
export type EndedBy = 'overrun' | Closing['kind'] | 'right';

const NOTHING_MADE: Made = { bytes: 0, roomBytes: 0 };

/** What a call needs from its transport. */
export interface CallOwner {
  readonly events: TransportEvents;
  /** Has the call proceed when it is its turn. */
  readonly schedule: (call: Call) => void;
  /** Bytes that the program may have to read. */
  readonly unreadMax: () => number;
}

export class Call implements Waiting {
  readonly id: PeerId;
  readonly key: string;
  readonly address: string;
  readonly memory: MemoryAccount;
  /** The broker is about to end it, or it has ended. */
  isClosing = false;
  isClosed = false;
  /** Why the call is about to end, if that is what waits to be read. */
  endedBy: EndedBy | null = null;
  /** See `use`. */
  #service: Buffer | null = null;
  /** True while the call waits for its turn to proceed. */
  isDue = false;
  /** The broker tells it why there is no reply. */
  isGreeted = false;
  /** Since when nobody uses the call; monotonic milliseconds. */
  idleSince = 0;
  /** When its program last read something, or had something new to read, or sent something. */
  movedAt = 0;
  readonly inbox: LocalInbox = new LocalInbox();
  #made: Made = NOTHING_MADE;
  /** What is counted of both. */
  #counted = 0;
  #unsent = 0;
  /** A request was sent, and its final reply was not taken. */
  #isOpen = false;
  /** A request of the program uses it. */
  #isUsed = false;
  /** The request that uses it is still to be sent. */
  #isToSend = false;
  #canBeTakenBack = false;
  #listener: CallListener | null = null;
  #drop: () => void = () => undefined;
  readonly #owner: CallOwner;

  constructor(
    id: PeerId,
    { key, address }: { readonly key: string; readonly address: string },
    memory: MemoryAccount,
    owner: CallOwner,
  ) {
    this.id = id;
    this.key = key;
    this.address = address;
    this.memory = memory;
    this.#owner = owner;
  }

  get identity(): string {
    return this.memory.identity;
  }

  /** True if another request may be sent. One that is left before it was sent may still come. */
  get isFree(): boolean {
    return !this.#isOpen && !this.#isToSend && !this.isClosing && this.isGreeted;
  }

  /**
   * Uses the call for one more request.
   * @param service that it is for; `null`: it is for the store
   * @param drop ends the connection of the program
   */
  use(service: Buffer | null, drop: () => void): this {
    this.#service = service;
    this.#drop = drop;
    this.#isUsed = true;
    this.#isToSend = true;
    return this;
  }

  /** The broker answers this at once. @returns why it is refused, as by the quota `requestsPerSecond`, or `null` */
  greet(): string | null {
    this.#owner.events.message(this.id, Frames.of(...clientRequest(2, null, HELLO, [GREETING])));
    const answer = this.next();
    this.isGreeted = answer?.kind === 'reply' && answer.frames.equals(answer.body, GREETED);
    if (this.isGreeted) return null;
    return answer?.kind === 'refused' ? answer.text : 'the broker did not answer';
  }

  // ---------------------------------------------------------------- for the routes

  /** Memory that its program makes the node keep. */
  get held(): number {
    return this.#counted + this.#unsent;
  }

  /** What has come of a request that is incomplete. */
  get unsent(): number {
    return this.#unsent;
  }

  /** Bytes that the program has not read. */
  get unread(): number {
    return this.inbox.bytes + this.#made.bytes;
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
  send(frames: Frames, listener: CallListener): void {
    this.#begin(listener);
    this.#canBeTakenBack = frames.equals(0, REQUEST_ID);
    if (!this.isClosing) this.#owner.events.message(this.id, frames);
    this.#forgetUnsent();
  }

  /** The request is over the limits, which the broker counts and answers. */
  sendTooLarge(service: Buffer, reason: string, listener: CallListener): void {
    this.#begin(listener);
    this.#forgetUnsent();
    const head = Frames.of(CLIENT_02, COMMAND_FRAMES[CLIENT_REQUEST] ?? EMPTY, service, EMPTY);
    if (!this.isClosing) this.#owner.events.oversized?.(this.id, head, reason);
  }

  #begin(listener: CallListener): void {
    this.#listener = listener;
    this.#isOpen = true;
    this.#isToSend = false;
    if (this.isClosed) setImmediate(listener.closed, this.endedBy);
  }

  /** The first message that waits; `null`: there is none. */
  next(): Message | null {
    const frames = this.inbox.take();
    if (frames === null) return null;
    this.count();
    const message = messageOf(frames);
    if (message.kind !== 'partial') this.#isOpen = false;
    return message;
  }

  /** The listener takes more now. */
  resume(): void {
    this.#owner.schedule(this);
  }

  /** Counts what is made of messages until the request ends, each time that it is counted. */
  keepMade(made: Made): void {
    this.#made = made;
    this.count();
  }

  /** Why more may not be made of messages; `null`: it may. */
  checkRoom(): EndedBy | null {
    if (this.unread > this.#owner.unreadMax()) return 'overrun';
    return this.memory.mayHold(0) ? null : 'memory';
  }

  /** The program has read something. */
  moved(): void {
    this.movedAt = monotonicMs();
    this.count();
  }

  // ---------------------------------------------------------------- for the transport

  /** Messages have come. */
  arrived(): void {
    if (this.#counted === 0) this.movedAt = monotonicMs();
    this.count();
  }

  /** What waits to be read may have changed. */
  count(): void {
    const held = this.inbox.roomBytes + this.#made.roomBytes;
    if (held === this.#counted) return;
    this.memory.add('output', held - this.#counted);
    this.#counted = held;
  }

  /** Told when the rights of the token have changed. */
  rightsChanged({ client }: Rights): void {
    const service = this.#service;
    const isAllowed =
      service === null ? !client.isNone : client.matches(service, 0, service.length);
    if (this.#isOpen && !isAllowed) this.#listener?.closed('right');
  }

  /** @returns whether there is more to do at once */
  proceed(): boolean {
    return this.#listener?.proceed() === true;
  }

  /**
   * Ends the call; its listener is told.
   * @param isDropped by the broker: an answer that is being sent is given up, too
   */
  close(isDropped: boolean): void {
    const listener = this.#listener;
    const isOpen = this.#isOpen;
    this.isClosing = true;
    this.isClosed = true;
    this.#isOpen = false;
    this.release();
    if (isOpen) listener?.closed(this.endedBy);
    // What its program sends or does not read is not counted any more, so it is not kept either.
    else if (isDropped && this.#isUsed) this.#drop();
  }

  /** Leaves the call, as its program is done with it or has gone. */
  leave(): void {
    this.#isUsed = false;
    if (!this.isClosing) this.#takeBack();
    this.release();
    if (!this.#isOpen) this.#listener = null;
  }

  /** Gives up the call, as there is no room for what it brings: it brings nothing more; its request is taken back. */
  giveUp(why: EndedBy): void {
    this.endedBy = why;
    this.isClosing = true;
    this.#takeBack();
    this.release();
  }

  /** (D106) */
  #takeBack(): void {
    if (!this.#isOpen || !this.#canBeTakenBack) return;
    const cancel = clientRequest(2, null, CANCEL, [REQUEST_ID]);
    this.#owner.events.message(this.id, Frames.of(...cancel));
  }

  /** Drops what the call holds, which is not counted any more. */
  release(): void {
    this.inbox.clear();
    this.keepMade(NOTHING_MADE);
    this.#forgetUnsent();
  }

  #forgetUnsent(): void {
    this.memory.add('input', -this.#unsent);
    this.#unsent = 0;
  }
}
