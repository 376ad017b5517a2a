/**
 * The script of a run: every actor's actions with their times. Recorded only when a failed seed is
 * run again, so otherwise it costs nothing.
 */
import { escapeName } from '../../../src/core/escape.js';

const LINES_MAX = 20_000;
const SHOWN_BYTES_MAX = 40;

export class Trace {
  readonly #lines: string[] | null;
  readonly #where: string;

  constructor(isKept: boolean, lines: string[] | null = isKept ? [] : null, where = '') {
    this.#lines = lines;
    this.#where = where;
  }

  /** Writes the same script; its names begin with `where`. */
  at(where: string): Trace {
    return new Trace(false, this.#lines, `${where} `);
  }

  note(now: number, who: string, what: string, frames: readonly Uint8Array[] = []): void {
    if (this.#lines === null) return;
    if (this.#lines.length >= LINES_MAX) this.#lines.splice(0, LINES_MAX / 2);
    const shown = frames.map(showFrame).join(' ');
    const name = `${this.#where}${who}`.padEnd(12);
    this.#lines.push(`${now.toFixed(0).padStart(7)}  ${name} ${what} ${shown}`.trimEnd());
  }

  last(count: number): readonly string[] {
    return this.#lines?.slice(-count) ?? [];
  }
}

function showFrame(frame: Uint8Array): string {
  if (frame.length === 0) return '[]';
  if (frame.length === 1) return `[0x${(frame[0] ?? 0).toString(16).padStart(2, '0')}]`;
  const text = escapeName(frame.subarray(0, SHOWN_BYTES_MAX));
  return frame.length > SHOWN_BYTES_MAX ? `[${text}… ${frame.length} bytes]` : `[${text}]`;
}
