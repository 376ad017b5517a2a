/** A table with sortable columns and pages. An update keeps the elements of its rows. */
import { attribute, button, el, fill, KeyedList, text } from './dom.js';
import { count } from './format.js';

export interface Column<Item> {
  readonly head: string;
  /** Makes the content of a cell once; `show` updates it. */
  readonly make?: (item: Item) => HTMLElement;
  readonly show?: (item: Item, cell: HTMLElement) => void;
  /** The value to sort by; without it the column cannot be sorted. */
  readonly by?: (item: Item) => string | number;
  readonly isNumber?: boolean;
  /** Hidden on a phone. */
  readonly isMinor?: boolean;
  /** The first sort is from large to small. */
  readonly isLargeFirst?: boolean;
}

export interface TableOptions<Item> {
  readonly label: string;
  readonly columns: readonly Column<Item>[];
  readonly key: (item: Item) => string;
  /** The initial sort column; `null`: rows keep their order, and the table cannot be sorted. */
  readonly sortedBy: number | null;
  /** Rows per page; `null`: all. */
  readonly pageRows: number | null;
  readonly whenEmpty: HTMLElement;
}

export class DataTable<Item> {
  readonly element: HTMLElement;
  readonly #options: TableOptions<Item>;
  readonly #heads: HTMLElement[];
  readonly #list: KeyedList<Item>;
  readonly #table: HTMLElement;
  readonly #pager = el('nav', { class: 'pager', 'aria-label': 'Pages', hidden: true });
  readonly #where = el('span', {});
  readonly #before: HTMLButtonElement;
  readonly #after: HTMLButtonElement;
  #items: readonly Item[] = [];
  #column: number | null;
  #isReversed = false;
  #page = 0;

  constructor(options: TableOptions<Item>) {
    this.#options = options;
    this.#column = options.sortedBy;
    this.#isReversed = options.columns[options.sortedBy ?? -1]?.isLargeFirst ?? false;
    this.#heads = options.columns.map((column, index) => this.#head(column, index));
    const body = el('tbody');
    this.#list = new KeyedList(body, options.key, (item) => this.#row(item));
    this.#table = el(
      'table',
      { 'aria-label': options.label },
      el('thead', {}, el('tr', {}, ...this.#heads)),
      body,
    );
    this.#before = button('Previous', 'button small', () => {
      this.#turn(-1);
    });
    this.#after = button('Next', 'button small', () => {
      this.#turn(1);
    });
    fill(this.#pager, this.#before, this.#where, this.#after);
    const { whenEmpty } = options;
    this.element = el('div', { class: 'table' }, this.#table, whenEmpty, this.#pager);
    whenEmpty.hidden = true;
    this.#mark();
  }

  show(items: readonly Item[]): void {
    this.#items = items;
    this.#draw();
  }

  /** Returns to the first page, because other items follow. */
  rewind(): void {
    this.#page = 0;
  }

  #draw(): void {
    const { pageRows, whenEmpty } = this.#options;
    const sorted = this.#sorted();
    const rows = pageRows ?? Math.max(1, sorted.length);
    const pages = Math.max(1, Math.ceil(sorted.length / rows));
    this.#page = Math.min(this.#page, pages - 1);
    const from = this.#page * rows;
    const shown = sorted.slice(from, from + rows);
    this.#list.show(shown);
    whenEmpty.hidden = shown.length > 0;
    this.#table.hidden = shown.length === 0;
    attribute(this.#pager, 'hidden', pages === 1);
    this.#before.disabled = this.#page === 0;
    this.#after.disabled = this.#page === pages - 1;
    const range = `${count(from + 1)}–${count(from + shown.length)}`;
    text(this.#where, `${range} of ${count(sorted.length)}`);
  }

  #sorted(): readonly Item[] {
    const by = this.#options.columns[this.#column ?? -1]?.by;
    if (by === undefined) return this.#items;
    const sign = this.#isReversed ? -1 : 1;
    const keyed = this.#items.map((item) => ({ item, value: by(item) }));
    keyed.sort((left, right) => sign * compared(left.value, right.value));
    return keyed.map(({ item }) => item);
  }

  #turn(pages: number): void {
    this.#page += pages;
    this.#draw();
  }

  #head({ head, by, isNumber, isMinor }: Column<Item>, index: number): HTMLElement {
    const style = cellStyle(isNumber, isMinor);
    const isFixed = by === undefined || this.#options.sortedBy === null;
    if (isFixed) return el('th', { scope: 'col', class: style }, head);
    const sort = button(head, 'sort', () => {
      const first = this.#options.columns[index]?.isLargeFirst ?? false;
      this.#isReversed = this.#column === index ? !this.#isReversed : first;
      this.#column = index;
      this.#page = 0;
      this.#mark();
      this.#draw();
    });
    return el('th', { scope: 'col', class: style }, sort);
  }

  #mark(): void {
    const order = this.#isReversed ? 'descending' : 'ascending';
    for (const [index, { by }] of this.#options.columns.entries()) {
      const head = this.#heads[index];
      if (head === undefined || by === undefined || this.#column === null) continue;
      attribute(head, 'aria-sort', index === this.#column ? order : 'none');
    }
  }

  #row(item: Item): { readonly element: HTMLElement; readonly update: (item: Item) => void } {
    const { columns } = this.#options;
    const cells = columns.map(({ make, isNumber, isMinor }) => {
      const content = make === undefined ? [] : [make(item)];
      return el('td', { class: cellStyle(isNumber, isMinor) }, ...content);
    });
    return {
      element: el('tr', {}, ...cells),
      update: (now) => {
        for (const [index, cell] of cells.entries()) columns[index]?.show?.(now, cell);
      },
    };
  }
}

function cellStyle(isNumber = false, isMinor = false): string | null {
  const style = [isNumber ? 'number' : '', isMinor ? 'minor' : ''].join(' ').trim();
  return style === '' ? null : style;
}

function compared(left: string | number, right: string | number): number {
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  return String(left) < String(right) ? -1 : Number(left !== right);
}
