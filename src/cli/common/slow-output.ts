/**
 * Standard output for a stream that must not be late. `process.stdout` makes the whole process wait for the
 * reader of a pipe; this waits beside it, so that the wait can be limited, and can be given up.
 */
import { constants, fstatSync, openSync, write } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

import { monotonicMs } from '../../core/clock.js';
import { codeOf, MajordomoError, messageOf } from '../../core/errors.js';
import { EXIT } from '../../core/exit.js';

const STDOUT = 1;
/** After how long a full pipe is tried again. */
const RETRY_MS = 20;

export class SlowOutput {
  readonly #patienceMs: number | null;
  readonly #signal: AbortSignal;
  readonly #fd = notBlocking();

  /**
   * @param patienceMs how long the reader may take for a line; `null`: as long as it likes
   * @param signal gives up what is being written
   */
  constructor(patienceMs: number | null, signal: AbortSignal) {
    this.#patienceMs = patienceMs;
    this.#signal = signal;
  }

  /** Writes a line. @throws ERR_STREAM_TOO_SLOW, ERR_OUTPUT */
  async write(line: string): Promise<void> {
    const bytes = Buffer.from(line);
    const since = monotonicMs();
    for (let at = 0; at < bytes.length && !this.#signal.aborted;) {
      const count = await this.#writeSome(bytes.subarray(at));
      at += count;
      if (count > 0) continue;
      const delayMs = Math.round(monotonicMs() - since);
      if (this.#patienceMs !== null && delayMs > this.#patienceMs) throw tooSlow(delayMs);
      await pause(RETRY_MS);
    }
  }

  /** @returns 0: the pipe is full */
  async #writeSome(bytes: Buffer): Promise<number> {
    const [error, count] = await new Promise<[NodeJS.ErrnoException | null, number]>((resolve) => {
      write(this.#fd, bytes, (failure, written) => resolve([failure, written]));
    });
    if (error === null) return count;
    const code = codeOf(error);
    if (code === 'EAGAIN') return 0;
    // A reader that went away (`| head`) ends the command without a message.
    if (code === 'EPIPE') process.exit(EXIT.done);
    throw new MajordomoError('ERR_OUTPUT', `standard output: ${messageOf(error)}`);
  }
}

/**
 * A pipe is opened again, so that a write to it never blocks: Node does not end while one does. Whoever else
 * has the pipe does not notice. Files and terminals do not stay full.
 */
function notBlocking(): number {
  if (!fstatSync(STDOUT).isFIFO()) return STDOUT;
  try {
    return openSync(`/proc/self/fd/${STDOUT}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // Without /proc, a reader that stalls delays the end of the command.
    return STDOUT;
  }
}

function tooSlow(delayMs: number): MajordomoError {
  const text = `standard output has taken nothing for ${delayMs} ms, because its reader is too slow`;
  return new MajordomoError('ERR_STREAM_TOO_SLOW', text, { details: { delayMs } });
}

/** Returns a signal that aborts when the user ends the command, or `end` is called. */
export function untilSignal(): { readonly ended: AbortSignal; readonly end: () => void } {
  const controller = new AbortController();
  const end = (): void => controller.abort();
  process.once('SIGINT', end).once('SIGTERM', end);
  return { ended: controller.signal, end };
}
