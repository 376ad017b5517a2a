/** The page: wires up the header, the views and the shortcuts. */
import { token } from './api.js';
import { askToken, toast } from './dialogs.js';
import { attribute, byId, fill } from './dom.js';
import { EventStream } from './event-stream.js';
import { type Contact, NodeWatch } from './node-watch.js';
import { listenTo, type Shortcut, showHelp, stepThroughRows } from './shortcuts.js';
import { showStatus } from './status-line.js';
import { themeSwitch } from './theme.js';
import type { Context, ViewAddress, View } from './view.js';
import { durableView } from './views/durable.js';
import { elsewhereView, isElsewhere } from './views/elsewhere.js';
import { eventsView } from './views/events.js';
import { overviewView } from './views/overview.js';
import { pairView } from './views/pair.js';
import { requestHistoryView } from './views/request-history.js';
import { serviceView } from './views/service.js';
import { servicesView } from './views/services.js';

const START_VIEW = 'overview';
/** The pair comes last: a standalone node has no such view. */
const VIEWS = [START_VIEW, 'services', 'durable', 'events', 'pair'] as const;

/** The views that have content on a passive node. */
const VIEWS_OF_PASSIVE: readonly string[] = ['durable', 'events', 'pair'];

function viewOf(name: string, context: Context, place: ViewAddress): View {
  const { detail } = place;
  if (isElsewhere(context.watch.now.overview) && !VIEWS_OF_PASSIVE.includes(name)) {
    return elsewhereView(context);
  }
  switch (name) {
    case 'services':
      return detail === null ? servicesView() : serviceView(context, detail);
    case 'durable':
      return detail === null ? durableView(context, place) : requestHistoryView(detail);
    case 'pair':
      return pairView(context);
    case 'events':
      return eventsView(context, place);
    default:
      return overviewView(context);
  }
}

/** `#/durable/UUID?state=dead` → its parts. */
function read(hash: string): { readonly name: string; readonly place: ViewAddress } {
  const [path = '', search = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const [name = '', detail = ''] = path.split('/', 2);
  let decoded: string | null = null;
  try {
    decoded = detail === '' ? null : decodeURIComponent(detail);
  } catch {
    // A truncated address: show the list.
  }
  return { name, place: { detail: decoded, query: new URLSearchParams(search) } };
}

function showViews(context: Context): void {
  const main = byId('main');
  let shown: View | null = null;
  const show = (): void => {
    const { name, place } = read(location.hash);
    shown?.close();
    shown = viewOf(name, context, place);
    fill(main, shown.element);
    scrollTo(0, 0);
    const current = VIEWS.find((each) => each === name) ?? START_VIEW;
    for (const link of document.querySelectorAll<HTMLElement>('#views a')) {
      const isCurrent = link.dataset['view'] === current;
      attribute(link, 'aria-current', isCurrent ? 'page' : null);
      if (isCurrent) link.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    }
  };
  addEventListener('hashchange', () => {
    show();
    // A screen reader continues in the new view.
    main.focus({ preventScroll: true });
  });
  byId('skip').addEventListener('click', (event) => {
    event.preventDefault();
    main.focus();
  });
  show();
  let was = false;
  context.watch.watch(({ overview }) => {
    const is = isElsewhere(overview);
    if (is === was) return;
    was = is;
    if (!VIEWS_OF_PASSIVE.includes(read(location.hash).name)) show();
  });
}

function shortcutsOf(switchTheme: () => void): readonly Shortcut[] {
  const views = VIEWS.map((name, index): Shortcut => ({
    key: String(index + 1),
    does: `show ${name === 'durable' ? 'durable requests' : name}`,
    isOffered: () => document.querySelector(`#views a[data-view='${name}']:not([hidden])`) !== null,
    act: () => {
      location.hash = `#/${name}`;
    },
  }));
  const shortcuts: readonly Shortcut[] = [
    ...views,
    {
      key: '/',
      does: 'search',
      act: () => document.querySelector<HTMLElement>('[data-search]')?.focus(),
    },
    {
      key: 'j',
      does: 'next row',
      act: () => {
        stepThroughRows(1);
      },
    },
    {
      key: 'k',
      does: 'previous row',
      act: () => {
        stepThroughRows(-1);
      },
    },
    { key: 't', does: 'switch colours: auto, light, dark', act: switchTheme },
    {
      key: '?',
      does: 'show this list',
      act: () => {
        showHelp(shortcuts);
      },
    },
  ];
  byId('help').addEventListener('click', () => {
    showHelp(shortcuts);
  });
  return shortcuts;
}

function tokenButton(watch: NodeWatch): void {
  const button = byId('token-button');
  const show = (): void => {
    const has = token.get() !== null;
    attribute(button, 'aria-pressed', has ? 'true' : 'false');
    const label = has ? 'Forget the token' : 'Enter the token';
    attribute(button, 'title', label);
    attribute(button, 'aria-label', label);
  };
  button.addEventListener('click', () => {
    if (token.get() === null) {
      void askToken('Changes need the token of this node.').then(show);
    } else {
      token.forget();
      toast('Token forgotten', 'good');
      show();
    }
  });
  // The token is also entered, and found to be wrong, in other places.
  watch.watch(show);
}

function start(): void {
  const switchTheme = themeSwitch(byId('theme'));
  const watch = new NodeWatch(() => {
    toast('The daemon was restarted', 'good');
  });
  const stream = new EventStream();
  tokenButton(watch);
  showStatus(watch);
  showViews({ watch, stream });
  listenTo(shortcutsOf(switchTheme));
  let before: Contact = 'first';
  const pairLink = document.querySelector('#views a[data-view="pair"]');
  watch.watch(({ contact, overview }) => {
    if (pairLink !== null && overview !== null) {
      attribute(pairLink, 'hidden', overview.role === 'standalone');
    }
    if (contact === 'good') stream.followToken();
    if (contact === 'good' && before !== 'good') stream.open();
    before = contact;
  });
  watch.askNow();
}

start();
