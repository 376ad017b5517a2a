/**
 * Loaded before the program of each process: tells what is alive in the heap of its main thread, with the buffers that
 * belong to it, after a collection, whenever it is asked. Resident memory also has what V8 and malloc keep for later.
 */
import type { ChildProcess } from 'node:child_process';

const QUESTION = 'live';
const ANSWER_MS = 10_000;

/** Options of Node.js for a process that can be asked. */
export const ASKED_OPTIONS: readonly string[] = ['--expose-gc', '--import', import.meta.filename];

interface Answer {
  readonly live: number;
}

/** Asks a process that was started with `ASKED_OPTIONS` and an IPC channel. @returns bytes; `null`: it does not answer */
export async function liveOf(child: ChildProcess): Promise<number | null> {
  return await new Promise((resolve) => {
    const settle = (bytes: number | null): void => {
      clearTimeout(timer);
      child.off('message', hear);
      resolve(bytes);
    };
    const hear = (message: unknown): void => {
      if (isAnswer(message)) settle(message.live);
    };
    const timer = setTimeout(settle, ANSWER_MS, null);
    child.on('message', hear);
    child.send(QUESTION, (error) => {
      if (error !== null) settle(null);
    });
  });
}

export function isAnswer(message: unknown): message is Answer {
  return typeof message === 'object' && message !== null && 'live' in message;
}

if (process.execArgv.includes(import.meta.filename)) {
  process.on('message', (message) => {
    if (message !== QUESTION) return;
    globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    process.send?.({ live: heapUsed + external } satisfies Answer);
  });
  // A process that has nothing else to do ends.
  process.channel?.unref();
}
