/** Retry, purge and cancel: of all requests that a filter selects, in pieces, and one by one. */
import { signal } from '@preact/signals';
import type { VNode } from 'preact';

import type { BulkResult, StoredRequest } from '../admin/api/stored-answers.js';
import { commands, messageOf, statusOf } from './api.js';
import { Button } from './controls.js';
import { askPerson, order, toast } from './dialogs.js';
import { count, line, plural } from './format.js';
import { inWords, type Selection } from './stored-filter.js';

type State = StoredRequest['state'];

/** Without a state, purge leaves pending requests alone. */
export const ACTS = {
  retry: {
    verb: 'Retry',
    done: 'retried',
    states: ['dead'],
    text: 'They become pending again, with their attempt counts reset.',
  },
  purge: {
    verb: 'Purge',
    done: 'purged',
    states: ['dead', 'replied', 'pending'],
    text: 'The broker deletes them, with their replies: the dead and the replied ones, or those of the chosen state.',
  },
  cancel: {
    verb: 'Cancel',
    done: 'cancelled',
    states: ['pending', 'dispatched', 'dead'],
    text: 'The broker deletes them. Clients that ask for them get 400 (unknown request).',
  },
} as const;

export type Act = keyof typeof ACTS;

/** What one call changes at most, so that it can be stopped between calls. */
const PIECE = 2000;
/** The most requests that are changed without a second press. */
const MANY = 100;

interface Run {
  readonly said: string;
  readonly at: number;
  /** `null`: it has ended. */
  readonly of: number | null;
}

const run = signal<Run | null>(null);
let isStopped = false;

/** What came of a command is told until the view changes. */
export function forgetEnded(): void {
  if (run.peek()?.of === null) run.value = null;
}

/** @param state of a request, or a state that was filtered by */
export function isAllowed(act: Act, state: string): boolean {
  return (ACTS[act].states as readonly string[]).includes(state);
}

/** The states of requests that the command changes if no state is chosen. */
export function usualStates(act: Act): readonly State[] {
  return act === 'purge' ? ['dead', 'replied'] : ACTS[act].states;
}

/** The command in progress, or what came of the last one. */
export function Running(): VNode | null {
  if (run.value === null) return null;
  const { said, at, of } = run.value;
  const stop = (): unknown => (isStopped = true);
  const close = (): unknown => (run.value = null);
  return (
    <section id="run" aria-label="Command">
      {/* The bar says how far it is: a count that runs is not read out. */}
      <span role={of === null ? 'status' : undefined}>{said}</span>
      {of === null ? null : <progress aria-label="Progress" value={at} max={Math.max(1, of)} />}
      <Button
        label={of === null ? 'Close' : 'Stop'}
        style="button small"
        act={of === null ? close : stop}
      />
    </section>
  );
}

/**
 * @param stored how many requests there are, for the progress of the count
 * @returns whether it was carried out to the end
 */
export async function actOnAll(act: Act, selection: Selection, stored: number): Promise<boolean> {
  let isDone = false;
  await alone(async () => {
    const total = await counted(act, selection, stored);
    if (total === null) return;
    const about = Object.entries(inWords(selection)).map(
      ([name, value]) => `${name} ${value === '' ? '(none)' : value}`,
    );
    if (await isSure(act, total, about.join(' · '))) {
      isDone = await carryOut(act, total, pieces(act, selection));
    }
  });
  return isDone;
}

/**
 * @param chosen all in states that allow it
 * @returns whether the person confirmed it
 */
export async function actOnEach(act: Act, chosen: readonly StoredRequest[]): Promise<boolean> {
  let isConfirmed = false;
  await alone(async () => {
    isConfirmed = await isSure(act, chosen.length, '');
    if (isConfirmed) {
      await carryOut(act, chosen.length, singles(act, chosen));
    }
  });
  return isConfirmed;
}

async function alone(work: () => Promise<void>): Promise<void> {
  if (run.value !== null && run.value.of !== null) {
    throw new Error('Another command is in progress');
  }
  isStopped = false;
  run.value = null;
  try {
    await work();
  } finally {
    // Cancelled, or failed before it began.
    if (run.peek()?.of !== null) run.value = null;
  }
}

/** How many it would change now. `null`: stopped */
async function counted(act: Act, selection: Selection, stored: number): Promise<number | null> {
  let [total, scanned, isAnswered] = [0, 0, false];
  run.value = { said: 'Counting', at: 0, of: stored };
  for await (const { count: more, scanned: examined } of calls(act, selection, { dryRun: true })) {
    isAnswered = true;
    total += more;
    scanned += examined;
    const said = `Counting: ${count(scanned)} of ${count(Math.max(scanned, stored))} examined`;
    run.value = { said, at: scanned, of: Math.max(scanned, stored) };
    if (isStopped) return null;
  }
  run.value = null;
  // No answer: the person gave no token.
  return isAnswered ? total : null;
}

async function isSure(act: Act, total: number, about: string): Promise<boolean> {
  const { verb, done, text } = ACTS[act];
  if (total === 0) {
    toast(`No request can be ${done}`, 'bad');
    return false;
  }
  let presses = 0;
  return await askPerson({
    title: `${verb} ${plural(total, 'request')}?`,
    body: (
      <>
        <p>{text}</p>
        {about === '' ? null : <p class="quiet reason">{line(about)}</p>}
      </>
    ),
    confirm: `${verb} ${plural(total, 'request')}`,
    isDangerous: act !== 'retry',
    check: () =>
      total > MANY && presses++ === 0 ? 'These are more than 100: press again to do it.' : null,
  });
}

/** @returns whether it came to its end */
async function carryOut(act: Act, total: number, steps: AsyncIterable<number>): Promise<boolean> {
  const { verb, done: did } = ACTS[act];
  let done = 0;
  let why = '';
  let isFailed = false;
  run.value = { said: `${verb}: 0 of ${count(total)}`, at: 0, of: total };
  try {
    for await (const more of steps) {
      done += more;
      run.value = { said: `${verb}: ${count(done)} of ${count(total)}`, at: done, of: total };
      if (isStopped) break;
    }
    if (!isStopped && done < total) {
      why = `, ${count(total - done)} not: they have changed meanwhile`;
    }
  } catch (error) {
    why = ` of ${count(total)}, then: ${messageOf(error)}`;
    isFailed = true;
  }
  const isCut = isStopped && done < total;
  const said = isCut ? `stopped after ${count(done)}` : `${count(done)} ${did}${why}`;
  run.value = { said, at: done, of: null };
  commands.value++;
  return !isCut && !isFailed;
}

/** The answers of a bulk command, until it is done. */
async function* calls(act: Act, selection: Selection, more: object): AsyncGenerator<BulkResult> {
  let cursor: string | null = null;
  do {
    const body: object = { ...selection, ...more, ...(cursor === null ? {} : { cursor }) };
    const result: BulkResult | null = await order(`/api/v1/titanic/${act}`, body, true);
    if (result === null) return;
    yield result;
    cursor = result.next;
  } while (cursor !== null);
}

async function* pieces(act: Act, selection: Selection): AsyncGenerator<number> {
  for await (const { count: changed } of calls(act, selection, { limit: PIECE })) yield changed;
}

async function* singles(act: Act, chosen: readonly StoredRequest[]): AsyncGenerator<number> {
  for (const { uuid, state } of chosen) {
    const changed = await single(act, uuid, state);
    if (changed === null) return;
    yield changed;
  }
}

/** 0: its state has changed meanwhile, or it is gone. `null`: the person gave no token */
async function single(act: Act, uuid: string, state: State): Promise<number | null> {
  if (act === 'purge') {
    const result = await order<BulkResult>('/api/v1/titanic/purge', { uuid, state }, true);
    return result?.count ?? null;
  }
  try {
    const path = `/api/v1/titanic/requests/${encodeURIComponent(uuid)}/${act}`;
    return (await order(path, {}, true)) === null ? null : 1;
  } catch (error) {
    if ([404, 409].includes(statusOf(error))) return 0;
    throw error;
  }
}
