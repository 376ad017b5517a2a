/** Loads something again and again while the page is visible. */
import { type Signal, useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect } from 'preact/hooks';

import { commands, forgotten, token } from './api.js';

export interface Polled<Answer> {
  /** `null`: not loaded yet. */
  readonly answer: Answer | null;
  /** Why the last attempt failed; `null`: it did not. */
  readonly error: unknown;
  /** Whether a command was carried out after the answer was asked for: what came of it is not known yet. */
  readonly isBehind: boolean;
  /** Loads it now. */
  readonly again: () => unknown;
}

/**
 * @param about what is loaded: if it changes, the answer is loaded anew
 * @param load is told whether its answer is still wanted
 * @param delayMs from one answer to the next request
 */
export function usePolled<Answer>(
  about: string,
  load: (isOver: () => boolean) => Promise<Answer>,
  delayMs: number | ((answer: Answer | null) => number),
): Polled<Answer> {
  const answer: Signal<Answer | null> = useSignal<Answer | null>(null);
  const error = useSignal<unknown>(null);
  /** The count of commands when the answer was asked for. */
  const asOf = useSignal(commands.peek());
  const asked = useSignal(0);
  // What only the token showed.
  useLayoutEffect(() => {
    answer.value = null;
  }, [forgotten.value]);
  useEffect(() => {
    let timer: number | undefined;
    let isOver = false;
    const run = async (): Promise<void> => {
      const before = commands.peek();
      try {
        const loaded = document.hidden ? null : await load(() => isOver);
        if (loaded !== null && !isOver) {
          answer.value = loaded;
          asOf.value = before;
        }
        if (!isOver) error.value = null;
      } catch (failed) {
        if (!isOver) error.value = failed;
      }
      const delay = typeof delayMs === 'number' ? delayMs : delayMs(answer.peek());
      if (!isOver) timer = setTimeout(() => void run(), delay);
    };
    void run();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
    // A token shows more, and its loss less.
  }, [about, token.value, commands.value, asked.value]);
  const isBehind = asOf.value !== commands.value;
  return { answer: answer.value, error: error.value, isBehind, again: () => asked.value++ };
}
