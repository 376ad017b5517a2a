/** The table of all lists: sorting, pages, columns that a narrow screen drops, and why it is empty. */
import { type Signal, useSignal } from '@preact/signals';
import { type ComponentChildren, Fragment, type VNode } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

import { filter, setFilters } from './address.js';
import { Button } from './controls.js';
import { count } from './format.js';

export interface Column<Item> {
  readonly head: string;
  readonly cell: (item: Item) => ComponentChildren;
  /** The value to sort by; without it the column cannot be sorted. */
  readonly by?: (item: Item) => string | number;
  /** What the figures are, as the tooltip of the head. */
  readonly about?: string;
  readonly isNumber?: boolean;
  /** The first sort is from large to small. */
  readonly isLargeFirst?: boolean;
  /** Why the cell needs a person; `null`: it does not. */
  readonly alarm?: (item: Item) => string | null;
  /** The reason for the alarm is shown, as the head does not tell it. */
  readonly saysAlarm?: true;
  /** The narrower the table, the more columns it drops: first 1, on a phone up to 3, there in large type also 4. */
  readonly drop?: 1 | 2 | 3 | 4;
  /** Where the column is dropped, it stands in a second line of the row. */
  readonly isBelow?: true;
}

/** A column of numbers. @param shown its text; `null`: not known */
export function numeric<Item>(
  head: string,
  by: (item: Item) => number | null,
  shown: (value: number | null) => string = count,
  more: Partial<Column<Item>> = {},
): Column<Item> {
  return {
    head,
    cell: (item) => shown(by(item)),
    by: (item) => by(item) ?? -1,
    isNumber: true,
    isLargeFirst: true,
    ...more,
  };
}

interface TableOf<Item> {
  readonly label: string;
  readonly columns: readonly Column<Item>[];
  readonly items: readonly Item[];
  readonly rowKey: (item: Item, index: number) => string;
  /** The first sort column; absent: rows keep their order until a head is pressed. */
  readonly sortedBy?: string;
  /** Rows cannot be sorted: these are not all of them. */
  readonly isFixed?: boolean;
  /** Rows per page; absent: all. */
  readonly pageRows?: number;
  readonly empty: ComponentChildren;
}

/** The width, in the size of type, from which columns with this `drop` are shown. */
const WIDTHS = [0, 62.5, 50, 35, 19];

interface Sort {
  readonly head: string;
  readonly isReversed: boolean;
}

/** The names of a table's order and page in the address. */
function sortName(label: string): string {
  return `sort.${nameOf(label)}`;
}

function pageName(label: string): string {
  return `page.${nameOf(label)}`;
}

function nameOf(label: string): string {
  return label.toLowerCase().replaceAll(/\W+/g, '-');
}

/** The order in the address, `Head` or `-Head` from large to small; otherwise the first one of the table. */
function sortOf<Item>(
  written: string,
  columns: readonly Column<Item>[],
  sortedBy: string | undefined,
): Sort | null {
  const chosen = columns.find(
    ({ head, by }) => by !== undefined && written.replace(/^-/, '') === head,
  );
  if (chosen !== undefined) return { head: chosen.head, isReversed: written.startsWith('-') };
  const first = columns.find(({ head }) => head === sortedBy);
  return first === undefined ? null : { head: first.head, isReversed: first.isLargeFirst === true };
}

export function Table<Item>(given: TableOf<Item>): VNode {
  const { label, items, rowKey, sortedBy, pageRows, empty } = given;
  const isFixed = given.isFixed === true;
  const sort = sortOf(filter(sortName(label)), given.columns, sortedBy);
  const page = Number(filter(pageName(label)) || 1) - 1;
  const width = useSignal(Infinity);
  if (items.length === 0) return <div class="table">{empty}</div>;
  const isShown = ({ drop }: Column<Item>): boolean => width.value >= (WIDTHS[drop ?? 0] ?? 0);
  const columns = given.columns.filter(isShown);
  const hidden = given.columns.filter((column) => !isShown(column));
  const below = hidden.filter(({ isBelow }) => isBelow === true);
  const sortsBelow = isFixed ? [] : below.filter(({ by }) => by !== undefined);
  const dropped = hidden.filter(({ isBelow }) => isBelow !== true).map(({ head }) => head);
  const sorted = isFixed ? items : sortedItems(items, given.columns, sort);
  const rows = pageRows ?? sorted.length;
  const pages = Math.ceil(sorted.length / rows);
  const at = Math.max(0, Math.min(page, pages - 1)) || 0;
  const from = at * rows;
  const shown = sorted.slice(from, from + rows);
  const press = ({ head, isLargeFirst }: Column<Item>): void => {
    const isReversed = sort?.head === head ? !sort.isReversed : isLargeFirst === true;
    setFilters({ [sortName(label)]: `${isReversed ? '-' : ''}${head}`, [pageName(label)]: '' });
  };
  const head = (column: Column<Item>): VNode => (
    <Head
      key={column.head}
      column={column}
      sort={sort}
      press={isFixed || column.by === undefined ? null : press}
    />
  );
  const turn = (said: string, to: number): VNode => {
    const isDisabled = to < 0 || to >= pages;
    const act = (): void => setFilters({ [pageName(label)]: to === 0 ? '' : String(to + 1) });
    return <Button label={said} style="button small" isDisabled={isDisabled} act={act} />;
  };
  return (
    <div class="table">
      <Scroller label={label} width={width}>
        <table aria-label={label}>
          <thead>
            <tr class={sortsBelow.length === 0 ? undefined : 'upper'}>{columns.map(head)}</tr>
            <SortsBelow columns={sortsBelow} all={columns.length} sort={sort} press={press} />
          </thead>
          <tbody>
            {shown.map((item, index) => (
              <Fragment key={rowKey(item, index)}>
                <tr class={below.length === 0 ? undefined : 'upper'}>
                  {columns.map((column) => {
                    const alarm = column.alarm?.(item) ?? null;
                    return (
                      <td
                        key={column.head}
                        class={styleOf(column, alarm !== null)}
                        title={alarm ?? undefined}
                      >
                        {column.cell(item)}
                        {alarm !== null && column.saysAlarm === true ? (
                          <span class="why"> {alarm}</span>
                        ) : null}
                      </td>
                    );
                  })}
                </tr>
                {below.length === 0 ? null : (
                  <tr>
                    <td class="below" colSpan={columns.length}>
                      {below.map((column) => (
                        <Below key={column.head} column={column} item={item} />
                      ))}
                    </td>
                  </tr>
                )}
              </Fragment>
            ))}
          </tbody>
        </table>
      </Scroller>
      {dropped.length === 0 ? null : (
        <p class="dropped">{`Wider screens also show: ${dropped.join(' · ')}`}</p>
      )}
      {pages > 1 ? (
        <nav class="pager" aria-label="Pages">
          {turn('Previous', at - 1)}
          <span>{`${count(from + 1)}–${count(from + shown.length)} of ${count(sorted.length)}`}</span>
          {turn('Next', at + 1)}
        </nav>
      ) : null}
    </div>
  );
}

/** A dropped column in the second line of a row, with its head. */
function Below<Item>({ column, item }: { column: Column<Item>; item: Item }): VNode {
  const alarm = column.alarm?.(item) ?? null;
  return (
    <span class={alarm === null ? undefined : 'bad'} title={alarm ?? undefined}>
      {`${column.head} `}
      <b>{column.cell(item)}</b>
    </span>
  );
}

interface SortsOf<Item> {
  readonly columns: readonly Column<Item>[];
  readonly all: number;
  readonly sort: Sort | null;
  readonly press: (column: Column<Item>) => unknown;
}

/** The heads of what stands in second lines, to sort by. */
function SortsBelow<Item>({ columns, all, sort, press }: SortsOf<Item>): VNode | null {
  if (columns.length === 0) return null;
  return (
    <tr>
      <td class="below" colSpan={all}>
        {columns.map((column) => {
          const { head } = column;
          const isPressed = sort?.head === head;
          const arrow = !isPressed ? '' : sort.isReversed ? ' ↓' : ' ↑';
          const label = `${head}${arrow}`;
          const act = (): unknown => press(column);
          return (
            <span key={head}>
              <Button label={label} style="sort" isPressed={isPressed} act={act} />
            </span>
          );
        })}
      </td>
    </tr>
  );
}

interface HeadOf<Item> {
  readonly column: Column<Item>;
  readonly sort: Sort | null;
  readonly press: ((column: Column<Item>) => unknown) | null;
}

function Head<Item>({ column, sort, press }: HeadOf<Item>): VNode {
  const { head } = column;
  const order = sort?.isReversed === true ? 'descending' : 'ascending';
  const ariaSort = sort?.head === head ? order : 'none';
  return (
    <th
      scope="col"
      class={styleOf(column, false)}
      aria-sort={press === null ? undefined : ariaSort}
      title={column.about}
    >
      {press === null ? head : <Button label={head} style="sort" act={() => press(column)} />}
    </th>
  );
}

/** Says that there is more to the right, and can then be scrolled by keys. */
interface ScrollerOf {
  readonly label: string;
  readonly width: Signal<number>;
  readonly children: ComponentChildren;
}

function Scroller({ label, width, children }: ScrollerOf): VNode {
  const frame = useRef<HTMLDivElement>(null);
  const hidden = useSignal<'none' | 'right' | 'left'>('none');
  const look = (): void => {
    const { scrollWidth = 0, clientWidth = 0, scrollLeft = 0 } = frame.current ?? {};
    width.value = clientWidth / parseFloat(getComputedStyle(document.documentElement).fontSize);
    const isOver = scrollWidth > clientWidth + 1;
    const isAtEnd = scrollLeft + clientWidth >= scrollWidth - 1;
    hidden.value = !isOver ? 'none' : isAtEnd ? 'left' : 'right';
  };
  useLayoutEffect(() => {
    look();
    const observer = new ResizeObserver(look);
    const { current } = frame;
    for (const each of [current, ...(current?.children ?? [])]) {
      if (each !== null) observer.observe(each);
    }
    return () => observer.disconnect();
  }, []);
  const isOver = hidden.value !== 'none';
  return (
    <>
      <p class="more" hidden={hidden.value !== 'right'}>
        More to the right →
      </p>
      <div
        ref={frame}
        class="frame"
        onScroll={look}
        {...(isOver ? { tabIndex: 0, role: 'region', 'aria-label': `${label}, scrollable` } : {})}
      >
        {children}
      </div>
    </>
  );
}

function styleOf<Item>({ isNumber }: Column<Item>, isAlarming: boolean): string | undefined {
  const style = `${isNumber === true ? 'number' : ''} ${isAlarming ? 'bad' : ''}`.trim();
  return style === '' ? undefined : style;
}

function sortedItems<Item>(
  items: readonly Item[],
  columns: readonly Column<Item>[],
  sort: Sort | null,
): readonly Item[] {
  const by = columns.find(({ head }) => head === sort?.head)?.by;
  if (by === undefined) return items;
  const sign = sort?.isReversed === true ? -1 : 1;
  const keyed = items.map((item) => ({ item, value: by(item) }));
  keyed.sort((left, right) => sign * compared(left.value, right.value));
  return keyed.map(({ item }) => item);
}

function compared(left: string | number, right: string | number): number {
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  return String(left) < String(right) ? -1 : Number(left !== right);
}
