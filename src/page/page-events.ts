/**
 * Reads the events of the node: first those that it has kept, then new ones as they happen. It does
 * not use EventSource, which cannot send the token.
 */
import { effect, signal } from '@preact/signals';

import { FairHistory } from '../core/fair-history.js';
import type { NodeEvent } from '../admin/api/node-answers.js';
import { authorization, messageOf, ofNode, refusedBy, statusOf, token } from './api.js';
import { contact } from './node.js';

const RETRY_MS = 3000;
/** The node sends something every 15 s; a connection that is silent for this long is dead. */
const SILENCE_MS = 40_000;
/**
 * A browser has six connections to a node for all its pages, and a page without one believes that the node is gone. So
 * many pages hold a stream; others read what is new every few seconds.
 */
const STREAMS_MAX = 3;
/** Without a stream, what is kept has been read when nothing more comes for so long. */
const QUIET_MS = 400;
/** The most events: as many as the node keeps, and shared among names and services as there. */
const RETAINED_MAX = 1000;
const HISTORY = {
  itemsMax: RETAINED_MAX,
  bytesMax: Infinity,
  groupOf: ({ event }: ReceivedEvent): string => event,
  memberOf: ({ service }: ReceivedEvent): string => (typeof service === 'string' ? service : ''),
  bytesOf: (): number => 1,
};

/** `arrival` numbers the events, to distinguish equal ones. No event has such a field itself. */
export interface ReceivedEvent extends NodeEvent {
  readonly arrival: number;
}

/** Newest first. */
export const events = signal<readonly ReceivedEvent[]>([]);
export const connection = signal<'live' | 'polled' | 'none'>('none');
/** Why the node refused to send events; empty: it did not. */
export const refusal = signal('');

let history = new FairHistory<ReceivedEvent>(HISTORY);
let arrivals = 1;
/** Id of the last received event. On reconnecting, the node sends only later ones. */
let lastId: string | null = null;
/** The token of the last connection. The fields of the events depend on it. */
let used: string | null = null;
let current: AbortController | null = null;
let timer: number | undefined;

export function startEvents(): void {
  document.addEventListener('visibilitychange', () => {
    // The number of readers is limited, so a hidden page disconnects.
    if (document.hidden) current?.abort();
    else open();
  });
  effect(() => {
    // If the token was entered or forgotten, all events are requested again.
    if (contact.value !== 'good') return;
    if (token.value !== used) {
      events.value = [];
      current?.abort();
    }
    open();
  });
}

/** Reads until the page is hidden, and reconnects by itself. Does nothing while connected. */
function open(): void {
  if (current !== null || document.hidden) return;
  const abort = new AbortController();
  current = abort;
  clearTimeout(timer);
  void withPlace((hasPlace) => read(abort, hasPlace)).then((isWorthwhile) => {
    current = null;
    if (connection.value === 'live') connection.value = 'none';
    if (isWorthwhile) timer = setTimeout(open, token.peek() === used ? RETRY_MS : 0);
  });
}

/** Runs with a place for a stream, if one is free. */
async function withPlace(run: (hasPlace: boolean) => Promise<boolean>): Promise<boolean> {
  // Other pages have no locks, and so no places.
  if (globalThis.isSecureContext) {
    for (let place = 0; place < STREAMS_MAX; place++) {
      const outcome = await navigator.locks.request(
        `majordomo.events.${place}`,
        { ifAvailable: true },
        async (lock) => (lock === null ? null : await run(true)),
      );
      if (outcome !== null) return outcome;
    }
  }
  return await run(false);
}

/** @returns whether to try again: without the token it is pointless */
async function read(abort: AbortController, hasPlace: boolean): Promise<boolean> {
  try {
    await follow(abort, hasPlace);
    return true;
  } catch (error) {
    if (!abort.signal.aborted) connection.value = 'none';
    // Usually the connection was lost, and the banner shows that.
    refusal.value = statusOf(error) === 0 ? '' : messageOf(error);
    return statusOf(error) !== 401;
  }
}

async function follow(abort: AbortController, hasPlace: boolean): Promise<void> {
  const given = token.peek();
  if (given !== used) lastId = null;
  used = given;
  const last = lastId;
  const response = await fetch(ofNode('/api/v1/events'), {
    headers: { ...authorization(), ...(last === null ? {} : { 'last-event-id': last }) },
    signal: abort.signal,
    cache: 'no-store',
    credentials: 'omit',
  });
  if (!response.ok || response.body === null) {
    throw refusedBy(response.status, await response.json());
  }
  if (last === null) {
    history = new FairHistory(HISTORY);
    events.value = [];
  }
  connection.value = hasPlace ? 'live' : 'polled';
  refusal.value = '';
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const silence = setTimeout(() => abort.abort(), hasPlace ? SILENCE_MS : QUIET_MS);
    const { done, value } = await reader.read().finally(() => clearTimeout(silence));
    if (done) return;
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop() ?? '';
    take(blocks);
  }
}

function take(blocks: readonly string[]): void {
  const before = arrivals;
  for (const block of blocks) {
    const lines = block.split('\n');
    const field = (name: string): string | undefined =>
      lines.find((each) => each.startsWith(`${name}: `))?.slice(name.length + 2);
    const data = field('data');
    if (data === undefined) continue;
    lastId = field('id') ?? lastId;
    history.add({ ...(JSON.parse(data) as NodeEvent), arrival: arrivals++ });
  }
  if (arrivals > before) events.value = history.all().reverse();
}
