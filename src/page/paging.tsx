/** Lists that the API gives page by page, in the order that they have there. */
import type { VNode } from 'preact';
import { useRef } from 'preact/hooks';

import type { Page } from '../admin/api/words.js';
import { filter, setFilters } from './address.js';
import { get, messageOf } from './api.js';
import { Button } from './controls.js';
import { type Polled, usePolled } from './poll.js';

const EVERY_MS = 5000;
const PAGE_ROWS = 50;
/** A page of the API may be empty though more follow: the view loads up to this many more. */
const TRIES_MAX = 10;

/** The query of a page. */
type PagePath = (query: { readonly cursor: string; readonly limit: string }) => string;

/** Loads pages of the API until one page of the view is full, or the list ends. */
async function loadPage<Item>(
  path: PagePath,
  from: string,
  isOver: () => boolean,
): Promise<Page<Item>> {
  const items: Item[] = [];
  let cursor = from;
  for (let tries = 0; ; tries++) {
    const page = await get<Page<Item>>(path({ cursor, limit: String(PAGE_ROWS - items.length) }));
    items.push(...page.items);
    const isDone = page.next === null || items.length >= PAGE_ROWS;
    if (isDone || tries === TRIES_MAX || isOver()) return { items, next: page.next };
    cursor = page.next;
  }
}

interface Paged<Item> {
  readonly polled: Polled<Page<Item>>;
  /** Whether the shown page is all of the list. */
  readonly isWhole: boolean;
  /** The buttons below the list. */
  readonly pager: VNode;
}

/** @param labels of the first page, and of the buttons that lead back and on */
export function usePages<Item>(
  path: PagePath,
  [first, back, on]: readonly [string, string, string],
): Paged<Item> {
  const cursor = filter('at');
  const page = cursor === '' ? 1 : Number(filter('page') || 2);
  /** The cursor of the page before, by that of each page that was reached from it. */
  const before = useRef(new Map<string, string>());
  const turn = (to: string, number: number): void =>
    setFilters({ at: to, page: to === '' ? '' : String(number) });
  const load = (isOver: () => boolean): Promise<Page<Item>> => loadPage<Item>(path, cursor, isOver);
  const polled = usePolled(cursor, load, EVERY_MS);
  const { answer, error } = polled;
  const next = answer?.next ?? null;
  const isFirst = cursor === '';
  const said = isFirst ? first : `page ${page}`;
  const pager = (
    <nav class="pager" aria-label="Pages">
      <span class="quiet" role="status">
        {error === null ? said : messageOf(error)}
      </span>
      <Button
        label={back}
        style="button small"
        isDisabled={isFirst}
        act={() => turn(before.current.get(cursor) ?? '', page - 1)}
      />
      <Button
        label={on}
        style="button small"
        isDisabled={next === null}
        act={() => {
          if (next === null) return;
          before.current.set(next, cursor);
          turn(next, page + 1);
        }}
      />
    </nav>
  );
  return { polled, isWhole: isFirst && answer !== null && next === null, pager };
}
