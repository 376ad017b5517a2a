/** What a bridge needs of a server, and what became of a request there. */
import { ServiceError } from '../../../sdk/service-error.js';
import type { Headers } from '../../../sdk/client.js';

export interface Asked {
  readonly frames: readonly Buffer[];
  readonly headers: Headers;
  /** When its client stops waiting, in monotonic milliseconds; 0: it did not say. */
  readonly deadlineMs: number;
  /** The largest answer that the broker accepts, in bytes. */
  readonly replyBytesMax: number;
  /** Aborts when nobody waits for the answer. */
  readonly signal: AbortSignal;
}

/**
 * *failed*: the server has said so; with `pauseMs`, it wants no requests for so long (0: it did not say how long).
 * *lost*: there was no answer, and `isSilent`: only because it took too long. *unwanted*: nobody waits for it.
 */
export type Outcome =
  | { readonly kind: 'reply'; readonly frames: readonly Buffer[] }
  | { readonly kind: 'failed'; readonly error: ServiceError; readonly pauseMs: number | null }
  | {
      readonly kind: 'lost';
      readonly why: string;
      /** Some of the request may have reached the server. */
      readonly wasWritten: boolean;
      readonly isSilent: boolean;
    }
  | { readonly kind: 'unwanted' };

export interface Server {
  /**
   * Resolves when the server can be sent a request, as far as that shows without one, or the signal aborts.
   * @param away called when an attempt to reach it has failed
   */
  ready(signal: AbortSignal, away: (why: string) => void): Promise<void>;
  /** Sends a request; never rejects. */
  ask(asked: Asked): Promise<Outcome>;
  /** Ends what runs, as lost. */
  close(): void;
}

/** The longest answer may take so long; `null`: no limit. */
export type TimeoutMs = number | null;

export function silent(timeoutMs: number, wasWritten: boolean): Outcome {
  const why = `no answer within ${timeoutMs} ms`;
  return { kind: 'lost', why, wasWritten, isSilent: true };
}

export function tooLarge(bytes: number, bytesMax: number): Outcome {
  const text = `the answer has ${bytes} bytes or more, the broker accepts at most ${bytesMax}`;
  const error = new ServiceError('too-large', text, { retry: false });
  return { kind: 'failed', error, pauseMs: null };
}

export function lost(why: string, wasWritten: boolean): Outcome {
  return { kind: 'lost', why, wasWritten, isSilent: false };
}
