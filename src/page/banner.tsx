/** The banner shows the problems of the node and of its requests, worst first. */
import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import type { Overview, Service } from '../admin/api/node-answers.js';
import type { Page } from '../admin/api/words.js';
import { isUnserved } from '../core/service-needs.js';
import { get } from './api.js';
import { Button } from './controls.js';
import { count, span } from './format.js';
import { linkTo } from './links.js';
import { Name, OuterLink } from './names.js';
import { askNow, contact, lost, overview } from './node.js';
import { usePolled } from './poll.js';

type Grade = 'good' | 'warn' | 'bad' | 'quiet';

interface Trouble {
  readonly grade: Grade;
  readonly title: string;
  /** With `…` where the name of a service stands. */
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
  store_log_held: ['warn', 'The store is being read'],
  clock_behind: ['warn', 'Clock behind'],
};

const BADNESS: readonly Grade[] = ['bad', 'warn', 'quiet', 'good'];
const EVERY_MS = 5000;
const ASKED = 1000;

/** The problems of the connection, or else of the node. */
export function troublesOfNode(): Trouble[] {
  if (contact.value === 'locked') {
    return [{ grade: 'warn', title: 'Locked', text: 'This node needs a token for reading.' }];
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
  return found.sort((left, right) => BADNESS.indexOf(left.grade) - BADNESS.indexOf(right.grade));
}

function sentence(said: string): string {
  const first = said.charAt(0).toUpperCase() + said.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

/** Dead requests, and requests that wait without a worker. */
function troublesOfRequests({ stored, ready }: Overview, unserved: readonly string[]): Trouble[] {
  const found: Trouble[] = [];
  const [first] = unserved;
  if (first !== undefined && ready) {
    const more = unserved.length - 1;
    const services = more === 1 ? 'service also has' : 'services also have';
    const others =
      more === 0 ? '' : ` ${count(more)} other ${services} waiting requests and no worker.`;
    found.push({
      grade: 'bad',
      title: 'No worker',
      text: `Requests are waiting for …, which has no worker.${others}`,
      service: first,
      link: [linkTo('services', first), 'Show the service'],
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

/** The first services with waiting requests and no worker. */
async function unservedServices(): Promise<readonly string[]> {
  const { items } = await get<Page<Service>>(`/api/v1/services?state=unserved&limit=${ASKED}`);
  return items.filter(isUnserved).map(({ service }) => service);
}

export function Banner(): VNode {
  const { answer, error } = usePolled('unserved', unservedServices, EVERY_MS);
  // While the node does not answer, the banner shows that.
  const unserved = error === null ? (answer ?? []) : [];
  const now = overview.value;
  const isGood = contact.value === 'good' && now !== null;
  const all = [...troublesOfNode(), ...(isGood ? troublesOfRequests(now, unserved) : [])];
  const dismissed = useSignal<readonly string[]>([]);
  const names = all.map(nameOf);
  const said = useRef('');
  useEffect(() => {
    // What has ended is shown again if it comes back.
    if (isGood && said.current !== names.join()) {
      dismissed.value = dismissed.value.filter((name) => names.includes(name));
    }
    said.current = names.join();
  });
  const shown = all.filter((trouble) => !dismissed.value.includes(nameOf(trouble)));
  const again = contact.value === 'locked' || contact.value === 'lost';
  return (
    <div id="banner" role="alert" hidden={shown.length === 0}>
      {shown.map((trouble) => (
        <TroubleLine
          key={nameOf(trouble)}
          trouble={trouble}
          dismiss={() => (dismissed.value = [...dismissed.value, nameOf(trouble)])}
        />
      ))}
      {again ? (
        <Button label={contact.value === 'lost' ? 'Try now' : 'Enter the token'} act={askNow} />
      ) : null}
    </div>
  );
}

/** What it is about. Its text may count on. */
function nameOf({ title, service }: Trouble): string {
  return `${title} ${service ?? ''}`;
}

function TroubleLine({ trouble, dismiss }: { trouble: Trouble; dismiss: () => unknown }): VNode {
  const { grade, title, text, service, elsewhere = null, link, isDismissible } = trouble;
  const [before = '', after = ''] = service === undefined ? [text] : text.split('…');
  return (
    <p class={`trouble ${grade}`}>
      <strong>{title}</strong> {before}
      {service === undefined ? null : <Name name={service} />}
      {after} <OuterLink href={elsewhere} label="Open its page" style="outer" />
      {link === undefined ? null : <a href={link[0]}>{link[1]}</a>}
      {isDismissible === true ? (
        <Button label="×" title={`Dismiss: ${title}`} style="dismiss" act={dismiss} />
      ) : null}
    </p>
  );
}
