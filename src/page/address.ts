/** The address within the page, `#/durable/UUID?state=dead`, and the filters that it keeps. */
import { signal } from '@preact/signals';

interface Address {
  readonly view: string;
  /** The part after the view's name, decoded; `null`: there is none. */
  readonly detail: string | null;
  readonly query: URLSearchParams;
}

function read(hash: string): Address {
  const [path = '', search = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const [view = '', detail = ''] = path.split('/', 2);
  let decoded: string | null = null;
  try {
    decoded = detail === '' ? null : decodeURIComponent(detail);
  } catch {
    // A truncated address: show the list.
  }
  return { view, detail: decoded, query: new URLSearchParams(search) };
}

export const address = signal<Address>(read(''));

/** Reads the address now, and whenever it changes. @param changed another view is shown */
export function followAddress(changed: () => void): void {
  address.value = read(location.hash);
  addEventListener('hashchange', () => {
    const { view, detail } = address.value;
    address.value = read(location.hash);
    if (address.value.view !== view || address.value.detail !== detail) changed();
  });
}

export function linkTo(view: string, detail?: string, query: Record<string, string> = {}): string {
  const path = detail === undefined ? `#/${view}` : `#/${view}/${encodeURIComponent(detail)}`;
  const given = Object.entries(query).filter(([, value]) => value !== '');
  const text = new URLSearchParams(given).toString();
  return text === '' ? path : `${path}?${text}`;
}

/** Replaces the address. */
function replace(href: string): void {
  history.replaceState(null, '', href);
  address.value = read(location.hash);
}

/** Leaves the request that is shown: its uuid, which is the credential for its reply, is in the address. */
export function leaveRequest(): void {
  const isOfRequest = /[\da-f]{32}/i.test(location.hash);
  if (address.value.view === 'durable' && isOfRequest) replace(linkTo('durable'));
}

/** A filter of the shown view; empty: it is not set. */
export function filter(name: string): string {
  return address.value.query.get(name) ?? '';
}

/** How tables are sorted, and which of their pages are shown: they have other rows with other filters. */
const OF_TABLES = /^(sort|page|at)(\.|$)/;

/**
 * Sets filters, and the order and pages of tables. They are in the address, to be shared, and in the history.
 * @param isTyped while one types: there is no way back to each letter
 */
export function setFilters(changed: Readonly<Record<string, string>>, isTyped = false): void {
  const { view, detail, query } = address.value;
  const isTurn = Object.keys(changed).every((name) => OF_TABLES.test(name));
  const kept = [...query].filter(([name]) => isTurn || !/^(page|at)(\.|$)/.test(name));
  const href = linkTo(view, detail ?? undefined, { ...Object.fromEntries(kept), ...changed });
  if (isTyped) {
    replace(href);
    return;
  }
  history.pushState(null, '', href);
  address.value = read(location.hash);
}
