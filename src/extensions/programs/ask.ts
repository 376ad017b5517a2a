/** Sends one request of a program, and waits for what becomes of it. */
import type { Answer } from '../../admin/http/answer.js';
import { CLOSED, EXPIRED, OVERRUN } from './answers.js';
import type { Call, CallListener } from './call.js';
import type { Message } from './message.js';

/** The broker knows first that the time is over, and says why there is no reply. */
const GRACE_MS = 250;

export type Outcome = Exclude<Message, { readonly kind: 'partial' }>;

/**
 * The reply with all its parts and without progress, as clients of MDP 0.1 get it, or why there is none.
 * @param send passes the request on to the call, with this listener
 */
export function outcomeOf(
  timeoutMs: number,
  call: Pick<Call, 'read'>,
  send: (listener: CallListener) => void,
): Promise<Outcome | Answer> {
  return new Promise((resolve) => {
    const frames: Buffer[] = [];
    let bytes = 0;
    const timer = setTimeout(() => {
      resolve(EXPIRED);
    }, timeoutMs + GRACE_MS);
    const done = (outcome: Outcome | Answer): void => {
      clearTimeout(timer);
      resolve(outcome);
    };
    send({
      message: (message) => {
        if (message.kind === 'partial' && message.isProgress) {
          call.read(message.bytes);
          return;
        }
        if (message.kind === 'partial' || message.kind === 'reply') {
          frames.push(...message.frames);
          bytes += message.bytes;
        }
        if (message.kind === 'reply') done({ kind: 'reply', frames, bytes });
        else if (message.kind !== 'partial') done(message);
      },
      closed: (isOverrun) => {
        done(isOverrun ? OVERRUN : CLOSED);
      },
    });
  });
}

/** The same as a stream: its messages wait until somebody reads them. */
export class Incoming implements CallListener {
  readonly #call: Call;
  readonly #timeoutMs: number;
  #messages: Message[] = [];
  #timer: NodeJS.Timeout;
  #end: Answer | null = null;
  #changed: () => void = () => undefined;

  /** @param timeoutMs until the first message, and between two */
  constructor(call: Call, timeoutMs: number) {
    this.#call = call;
    this.#timeoutMs = timeoutMs;
    this.#timer = this.#arm();
  }

  #arm(): NodeJS.Timeout {
    return setTimeout(() => {
      this.#finish(EXPIRED);
    }, this.#timeoutMs + GRACE_MS);
  }

  #finish(end: Answer): void {
    clearTimeout(this.#timer);
    this.#end ??= end;
    this.#changed();
  }

  readonly message = (message: Message): void => {
    this.#messages.push(message);
    clearTimeout(this.#timer);
    if (message.kind === 'partial') this.#timer = this.#arm();
    this.#changed();
  };

  readonly closed = (): void => {
    this.#finish(CLOSED);
  };

  /** The first message, which stays; or why there is none. */
  first(): Promise<Message | Answer> {
    return new Promise((resolve) => {
      this.#changed = () => {
        const [first = this.#end] = this.#messages;
        if (first !== null) resolve(first);
      };
      this.#changed();
    });
  }

  /** Passes on what has come and what comes. @returns what stops that */
  read(take: (message: Message) => void, ended: (end: Answer) => void): () => void {
    this.#changed = () => {
      for (const message of this.#messages.splice(0)) take(message);
      if (this.#end !== null) ended(this.#end);
    };
    this.#changed();
    return () => {
      clearTimeout(this.#timer);
      this.#changed = () => undefined;
    };
  }

  /** What is written of a message has so many bytes more than it. */
  grown(bytes: number): void {
    this.#call.grow(bytes);
  }

  /** The program has read so many bytes of what was written. */
  taken(bytes: number): void {
    this.#call.read(bytes);
  }
}
