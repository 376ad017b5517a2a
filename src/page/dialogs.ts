/** Questions to the one who looks: a native dialog, which keeps the focus and closes on Escape. */
import { get, messageOf, post, statusOf, token } from './api.js';
import { button, type Child, el, text } from './dom.js';

interface Question {
  readonly title: string;
  readonly body: readonly Child[];
  readonly confirm: string;
  readonly isDangerous?: boolean;
  /** There is nothing to decide: one button closes it. */
  readonly isNotice?: boolean;
  /** Asked before it closes: what is wrong with what was entered; `null`: nothing. */
  readonly check?: () => string | null;
}

/** Shows it; true if it was confirmed. */
export function askPerson(question: Question): Promise<boolean> {
  const { title, body, confirm, check } = question;
  const wrong = el('p', { class: 'wrong', role: 'alert' });
  const style = question.isDangerous === true ? 'button danger' : 'button primary';
  const form = el(
    'form',
    { method: 'dialog' },
    el('h2', { id: 'dialog-title' }, title),
    ...body,
    wrong,
    el(
      'div',
      { class: 'dialog-actions' },
      question.isNotice === true
        ? null
        : button('Cancel', 'button', () => {
            dialog.close('');
          }),
      el('button', { type: 'submit', class: style }, confirm),
    ),
  );
  const dialog = el('dialog', { 'aria-labelledby': 'dialog-title' }, form);
  document.body.append(dialog);
  return new Promise((resolve) => {
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const fault = check?.() ?? null;
      text(wrong, fault ?? '');
      if (fault === null) dialog.close('yes');
    });
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes');
    });
    dialog.showModal();
  });
}

let asking: Promise<boolean> | null = null;

/** Asks for the token; whoever asks meanwhile shares the answer. True if one was given. */
export function askToken(why: string): Promise<boolean> {
  asking ??= askTokenNow(why).finally(() => {
    asking = null;
  });
  return asking;
}

async function askTokenNow(why: string): Promise<boolean> {
  const input = el('input', {
    type: 'password',
    id: 'token',
    autocomplete: 'off',
    spellcheck: 'false',
    required: true,
  });
  const given = await askPerson({
    title: 'Token needed',
    body: [
      el('p', {}, why),
      el('label', { for: 'token' }, 'Token'),
      input,
      el(
        'p',
        { class: 'quiet' },
        'The token is http.token in the configuration, or the content of the file http.token in the data directory. ',
        'The browser keeps it until you close this tab.',
      ),
    ],
    confirm: 'Use this token',
    // What a header cannot carry would be refused by the browser, not by the daemon.
    check: () =>
      /^[\x21-\x7e]+$/.test(input.value.trim())
        ? null
        : 'A token contains only visible ASCII characters, and no spaces.',
  });
  if (given) token.set(input.value.trim());
  return given;
}

/**
 * Gives an order, and asks for the token as often as it is needed.
 * @returns `null` if the person gave up
 * @throws ApiError, other than for the token
 */
export async function order<Answer>(path: string, body: object = {}): Promise<Answer | null> {
  return await withToken('Changes', () => post<Answer>(path, body));
}

/**
 * Reads what only holders of the token may see.
 * @param what that is, in the plural, as a sentence begins
 * @returns `null` if the person gave up
 * @throws ApiError, other than for the token
 */
export async function read<Answer>(path: string, what: string): Promise<Answer | null> {
  return await withToken(what, () => get<Answer>(path));
}

async function withToken<Answer>(what: string, run: () => Promise<Answer>): Promise<Answer | null> {
  let why = `${what} need the token of this node.`;
  for (;;) {
    if (token.get() === null && !(await askToken(why))) return null;
    try {
      return await run();
    } catch (error) {
      const status = statusOf(error);
      if (status === 403) {
        // The one that reads stays if no other one is given.
        if (!(await askToken(`This token is read-only: ${what.toLowerCase()} need http.token.`))) {
          return null;
        }
        continue;
      }
      if (status !== 401) throw error;
      token.forget();
      why = 'Wrong token.';
    }
  }
}

const toasts = new Map<HTMLElement, number>();
const TOAST_MS = 7000;

/** Says what came of something, for a while. */
export function toast(message: string, kind: 'good' | 'bad'): void {
  const place = document.getElementById('toasts');
  if (place === null) return;
  const made = el('p', { class: `toast ${kind}` }, message);
  place.append(made);
  const timer = setTimeout(() => {
    made.remove();
    toasts.delete(made);
  }, TOAST_MS);
  toasts.set(made, timer);
  const [oldest] = toasts.keys();
  if (toasts.size > 3 && oldest !== undefined) {
    clearTimeout(toasts.get(oldest));
    toasts.delete(oldest);
    oldest.remove();
  }
}

/** Runs what a button asks for, and says if it failed. */
export function attempt(run: () => Promise<void>): void {
  run().catch((error: unknown) => {
    toast(messageOf(error), 'bad');
  });
}
