import type { EventStream } from './event-stream.js';
import type { NodeWatch } from './node-watch.js';

/** Shared by all views. */
export interface Context {
  readonly watch: NodeWatch;
  readonly stream: EventStream;
}

/** The address within the page: `#/durable/UUID?state=dead`. */
export interface ViewAddress {
  /** The part after the view's name, decoded. */
  readonly detail: string | null;
  readonly query: URLSearchParams;
}

/** The content of the page. */
export interface View {
  readonly element: HTMLElement;
  /** Called when the view is no longer shown. */
  close(): void;
}

export function linkTo(view: string, detail?: string, query: Record<string, string> = {}): string {
  const path = detail === undefined ? `#/${view}` : `#/${view}/${encodeURIComponent(detail)}`;
  const text = new URLSearchParams(query).toString();
  return text === '' ? path : `${path}?${text}`;
}

/**
 * Runs `load` now, and again `delayMs()` after each run, while the page is visible.
 * @returns a function that stops it
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
