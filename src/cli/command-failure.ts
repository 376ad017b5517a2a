/** What the clients of `majordomo worker` are told of a command that failed. */
import { ServiceError } from '../sdk/service-error.js';

/** sysexits.h: its input or its arguments are wrong, so another attempt would end the same. */
const EX_USAGE = 64;
const EX_DATAERR = 65;
/** sysexits.h: it may do better elsewhere, or later. */
const EX_TEMPFAIL = 75;
/** Of its standard error so much is kept. */
const TAIL_BYTES = 4096;

/** The end of a standard error. */
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
    // A character that the cut runs through is left out whole: at most three bytes continue one.
    while (start < 3 && ((this.#tail[start] ?? 0) & 0xc0) === 0x80) start++;
    return Buffer.from(this.#tail.subarray(start));
  }

  /** The last line that says something; empty if none does. */
  get lastLine(): string {
    const lines = this.bytes.toString('utf8').split(/[\r\n]+/);
    return lines.map((line) => line.trim()).findLast((line) => line !== '') ?? '';
  }
}

/** A command ended by itself. @param status of its exit; `null`: by that signal */
export function commandFailure(
  status: number | null,
  signal: NodeJS.Signals | null,
  stderr: StderrTail,
): ServiceError {
  const code = status === null ? `signal-${signal ?? 'unknown'}` : `exit-${status}`;
  const retry = status === EX_TEMPFAIL ? 'elsewhere' : status !== EX_USAGE && status !== EX_DATAERR;
  return withDetail(new ServiceError(code, stderr.lastLine, { retry }), stderr);
}

/** It was not let go on, or could not begin. */
export function endedFailure(
  code: 'timeout' | 'output-too-large' | 'not-started' | 'stopped',
  text: string,
  stderr: StderrTail,
): ServiceError {
  const retry = code === 'not-started' || code === 'stopped' ? 'elsewhere' : true;
  return withDetail(new ServiceError(code, text, { retry }), stderr);
}

function withDetail(error: ServiceError, { bytes }: StderrTail): ServiceError {
  return bytes.length === 0 ? error : Object.assign(error, { detail: [bytes] });
}
