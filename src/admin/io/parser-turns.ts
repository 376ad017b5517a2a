/**
 * Limits how much of what arrives over HTTP is taken apart in one turn of the event loop.
 *
 * Node's parser calls back for each chunk, field and head that it finds in what a socket has read, up to
 * 64 KiB at once: thousands of pieces that cost far more than their bytes. So a connection reads for
 * itself, and gives the parser a slice at a time: a head, a part of a body of known length, or so many
 * lines of chunks. Slices and requests have a cost. What is over the budget of a turn waits in a line, in
 * which identities take turns, and the socket is not read meanwhile.
 *
 * A connection gives no more while its request is answered, or while nobody reads the request's body.
 * Most requests of programs are not given to the parser at all (see `direct.ts`), and Node learns of a connection only when
 * something comes that is none of these.
 */
import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

import { freeBytes } from '../../core/bytes.js';
import { monotonicMs } from '../../core/clock.js';
import type { Holdings, MemoryAccount } from '../../core/holdings.js';
import { kindOf, type Shortcut, shortcuts } from '../../core/shortcut.js';
import { TurnQueue, type Waiting } from '../../core/turn-queue.js';
import type { HeaderValues } from '../http/route.js';
import type { Repeatable } from './repeated-head.js';

/** Budget of a turn for data that just arrived, and once more for the line. */
const TURN_COST = 512;
/** The end of the turn is scheduled only above this cost. */
const NOTED_COST = 64;
/** Most bytes of a slice, but of a body of known length, which the parser does not look at. */
const SLICE_BYTES = 16_384;
/** All that a socket reads at once. */
const BODY_SLICE_BYTES = 65_536;
/** Most line ends of a slice of a chunked body: each chunk has two. */
const SLICE_LINES = 64;
/** Most pieces that wait: each record of TLS is one, which may hold a byte. */
const PIECES_MAX = 64;
/** So many bytes cost as much as a line end of chunks: 2^8. */
const BYTES_SHIFT = 8;
/** Least cost of a slice; one for each piece in which it came. */
const SLICE_COST = 1;
/** Cost of a request beside its bytes, and what is done for it. */
const REQUEST_COST = 12;
/** Cost of a millisecond of work. */
const COST_OF_MS = 100;
/** What a connection costs that sends nothing: sockets, parser and streams. */
const CONNECTION_BYTES = 16_384;
const LINE_END = 10;
const HEAD_END = '\r\n\r\n';
const NOTHING = Buffer.alloc(0);
/** Stands for the response to a repeated head; nobody listens to what Node tells it. */
const UNFINISHED = Object.assign(new EventEmitter(), { finished: false });

/** What a connection tells its server. */
export interface FedHost {
  /** How long a new connection may send nothing. */
  readonly silentMs: number;
  /** @returns what begins those of its requests that Node need not see */
  direct(fed: FedSocket): Direct;
  /** Has Node serve it from now on. */
  serve(fed: FedSocket): void;
  /**
   * Nothing has come for as long as it may wait, and Node does not know it.
   * @param isNew no request of it was answered
   */
  silent(fed: FedSocket, isNew: boolean): void;
  /** The connection has ended without Node. */
  gone(fed: FedSocket): void;
  /** More waits here than its identity may hold. */
  overflow(fed: FedSocket): void;
}

/** The connections of one server, which share the turns. */
export class ParserTurns {
  readonly #line = new TurnQueue<FedSocket>();
  #cost = 0;
  #isEndDue = false;

  /** Gives the parser what a connection has, now or in its turn. */
  offer(fed: FedSocket): void {
    while (fed.isReady) {
      if (this.#cost >= TURN_COST) {
        fed.isInLine = true;
        this.#line.append(fed);
        this.#endSoon();
        return;
      }
      this.charge(fed.proceed());
    }
  }

  /** Counts work of this turn. */
  charge(cost: number): void {
    this.#cost += cost;
    if (this.#cost >= NOTED_COST) this.#endSoon();
  }

  /** Does work of this turn, which costs what it takes. */
  timed<Result>(work: () => Result): Result {
    const from = monotonicMs();
    try {
      return work();
    } finally {
      this.charge((monotonicMs() - from) * COST_OF_MS);
    }
  }

  #endSoon(): void {
    if (this.#isEndDue) return;
    this.#isEndDue = true;
    setImmediate(this.#end);
  }

  readonly #end = (): void => {
    this.#isEndDue = false;
    this.#cost = 0;
    while (this.#cost < TURN_COST) {
      const fed = this.#line.shift();
      if (fed === undefined) break;
      if (fed.isReady) this.charge(fed.proceed());
      if (fed.isReady) this.#line.append(fed);
      else fed.leftLine();
    }
    this.#cost = 0;
    if (!this.#line.isEmpty) this.#endSoon();
  };
}

/** Begins requests of a connection that Node does not see. */
export interface Direct {
  /** @returns where the request ends that has begun with these bytes; 0: nothing has happened, and they are for Node */
  begin(bytes: Buffer): number;
  /**
   * Has further requests begin so whose heads are the same.
   * @param head by default, the one that is being begun
   * @param found what was read in it
   */
  keep(known: Repeatable, head?: Buffer, found?: HeaderValues): void;
  /** The connection has ended. */
  end(): void;
}

function ignore(): void {
  // What ends a connection is not of interest.
}

interface Entry {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly begin: () => void;
}

/**
 * A connection as Node's parser sees it: a stream over a socket, plain or TLS. Requests of one connection
 * are answered one at a time, each when the answer before it has gone out.
 */
export class FedSocket extends Duplex implements Waiting {
  isInLine = false;
  readonly raw: Socket;
  readonly direct: Direct;
  readonly #turns: ParserTurns;
  readonly #holdings: Holdings;
  readonly #host: FedHost;
  #account: MemoryAccount;
  #rest: Buffer = NOTHING;
  /** The number of pieces that came since the last slice. */
  #pieces = 0;
  /** Bytes of `#rest` that are counted. */
  #restHeld = 0;
  /** All bytes that are counted for this connection. */
  #held = CONNECTION_BYTES;
  #isWanted = false;
  #isFeeding = false;
  #hasEnded = false;
  #copied = 0;
  /** How many bytes of the end of a head the last slice ended with. */
  #matched = 0;
  /** Bytes of the body that are to come; `null`: unknown, it is chunked. */
  #bodyLeft: number | null = 0;
  #current: IncomingMessage | null = null;
  #response: ServerResponse | null = null;
  #isAnswered = false;
  readonly #waiting: Entry[] = [];
  /** The head that the parser is being given, if all of it. */
  #head: Buffer = NOTHING;
  /** The parser has a part of a head. */
  #isInHead = false;
  /** Whether it is known to which request each byte belongs. */
  #isExact = true;
  /** A request that Node does not see is being answered. */
  #isDirect = false;
  /** Node does not know this connection. */
  #isOwn = true;
  /** A request of this connection was answered directly. */
  #hasAnswered = false;
  /** Node shows here the response that is being written. */
  #isShown = false;
  #timeoutMs: number;
  readonly #repeating: Shortcut;
  /**
   * The response that is being written, as Node sets it, which is not documented (docs/adr/0002): a server that
   * closes looks here whether a connection is idle.
   */
  _httpMessage: { readonly finished: boolean } | null = null;

  /**
   * @param identity whose turns it shares, and for whom its memory counts
   * @param host its server
   */
  constructor(
    raw: Socket,
    turns: ParserTurns,
    holdings: Holdings,
    identity: string,
    host: FedHost,
    repeating: Shortcut = shortcuts.repeating,
  ) {
    super({ allowHalfOpen: true, decodeStrings: false });
    this.raw = raw;
    this.#turns = turns;
    this.#holdings = holdings;
    this.#host = host;
    this.#repeating = repeating;
    this.#account = holdings.use(identity);
    this.#account.add('http', CONNECTION_BYTES);
    this.direct = host.direct(this);
    // Node listens, too, once it serves.
    this.on('error', ignore);
    this.#timeoutMs = host.silentMs;
    raw.setTimeout(host.silentMs);
    raw.on('data', this.#arrived);
    raw.on('end', () => {
      this.#hasEnded = true;
      this.#next();
    });
    raw.on('error', (error) => this.destroy(error));
    raw.on('close', () => this.destroy());
    raw.on('timeout', this.#timedOut);
  }

  // ---------------------------------------------------------------- as Node uses a socket

  get remoteAddress(): string | undefined {
    return this.raw.remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.raw.remotePort;
  }

  setTimeout(ms: number): this {
    this.#timeoutMs = ms;
    this.raw.setTimeout(ms);
    return this;
  }

  /** Ends the connection once what was written is sent. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  override _read(): void {
    this.#isWanted = true;
    // Until this returns, the stream would keep what it is given, and the parser would not have it yet.
    if (this.#rest.length > 0) process.nextTick(this.#next);
    else this.#next();
  }

  override _write(
    chunk: Buffer | string,
    encoding: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    this.raw.write(chunk, encoding, done);
  }

  override _writev(
    chunks: readonly { readonly chunk: Buffer | string; readonly encoding: BufferEncoding }[],
    done: (error?: Error | null) => void,
  ): void {
    this.raw.cork();
    for (const [index, { chunk, encoding }] of chunks.entries()) {
      this.raw.write(chunk, encoding, index === chunks.length - 1 ? done : undefined);
    }
    this.raw.uncork();
  }

  override _final(done: () => void): void {
    this.raw.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.raw.destroy();
    this.direct.end();
    if (this.#isOwn) this.#host.gone(this);
    this.#account.add('http', -this.#held);
    this.#held = 0;
    this.#holdings.release(this.#account);
    done(error);
  }

  // ---------------------------------------------------------------- for the server

  /** A request of this connection has arrived and is not answered. */
  get isBusy(): boolean {
    return this.#isDirect || (this.#current !== null && !this.#isAnswered);
  }

  get identity(): string {
    return this.#account.identity;
  }

  /** Makes this connection share the turns of another identity, and count for it. */
  become(identity: string): void {
    if (identity === this.#account.identity || this.destroyed) return;
    const before = this.#account;
    this.#account = this.#holdings.use(identity);
    this.#account.add('http', this.#held);
    before.add('http', -this.#held);
    this.#holdings.release(before);
  }

  /**
   * Counts bytes that a request makes this connection keep, or gives back those that were counted.
   * @returns false if its identity may not hold so many more: then nothing is counted
   */
  hold(more: number): boolean {
    if (this.destroyed) return true;
    if (more > 0 && !this.#account.mayHold(more)) return false;
    this.#held += more;
    this.#account.add('http', more);
    return true;
  }

  /** So many bytes of the slice that the parser is being given are in the place of their body. */
  copied(bytes: number): void {
    this.#copied += bytes;
  }

  /** Begins a request of this connection, now or when those before it are answered. */
  enter(request: IncomingMessage, response: ServerResponse, begin: () => void): void {
    this.#turns.charge(REQUEST_COST);
    if (this.#current !== null) this.#isExact = false;
    this.#waiting.push({ request, response, begin });
    if (this.#current === null) this.#begin();
  }

  /**
   * Lets further requests of this connection begin without Node, as the current one, which Node has read, has begun.
   * @param found what was read in its head
   */
  repeat(known: Repeatable, found: HeaderValues): void {
    if (this.#head.length === 0) return;
    this.#isShown = this.#isResponseShown();
    if (this.#isShown) this.direct.keep(known, this.#head, found);
  }

  /** Whether Node shows here the response to the current request, and so looks here as well. */
  #isResponseShown(): boolean {
    const shown: unknown = this._httpMessage;
    if (shown !== this.#response) this.#repeating.giveUp(`_httpMessage is ${kindOf(shown)}`);
    return !this.#repeating.isOff;
  }

  /** A request that Node does not see is answered. */
  directAnswered(): void {
    this.#isDirect = false;
    this.#hasAnswered = true;
    this._httpMessage = null;
    this.#next();
  }

  /**
   * The connection waits for its next request for so long.
   * @param isAnew it had another time meanwhile
   */
  idles(ms: number, isAnew: boolean): void {
    if (isAnew || ms !== this.#timeoutMs) this.setTimeout(ms);
  }

  readonly #timedOut = (): void => {
    if (this.#isDirect) {
      // The reply may take longer than a connection may be idle; but its reader takes nothing. (Node would ask the
      // response what to do, and there is none.)
      if (this.raw.writableLength > 0) this.destroy();
    } else if (!this.#isOwn) this.emit('timeout');
    else if (!this.isInLine) this.#host.silent(this, !this.#hasAnswered);
  };

  #handOver(): void {
    if (!this.#isOwn) return;
    this.#isOwn = false;
    this.#host.serve(this);
  }

  #begin(): void {
    const first = this.writable ? this.#waiting.shift() : undefined;
    this.#current = first?.request ?? null;
    this.#response = first?.response ?? null;
    if (first === undefined) return;
    const { request, response, begin } = first;
    this.#isAnswered = false;
    const { 'content-length': length, 'transfer-encoding': coding } = request.headers;
    this.#bodyLeft = coding === undefined ? Number(length ?? 0) : null;
    // The last slice of chunks may have a part of the next head, too.
    if (coding !== undefined || this.#waiting.length > 0) this.#isExact = false;
    if (!request.complete) request.on('resume', this.#next);
    response.once('close', () => {
      this.#isAnswered = true;
      if (this.#waiting.length > 0) this.#begin();
      else this.#endCurrent();
      this.#next();
    });
    begin();
  }

  // ---------------------------------------------------------------- for its turns

  /** True if the parser may have more of what waits here. */
  get isReady(): boolean {
    const isWanted = this.#isWanted || this.#isOwn;
    return this.#rest.length > 0 && isWanted && !this.destroyed && !this.#isBlocked;
  }

  /** True while a request is being answered, or its body is not being read; and once no further one can be answered. */
  get #isBlocked(): boolean {
    if (this.#isDirect) return true;
    const request = this.#current;
    if (request === null) return !this.writable;
    return request.complete || request.readableFlowing !== true;
  }

  /** Ends the request that is answered and has arrived. */
  #endCurrent(): void {
    if (this.#isAnswered && this.#current?.complete === true) this.#current = null;
  }

  /** Begins the next request if Node need not see it. @returns its cost; 0: it is not begun */
  #proceedDirect(rest: Buffer): number {
    if (this.#current !== null || this.#isInHead || !this.#isExact) return 0;
    if (!this.#isOwn && (!this.#isShown || this.#repeating.isOff)) return 0;
    this.#isDirect = true;
    const end = this.direct.begin(rest);
    this.#isDirect = end > 0;
    if (end === 0) return 0;
    this._httpMessage = UNFINISHED;
    this.#rest = end === rest.length ? NOTHING : rest.subarray(end);
    return REQUEST_COST + this.#takePieces() + (end >> BYTES_SHIFT);
  }

  /** Gives the parser the next slice, or begins a request without it. @returns its cost */
  proceed(): number {
    const rest = this.#rest;
    const cost = this.#proceedDirect(rest);
    if (cost > 0) return cost;
    this.#handOver();
    // Node asks for it in a moment.
    if (!this.#isWanted) return SLICE_COST;
    const [end, lines] = this.#current === null ? this.#headSlice(rest) : this.#bodySlice(rest);
    const isAll = end === rest.length;
    this.#copied = 0;
    this.#rest = isAll ? NOTHING : rest.subarray(end);
    this.#isFeeding = true;
    this.#isWanted = this.push(isAll ? rest : rest.subarray(0, end));
    // V8 would collect its whole heap for so many of them.
    const isDone = isAll && this.#copied === end && end >= SLICE_BYTES;
    if (isDone && end === rest.buffer.byteLength) freeBytes(rest);
    // By now its request has begun.
    this.#head = NOTHING;
    this.#isFeeding = false;
    this.#endCurrent();
    return this.#takePieces() + lines + (end >> BYTES_SHIFT);
  }

  /** @returns the cost of the pieces in which a slice came */
  #takePieces(): number {
    const pieces = this.#pieces;
    this.#pieces = 0;
    return Math.max(SLICE_COST, pieces);
  }

  /** Told by its turns: the line has nothing more of this connection. */
  leftLine(): void {
    this.isInLine = false;
    this.#next();
  }

  /** @returns where the head ends, or as much as may be given at once */
  #headSlice(rest: Buffer): readonly [end: number, lines: number] {
    const most = Math.min(rest.length, SLICE_BYTES);
    const missing = HEAD_END.slice(this.#matched);
    const isSplit = this.#matched > 0 && rest.toString('latin1', 0, missing.length) === missing;
    const at = isSplit ? 0 : rest.indexOf(HEAD_END, 0, 'latin1');
    const end = at < 0 ? most : at + (isSplit ? missing.length : HEAD_END.length);
    if (at >= 0 && end <= most) {
      this.#matched = 0;
      this.#head = this.#isInHead ? NOTHING : rest.subarray(0, end);
      this.#isInHead = false;
      return [end, 0];
    }
    this.#isInHead = true;
    const last = rest.toString('latin1', Math.max(0, most - HEAD_END.length + 1), most);
    const tail = HEAD_END.slice(0, this.#matched) + last;
    this.#matched = 0;
    for (let bytes = 1; bytes < HEAD_END.length; bytes++) {
      if (tail.endsWith(HEAD_END.slice(0, bytes))) this.#matched = bytes;
    }
    return [most, 0];
  }

  #bodySlice(rest: Buffer): readonly [end: number, lines: number] {
    const most = Math.min(rest.length, SLICE_BYTES);
    if (this.#bodyLeft !== null && this.#bodyLeft > 0) {
      const end = Math.min(rest.length, BODY_SLICE_BYTES, this.#bodyLeft);
      this.#bodyLeft -= end;
      return [end, 0];
    }
    let end = 0;
    let lines = 0;
    while (lines < SLICE_LINES) {
      const at = rest.indexOf(LINE_END, end);
      if (at < 0 || at >= most) return [most, lines];
      end = at + 1;
      lines++;
    }
    return [end, lines];
  }

  readonly #arrived = (bytes: Buffer): void => {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    this.#pieces++;
    this.#next();
  };

  /** Gives on what may be given, and reads the socket while little is left here. */
  readonly #next = (): void => {
    if (this.#isFeeding || this.destroyed) return;
    if (!this.isInLine) this.#turns.offer(this);
    // Its client has left: what it sent behind the request that is being answered is not begun.
    const isAnswering = this.#isDirect || this.#current?.complete === true;
    if (this.#hasEnded && isAnswering) this.#rest = NOTHING;
    if (this.#rest.length !== this.#restHeld) this.#count(this.#rest);
    // With little here it reads on: so the end of a client that is being answered is noticed.
    const isMuch = this.#rest.length >= SLICE_BYTES || this.#pieces >= PIECES_MAX;
    if (isMuch) this.raw.pause();
    else if (this.raw.isPaused()) this.raw.resume();
    if (this.#rest.length > 0 || !this.#hasEnded || this.readableEnded) return;
    this.#handOver();
    this.push(null);
  };

  /** Counts the bytes that wait here. */
  #count({ length }: Buffer): void {
    if (this.hold(length - this.#restHeld)) this.#restHeld = length;
    else this.#host.overflow(this);
  }
}
