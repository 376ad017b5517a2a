/** Plain requests with an `Idempotency-Key`: who sends a key again has the answer to the request that has it. */
import { type Answer, failure } from '../../admin/http/answer.js';
import { httpError } from '../../admin/http/errors.js';
import type { Connected } from '../../admin/http/route.js';
import { ownCopy } from '../../core/bytes.js';
import type { MemoryAccount } from '../../core/holdings.js';
import { CLOSED } from './answers.js';
import { GRACE_MS } from './ask.js';

/** Memory of a key, besides its characters, after its request and while that runs (measured: 980 to 2,010 bytes). */
const KEY_BYTES = 2048;
/** How long a client may take to find that the broker is gone, besides the time in which it may come back. */
const FINDING_MS = 5000;

const NOT_SAME =
  'Idempotency-Key: the request of this key is another one: body, Content-Type, Accept, Majordomo-Once, Majordomo-Group and each Majordomo-Header-NAME have to be the same';
const NOT_KEPT =
  'the request of this key has ended, and its answer was not kept: the quota `outputBytes` of this token, or limits.memoryBytes, is used up';

/** Whose key it is, and for which service. */
export interface KeyOf {
  /** The name of its token. */
  readonly token: string;
  readonly service: Buffer;
  readonly key: string;
}

/** A limit that is used up. */
export interface KeyLimit {
  /** `null`: it is none of the token. */
  readonly quota: 'sessions' | 'outputBytes' | null;
  readonly text: string;
}

const KEYS_FULL: KeyLimit = {
  quota: 'sessions',
  text: 'the quota `sessions` of this token is used up by Idempotency-Keys: each is known until broker.resumeMs after its request',
};
const ANSWERS_FULL: KeyLimit = {
  quota: 'outputBytes',
  text: 'the quota `outputBytes` of this token is used up by answers that are kept for its Idempotency-Keys',
};
const MEMORY_FULL: KeyLimit = { quota: null, text: 'limits.memoryBytes is reached' };

/** What the tokens may do and use. */
export interface Tokens {
  readonly mayRequest: (token: string, service: Buffer) => boolean;
  readonly keysMax: (token: string) => number;
  /** Told of each request that is refused because of a limit. */
  readonly refused: (of: KeyOf, address: string | null, limit: KeyLimit) => void;
}

/** The use of a call, which may go on without the client that began it. */
export class Lease implements Connected {
  readonly address: string | null;
  hasEnded = false;
  #client: Connected | null;
  #then: () => void = () => undefined;

  constructor(client: Connected) {
    this.#client = client;
    this.address = client.address;
  }

  readonly drop = (): void => this.#client?.drop();

  onClosed(then: () => void): void {
    this.#then = then;
    this.#client?.onClosed(() => {
      if (this.#client !== null) this.end();
    });
  }

  /** Lets the request go on though its client has left, of which nothing is kept. */
  hold(): void {
    this.#client = null;
  }

  end(): void {
    if (!this.hasEnded) this.#then();
    this.hasEnded = true;
  }
}

export class KeyedRequests {
  readonly tokens: Tokens;
  /** How long a request goes on without a client, and an answer is kept. */
  readonly #resumeMs: number;
  readonly #ofTokens = new Map<string, KeysOfToken>();
  /** Has a node that does not serve find out whether it has to. */
  voted: () => void = () => undefined;
  /** See `serves`. */
  #servesSince: number | null = null;

  constructor(resumeMs: number, tokens: Tokens) {
    this.#resumeMs = resumeMs;
    this.tokens = tokens;
  }

  /** @param since when this node began to serve clients, in monotonic milliseconds; `null`: it does not */
  serves(since: number | null): void {
    this.#servesSince = since;
  }

  /**
   * How long a key that is unknown here may still be one whose request this node, before it started, or the other node
   * of the pair has run.
   */
  unsureMs(now: number): number {
    if (this.#servesSince === null) return Infinity;
    return Math.max(0, this.#servesSince + this.#resumeMs + FINDING_MS - now);
  }

  /** The request that has a key; `null`: there is none. @throws ERR_HTTP_KEY_REUSED if that is another one */
  find(of: KeyOf, digest: string): KeyedRequest | null {
    const found = this.#ofTokens.get(of.token)?.requests.get(nameOf(of)) ?? null;
    if (found === null || found.digest === digest) return found;
    throw httpError('ERR_HTTP_KEY_REUSED', NOT_SAME);
  }

  /**
   * Gives a key that is unknown to a request, which holds the lease.
   * @param memory of its token
   * @param isUnsure what `unsureMs` says of it
   * @throws ERR_HTTP_LIMIT
   */
  begin(
    of: KeyOf,
    digest: string,
    lease: Lease,
    memory: MemoryAccount,
    isUnsure: boolean,
  ): KeyedRequest {
    const { token } = of;
    const ofToken =
      this.#ofTokens.get(token) ??
      new KeysOfToken(memory, () => {
        this.#ofTokens.delete(token);
      });
    const name = nameOf(of);
    const full = ofToken.limitFor(name, this.tokens.keysMax(token));
    if (full !== null) {
      this.tokens.refused(of, lease.address, full);
      throw httpError('ERR_HTTP_LIMIT', full.text);
    }
    lease.hold();
    this.#ofTokens.set(token, ofToken);
    const request = new KeyedRequest(name, digest, ofToken, lease, this.#resumeMs, isUnsure);
    ofToken.add(name, request);
    return request;
  }
}

function nameOf({ service, key }: KeyOf): string {
  return `${service.toString('latin1')}\0${key}`;
}

function bytesOf(name: string): number {
  return KEY_BYTES + name.length;
}

class KeysOfToken {
  readonly requests = new Map<string, KeyedRequest>();
  readonly #memory: MemoryAccount;
  readonly #isEmpty: () => void;
  /** Bytes of answers that are kept. */
  #keptBytes = 0;

  /** @param isEmpty called when the last key is forgotten */
  constructor(memory: MemoryAccount, isEmpty: () => void) {
    this.#memory = memory;
    this.#isEmpty = isEmpty;
  }

  /** Which limit has no room for one more key; `null`: none. */
  limitFor(name: string, keysMax: number): KeyLimit | null {
    if (this.requests.size >= keysMax) return KEYS_FULL;
    if (this.#keptBytes >= this.#memory.outputMax) return ANSWERS_FULL;
    return this.#memory.mayHold(bytesOf(name)) ? null : MEMORY_FULL;
  }

  add(name: string, request: KeyedRequest): void {
    this.requests.set(name, request);
    this.#memory.add('requests', bytesOf(name));
  }

  /** Counts an answer that is kept. @returns false: there is no room for it */
  keep(bytes: number): boolean {
    const isOver = this.#keptBytes + bytes > this.#memory.outputMax;
    if (isOver || !this.#memory.mayHold(bytes)) return false;
    this.#keptBytes += bytes;
    this.#memory.add('requests', bytes);
    return true;
  }

  /** @param kept bytes of its answer */
  forget(name: string, kept: number): void {
    this.requests.delete(name);
    this.#keptBytes -= kept;
    this.#memory.add('requests', -bytesOf(name) - kept);
    if (this.requests.size === 0) this.#isEmpty();
  }
}

/** What a client is told of its key, in the header `Idempotency-Status`. */
type Status = 'new' | 'joined' | 'kept' | 'unknown';

/** What a client gets whose time is over before that of the request. */
export interface Late {
  readonly timeoutMs: number;
  readonly answer: Answer;
}

/** Told an answer, and whether its request may have run. */
type Waiting = (answer: Answer, mayHaveRun: boolean) => void;

/** A request with a key, from its beginning until the key is forgotten. */
export class KeyedRequest {
  readonly digest: string;
  readonly #name: string;
  readonly #ofToken: KeysOfToken;
  readonly #resumeMs: number;
  readonly #isUnsure: boolean;
  /** `null`: the request has ended. */
  #lease: Lease | null;
  /** Clients that wait for the answer. */
  #waiting: Set<Waiting> | null = null;
  /** What is kept. */
  #answer: Answer | null = null;
  #keptBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    name: string,
    digest: string,
    ofToken: KeysOfToken,
    lease: Lease,
    resumeMs: number,
    isUnsure: boolean,
  ) {
    this.#name = name;
    this.digest = digest;
    this.#ofToken = ofToken;
    this.#lease = lease;
    this.#resumeMs = resumeMs;
    this.#isUnsure = isUnsure;
  }

  /**
   * The answer, for one more client.
   * @param late after how long this client gets another answer; `null`: it began the request, which lasts as long
   */
  wait(client: Connected, late: Late | null): Promise<Answer> {
    if (this.#answer !== null) return Promise.resolve(this.#told(this.#answer, 'kept'));
    clearTimeout(this.#timer);
    const waiting = (this.#waiting ??= new Set());
    return new Promise((resolve) => {
      const done: Waiting = (answer, mayHaveRun) => {
        clearTimeout(timer);
        waiting.delete(done);
        const status = late === null ? 'new' : 'joined';
        resolve(mayHaveRun ? this.#told(answer, status) : answer);
      };
      const timer =
        late === null ? undefined : setTimeout(done, late.timeoutMs + GRACE_MS, late.answer, true);
      waiting.add(done);
      client.onClosed(() => {
        done(CLOSED, true);
        if (waiting.size === 0) this.#left();
      });
    });
  }

  /** Nobody waits any more. */
  #left(): void {
    if (this.#lease === null) return;
    clearTimeout(this.#timer);
    if (this.#resumeMs === 0) this.#cancel();
    else this.#timer = setTimeout(this.#cancel, this.#resumeMs).unref();
  }

  readonly #cancel = (): void => {
    this.#endLease();
    this.#forget();
  };

  /**
   * The request has ended.
   * @param mayHaveRun if not, the key may be used at once to try again
   */
  end(answer: Answer, mayHaveRun: boolean): void {
    // It was cancelled.
    if (this.#lease === null) return;
    clearTimeout(this.#timer);
    const { status, type, headers, body } = answer;
    // Whoever reads it has its memory counted by the server, once for all of them (see `Unread`).
    const given = { status, type, headers, body: Buffer.isBuffer(body) ? ownCopy(body) : body };
    this.#endLease();
    if (mayHaveRun && this.#resumeMs > 0) this.#keep(given);
    else this.#forget();
    for (const done of [...(this.#waiting ?? [])]) done(given, mayHaveRun);
    this.#waiting = null;
  }

  #endLease(): void {
    const lease = this.#lease;
    this.#lease = null;
    lease?.end();
  }

  #keep(answer: Answer): void {
    const bytes = Buffer.byteLength(answer.body);
    const hasRoom = this.#ofToken.keep(bytes);
    this.#answer = hasRoom ? answer : failure('ERR_HTTP_NO_REPLY', NOT_KEPT);
    this.#keptBytes = hasRoom ? bytes : 0;
    this.#timer = setTimeout(this.#forget, this.#resumeMs).unref();
  }

  readonly #forget = (): void => this.#ofToken.forget(this.#name, this.#keptBytes);

  #told(answer: Answer, status: Status): Answer {
    const told = this.#isUnsure ? 'unknown' : status;
    return { ...answer, headers: { ...answer.headers, 'idempotency-status': told } };
  }
}
