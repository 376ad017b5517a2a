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
export const isOpen = signal(false);
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
  void read(abort).then((isWorthwhile) => {
    current = null;
    isOpen.value = false;
    if (isWorthwhile) timer = setTimeout(open, token.peek() === used ? RETRY_MS : 0);
  });
}

/** @returns whether to try again: without the token it is pointless */
async function read(abort: AbortController): Promise<boolean> {
  try {
    await follow(abort);
    return true;
  } catch (error) {
    // Usually the connection was lost, and the banner shows that.
    refusal.value = statusOf(error) === 0 ? '' : messageOf(error);
    return statusOf(error) !== 401;
  }
}

async function follow(abort: AbortController): Promise<void> {
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
  isOpen.value = true;
  refusal.value = '';
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const silence = setTimeout(() => abort.abort(), SILENCE_MS);
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
