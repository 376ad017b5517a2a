/** The banner shows the problems of the node and of its requests, worst first. */
import { type Signal, signal, useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import type { Overview } from '../admin/api/node-answers.js';
import { Button } from './controls.js';
import { count, line, momentAt, plural, span } from './format.js';
import { linkTo } from './address.js';
import { Name, OuterLink, UUID } from './names.js';
import { askNow, contact, lost, overview, READING } from './node.js';
import { usePolled } from './poll.js';
import { SCHEDULES } from './schedules.js';
import { servicesDelayMs, waitingWords } from './services.js';
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
  /** What several have in common, after their number: it is said once for all with this title. */
  readonly also?: readonly [one: string, several: string];
}

/** A problem that is said once, and those of the same title. */
interface Told extends Trouble {
  readonly others: readonly Trouble[];
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
/** Others of one title that are named. */
const OTHERS_SHOWN = 50;

/** The problems of the connection, or else of the node. */
export function troublesOfNode(): Trouble[] {
  if (contact.value === 'locked') {
    return [{ grade: 'warn', title: 'Locked', text: READING }];
  }
  if (lost.value !== null) {
    const { at, why } = lost.value;
    const peer = overview.value?.peer ?? null;
    const other = peer === null ? '' : otherNode(peer);
    const text = `No answer for ${span(Date.now() - at)}: ${why}. The page keeps trying; the data shown is out of date.${other}`;
    const elsewhere = peer?.publicUrl ?? null;
    return [{ grade: 'bad', title: 'No connection to the daemon', text, elsewhere }];
  }
  return overview.value === null ? [] : troublesIn(overview.value);
}

/** Where the other node is, if nothing leads to its page. */
function otherNode({ publicUrl, endpoint }: NonNullable<Overview['peer']>): string {
  return publicUrl === null && endpoint !== null ? ` The other node is at ${endpoint}.` : '';
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
    const where = other === null ? '' : otherNode(other);
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

function worstFirst<Kind extends Trouble>(troubles: readonly Kind[]): Kind[] {
  return troubles.toSorted((left, right) => {
    return BADNESS.indexOf(left.grade) - BADNESS.indexOf(right.grade);
  });
}

/** Puts problems with the same title together. */
function told(troubles: readonly Trouble[]): Told[] {
  const firsts = troubles.filter(
    ({ title }, index) => troubles.findIndex((each) => each.title === title) === index,
  );
  return firsts.map((first) => {
    const others = troubles.filter((each) => each !== first && each.title === first.title);
    return { ...first, others };
  });
}

function sentence(said: string): string {
  const first = said.charAt(0).toUpperCase() + said.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

/** Services that fail, grow or are paused, schedules that are paused, and dead requests. */
function troublesOfRequests({ stored }: Overview, watched: Watched | null): Trouble[] {
  const toService = (service: string): Pick<Trouble, 'service' | 'link' | 'isDismissible'> => ({
    service,
    link: [linkTo('services', service), 'Show the service'],
    isDismissible: true,
  });
  const dead = stored?.dead ?? 0;
  const failing = (watched?.failing ?? []).map(({ service, since, failures }): Trouble => ({
    ...toService(service),
    grade: 'bad',
    title: 'Failing always',
    text: `Every request for … has failed since ${momentAt(since)}: ${count(failures)} of them.`,
    also: ['other service also fails always', 'other services also fail always'],
  }));
  const unserved = (watched?.unserved ?? []).map(({ service }): Trouble => ({
    ...toService(service),
    grade: 'bad',
    title: 'No worker',
    text: 'Requests are waiting for …, which has no worker.',
    also: [
      'other service also has waiting requests and no worker',
      'other services also have waiting requests and no worker',
    ],
  }));
  const growing = (watched?.growing ?? []).map(({ service, waiting, more, ms }): Trouble => ({
    ...toService(service),
    grade: 'warn',
    title: 'Queue grows',
    text: `${plural(waiting, 'request')} for … ${waiting === 1 ? 'is' : 'are'} not answered yet, ${count(more)} more than ${span(ms)} ago.`,
    also: ['other service also has a growing queue', 'other services also have growing queues'],
  }));
  const paused = (watched?.pausedServices ?? []).map((service): Trouble => ({
    ...toService(service.service),
    grade: 'warn',
    title: 'Paused',
    text: `An operator paused …: ${waitingWords(service)}.`,
    also: ['other service is also paused', 'other services are also paused'],
  }));
  const schedules = (watched?.pausedSchedules ?? []).map(({ uuid, name, service }): Trouble => ({
    grade: 'warn',
    title: 'Schedule paused',
    text: `A schedule for … is paused${name === null ? '' : ` (${line(name)})`}: nothing is stored when it is due.`,
    service,
    link: UUID.test(uuid)
      ? [linkTo('durable', uuid), 'Show the schedule']
      : [linkTo('durable', SCHEDULES), 'Show the schedules'],
    isDismissible: true,
    also: ['other schedule is also paused', 'other schedules are also paused'],
  }));
  const all = [...failing, ...unserved, ...growing, ...paused, ...schedules];
  if (dead === 0) return all;
  const text =
    dead === 1
      ? 'One durable request failed for good and needs attention.'
      : `${count(dead)} durable requests failed for good and need attention.`;
  const link = [linkTo('durable', undefined, { state: 'dead' }), 'Show them'] as const;
  return [...all, { grade: 'warn', title: 'Dead requests', text, link, isDismissible: true }];
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
  const ofRequests = worstFirst(isGood ? troublesOfRequests(now, watched) : []);
  // Whoever runs the node mends it before its services; what is no problem is said last.
  const all = [...troublesOfNode(), ...ofRequests].toSorted(
    (left, right) => Number(left.grade === 'quiet') - Number(right.grade === 'quiet'),
  );
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
  const shown = told(all.filter((trouble) => !dismissed.value.includes(nameOf(trouble))));
  const again = contact.value === 'locked' || contact.value === 'lost';
  const isMany = shown.length > UNFOLDED_MAX;
  return (
    <section
      id="banner"
      aria-label="Problems"
      class={`${isOpen.value ? 'open' : ''} ${isMany ? 'many' : ''}`}
      hidden={shown.length === 0}
    >
      {/* The texts count on: only what is new is read out. */}
      <p class="unseen" role="alert">
        {shown.map(({ title }) => title).join('. ')}
      </p>
      <FoldButton shown={shown} isOpen={isOpen} />
      {shown.map((trouble) => (
        <TroubleLine
          key={trouble.title}
          trouble={trouble}
          dismiss={() => dismiss([...dismissed.value, ...[trouble, ...trouble.others].map(nameOf)])}
        />
      ))}
      {again ? (
        <Button label={contact.value === 'lost' ? 'Try now' : 'Enter the token'} act={askNow} />
      ) : null}
    </section>
  );
}

/** A line for all problems, which opens them: on a narrow screen, or if there are many. */
function FoldButton(given: { shown: readonly Told[]; isOpen: Signal<boolean> }): VNode {
  const { shown, isOpen } = given;
  const [only] = shown.length === 1 ? shown : [];
  const grade = worstFirst(shown)[0]?.grade ?? 'quiet';
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
          <>
            <Said {...only} /> {othersOf(only)}
          </>
        )}
      </span>
    </button>
  );
}

/** What it is about. Its text may count on. */
function nameOf({ title, service, link }: Trouble): string {
  return `${title} ${service ?? ''} ${title === 'Schedule paused' ? (link?.[0] ?? '') : ''}`.trim();
}

/** How many others there are; empty: none. */
function othersOf({ others, also }: Told): string {
  const [one = '', several = ''] = also ?? [];
  if (others.length === 0) return '';
  return `${count(others.length)} ${others.length === 1 ? one : several}.`;
}

/** The others, to be opened. */
function Others(given: Told): VNode | null {
  const { others } = given;
  if (others.length === 0) return null;
  const left = others.length - OTHERS_SHOWN;
  return (
    <details>
      <summary>{othersOf(given)}</summary>
      <ul>
        {others.slice(0, OTHERS_SHOWN).map((other) => (
          <li key={nameOf(other)}>
            <a href={other.link?.[0] ?? ''}>
              <Name name={other.service ?? ''} />
            </a>
          </li>
        ))}
        {left > 0 ? <li>{`and ${count(left)} more`}</li> : null}
      </ul>
    </details>
  );
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

function TroubleLine({ trouble, dismiss }: { trouble: Told; dismiss: () => unknown }): VNode {
  const { grade, title, elsewhere = null, link, isDismissible } = trouble;
  return (
    <div class={`trouble ${grade}`}>
      <Said {...trouble} /> <Others {...trouble} />
      <OuterLink href={elsewhere} label="Open its page" style="outer" />
      {link === undefined ? null : <a href={link[0]}>{link[1]}</a>}
      {isDismissible === true ? (
        <Button label="×" title={`Dismiss: ${title}`} style="dismiss" act={dismiss} />
      ) : null}
    </div>
  );
}
