/** Loads something again and again while the page is visible. */
import { type Signal, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';

import { token } from './api.js';

export interface Polled<Answer> {
  /** `null`: not loaded yet. */
  readonly answer: Answer | null;
  /** Why the last attempt failed; `null`: it did not. */
  readonly error: unknown;
  readonly reload: () => Promise<void>;
}

/**
 * @param about what is loaded: if it changes, the answer is loaded anew
 * @param delayMs from one answer to the next request
 */
export function usePolled<Answer>(
  about: string,
  load: () => Promise<Answer>,
  delayMs: number | ((answer: Answer | null) => number),
): Polled<Answer> {
  const answer: Signal<Answer | null> = useSignal<Answer | null>(null);
  const error = useSignal<unknown>(null);
  /** The latest `load`, and a number for each run: only the newest one may set the answer. */
  const latest = useRef({ load, delayMs, run: 0 });
  latest.current.load = load;
  latest.current.delayMs = delayMs;
  const reload = async (): Promise<void> => {
    const run = ++latest.current.run;
    try {
      const loaded = await latest.current.load();
      if (run !== latest.current.run) return;
      answer.value = loaded;
      error.value = null;
    } catch (failed) {
      if (run === latest.current.run) error.value = failed;
    }
  };
  // A token shows more, and its loss less.
  const given = token.value;
  useEffect(() => {
    let timer: number | undefined;
    let isOver = false;
    const repeat = async (): Promise<void> => {
      if (!document.hidden) await reload();
      if (!isOver) {
        const { delayMs: delay } = latest.current;
        timer = setTimeout(
          () => void repeat(),
          typeof delay === 'number' ? delay : delay(answer.peek()),
        );
      }
    };
    void repeat();
    return () => {
      isOver = true;
      latest.current.run++;
      clearTimeout(timer);
    };
  }, [about, given]);
  return { answer: answer.value, error: error.value, reload };
}
