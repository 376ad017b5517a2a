import type { EventStream } from './event-stream.js';
import type { NodeWatch } from './node-watch.js';

/** What all views are made from. */
export interface Context {
  readonly watch: NodeWatch;
  readonly stream: EventStream;
}

/** Where the page is: `#/durable/UUID?state=dead`. */
export interface Place {
  /** Behind the view's name, decoded. */
  readonly detail: string | null;
  readonly query: URLSearchParams;
}

/** What stands in the middle of the page. */
export interface View {
  readonly element: HTMLElement;
  /** It is not shown any more. */
  close(): void;
}

export function linkTo(view: string, detail?: string, query: Record<string, string> = {}): string {
  const path = detail === undefined ? `#/${view}` : `#/${view}/${encodeURIComponent(detail)}`;
  const text = new URLSearchParams(query).toString();
  return text === '' ? path : `${path}?${text}`;
}

/**
 * Runs `load` now and again some time after each end, while the page is seen; `delayMs` is asked
 * each time.
 * @returns what ends it
 */
export function repeatedly(load: () => Promise<void>, delayMs: () => number): () => void {
  let timer: number | undefined;
  let isOver = false;
  const run = async (): Promise<void> => {
    if (!document.hidden) await load();
    if (!isOver) timer = setTimeout(() => void run(), delayMs());
  };
  void run();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}
