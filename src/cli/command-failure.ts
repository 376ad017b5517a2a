/** The failure that clients of `majordomo worker` get if its command fails. */
import { ServiceError } from '../sdk/service-error.js';

/** sysexits.h: its input or arguments are wrong, so another attempt would fail, too. */
const EX_USAGE = 64;
const EX_DATAERR = 65;
/** sysexits.h: it may succeed elsewhere or later. */
const EX_TEMPFAIL = 75;
/** How much of a command's standard error is kept. */
const TAIL_BYTES = 4096;

/** The end of a command's standard error. */
export class StderrTail {
  #tail: Buffer = Buffer.alloc(0);

  add(chunk: Buffer): void {
    this.#tail =
      chunk.length >= TAIL_BYTES
        ? Buffer.from(chunk.subarray(-TAIL_BYTES))
        : Buffer.concat([this.#tail, chunk]).subarray(-TAIL_BYTES);
  }

  get bytes(): Buffer {
    let start = 0;
    // Drops a character that the cut has split: at most three bytes continue one.
    while (start < 3 && ((this.#tail[start] ?? 0) & 0xc0) === 0x80) start++;
    return Buffer.from(this.#tail.subarray(start));
  }

  /** The last line that is not blank; empty if there is none. */
  get lastLine(): string {
    const lines = this.bytes.toString('utf8').split(/[\r\n]+/);
    return lines.map((line) => line.trim()).findLast((line) => line !== '') ?? '';
  }
}

/** The command ended by itself. @param status its exit status; `null`: a signal ended it */
export function commandFailure(
  status: number | null,
  signal: NodeJS.Signals | null,
  stderr: StderrTail,
): ServiceError {
  const code = status === null ? `signal-${signal ?? 'unknown'}` : `exit-${status}`;
  const retry = status === EX_TEMPFAIL ? 'elsewhere' : status !== EX_USAGE && status !== EX_DATAERR;
  return withDetail(new ServiceError(code, stderr.lastLine, { retry }), stderr);
}

/** Why the worker stopped a command. `too-large` is also the code of the SDK, for the same reason. */
export type StopCode = 'timeout' | 'too-large' | 'stopped';

/** Another attempt would write as much again. */
const RETRY = {
  timeout: true,
  'too-large': false,
  stopped: 'elsewhere',
  'not-started': 'elsewhere',
} as const;

/** The worker stopped the command, or could not start it. */
export function endedFailure(
  code: StopCode | 'not-started',
  text: string,
  stderr: StderrTail,
): ServiceError {
  return withDetail(new ServiceError(code, text, { retry: RETRY[code] }), stderr);
}

function withDetail(error: ServiceError, { bytes }: StderrTail): ServiceError {
  return bytes.length === 0 ? error : Object.assign(error, { detail: [bytes] });
}
