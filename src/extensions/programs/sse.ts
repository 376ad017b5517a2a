/** A reply as server-sent events, part by part. */
import { isUtf8 } from 'node:buffer';

import type { Answer, Stream, WriteText } from '../../admin/http/answer.js';
import { terminalSafeJson } from '../../core/escape.js';
import { frameJson } from '../../core/frame-json.js';
import { CLOSED, ENDS, EXPIRED, failedError, refusalCode } from './answers.js';
import { GRACE_MS } from './ask.js';
import type { Call, CallListener, EndedBy, Made } from './call.js';
import type { Body, Message } from './message.js';

/** Milliseconds between heartbeats, which show the reader a live connection, and us a live reader. */
const HEARTBEAT_MS = 15_000;
const HEARTBEAT = ': heartbeat\n\n';
/** What is written at once: at least so many characters, if they are there, and one piece more. */
const WRITTEN_CHARACTERS = 32_768;
/** A larger frame is written in pieces made of so many bytes; base64 has no rest for three. */
const PIECE_BYTES = 12_288;

/** The text of an event, in pieces that each take little time to make. */
export function* eventText(message: Message): Generator<string, void> {
  switch (message.kind) {
    case 'partial':
      yield* partEvent(message.isProgress ? 'progress' : 'partial', message);
      break;
    case 'reply':
      yield* partEvent('reply', message);
      break;
    case 'failed':
      yield errorEvent(terminalSafeJson({ error: failedError(message).error }));
      break;
    case 'refused': {
      const error = { code: refusalCode(message), message: message.text };
      yield errorEvent(terminalSafeJson({ error }));
    }
  }
}

function* partEvent(
  name: 'partial' | 'progress' | 'reply',
  { frames, body }: Body,
): Generator<string, void> {
  yield `event: ${name}\ndata: {"frames":[`;
  for (let index = body; index < frames.count; index++) {
    if (index > body) yield ',';
    const frame = frames.view(index);
    if (frame.length > PIECE_BYTES) yield* largeFrame(frame);
    else yield terminalSafeJson(frameJson(frame));
  }
  yield ']}\n\n';
}

/** The text of `terminalSafeJson(frameJson(frame))`. */
function* largeFrame(frame: Buffer): Generator<string, void> {
  const encoding = isUtf8(frame) ? 'utf8' : 'base64';
  yield `{"encoding":"${encoding}","data":"`;
  for (let at = 0, end = 0; at < frame.length; at = end) {
    end = Math.min(at + PIECE_BYTES, frame.length);
    // Not within a character.
    while (encoding === 'utf8' && ((frame[end] ?? 0) & 0xc0) === 0x80) end--;
    yield terminalSafeJson(frame.toString(encoding, at, end)).slice(1, -1);
  }
  yield '"}';
}

function errorEvent(json: string): string {
  return `event: error\ndata: ${json}\n\n`;
}

type CallRead = Pick<Call, 'next' | 'keepMade' | 'count' | 'moved' | 'resume' | 'unread'>;

/**
 * Messages wait in the call, packed, until the program has read what was written. So their text, which may be fifteen
 * times as large, takes little memory, and little time at once.
 */
export class ReplyEvents implements CallListener, Made {
  /** Bytes that were written and have not left. */
  bytes = 0;
  readonly #call: CallRead;
  readonly #timer: NodeJS.Timeout;
  readonly #endedBy: (answer: Answer) => Answer;
  #decided: () => void = () => undefined;
  /** The first message, until it is written. */
  #first: Message | null = null;
  /** Why no more messages come. */
  #ended: Answer | null = null;
  /** `null`: nothing can be written yet, or any more. */
  #write: WriteText | null = null;
  #end: (how?: 'now') => void = () => undefined;
  /** The rest of the event that is being written. */
  #text: Generator<string, void> | null = null;
  #isLast = false;

  /**
   * @param timeoutMs until the first message, and between two
   * @param ended what is said of a request that ends without the broker's word
   */
  constructor(call: CallRead, timeoutMs: number, ended = (answer: Answer): Answer => answer) {
    this.#call = call;
    this.#endedBy = ended;
    call.keepMade(this);
    this.#timer = setTimeout(() => {
      // What is there and not read is no fault of the worker's.
      if (call.unread > 0) this.#timer.refresh();
      else this.#finish(this.#endedBy(EXPIRED));
    }, timeoutMs + GRACE_MS);
  }

  get roomBytes(): number {
    return this.bytes;
  }

  /** The first message, which the stream begins with; or why there is none. */
  first(): Promise<Message | Answer> {
    return new Promise((resolve) => {
      this.#decided = () => {
        const first = this.#first ?? this.#ended;
        if (first !== null) resolve(first);
      };
      this.#decided();
    });
  }

  stream(): Stream {
    return {
      type: 'text/event-stream; charset=utf-8',
      // A proxy that buffers answers would hold the events back.
      headers: { 'x-accel-buffering': 'no' },
      isCounted: true,
      open: (write, end) => {
        this.#write = write;
        this.#end = end;
        const heartbeat = setInterval(() => {
          // Within an event it is no comment: nothing is written, and a reader that has stalled is found.
          write(this.#text === null ? HEARTBEAT : '');
        }, HEARTBEAT_MS);
        if (this.#ended === null) this.proceed();
        else this.#finish(this.#ended);
        return () => {
          this.#write = null;
          clearInterval(heartbeat);
          clearTimeout(this.#timer);
        };
      },
      withdrawn: (why) => this.#finish(why),
    };
  }

  readonly proceed = (): false => {
    if (this.#write !== null) {
      if (this.bytes === 0) this.#writeSome(this.#write);
    } else if (this.#first === null && this.#ended === null) {
      this.#first = this.#call.next();
      // A refusal is answered without a stream, whose end would stop the timer: it would keep a broker that ends alive.
      if (this.#first !== null && this.#first.kind !== 'partial') clearTimeout(this.#timer);
      this.#decided();
    }
    return false;
  };

  readonly closed = (why: EndedBy | null): void => {
    this.#finish(this.#endedBy(why === 'right' ? ENDS.right : CLOSED));
  };

  #finish(answer: Answer): void {
    clearTimeout(this.#timer);
    this.#ended = answer;
    this.#decided();
    if (this.#write === null) return;
    // Within an event nobody would take it for one.
    if (this.#text === null) this.#write(errorEvent(String(answer.body).trim()));
    this.#end('now');
  }

  #writeSome(write: WriteText): void {
    let text = '';
    while (text.length < WRITTEN_CHARACTERS) {
      const piece = this.#piece();
      if (piece === null) break;
      text += piece;
    }
    if (text !== '') {
      const bytes = Buffer.byteLength(text);
      this.bytes += bytes;
      this.#call.count();
      write(text, () => {
        this.bytes -= bytes;
        if (this.#write === null) return;
        this.#call.moved();
        this.#call.resume();
      });
    }
    if (this.#isLast && this.#text === null) this.#end();
  }

  /** The next text to be written; `null`: there is none yet, or any more. */
  #piece(): string | null {
    for (;;) {
      this.#text ??= this.#begin();
      const piece = this.#text?.next();
      if (piece === undefined) return null;
      if (piece.done !== true) return piece.value;
      this.#text = null;
    }
  }

  /** Begins the next event. */
  #begin(): Generator<string, void> | null {
    const message = this.#first ?? (this.#isLast ? null : this.#call.next());
    if (message === null) return null;
    this.#first = null;
    this.#isLast = message.kind !== 'partial';
    if (this.#isLast) clearTimeout(this.#timer);
    else this.#timer.refresh();
    return eventText(message);
  }
}
