/**
 * Standard output for a stream that must not be late. `process.stdout` makes the whole process wait for the
 * reader of a pipe; this waits in another thread, so that the wait can be limited.
 */
import { write } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

import { codeOf, MajordomoError, messageOf } from '../core/errors.js';
import { EXIT } from '../core/exit.js';

const STDOUT = 1;
/** After how long a full pipe that does not block is tried again. */
const RETRY_MS = 20;

/**
 * Writes a line.
 * @param patienceMs how long the reader may take; `null`: as long as it likes
 * @throws ERR_STREAM_TOO_SLOW, ERR_OUTPUT
 */
export async function writeLine(line: string, patienceMs: number | null): Promise<void> {
  const written = writeAll(Buffer.from(line));
  if (patienceMs === null) {
    await written;
    return;
  }
  const done = new AbortController();
  const late = pause(patienceMs, true, { signal: done.signal }).catch(() => false);
  const isLate = await Promise.race([late, written.then(() => false)]);
  done.abort();
  if (!isLate) return;
  const text = `the reader of standard output is more than ${patienceMs} ms late`;
  throw new MajordomoError('ERR_STREAM_TOO_SLOW', text, { details: { delayMs: patienceMs } });
}

async function writeAll(bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await writeSome(bytes.subarray(at));
}

async function writeSome(bytes: Buffer): Promise<number> {
  const [error, count] = await new Promise<[NodeJS.ErrnoException | null, number]>((resolve) => {
    write(STDOUT, bytes, (failure, written) => {
      resolve([failure, written]);
    });
  });
  if (error === null) return count;
  // A reader that went away (`| head`) ends the command without a message.
  if (codeOf(error) === 'EPIPE') process.exit(EXIT.done);
  if (codeOf(error) !== 'EAGAIN') {
    throw new MajordomoError('ERR_OUTPUT', `standard output: ${messageOf(error)}`);
  }
  await pause(RETRY_MS);
  return 0;
}
