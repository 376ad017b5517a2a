/**
 * Requests that Node does not see: those of programs whose heads are plain and whose bodies have arrived with them. They
 * need no parser, request and response of Node, which cost more than everything else that is done for them. If the
 * head is the same as one before it on its connection, what was decided about that holds for it, too.
 */
import { ownCopy } from '../../core/bytes.js';
import type { Answer, Headers, Stream } from '../http/answer.js';
import type { Connected, HeaderValues } from '../http/route.js';
import type { Direct, FedSocket } from './parser-turns.js';
import { type PlainHead, plainHeadIn } from './plain-head.js';
import { chunkedHead, writeAnswer } from './raw-answer.js';
import { type Repeatable, RepeatedHead } from './repeated-head.js';
import type { Streamed } from './stream.js';
import { countedBytes, noRoomFor } from './unread.js';

/** The longest request that is read here. */
const REQUEST_BYTES_MAX = 16_384;
/** So many heads that no other repeats are kept in a row, and after that every sixteenth: keeping one takes time. */
const TRIES = 4;
const TRIES_APART = 16;
/** What a client has more time than it is told, as after a response of Node. */
const MORE_MS = 1000;
const NOTHING = Buffer.alloc(0);

interface Kept {
  readonly head: RepeatedHead;
  readonly known: Repeatable;
}

/** What the server decides about such requests, and is told of them. */
export interface DirectHost {
  /** @returns `null`: nothing has happened, and the request is for Node */
  readonly begins: (
    request: DirectRequest,
    head: PlainHead,
    body: Buffer,
  ) => Promise<Answer | Stream> | null;
  /** The answer of the request is a stream. */
  readonly streams: (request: DirectRequest, stream: Stream) => void;
  /** @returns false: the request has to be judged anew */
  readonly repeats: (request: DirectRequest, known: Repeatable) => boolean;
  /** The request is answered, or its client has gone. */
  readonly left: (request: DirectRequest) => void;
  /** How long a connection may wait for its next request; `null`: it is closed after the answer. */
  readonly keepAliveMs: () => number | null;
  /** How long its reader may take nothing of an answer. */
  readonly idleMs: number;
  /** @returns the answer to an error that is a bug */
  readonly failed: (error: unknown) => Answer;
}

/** The requests of one connection that Node does not see. */
export class DirectRequests implements Direct {
  readonly fed: FedSocket;
  readonly #host: DirectHost;
  #current: DirectRequest | null = null;
  #hasEnded = false;
  /** The head that is being judged, and what was read in it. */
  #head: Buffer = NOTHING;
  #found: HeaderValues = {};
  #kept: Kept | null = null;
  /** How many heads in a row might have been kept and were not repeated. */
  #unrepeated = 0;

  constructor(fed: FedSocket, host: DirectHost) {
    this.fed = fed;
    this.#host = host;
  }

  begin(bytes: Buffer): number {
    if (this.#hasEnded) return 0;
    const end = this.#beginRepeated(bytes);
    return end > 0 ? end : this.#beginPlain(bytes);
  }

  #beginRepeated(bytes: Buffer): number {
    const kept = this.#kept;
    if (kept === null) return 0;
    const { head, known } = kept;
    const end = head.endIn(bytes);
    if (end < 0 || end > REQUEST_BYTES_MAX) return 0;
    this.#unrepeated = 0;
    const request = new DirectRequest(this.fed, this.#host);
    if (!this.#host.repeats(request, known)) return 0;
    const answering = known.begin(bodyIn(bytes, head.bodyAt, end), request, head.valuesIn(bytes));
    if (answering === null) {
      request.leave();
      return 0;
    }
    this.#await(request, answering);
    return end;
  }

  #beginPlain(bytes: Buffer): number {
    const head = plainHeadIn(bytes);
    if (head === null || head.end > REQUEST_BYTES_MAX) return 0;
    const request = new DirectRequest(this.fed, this.#host);
    this.#head = bytes.subarray(0, head.bodyAt);
    this.#found = head.headers;
    const answering = this.#host.begins(request, head, bodyIn(bytes, head.bodyAt, head.end));
    this.#head = NOTHING;
    this.#found = {};
    if (answering === null) return 0;
    this.#await(request, answering);
    return head.end;
  }

  #await(request: DirectRequest, answering: Promise<Answer | Stream>): void {
    this.#current = request;
    answering.then(request.answer, request.fail);
  }

  keep(known: Repeatable, bytes = this.#head, found = this.#found): void {
    this.#unrepeated++;
    if (this.#unrepeated > TRIES && this.#unrepeated % TRIES_APART !== 0) return;
    const head = RepeatedHead.of(bytes, found, known.mayDiffer);
    if (head !== null) this.#kept = { known, head };
  }

  /** The connection has ended: a waiting request is not answered, and no other begins. */
  end(): void {
    this.#hasEnded = true;
    this.#current?.gone();
  }
}

/** While it waits, it would keep in memory whatever was read with it. */
function bodyIn(bytes: Buffer, from: number, end: number): Buffer {
  if (from === end) return NOTHING;
  const body = bytes.subarray(from, end);
  return bytes.buffer.byteLength > REQUEST_BYTES_MAX ? ownCopy(body) : body;
}

/** A request that Node does not see. */
export class DirectRequest implements Connected, Streamed {
  readonly fed: FedSocket;
  readonly #host: DirectHost;
  #isWaiting = true;
  /** The answer has been sent, or the client has gone. */
  #hasLeft = false;
  /** The answer waits to be read. */
  #isSlow = false;
  #keepAliveMs: number | null = null;
  /** Bytes of the answer that are counted. */
  #held = 0;
  #sentAll: (() => void) | null = null;
  #closed: (() => void) | null = null;
  /** The answer is a stream. */
  headersSent = false;
  /** All of that was written. */
  writableEnded = false;
  /** The head of that, until it is written. */
  #head = '';

  constructor(fed: FedSocket, host: DirectHost) {
    this.fed = fed;
    this.#host = host;
  }

  get address(): string | null {
    return this.fed.remoteAddress ?? null;
  }

  onClosed(then: () => void): void {
    if (this.#hasLeft) {
      then();
      return;
    }
    const before = this.#closed;
    this.#closed =
      before === null
        ? then
        : () => {
            before();
            then();
          };
  }

  readonly drop = (): void => {
    if (!this.#hasLeft) this.fed.destroy();
  };

  /** Whether its answer is still wanted. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  readonly answer = (given: Answer | Stream): void => {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    const { fed } = this;
    this.#keepAliveMs = this.#host.keepAliveMs();
    if ('open' in given) {
      this.headersSent = true;
      this.#stalls();
      this.#host.streams(this, given);
      return;
    }
    const bytes = countedBytes(given);
    const answer = fed.hold(bytes) ? given : noRoomFor(given);
    this.#held = answer === given ? bytes : 0;
    this.#sentAll = given.sent ?? null;
    writeAnswer(fed, answer, this.#keepAliveMs, this.#sent);
    if (fed.raw.writableLength > 0) this.#stalls();
  };

  /** From now on its reader may take nothing for no longer than that. */
  #stalls(): void {
    this.fed.setTimeout(this.#host.idleMs);
    this.#isSlow = true;
  }

  /**
   * The secret of this request is no longer valid: if it waits, it is answered with `why`, and an answer that is being
   * sent is cut off.
   */
  withdraw(why: Answer): void {
    if (this.#isWaiting) this.answer(why);
    else if (this.fed.raw.writableLength > 0) this.fed.destroy();
  }

  readonly fail = (error: unknown): void => this.answer(this.#host.failed(error));

  readonly #sent = (error?: Error | null): void => {
    if (error !== undefined && error !== null) {
      // The socket says so only later, and a request behind this one would begin.
      this.fed.destroy();
      return;
    }
    this.fed.hold(-this.#held);
    this.#sentAll?.();
    this.fed.idles((this.#keepAliveMs ?? 0) + MORE_MS, this.#isSlow);
    this.#isSlow = false;
    this.leave();
    this.fed.directAnswered();
  };

  // ---------------------------------------------------------------- as a stream is written

  get closed(): boolean {
    return this.#hasLeft;
  }

  get writableFinished(): boolean {
    return this.#hasLeft;
  }

  get writableLength(): number {
    return this.fed.raw.writableLength + this.#head.length;
  }

  writeHead(status: number, headers: Headers): void {
    this.#head = chunkedHead(status, headers, this.#keepAliveMs);
  }

  write(text: string, sent: () => void): void {
    const size = Buffer.byteLength(text);
    const chunk = size === 0 ? '' : `${size.toString(16)}\r\n${text}\r\n`;
    this.fed.raw.write(this.#takeHead() + chunk, sent);
  }

  end(): void {
    if (this.writableEnded || this.#hasLeft) return;
    this.writableEnded = true;
    this.fed.raw.write(`${this.#takeHead()}0\r\n\r\n`, this.#sent);
    if (this.#keepAliveMs === null) this.fed.destroySoon();
  }

  destroy(): void {
    this.drop();
  }

  once(_event: 'close', then: () => void): void {
    this.onClosed(then);
  }

  #takeHead(): string {
    const head = this.#head;
    this.#head = '';
    return head;
  }

  // ---------------------------------------------------------------- its end

  /** The connection has ended. */
  gone(): void {
    this.#isWaiting = false;
    this.leave();
  }

  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    const closed = this.#closed;
    this.#closed = null;
    closed?.();
    this.#host.left(this);
  }
}
