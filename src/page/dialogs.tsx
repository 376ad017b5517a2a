/** Dialogs and toasts. The dialogs are native: they keep the focus and close on Escape. */
import { signal, useSignal } from '@preact/signals';
import type { ComponentChildren, VNode } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

import { get, messageOf, post, refusedToken, statusOf, token } from './api.js';

interface Question {
  readonly title: string;
  readonly body: ComponentChildren;
  readonly confirm: string;
  readonly isDangerous?: boolean;
  /** Whether there is nothing to decide: the dialog has only a button to close it. */
  readonly isNotice?: boolean;
  /** Called before it closes. Returns what is wrong with the input; `null`: nothing. */
  readonly check?: () => string | null;
}

interface Shown extends Question {
  readonly number: number;
  readonly answer: (isConfirmed: boolean) => void;
}

const shown = signal<readonly Shown[]>([]);
const toasts = signal<readonly { number: number; message: ComponentChildren; kind: string }[]>([]);
let number = 0;
const TOAST_MS = 7000;
const TOASTS_MAX = 3;

/** Shows the dialog. Resolves with true if it was confirmed. */
export function askPerson(question: Question): Promise<boolean> {
  return new Promise((resolve) => {
    shown.value = [...shown.value, { ...question, number: number++, answer: resolve }];
  });
}

export function Dialogs(): VNode {
  return (
    <>
      {shown.value.map((each) => (
        <Dialog key={each.number} {...each} />
      ))}
    </>
  );
}

export function Toasts(): VNode {
  return (
    <div id="toasts" role="status">
      {toasts.value.map((each) => (
        <p key={each.number} class={`toast ${each.kind}`}>
          {each.message}
        </p>
      ))}
    </div>
  );
}

function Dialog(question: Shown): VNode {
  const { title, body, confirm, isDangerous, isNotice, check, answer } = question;
  const dialog = useRef<HTMLDialogElement>(null);
  const wrong = useSignal('');
  const id = `dialog-${question.number}`;
  useLayoutEffect(() => dialog.current?.showModal(), []);
  const submit = (event: Event): void => {
    event.preventDefault();
    const fault = check?.() ?? null;
    wrong.value = fault ?? '';
    if (fault === null) dialog.current?.close('yes');
  };
  const closed = (): void => {
    shown.value = shown.value.filter((each) => each.number !== question.number);
    answer(dialog.current?.returnValue === 'yes');
  };
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={closed}>
      <form method="dialog" onSubmit={submit}>
        <h2 id={id}>{title}</h2>
        {body}
        <p class="wrong" role="alert">
          {wrong}
        </p>
        <div class="dialog-actions">
          {isNotice === true ? null : (
            <button type="button" class="button" onClick={() => dialog.current?.close('')}>
              Back
            </button>
          )}
          <button type="submit" class={isDangerous === true ? 'button danger' : 'button primary'}>
            {confirm}
          </button>
        </div>
      </form>
    </dialog>
  );
}

let asking: Promise<boolean> | null = null;

/** Asks for the token; simultaneous calls share one dialog. True if one was entered. */
export function askToken(why: string): Promise<boolean> {
  asking ??= askTokenNow(why).finally(() => {
    asking = null;
  });
  return asking;
}

async function askTokenNow(why: string): Promise<boolean> {
  let entered = '';
  const isGiven = await askPerson({
    title: 'Token needed',
    body: (
      <>
        <p>{why}</p>
        <label for="token">Token</label>
        <input
          type="password"
          id="token"
          autocomplete="off"
          spellcheck={false}
          required
          onInput={({ currentTarget }) => {
            entered = currentTarget.value.trim();
          }}
        />
        <p class="quiet">
          The node’s own token may read and change everything: <code>http.token</code> in the
          configuration, or the content of the file <code>http.token</code> in the data directory.
          Of the entries of <code>http.tokens</code> (each with its <code>token</code> or{' '}
          <code>tokenFile</code>), those with <code>role: operate</code> may do the same, and those
          with <code>role: read</code> only read. The browser keeps the token until you close this
          tab.
        </p>
      </>
    ),
    confirm: 'Use this token',
    // The browser would refuse to send other characters in a header.
    check: () =>
      /^[\x21-\x7e]+$/.test(entered)
        ? null
        : 'A token contains only visible ASCII characters, and no spaces.',
  });
  if (isGiven) token.value = entered;
  return isGiven;
}

/**
 * Sends a command, and asks for the token until it is accepted.
 * @param isPart of a command that counts itself at its end
 * @returns `null` if the user cancelled
 * @throws ApiError, other than for the token
 */
export async function order<Answer>(
  path: string,
  body: object = {},
  isPart = false,
): Promise<Answer | null> {
  return await withToken('Changes', () => post<Answer>(path, body, isPart));
}

/**
 * Reads something that only holders of the token may see.
 * @param what its name, in the plural and capitalized
 * @returns `null` if the user cancelled
 * @throws ApiError, other than for the token
 */
export async function read<Answer>(path: string, what: string): Promise<Answer | null> {
  return await withToken(what, () => get<Answer>(path));
}

async function withToken<Answer>(what: string, run: () => Promise<Answer>): Promise<Answer | null> {
  let why = `${what} need a token.`;
  for (;;) {
    if (token.peek() === null && !(await askToken(why))) return null;
    const given = token.peek();
    try {
      return await run();
    } catch (error) {
      const refused = refusedToken(error);
      if (refused === null) throw error;
      why = refused;
      if (statusOf(error) === 403) {
        // If the user enters no other token, the one that only reads stays.
        const needs = `${why} ${what} need http.token, or one with role: operate.`;
        if (!(await askToken(needs))) return null;
      } else if (token.peek() === given) token.value = null;
    }
  }
}

/** Shows a result for a few seconds. */
export function toast(message: ComponentChildren, kind: 'good' | 'bad'): void {
  const made = { number: number++, message, kind };
  toasts.value = [...toasts.value, made].slice(-TOASTS_MAX);
  setTimeout(() => {
    toasts.value = toasts.value.filter((each) => each !== made);
  }, TOAST_MS);
}

/** Runs the action of a button, and shows its error. */
export function attempt(run: () => Promise<void>): void {
  run().catch((error: unknown) => toast(messageOf(error), 'bad'));
}
