/** Polls the state of the node once per second while the page is visible, and keeps the samples. */
import { batch, signal } from '@preact/signals';

import type { Overview } from '../admin/api/node-answers.js';
import { get, messageOf, refusedToken, token } from './api.js';
import { askToken, toast } from './dialogs.js';
import { type Sample, Samples } from './samples.js';

/** Said of a node that lets nobody read without a token. */
export const READING = 'Reading this node needs a token.';
const READ_ONLY =
  'This token is read-only: changes and bodies need http.token, or one with role: operate.';
const EVERY_MS = 1000;
const RETRY_MS_MAX = 5000;

/** The state of the connection to the node. */
type Contact = 'first' | 'good' | 'lost' | 'locked';

export const contact = signal<Contact>('first');
export const overview = signal<Overview | null>(null);
export const samples = signal<readonly Sample[]>([]);
/** Since when there is no connection, in milliseconds since 1970, and why. */
export const lost = signal<{ readonly at: number; readonly why: string } | null>(null);

const kept = new Samples();
/** How far the node's clock is ahead of this machine's, in milliseconds. */
let aheadMs = 0;
let failures = 0;
let isGivenUp = false;
let isAsking = false;
let timer: number | undefined;

/** Time of the node's clock, which may differ from this machine's. Milliseconds since 1970. */
export function nowMs(): number {
  return Date.now() + aheadMs;
}

/** Milliseconds since a time of the node; `null`: not known. */
export function ageOf(iso: string | null): number | null {
  const ms = nowMs() - Date.parse(iso ?? '');
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}

/** True if clients and workers use the other node, so that this one has no figures. */
export function isElsewhere(): boolean {
  return overview.value?.state === 'passive';
}

/** Why commands are off; `null`: they are not. */
export function whyNoCommands(): string | null {
  const isReadOnly = token.value !== null && overview.value?.access === 'read';
  return isReadOnly ? READ_ONLY : null;
}

export function startNode(): void {
  document.addEventListener('visibilitychange', askNow);
  askNow();
}

/** Asks at once, unless the page is hidden: a hidden page costs the node nothing. */
export function askNow(): void {
  clearTimeout(timer);
  if (document.hidden || isAsking) return;
  isGivenUp = false;
  isAsking = true;
  void ask().finally(() => {
    isAsking = false;
    if (isGivenUp) return;
    const retryMs = Math.min(RETRY_MS_MAX, EVERY_MS * failures);
    timer = setTimeout(askNow, Math.max(EVERY_MS, retryMs));
  });
}

async function ask(): Promise<void> {
  try {
    take(await get<Overview>(`/api/v1/overview?since=${kept.next}`));
  } catch (error) {
    const why = refusedToken(error);
    if (why !== null) {
      await unlock(why);
      return;
    }
    failures++;
    batch(() => {
      lost.value = { at: lost.value?.at ?? Date.now(), why: messageOf(error) };
      contact.value = 'lost';
    });
  }
}

/** Reading may need no token: a wrong one is forgotten, and another one asked for beside what is shown without. */
async function unlock(why: string): Promise<void> {
  if (token.peek() !== null) {
    token.value = null;
    void askToken(why);
    await ask();
    return;
  }
  contact.value = 'locked';
  // If the user cancels, a button of the banner asks again.
  isGivenUp = !(await askToken(READING));
}

function take(answer: Overview): void {
  failures = 0;
  // The samples of this node are loaded next.
  if (!kept.take(answer)) toast('The daemon was restarted', 'good');
  else aheadMs = (kept.all.at(-1)?.['at'] ?? Date.now()) - Date.now();
  batch(() => {
    overview.value = answer;
    samples.value = kept.all;
    lost.value = null;
    contact.value = 'good';
  });
}
