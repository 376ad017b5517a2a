/** The page: header, banner, the shown view, and the keys. */
import { useSignalEffect } from '@preact/signals';
import { render, type VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { forgotten, startToken, token } from './api.js';
import { Banner, troublesOfNode } from './banner.js';
import { Button, focusMain } from './controls.js';
import { askPerson, askToken, Dialogs, toast, Toasts } from './dialogs.js';
import { startEvents } from './page-events.js';
import { span } from './format.js';
import { address, followAddress, leaveRequest, linkTo } from './address.js';
import { contact, isElsewhere, overview, startNode } from './node.js';
import { decoded, UUID } from './names.js';
import { startTheme, switchTheme, theme } from './theme.js';
import { Schedules, SCHEDULES } from './schedules.js';
import { forgetEnded, Running } from './triage.js';
import { ClientsView } from './views/clients.js';
import { DurableView } from './views/durable.js';
import { ElsewhereView } from './views/elsewhere.js';
import { EventsView } from './views/events.js';
import { MapView } from './views/map.js';
import { OverviewView } from './views/overview.js';
import { PairView } from './views/pair.js';
import { RequestView } from './views/request.js';
import { ServiceView } from './views/service.js';
import { ServicesView } from './views/services.js';
import { WorkerView } from './views/worker.js';

interface ViewOf {
  readonly name: string;
  readonly label: string;
  readonly show: (detail: string | null) => VNode;
  /** Whether the view has no content on a passive node. */
  readonly isOfActive?: boolean;
  /** Whether it is offered now; absent: it always is. */
  readonly isOffered?: () => boolean;
}

/** A view is one row here, and one file in `views/`. The first one is shown at the start. */
const VIEWS: readonly ViewOf[] = [
  { name: 'overview', label: 'Overview', show: () => <OverviewView />, isOfActive: true },
  {
    name: 'services',
    label: 'Services',
    show: (detail) =>
      detail === null ? <ServicesView /> : <ServiceView key={detail} service={detail} />,
    isOfActive: true,
  },
  {
    name: 'durable',
    label: 'Durable',
    show: (detail) =>
      detail === null ? (
        <DurableView />
      ) : detail === SCHEDULES ? (
        <Schedules isView />
      ) : (
        <RequestView key={detail} uuid={detail} />
      ),
  },
  { name: 'events', label: 'Events', show: () => <EventsView /> },
  { name: 'map', label: 'Map', show: () => <MapView /> },
  {
    name: 'pair',
    label: 'Pair',
    show: () => <PairView />,
    isOffered: () => overview.value !== null && overview.value.role !== 'standalone',
  },
  { name: 'clients', label: 'Clients', show: () => <ClientsView /> },
  {
    name: 'workers',
    label: 'Worker',
    show: (detail) =>
      detail === null ? <ServicesView /> : <WorkerView key={detail} number={detail} />,
    isOfActive: true,
    // Others lead to it.
    isOffered: () => false,
  },
];

function viewNow(): ViewOf | undefined {
  return VIEWS.find(({ name }) => name === address.value.view) ?? VIEWS[0];
}

function Page(): VNode {
  const view = viewNow();
  const isAway = view?.isOfActive === true && isElsewhere();
  useSignalEffect(() => {
    document.documentElement.dataset['contact'] = contact.value;
  });
  return (
    <>
      <a
        id="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          focusMain();
        }}
      >
        Skip to content
      </a>
      <Header />
      <Banner />
      <main id="main" key={forgotten.value} tabIndex={-1}>
        {isAway ? <ElsewhereView /> : view?.show(address.value.detail)}
      </main>
      <div id="foot">
        <Running />
        <Toasts />
      </div>
      <Dialogs />
    </>
  );
}

/** What is shown. Of a request it has the end of the uuid: a whole one is a credential. */
function titleNow(): string {
  const view = viewNow();
  const { detail } = address.value;
  const shown = detail !== null && UUID.test(detail) ? `request …${detail.slice(-8)}` : detail;
  const what = shown === null ? view?.label : decoded(shown);
  return view === VIEWS[0] ? '' : `${what ?? ''} – `;
}

/** What the token may do. */
const ACCESS = { none: '', read: 'read only', operate: 'operator' } as const;

function Header(): VNode {
  const {
    node = 'Majordomo',
    version,
    uptimeMs,
    role,
    epoch,
    state,
    access = 'none',
  } = overview.value ?? {};
  const [worst] = troublesOfNode();
  const isGood = contact.value === 'good';
  const grade = overview.value === null ? 'quiet' : (worst?.grade ?? 'good');
  const word = isGood ? state : contact.value === 'first' ? 'connecting' : contact.value;
  const title = `${isGood && worst === undefined ? '' : '⚠ '}${titleNow()}${node} – Majordomo`;
  useEffect(() => {
    document.title = title;
  }, [title]);
  return (
    <header id="top">
      <div class="top-line">
        <a class="brand" href={linkTo('overview')} aria-label={`Majordomo ${node}, overview`}>
          <img src="icon.svg" alt="" width="26" height="26" />
          <span id="node">{node}</span>
        </a>
        <span id="state" class={`pill ${grade}`} role="status">
          {word}
        </span>
        <span id="role" class="quiet">
          {role === undefined || role === 'standalone' ? role : `${role}, epoch ${epoch ?? 0}`}
        </span>
        <span class="spring" />
        <span class="quiet minor">{uptimeMs === undefined ? '' : `up ${span(uptimeMs)}`}</span>
        <span class="quiet minor">{version === undefined ? '' : `v${version}`}</span>
        <span id="access" class="quiet">
          {token.value === null ? '' : ACCESS[access]}
        </span>
        <TokenButton />
        <Button
          label={{ auto: '◐', light: '☀', dark: '☾' }[theme.value]}
          title={`Colours: ${theme.value}`}
          style="icon"
          act={switchTheme}
        />
        <Button label="?" title="Keyboard" style="icon" act={showHelp} />
      </div>
      <nav id="views" aria-label="Views">
        {VIEWS.filter(({ isOffered }) => isOffered?.() ?? true).map(({ name, label }) => (
          <Tab key={name} name={name} label={label} isCurrent={name === viewNow()?.name} />
        ))}
      </nav>
    </header>
  );
}

function Tab(given: { name: string; label: string; isCurrent: boolean }): VNode {
  const { name, label, isCurrent } = given;
  const link = useRef<HTMLAnchorElement>(null);
  useEffect(() => {
    if (isCurrent) link.current?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [isCurrent]);
  return (
    <a ref={link} href={linkTo(name)} aria-current={isCurrent ? 'page' : undefined}>
      {label}
    </a>
  );
}

function TokenButton(): VNode {
  const has = token.value !== null;
  const label = has ? 'Forget the token' : 'Enter the token';
  const press = (): unknown => {
    if (!has) return askToken('Changes, reasons and whole UUIDs need a token.');
    toast('Token forgotten', 'good');
    leaveRequest();
    return (token.value = null);
  };
  const key = (
    <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
      <path
        d="M12.5 2a5.5 5.5 0 0 0-5.2 7.3L2 14.6V18h3.4v-2h2v-2h2l1.3-1.3A5.5 5.5 0 1 0 12.5 2Zm1.5 3a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3Z"
        fill="currentColor"
      />
    </svg>
  );
  return <Button label={key} title={label} style={has ? 'icon on' : 'icon'} act={press} />;
}

/** The field of the view, which may be folded. */
function focusSearch(): void {
  const field = document.querySelector<HTMLElement>('[data-search]');
  if (field?.offsetParent !== null) return field?.focus();
  document.querySelector<HTMLElement>('[data-unfold]')?.click();
  requestAnimationFrame(() => field.focus());
}

interface Shortcut {
  readonly key: string;
  readonly does: string;
  readonly act: () => unknown;
  readonly isOffered?: (() => boolean) | undefined;
}

const SHORTCUTS: readonly Shortcut[] = [
  ...VIEWS.map(({ name, isOffered }, index): Shortcut => ({
    key: String(index + 1),
    does: `show ${name === 'durable' ? 'durable requests' : name}`,
    isOffered,
    act: () => (location.hash = linkTo(name)),
  })),
  {
    key: '/',
    does: 'search',
    act: focusSearch,
  },
  { key: 'j', does: 'next row', act: () => stepThroughRows(1) },
  { key: 'k', does: 'previous row', act: () => stepThroughRows(-1) },
  { key: 't', does: 'switch colours: auto, light, dark', act: switchTheme },
  { key: '?', does: 'show this list', act: showHelp },
];

function listen(): void {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector('dialog[open]') !== null) return;
    const { target } = event;
    // Keys typed into a field are not shortcuts.
    if (target instanceof HTMLElement && target.matches('input, select, textarea')) {
      if (event.key === 'Escape') {
        // The browser would clear a search field, and the list would follow.
        event.preventDefault();
        target.blur();
      }
      return;
    }
    const found = SHORTCUTS.find(({ key }) => key === event.key);
    if (found === undefined) return;
    if (found.isOffered?.() === false) return;
    event.preventDefault();
    found.act();
  });
}

function showHelp(): void {
  const offered = SHORTCUTS.filter(({ isOffered }) => isOffered?.() ?? true);
  const rows = [...offered, { key: 'Esc', does: 'leave a field, close a dialog' }];
  const body = (
    <dl class="keys">
      {rows.map(({ key, does }) => (
        <div key={key}>
          <dt>
            <kbd>{key}</kbd>
          </dt>
          <dd>{does}</dd>
        </div>
      ))}
    </dl>
  );
  void askPerson({ title: 'Keyboard', body, confirm: 'Close', isNotice: true });
}

/** Focuses the first link of the next or previous row. */
function stepThroughRows(step: 1 | -1): unknown {
  const rows = [
    ...document.querySelectorAll<HTMLElement>('main tbody tr:not(:has(.below))'),
  ].flatMap((row) => {
    const link = row.querySelector<HTMLElement>('a');
    return link?.offsetParent instanceof Element ? [{ row, link }] : [];
  });
  const here = rows.findIndex(({ row }) => row.contains(document.activeElement));
  const next = here < 0 ? (step > 0 ? 0 : rows.length - 1) : here + step;
  return rows[Math.min(rows.length - 1, Math.max(0, next))]?.link.focus();
}

startToken();
startTheme();
followAddress(() => {
  forgetEnded();
  scrollTo(0, 0);
  // A screen reader continues in the new view.
  focusMain();
});
render(<Page />, document.body);
listen();
startEvents();
startNode();
