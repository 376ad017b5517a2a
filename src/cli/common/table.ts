/** Tables that fit a terminal: every list of every command. */
import type { Facts } from './facts.js';
import { printable, styled } from './output.js';

/** A column of a table of `Item`s. */
export interface Column<Item> {
  readonly head: string;
  readonly cell: (item: Item) => string;
  /** Whether the cells are numbers, which are aligned at the right. */
  readonly right?: boolean;
  /** The turn in which a narrow terminal leaves the column out, the lowest number first; absent: it stays. */
  readonly drop?: number;
  /** Cuts this column, which stays, to the cells that are left; below this width, others are left out first. */
  readonly cut?: number;
}

/** The columns of a terminal that does not say how many it has, as over a serial line or in a container. */
const COLUMNS = 80;
const GAP = 2;
/** The widest column where no width is given: a longer cell moves the rest of its own line only. */
const ALIGNED_CELLS_MAX = 40;
const PRINTABLE_ASCII = /^[ -~]*$/;
/** Characters that take two cells of a terminal, and those that take none. */
const WIDE =
  /[\p{sc=Han}\p{sc=Hangul}\p{sc=Hiragana}\p{sc=Katakana}\p{Emoji_Presentation}\u3000-\u303f\uff01-\uff60\uffe0-\uffe6]/u;
const NO_WIDTH = /\p{M}/u;

/** Columns of the terminal; `Infinity` if standard output is none. */
export function terminalWidth(): number {
  return process.stdout.isTTY ? process.stdout.columns || COLUMNS : Infinity;
}

/**
 * Aligned columns under their heads, without those for which there is no room. No line is longer than the
 * width; without one, nothing is cut, and no line is filled up to the longest.
 */
export function table<Item>(
  columns: readonly Column<Item>[],
  items: readonly Item[],
  width: number = terminalWidth(),
): string {
  const all = columns.map((column) => {
    const cells = items.map(column.cell);
    const longest = [column.head, ...cells].reduce(
      (most, cell) => Math.max(most, cellsOf(cell)),
      0,
    );
    const widest = width === Infinity ? ALIGNED_CELLS_MAX : Infinity;
    return { ...column, cells, width: Math.min(longest, widest) };
  });
  const roomFor = (shown: typeof all): number =>
    shown.reduce((sum, each) => sum + Math.min(each.width, each.cut ?? Infinity) + GAP, -GAP);
  let shown = all;
  for (const { head } of inOrder(columns)) {
    if (roomFor(shown) <= width) break;
    shown = shown.filter((each) => each.head !== head);
  }
  const others = shown.reduce(
    (sum, each) => sum + (each.cut === undefined ? each.width : 0) + GAP,
    -GAP,
  );
  const room = Math.max(1, width - others);
  const line = (textOf: (column: (typeof all)[number]) => string): string => {
    const texts = shown.map((column) => {
      const wide = column.cut === undefined ? column.width : Math.min(column.width, room);
      const text = width === Infinity ? textOf(column) : clipped(textOf(column), wide);
      const blank = ' '.repeat(Math.max(0, wide - cellsOf(text)));
      return column.right === true ? blank + text : text + blank;
    });
    return clipped(texts.join(' '.repeat(GAP)).trimEnd(), width);
  };
  const rows = items.map((_, at) => line(({ cells }) => cells[at] ?? ''));
  return `${[
    styled(
      line(({ head }) => head),
      'bold',
    ),
    ...rows,
  ].join('\n')}\n`;
}

/** Says in a help page what a narrow terminal shows. */
export function narrowText(columns: readonly Column<never>[]): string {
  const names = inOrder(columns).flatMap(({ head }) => head.trim() || []);
  const cut = columns.find((each) => each.cut !== undefined);
  const first = cut === undefined ? '' : `${cut.head} is cut, and then `;
  return `On a narrow terminal ${first}columns are left out, in this order:\n${names.join(', ')}. -o wide shows all.\n`;
}

function inOrder<Item extends Pick<Column<never>, 'head' | 'drop'>>(
  columns: readonly Item[],
): Item[] {
  return columns
    .filter(({ drop }) => drop !== undefined)
    .sort((a, b) => (a.drop ?? 0) - (b.drop ?? 0));
}

/** A column that shows a field as it is; `-` without one. */
export function field(
  head: string,
  name: string,
  more: Omit<Partial<Column<Facts>>, 'head' | 'cell'> = {},
): Column<Facts> {
  return { head, cell: (item) => printable(item[name] ?? '-'), ...more };
}

/** What stands in the place of what a node tells only to those with a token. */
export const NEEDS_TOKEN = 'needs a token';

/** A column of a field that is null only for readers without a token. */
export function lockedField(
  head: string,
  name: string,
  more: Parameters<typeof field>[2] = {},
): Column<Facts> {
  const cell = (item: Facts): string => printable(item[name] === null ? NEEDS_TOKEN : item[name]);
  return { ...field(head, name, more), cell };
}

/** How many cells of a terminal a line of text takes. */
export function cellsOf(text: string): number {
  if (PRINTABLE_ASCII.test(text)) return text.length;
  let cells = 0;
  for (const each of text) cells += WIDE.test(each) ? 2 : NO_WIDTH.test(each) ? 0 : 1;
  return cells;
}

/** Text on one line, cut so that it takes at most that many cells. */
export function clipped(text: string, width: number): string {
  if (text.length <= width / 2 || cellsOf(text) <= width) return text;
  let [start, cells] = ['', 1];
  for (const each of text) {
    cells += cellsOf(each);
    if (cells > width) break;
    start += each;
  }
  return width < 1 ? '' : `${start}…`;
}

/** Breaks a text into lines of at most that many cells, and keeps its styles. */
export function folded(text: string, width: number): string {
  let [all, cells] = ['', 0];
  for (const [each] of text.matchAll(/\u001b\[[\d;]*m|./gsu)) {
    const more = /^[\u001b\n]/.test(each) ? 0 : cellsOf(each);
    if (cells + more > width) [all, cells] = [`${all}\n`, 0];
    all += each;
    cells = each === '\n' ? 0 : cells + more;
  }
  return all;
}
