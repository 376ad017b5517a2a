/** The terminal during `top` and `--watch`: its alternate screen, and the keys that end it. */
import { clipped, terminalWidth } from './table.js';

/** Columns and rows of a terminal; `Infinity`: unlimited. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** Lines do not wrap: what is too long is cut at the edge. */
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l';
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l';
const CURSOR_HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';
const ROWS = 24;
const CTRL_C = '\u0003';

export class Screen {
  readonly #left = new AbortController();
  #draw: ((size: Size) => string) | null = null;

  constructor() {
    process.stdout.write(ENTER);
    process.stdout.on('resize', this.#redraw);
    if (process.stdin.isTTY) process.stdin.setRawMode(true);
    process.stdin.on('data', this.#key);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, this.#leave);
    }
  }

  /** Aborted when the user wants to leave. */
  get left(): AbortSignal {
    return this.#left.signal;
  }

  /** @param draw called again when the size changes */
  show(draw: (size: Size) => string): void {
    this.#draw = draw;
    this.#redraw();
  }

  /** Restores the terminal. */
  close(): void {
    process.stdout.off('resize', this.#redraw);
    process.stdin.off('data', this.#key);
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
    process.stdin.pause();
    process.stdout.write(LEAVE);
  }

  readonly #leave = (): void => this.#left.abort();

  readonly #key = (bytes: Buffer): void => {
    const keys = bytes.toString('latin1');
    if (keys.includes('q') || keys.includes(CTRL_C)) this.#leave();
  };

  readonly #redraw = (): void => {
    // A serial line or a container's terminal reports 0.
    const columns = terminalWidth();
    const rows = process.stdout.rows || ROWS;
    const all = (this.#draw?.({ columns, rows }) ?? '').replace(/\n$/, '').split('\n');
    const left = all.length - rows;
    const lines = all.slice(0, rows);
    if (left > 0) lines[rows - 1] = clipped(`and ${left + 1} more lines`, columns);
    // Overwrites line by line: clearing the screen first would flicker. A line may end at the edge.
    const text = lines.map((line) => CLEAR_LINE + line).join('\r\n');
    process.stdout.write(CURSOR_HOME + text + CLEAR_BELOW);
  };
}
