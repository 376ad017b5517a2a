/** The list of stored requests, with filters by uuid, service, state and age. */
import type { Overview } from '../../admin/api/node-answers.js';
import type { StoredRequest } from '../../admin/api/stored-answers.js';
import type { Page } from '../../admin/api/words.js';
import { get, messageOf, withQuery } from '../api.js';
import { choice } from '../choice.js';
import type { DataTable } from '../data-table.js';
import { attempt } from '../dialogs.js';
import { button, el, text } from '../dom.js';
import { count } from '../format.js';
import { retryDead } from '../retry-dead.js';
import { requestTable, type Row, rowOf, SERVICE, STATE, UUID } from '../request-table.js';
import { ScheduleCard } from '../schedule-table.js';
import { empty } from '../status-line.js';
import { type Context, linkTo, type ViewAddress, repeatedly, type View } from '../view.js';

const EVERY_MS = 5000;
const PAGE_ROWS = 50;
/** A page of the API may be empty though more follow: the view loads up to this many more. */
const TRIES_MAX = 10;

const STATES = ['pending', 'dispatched', 'replied', 'dead'] as const;
const AGES: readonly (readonly [ms: string, label: string])[] = [
  ['', 'Any age'],
  ['60000', 'Older than 1 min'],
  ['600000', 'Older than 10 min'],
  ['3600000', 'Older than 1 h'],
  ['86400000', 'Older than 1 d'],
  ['604800000', 'Older than 7 d'],
];
/** Loads pages of the API until one page of the view is full, or the list ends. */
async function loadPage(
  parameters: Readonly<Record<string, string>>,
): Promise<Page<StoredRequest>> {
  const items: StoredRequest[] = [];
  let cursor = parameters['cursor'] ?? '';
  for (let tries = 0; ; tries++) {
    const limit = String(PAGE_ROWS - items.length);
    const path = withQuery('/api/v1/titanic/requests', { ...parameters, cursor, limit });
    const page = await get<Page<StoredRequest>>(path);
    items.push(...page.items);
    if (page.next === null || items.length >= PAGE_ROWS || tries === TRIES_MAX) {
      return { items, next: page.next };
    }
    cursor = page.next;
  }
}

export function durableView({ watch }: Context, { query }: ViewAddress): View {
  const search = el('input', {
    type: 'search',
    placeholder: 'UUID or service',
    'aria-label': 'Find by UUID or service',
    'data-search': true,
    spellcheck: 'false',
    value: query.get('service') ?? '',
  });
  const states = [['', 'Any state'], ...STATES.map((each) => [each, each] as const)] as const;
  const state = choice('State', states, query.get('state') ?? '');
  const age = choice('Age', AGES, query.get('olderThanMs') ?? '');
  const filters = el('form', { class: 'filters', role: 'search' }, search, state, age);
  const status = el('span', { class: 'quiet', role: 'status' });
  const table = requestTable({
    label: 'Durable requests',
    columns: [SERVICE, STATE],
    reload: () => list.load(),
    whenEmpty: empty('No requests', 'No stored request matches the filters.'),
  });
  const list = new Listing(table, status);
  const schedules = new ScheduleCard();
  const filter = (): Record<string, string> => ({
    service: search.value.trim(),
    state: state.value,
    olderThanMs: age.value,
  });
  const apply = (): void => {
    const wanted = search.value.trim();
    if (UUID.test(wanted)) {
      location.hash = linkTo('durable', wanted.toUpperCase());
      return;
    }
    const chosen = Object.fromEntries(Object.entries(filter()).filter(([, value]) => value !== ''));
    // The filter is in the address, to be shared; going back leaves the view.
    history.replaceState(null, '', linkTo('durable', undefined, chosen));
    retry.hidden = chosen['service'] === undefined;
    list.find(chosen);
  };
  const retry = button('Retry all dead', 'button', () => {
    const older = age.value === '' ? {} : { olderThanMs: Number(age.value) };
    const label = AGES.find(([ms]) => ms === age.value && ms !== '')?.[1].toLowerCase() ?? null;
    attempt(() => retryDead(search.value.trim(), older, label, () => list.load()));
  });
  filters.addEventListener('submit', (event) => {
    event.preventDefault();
    apply();
  });
  filters.addEventListener('change', apply);
  const counts = el('p', { class: 'stored-of' });
  const endCounts = watch.watch(({ overview }) => {
    const stored = overview?.stored ?? null;
    const none = overview === null ? '' : 'Durable requests are switched off on this node.';
    if (stored === null) text(counts, none);
    else showCounts(counts, stored);
  });
  apply();
  const endLoading = repeatedly(
    async () => {
      await Promise.all([list.load(), schedules.load()]);
    },
    () => EVERY_MS,
  );
  return {
    element: el(
      'div',
      { class: 'stack' },
      el(
        'section',
        { class: 'card' },
        el('header', { class: 'bar' }, el('h1', {}, 'Durable requests'), status, filters, retry),
        counts,
        table.element,
        list.pager,
      ),
      schedules.element,
    ),
    close: () => {
      endCounts();
      endLoading();
    },
  };
}

function showCounts(place: HTMLElement, stored: NonNullable<Overview['stored']>): void {
  const said = STATES.map((state) => `${count(stored[state])} ${state}`);
  if (place.dataset['said'] === said.join()) return;
  place.dataset['said'] = said.join();
  const links = STATES.flatMap((state, index) => [
    el('a', { href: linkTo('durable', undefined, { state }), class: 'count' }, said[index] ?? ''),
    ' ',
  ]);
  place.replaceChildren('All: ', ...links);
}

/** The pages of one list. */
class Listing {
  readonly pager: HTMLElement;
  readonly #table: DataTable<Row>;
  readonly #status: HTMLElement;
  readonly #newer: HTMLButtonElement;
  readonly #older: HTMLButtonElement;
  #filter: Readonly<Record<string, string>> = {};
  /** The cursors of the pages up to this one. */
  #cursors: string[] = [''];
  #next: string | null = null;
  #asked = 0;

  constructor(table: DataTable<Row>, status: HTMLElement) {
    this.#table = table;
    this.#status = status;
    this.#newer = button('Newer', 'button small', () => {
      this.#cursors.pop();
      void this.load();
    });
    this.#older = button('Older', 'button small', () => {
      if (this.#next !== null) this.#cursors.push(this.#next);
      void this.load();
    });
    this.pager = el('nav', { class: 'pager', 'aria-label': 'Pages' }, this.#newer, this.#older);
  }

  find(filter: Readonly<Record<string, string>>): void {
    this.#filter = filter;
    this.#cursors = [''];
    void this.load();
  }

  async load(): Promise<void> {
    const asked = ++this.#asked;
    try {
      const page = await loadPage({ ...this.#filter, cursor: this.#cursors.at(-1) ?? '' });
      // Another page was requested meanwhile.
      if (asked !== this.#asked) return;
      this.#next = page.next;
      this.#table.show(page.items.map(rowOf));
      this.#newer.disabled = this.#cursors.length === 1;
      this.#older.disabled = page.next === null;
      this.pager.hidden = this.#newer.disabled && this.#older.disabled;
      text(
        this.#status,
        this.#cursors.length === 1 ? 'newest first' : `page ${this.#cursors.length}`,
      );
    } catch (error) {
      if (asked === this.#asked) text(this.#status, messageOf(error));
    }
  }
}
