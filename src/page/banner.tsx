/** The banner shows the problems of the node and of its requests, worst first. */
import { type Signal, signal, useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import type { Overview } from '../admin/api/node-answers.js';
import { Button } from './controls.js';
import { count, line, momentAt, plural, span } from './format.js';
import { linkTo } from './address.js';
import { Name, OuterLink } from './names.js';
import { askNow, contact, lost, overview, READING } from './node.js';
import { usePolled } from './poll.js';
import { servicesDelayMs } from './services.js';
import { watch, type Watched } from './watch.js';

type Grade = 'good' | 'warn' | 'bad' | 'quiet';

interface Trouble {
  readonly grade: Grade;
  readonly title: string;
  /** The text, with `…` where the name of a service stands. */
  readonly text: string;
  readonly service?: string;
  /** URL of the page of the other node, which serves; `null`: not known. */
  readonly elsewhere?: string | null;
  /** Target and label of a link to more about it on this page. */
  readonly link?: readonly [href: string, label: string];
  /** A person may know of it, and need the place. */
  readonly isDismissible?: boolean;
}

/** Severity and title of each reason for not serving. Unknown reasons are bad. */
const NOT_READY: Readonly<Record<string, readonly [Grade, string]>> = {
  starting: ['quiet', 'Starting'],
  draining: ['warn', 'Draining'],
  passive: ['quiet', 'Passive'],
  waiting: ['warn', 'Waiting for its peer'],
  joining: ['warn', 'Joining its peer'],
  holding: ['warn', 'Serving paused'],
};

const DEGRADED: Readonly<Record<string, readonly [Grade, string]>> = {
  store_full: ['bad', 'Disk full'],
  store_busy: ['bad', 'Store busy'],
  map_full: ['bad', 'Disk full'],
  map_busy: ['bad', 'Store busy'],
  store_set_aside: ['warn', 'Rows set aside'],
  store_fatal: ['bad', 'Store damaged'],
  store_failed: ['bad', 'Replication not stored'],
  fleet_down: ['warn', 'No connection to NATS'],
  not_in_sync: ['warn', 'Not in sync'],
  peer_refused: ['bad', 'Peer refused'],
  keys_differ: ['warn', 'Keys files differ'],
  listener_keys_differ: ['bad', 'Keys of the nodes differ'],
  store_log_held: ['warn', 'The store is being read'],
  clock_behind: ['warn', 'Clock behind'],
};

const BADNESS: readonly Grade[] = ['bad', 'warn', 'quiet', 'good'];
const EVERY_MS = 5000;
/** The services are loaded this many times less often than on their own view. */
const WATCHED_EVERY = 2;
/** On a wide screen, more problems than these are folded, except the worst. */
const UNFOLDED_MAX = 2;

/** The problems of the connection, or else of the node. */
export function troublesOfNode(): Trouble[] {
  if (contact.value === 'locked') {
    return [{ grade: 'warn', title: 'Locked', text: READING }];
  }
  if (lost.value !== null) {
    const { at, why } = lost.value;
    const text = `No answer for ${span(Date.now() - at)}: ${why}. The page keeps trying; the data shown is out of date.`;
    return [{ grade: 'bad', title: 'No connection to the daemon', text }];
  }
  return overview.value === null ? [] : troublesIn(overview.value);
}

function troublesIn({ reason, degraded, state, peer }: Overview): Trouble[] {
  const found: Trouble[] = [];
  if (state === 'active' && peer?.state === 'active') {
    const text = 'Both nodes of the pair are active. The one with the lower epoch steps down.';
    found.push({ grade: 'bad', title: 'Split brain', text });
  }
  if (reason !== null) {
    const [usual, title] = NOT_READY[reason.code] ?? ['bad', 'Not serving'];
    // Then neither node serves.
    const grade = state !== 'active' && peer?.up === false ? 'bad' : usual;
    const other = state === 'passive' && peer?.up === true ? peer : null;
    const elsewhere = other?.publicUrl ?? null;
    const at = other?.endpoint ?? null;
    const where = elsewhere === null && at !== null ? ` The other node is at ${at}.` : '';
    // The title replaces the code.
    const prefix = `${reason.code}: `;
    const said = reason.text.startsWith(prefix) ? reason.text.slice(prefix.length) : reason.text;
    found.push({ grade, title, text: sentence(said) + where, elsewhere });
  }
  for (const { code, text } of degraded) {
    const [grade, title] = DEGRADED[code] ?? ['warn', 'Degraded'];
    found.push({ grade, title, text: sentence(text), isDismissible: grade === 'warn' });
  }
  return worstFirst(found);
}

function worstFirst(troubles: readonly Trouble[]): Trouble[] {
  return troubles.toSorted((left, right) => {
    return BADNESS.indexOf(left.grade) - BADNESS.indexOf(right.grade);
  });
}

function sentence(said: string): string {
  const first = said.charAt(0).toUpperCase() + said.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

/** A problem that services have: the first is named, the others are counted. */
function ofServices(
  [first, ...others]: readonly { readonly service: string }[],
  { grade, title, text, also }: Pick<Trouble, 'grade' | 'title' | 'text'> & { also: Also },
): Trouble[] {
  if (first === undefined) return [];
  const [one, several] = also;
  const more =
    others.length === 0
      ? ''
      : ` ${count(others.length)} other ${others.length === 1 ? `service ${one}` : `services ${several}`}.`;
  const { service } = first;
  const link = [linkTo('services', service), 'Show the service'] as const;
  return [{ grade, title, text: text + more, service, link, isDismissible: true }];
}

/** What is said of one other service, and of several. */
type Also = readonly [one: string, several: string];

/** Services that fail, grow or are paused, schedules that are paused, and dead requests. */
function troublesOfRequests({ stored }: Overview, watched: Watched | null): Trouble[] {
  const {
    failing = [],
    unserved = [],
    growing = [],
    pausedServices = [],
    pausedSchedules = [],
  } = watched ?? {};
  const [failed, grown, held, schedule] = [
    failing[0],
    growing[0],
    pausedServices[0],
    pausedSchedules[0],
  ];
  const found: Trouble[] = [
    ...ofServices(failing, {
      grade: 'bad',
      title: 'Failing always',
      text: `Every request for … has failed since ${momentAt(failed?.since ?? 0)}: ${count(failed?.failures ?? 0)} of them.`,
      also: ['also fails always', 'also fail always'],
    }),
    ...ofServices(unserved, {
      grade: 'bad',
      title: 'No worker',
      text: 'Requests are waiting for …, which has no worker.',
      also: ['also has waiting requests and no worker', 'also have waiting requests and no worker'],
    }),
    ...ofServices(growing, {
      grade: 'warn',
      title: 'Queue grows',
      text: `${plural(grown?.waiting ?? 0, 'request')} for … ${grown?.waiting === 1 ? 'is' : 'are'} not answered yet, ${count(grown?.more ?? 0)} more than ${span(grown?.ms ?? 0)} ago.`,
      also: ['also has a growing queue', 'also have growing queues'],
    }),
    ...ofServices(pausedServices, {
      grade: 'warn',
      title: 'Paused',
      text: `An operator paused …: ${plural(held?.waiting ?? 0, 'request')} waiting.`,
      also: ['is also paused', 'are also paused'],
    }),
  ];
  if (schedule !== undefined) {
    const { name, service } = schedule;
    const more = pausedSchedules.length - 1;
    const others =
      more === 0 ? '' : ` So ${more === 1 ? 'is 1 other' : `are ${count(more)} others`}.`;
    found.push({
      grade: 'warn',
      title: 'Schedule paused',
      text: `A schedule for … is paused${name === null ? '' : ` (${line(name)})`}: nothing is stored when it is due.${others}`,
      service,
      link: [linkTo('durable'), 'Show the schedules'],
      isDismissible: true,
    });
  }
  const dead = stored?.dead ?? 0;
  if (dead > 0) {
    const text =
      dead === 1
        ? 'One durable request failed for good and needs attention.'
        : `${count(dead)} durable requests failed for good and need attention.`;
    const link = linkTo('durable', undefined, { state: 'dead' });
    found.push({
      grade: 'warn',
      title: 'Dead requests',
      text,
      link: [link, 'Show them'],
      isDismissible: true,
    });
  }
  return found;
}

const DISMISSED = 'majordomo.dismissed';
/** The problems that were dismissed in this tab, also before it was loaded again. */
const dismissed = signal<readonly string[]>(
  (sessionStorage.getItem(DISMISSED) ?? '').split('\n').filter((name) => name !== ''),
);

function dismiss(names: readonly string[]): void {
  dismissed.value = names;
  sessionStorage.setItem(DISMISSED, names.join('\n'));
}

export function Banner(): VNode {
  const now = overview.value;
  const isReady = now?.ready === true;
  const isStoring = isReady && now.stored !== null;
  const { answer, error } = usePolled(
    `watch ${String(isReady)} ${String(isStoring)}`,
    async () => (isReady ? await watch(isStoring) : null),
    (watched) => Math.max(EVERY_MS, WATCHED_EVERY * servicesDelayMs(watched?.services ?? null)),
  );
  // While the node does not answer, the banner shows that.
  const watched = error === null && isReady ? answer : null;
  const isGood = contact.value === 'good' && now !== null;
  const all = worstFirst([
    ...troublesOfNode(),
    ...(isGood ? troublesOfRequests(now, watched) : []),
  ]);
  const isOpen = useSignal(false);
  const names = all.map(nameOf);
  const said = useRef('');
  useEffect(() => {
    // What has ended is shown again if it comes back.
    if (isGood && (!isReady || watched !== null) && said.current !== names.join()) {
      dismiss(dismissed.value.filter((name) => names.includes(name)));
    }
    said.current = names.join();
  });
  const shown = all.filter((trouble) => !dismissed.value.includes(nameOf(trouble)));
  const again = contact.value === 'locked' || contact.value === 'lost';
  const isMany = shown.length > UNFOLDED_MAX;
  return (
    <div
      id="banner"
      role="alert"
      class={`${isOpen.value ? 'open' : ''} ${isMany ? 'many' : ''}`}
      hidden={shown.length === 0}
    >
      <FoldButton shown={shown} isOpen={isOpen} />
      {shown.map((trouble) => (
        <TroubleLine
          key={nameOf(trouble)}
          trouble={trouble}
          dismiss={() => dismiss([...dismissed.value, nameOf(trouble)])}
        />
      ))}
      {again ? (
        <Button label={contact.value === 'lost' ? 'Try now' : 'Enter the token'} act={askNow} />
      ) : null}
    </div>
  );
}

/** A line for all problems, which opens them: on a narrow screen, or if there are many. */
function FoldButton(given: { shown: readonly Trouble[]; isOpen: Signal<boolean> }): VNode {
  const { shown, isOpen } = given;
  const [only] = shown.length === 1 ? shown : [];
  const grade = shown[0]?.grade ?? 'quiet';
  return (
    <button
      type="button"
      class={`fold ${grade}`}
      aria-expanded={isOpen.value}
      onClick={() => (isOpen.value = !isOpen.value)}
    >
      <span>
        {only === undefined ? (
          <>
            <strong>{plural(shown.length, 'problem')}</strong>{' '}
            {[...new Set(shown.map(({ title }) => title))].join(' · ')}
          </>
        ) : (
          <Said {...only} />
        )}
      </span>
    </button>
  );
}

/** What it is about. Its text may count on. */
function nameOf({ title, service }: Trouble): string {
  return `${title} ${service ?? ''}`;
}

/** What it is, with the name of the service in its text. */
function Said({ title, text, service }: Trouble): VNode {
  const at = service === undefined ? text.length : text.indexOf('…');
  return (
    <>
      <strong>{title}</strong> {text.slice(0, at)}
      {service === undefined ? null : <Name name={service} />}
      {text.slice(at + 1)}
    </>
  );
}

function TroubleLine({ trouble, dismiss }: { trouble: Trouble; dismiss: () => unknown }): VNode {
  const { grade, title, elsewhere = null, link, isDismissible } = trouble;
  return (
    <p class={`trouble ${grade}`}>
      <Said {...trouble} /> <OuterLink href={elsewhere} label="Open its page" style="outer" />
      {link === undefined ? null : <a href={link[0]}>{link[1]}</a>}
      {isDismissible === true ? (
        <Button label="×" title={`Dismiss: ${title}`} style="dismiss" act={dismiss} />
      ) : null}
    </p>
  );
}
