/** Keyboard shortcuts, and the list of them. */
import { askPerson } from './dialogs.js';
import { el } from './dom.js';

export interface Shortcut {
  readonly key: string;
  readonly does: string;
  readonly act: () => void;
  /** Whether it is offered now; absent: it always is. */
  readonly isOffered?: () => boolean;
}

const isOffered = ({ isOffered: asked }: Shortcut): boolean => asked?.() ?? true;

/** Keys typed into a field are not shortcuts. */
function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches('input, select, textarea');
}

export function listenTo(shortcuts: readonly Shortcut[]): void {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector('dialog[open]') !== null) return;
    if (isTyping(event.target)) {
      if (event.key === 'Escape' && event.target instanceof HTMLElement) {
        // The browser would clear a search field, and the list would follow.
        event.preventDefault();
        event.target.blur();
      }
      return;
    }
    const found = shortcuts.find(({ key }) => key === event.key);
    if (found === undefined || !isOffered(found)) return;
    event.preventDefault();
    found.act();
  });
}

export function showHelp(shortcuts: readonly Shortcut[]): void {
  const rows = [
    ...shortcuts.filter(isOffered),
    { key: 'Esc', does: 'leave a field, close a dialog' },
  ];
  const list = el(
    'dl',
    { class: 'keys' },
    ...rows.flatMap(({ key, does }) => [el('dt', {}, el('kbd', {}, key)), el('dd', {}, does)]),
  );
  void askPerson({ title: 'Keyboard', body: [list], confirm: 'Close', isNotice: true });
}

/** Focuses the link of the next or previous row. */
export function stepThroughRows(step: 1 | -1): void {
  const links = [...document.querySelectorAll<HTMLElement>('main tbody a')].filter(
    (link) => link.offsetParent !== null,
  );
  const rows = [...new Map(links.reverse().map((link) => [link.closest('tr'), link])).values()];
  rows.reverse();
  const here = rows.findIndex((link) => link.closest('tr')?.contains(document.activeElement));
  const next = here < 0 ? (step > 0 ? 0 : rows.length - 1) : here + step;
  rows[Math.min(rows.length - 1, Math.max(0, next))]?.focus();
}
