/** The address within the page, `#/durable/UUID?state=dead`, and the filters that it keeps. */
import { signal } from '@preact/signals';

export interface Address {
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

/** Reads the address now, and whenever it changes. */
export function followAddress(changed: () => void): void {
  address.value = read(location.hash);
  addEventListener('hashchange', () => {
    address.value = read(location.hash);
    changed();
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
  if (address.value.view === 'durable') replace(linkTo('durable'));
}

/** A filter of the shown view; empty: it is not set. */
export function filter(name: string): string {
  return address.value.query.get(name) ?? '';
}

/** Sets filters. They are in the address, to be shared; going back leaves the view. */
export function setFilters(changed: Readonly<Record<string, string>>): void {
  const { view, detail, query } = address.value;
  const all = { ...Object.fromEntries(query), ...changed };
  replace(linkTo(view, detail ?? undefined, all));
}
